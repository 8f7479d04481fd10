"""Faults as X-Road's clients see them."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from lienthong.errors import (
    InvalidHeader,
    LienthongError,
    MalformedFault,
    MissingClient,
    UnknownService,
)
from lienthong.exchange.xroad.faults import (
    Fault,
    Place,
    error_media_type,
    fault_response,
    language_of,
    snake_spelling,
)

FAULT = Fault("Server.ServerProxy.AccessDenied", "agreements.none", "Không có quyền <&>.", "id-1")


def test_a_fault_is_told_in_json_unless_asked_otherwise() -> None:
    response = fault_response(FAULT, accept=None, spelling="camel")
    assert response.status == 500
    assert response.header("x-road-error") == "Server.ServerProxy.AccessDenied"
    assert response.header("lienthong-error") == "agreements.none"
    assert response.header("content-type") == "application/json;charset=utf-8"
    assert json.loads(response.body.read()) == {
        "type": "Server.ServerProxy.AccessDenied",
        "message": "Không có quyền <&>.",
        "detail": "id-1",
    }


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("text/xml", "text/xml"), ("a/b, application/xml;q=0.1", "application/xml")],
)
def test_a_fault_is_told_in_xml_to_who_accepts_it(accept: str, media_type: str) -> None:
    response = fault_response(FAULT, accept=accept, spelling="snake")
    assert response.header("content-type") == f"{media_type};charset=utf-8"
    root = etree.fromstring(response.body.read())
    assert [(child.tag, child.text) for child in root] == [
        ("type", "server.serverproxy.access_denied"),
        ("message", "Không có quyền <&>."),
        ("detail", "id-1"),
    ]
    assert root.tag == "error"


def test_the_status_stays_500_in_the_newer_spelling() -> None:
    response = fault_response(FAULT, accept=None, spelling="snake")
    assert response.status == 500
    assert response.header("x-road-error") == "server.serverproxy.access_denied"


def test_a_fault_of_the_client_is_400() -> None:
    assert Fault("Client.BadRequest", "xroad.invalid_header", "", "id").status == 400


def test_names_the_cause_and_the_remedy_in_the_callers_language() -> None:
    error = InvalidHeader(header="x-road-id", reason="empty")
    vietnamese = Fault.of(error, Place.CONSUMER, "id", "vi")
    english = Fault.of(error, Place.CONSUMER, "id", "en")
    assert vietnamese.type == "Server.ClientProxy.InvalidRequest"
    assert vietnamese.message == f"{error.message('vi')} {error.remedy('vi')}"
    assert english.message == f"{error.message('en')} {error.remedy('en')}"


def test_a_missing_client_is_reported_as_x_roads_code_does() -> None:
    fault = Fault.of(MissingClient(), Place.CONSUMER, "id")
    assert (fault.type, fault.status) == ("Server.ClientProxy.InternalError", 500)
    assert fault.code == "xroad.missing_client"


def test_every_error_of_the_house_makes_a_fault() -> None:
    waiting: list[type[LienthongError]] = [LienthongError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        fault = Fault.of(kind(), Place.PROVIDER, "id")
        assert snake_spelling(fault.type) == snake_spelling(fault.type).lower()


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ("Server.ServerProxy.AccessDenied", "server.serverproxy.access_denied"),
        ("Server.ClientProxy.IOError", "server.clientproxy.io_error"),
        ("Server.ClientProxy.OutdatedGlobalConf", "server.clientproxy.global_conf_outdated"),
        ("Server.ServerProxy.HSMNonOperational", "server.serverproxy.hsm_non_operational"),
        (
            "Server.ServerProxy.ServiceFailed.SslAuthenticationFailed",
            "server.serverproxy.service_failed.ssl_authentication_failed",
        ),
        ("Client.BadRequest", "client.bad_request"),
    ],
)
def test_spells_codes_as_x_road_7_8_does(camel: str, snake: str) -> None:
    assert snake_spelling(camel) == snake


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/*", "text/xml"),
        ("TEXT/XML; q=0", "text/xml"),
        ("application/json, application/xml", "application/xml"),
    ],
)
def test_chooses_the_form_of_an_error_as_x_road_does(accept: str, found: str) -> None:
    assert error_media_type(accept) == found


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "vi"),
        ("", "vi"),
        ("fr, de;q=0.5", "vi"),
        ("en", "en"),
        ("en-GB, vi;q=0.5", "en"),
        ("vi-VN, en;q=0.9", "vi"),
        ("en, vi", "vi"),
        ("en;q=0", "vi"),
        ("en;q=broken", "vi"),
        ("*;q=0.5, EN;q=0.1", "en"),
    ],
)
def test_speaks_vietnamese_unless_english_is_preferred(header: str | None, language: str) -> None:
    assert language_of(header) == language


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("type", {"type": "Server\r\nx-evil: 1"}),
        ("type", {"type": "Server"}),
        ("type", {"type": "Server." + "a" * 300}),
        ("code", {"code": "agreements"}),
        ("code", {"code": "a.b\n"}),
        ("detail", {"detail": "a b"}),
        ("message", {"message": "x" * 5000}),
    ],
)
def test_refuses_a_peers_fault_that_cannot_stand_in_an_answer(
    part: str, fields: dict[str, str]
) -> None:
    sound = {"type": "Server.ServerProxy.X", "code": "a.b", "message": "", "detail": "id"}
    with pytest.raises(MalformedFault) as caught:
        Fault(**{**sound, **fields})
    assert caught.value.facts == {"part": part}


def test_a_message_that_xml_cannot_hold_still_makes_xml() -> None:
    fault = Fault("Server.ServerProxy.X", "a.b", "a\x00b\ud800", "id")
    root = etree.fromstring(fault_response(fault, accept="text/xml", spelling="camel").body.read())
    assert root.findtext("message") == "a\ufffdb\ufffd"


def test_the_error_keeps_its_x_road_name() -> None:
    fault = Fault.of(UnknownService(service="x"), Place.PROVIDER, "id")
    assert fault.type == "Server.ServerProxy.UnknownService"
