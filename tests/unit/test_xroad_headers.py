"""X-Road headers: what is read, what travels on, what is refused."""

from __future__ import annotations

import pytest

from lienthong.errors import InvalidHeader, InvalidIdentifier, MissingClient
from lienthong.exchange.xroad.headers import (
    SKIPPED_HEADERS,
    RepresentedParty,
    XRoadHeaders,
    client_headers,
    passthrough,
    request_headers,
    response_headers,
    service_headers,
)
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId

CLIENT = ("x-road-client", "VN/GOV/H37/motcua")


def test_reads_all_headers_that_a_client_may_send() -> None:
    found = XRoadHeaders.read(
        [
            CLIENT,
            ("x-road-id", "abc-1"),
            ("x-road-userid", "VN001090000001"),
            ("x-road-issue", "H37.26-260715-0001"),
            ("x-road-security-server", "VN/GOV/G01/nut1"),
            ("x-road-represented-party", "COM/0101"),
            ("lienthong-purpose", "1.004222"),
        ],
        "VN",
    )
    assert found == XRoadHeaders(
        client=SubsystemId("VN", "GOV", "H37", "motcua"),
        id="abc-1",
        id_generated=False,
        user_id="VN001090000001",
        issue="H37.26-260715-0001",
        security_server=NodeId("VN", "GOV", "G01", "nut1"),
        represented_party=RepresentedParty("COM", "0101"),
        purpose="1.004222",
    )


def test_makes_an_id_where_the_client_sent_none() -> None:
    first, second = (XRoadHeaders.read([CLIENT], "VN-TEST") for _ in range(2))
    assert first.id.startswith("VN-TEST-")
    assert first.id != second.id
    assert first.id_generated


def test_the_last_of_repeated_headers_counts() -> None:
    found = XRoadHeaders.read([("x-road-client", "VN/GOV/G02/x"), CLIENT], "VN")
    assert found.client.code == "H37"


def test_a_represented_party_may_have_no_class() -> None:
    found = XRoadHeaders.read([CLIENT, ("x-road-represented-party", "0101")], "VN")
    assert found.represented_party == RepresentedParty(None, "0101")


def test_refuses_a_request_that_does_not_say_who_asks() -> None:
    with pytest.raises(MissingClient):
        XRoadHeaders.read([("x-road-id", "1")], "VN")


@pytest.mark.parametrize("value", ["VN/GOV/H37", "VN/GOV/H37/motcua/x", "VN//H37/motcua", "%00"])
def test_refuses_a_client_that_is_no_subsystem(value: str) -> None:
    with pytest.raises(InvalidIdentifier):
        XRoadHeaders.read([("x-road-client", value)], "VN")


@pytest.mark.parametrize(
    "value", ["", "   ", "x" * 256, "a\tb", "a\x00b", "a\r\nx-road-client:b", "dân", "\x7f", "\xa0"]
)
@pytest.mark.parametrize(
    "name", ["x-road-id", "x-road-userid", "x-road-issue", "lienthong-purpose"]
)
def test_refuses_a_value_that_cannot_stand_in_a_header(name: str, value: str) -> None:
    with pytest.raises(InvalidHeader) as caught:
        XRoadHeaders.read([CLIENT, (name, value)], "VN")
    assert caught.value.facts["header"] == name


@pytest.mark.parametrize("value", ["a/b/c", "/b", "a/", "%ff", "%00/b"])
def test_refuses_a_represented_party_of_another_form(value: str) -> None:
    with pytest.raises(InvalidHeader):
        XRoadHeaders.read([CLIENT, ("x-road-represented-party", value)], "VN")


def test_headers_of_one_connection_do_not_travel() -> None:
    headers = [(name, "x") for name in SKIPPED_HEADERS] + [("accept", "*/*"), ("x-mine", "1")]
    assert passthrough(headers) == [("accept", "*/*"), ("x-mine", "1")]


def test_headers_that_connection_names_do_not_travel_but_the_client_stays_named() -> None:
    headers = [("connection", "close, X-Hop, X-Road-Client"), ("x-hop", "1"), CLIENT]
    assert passthrough(headers) == [CLIENT]


def test_the_node_gives_the_request_its_ids() -> None:
    xroad = XRoadHeaders.read([CLIENT], "VN")
    came = [("x-road-request-id", "forged"), CLIENT, ("x-road-request-hash", "forged")]
    assert request_headers(client_headers(came), xroad, "r-1") == [
        CLIENT,
        ("x-road-request-id", "r-1"),
        ("x-road-id", xroad.id),
    ]


def test_a_client_keeps_its_own_message_id() -> None:
    came = [CLIENT, ("x-road-id", "mine")]
    xroad = XRoadHeaders.read(came, "VN")
    assert request_headers(client_headers(came), xroad, "r-1") == [
        *came,
        ("x-road-request-id", "r-1"),
    ]


def test_a_service_cannot_pass_for_the_exchange() -> None:
    xroad = XRoadHeaders.read([CLIENT, ("x-road-id", "m-1")], "VN")
    service = ServiceId("VN", "GOV", "G01", "dancu", "công dân")
    came = [
        ("content-type", "application/json"),
        ("x-road-error", "Server.ServerProxy.AccessDenied"),
        ("lienthong-error", "agreements.none"),
        ("x-road-client", "VN/GOV/G99/x"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
    ]
    assert response_headers(service_headers(came), xroad, service, "r-1", "hash=") == [
        ("content-type", "application/json"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
        ("x-road-id", "m-1"),
        ("x-road-client", "VN/GOV/H37/motcua"),
        ("x-road-service", "VN/GOV/G01/dancu/c%C3%B4ng%20d%C3%A2n"),
        ("x-road-request-id", "r-1"),
        ("x-road-request-hash", "hash="),
    ]


def test_a_fault_of_the_providers_node_keeps_its_headers() -> None:
    xroad = XRoadHeaders.read([CLIENT], "VN")
    service = ServiceId("VN", "GOV", "G01", "dancu", "cong-dan")
    fault = [("x-road-error", "Server.ServerProxy.AccessDenied")]
    assert response_headers(fault, xroad, service, "r-1", "hash=")[:1] == fault
