"""What the SOAP side refuses, each fault for its own reason."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lienthong import errors
from lienthong.agreements.book import AgreementBook
from lienthong.exchange.clients import ClientRegistry
from lienthong.exchange.services import Service, ServiceRegistry
from lienthong.exchange.soap.edge import SoapEdge
from lienthong.exchange.soap.envelope import Envelope, read_envelope
from lienthong.exchange.soap.execution import Asked, SoapExecution, check_protocol
from lienthong.exchange.soap.faults import signed_fault
from lienthong.exchange.soap.headers import read_headers
from lienthong.exchange.soap.media_type import media_type
from lienthong.exchange.soap.metaservices import wanted_wsdl, wsdl_of
from lienthong.exchange.soap.multipart import LARGEST_ENVELOPE_BYTES, soap_part
from lienthong.exchange.soap.request_hash import with_request_hash
from lienthong.exchange.soap.service import SoapService
from lienthong.exchange.xroad.headers import SOAP_MARK
from lienthong.transport.messages import Body, Connection, Request, Response
from tests.fixtures.soap_calls import envelope, multipart
from tests.unit.test_soap_envelopes import CLIENT, GOOD, SERVICE, XML, message, read

CODE = SERVICE.removesuffix("/v1")
ANSWER = GOOD.replace(b"h:traCuu>", b"h:traCuuResponse>")
PLAIN = Connection(None, "127.0.0.1:1", False)


# --- types and parts -----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["text/xml, charset=utf-8", "text/xml/x=1", "text/xml; a=b c=d"])
def test_parameters_stand_behind_semicolons(text: str) -> None:
    with pytest.raises(errors.SoapContentType):
        media_type(text)


def test_a_parameter_stands_once() -> None:
    with pytest.raises(errors.SoapContentType, match="twice"):
        media_type("text/xml; charset=utf-8; Charset=utf-8")


def test_a_multipart_has_a_boundary_and_begins_with_it() -> None:
    body, kind = multipart(GOOD, b"x")
    with pytest.raises(errors.MultipartMalformed, match="RFC 2046"):
        soap_part("multipart/related", Body.of(body))
    with pytest.raises(errors.MultipartMalformed, match="does not begin"):
        soap_part(kind, Body.of(b"hello\r\n" + body))


def test_the_first_part_and_its_head_end_somewhere(tmp_path: Path) -> None:
    kind = "multipart/related; boundary=b"
    with pytest.raises(errors.MultipartMalformed, match="headers of a part have no end"):
        soap_part(kind, Body.of(b"--b\r\nContent-Type: text/xml\r\n--b--\r\n"))
    with pytest.raises(errors.MultipartMalformed, match="first part has no end"):
        soap_part(kind, Body.of(b"--b\r\nContent-Type: text/xml\r\n--b--: x\r\n\r\n<a/>"))
    file = tmp_path / "body"
    head = b"--b\r\nContent-Type: text/xml\r\n\r\n"
    file.write_bytes(head + bytes(LARGEST_ENVELOPE_BYTES + 20_000) + b"\r\n--b--\r\n")
    with pytest.raises(errors.SoapTooLarge):
        soap_part(kind, Body.of_file(file))


# --- envelopes -----------------------------------------------------------------------------


def test_an_endless_field_is_not_read_to_its_end() -> None:
    endless = GOOD.replace(b"m-1", b"m" * 5000 + b"<?later?>", 1)
    with pytest.raises(errors.SoapFieldInvalid):
        read(endless)


def test_a_represented_party_has_a_code() -> None:
    party = '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd"><r:partyClass>'
    more = f"{party}COM</r:partyClass></r:representedParty>"
    with pytest.raises(errors.SoapFieldMissing):
        read_headers(read(envelope(CLIENT, SERVICE, more=more)))


def test_the_hash_needs_a_header_and_an_envelope_that_is_whole() -> None:
    without = GOOD[: GOOD.index(b"<s:Header>")] + GOOD[GOOD.index(b"<s:Body>") :]
    with pytest.raises(errors.SoapHeaderMissing):
        with_request_hash(without, "utf-8", "abc=")
    with pytest.raises(errors.SoapXmlInvalid):
        with_request_hash(GOOD[: GOOD.index(b"<s:Header>")] + b"<<", "utf-8", "abc=")


def test_a_wsdl_is_asked_for_by_name_and_comes_in_an_attachment() -> None:
    with pytest.raises(errors.SoapFieldMissing):
        wanted_wsdl(Envelope("utf-8"))
    with pytest.raises(errors.InconsistentAnswer):
        wsdl_of([("content-type", "text/xml")], Body.of(GOOD))
    body, kind = multipart(GOOD)
    with pytest.raises(errors.InconsistentAnswer):
        wsdl_of([("content-type", kind)], Body.of(body))


def test_a_signed_refusal_of_too_many_bytes_is_not_read() -> None:
    with pytest.raises(errors.InconsistentAnswer, match="too many"):
        signed_fault([], Body.of(b" " * 1_000_000))


# --- at the client's edge ------------------------------------------------------------------


def test_an_answer_carries_the_hash_of_its_request() -> None:
    unused: Any = None
    edge = SoapEdge(unused, ClientRegistry(), "x-road")
    asked = Request("POST", "/", [("content-type", XML)], Body.of(GOOD))

    async def check(answer: bytes) -> None:
        question = await edge._read(asked)
        await edge._check(question, [("content-type", XML)], Body.of(answer))

    for answer in (ANSWER, with_request_hash(ANSWER, "utf-8", "abc=")):
        with pytest.raises(errors.SoapAnswerInconsistent, match="requestHash"):
            asyncio.run(check(answer))


def test_a_wsdl_is_for_client_systems_of_the_node() -> None:
    unused: Any = None
    edge = SoapEdge(unused, ClientRegistry(), "x-road")
    with pytest.raises(errors.UnknownClient):
        edge._client(Request("GET", "/wsdl", [], Body.of(b""), PLAIN))


# --- at the provider's ---------------------------------------------------------------------


@pytest.fixture
def execution() -> SoapExecution:
    core: Any = SimpleNamespace(node="VN/GOV/G01/n1", clock=None)
    registry = ServiceRegistry([Service("VN/GOV/G01/hotich/rest")])
    return SoapExecution(core, registry, AgreementBook())


def test_rest_and_soap_do_not_meet() -> None:
    soap = message(headers=(SOAP_MARK,))  # type: ignore[arg-type]
    with pytest.raises(errors.ServiceProtocolMismatch, match="REST"):
        check_protocol(Service(CODE), soap)
    offered: Any = SimpleNamespace(soap=object())
    with pytest.raises(errors.ServiceProtocolMismatch, match="SOAP"):
        check_protocol(offered, message(path="/x"))


def test_an_answer_of_a_service_is_an_envelope_and_no_bare_error(
    execution: SoapExecution,
) -> None:
    part = soap_part(XML, Body.of(GOOD))
    asked = Asked(part, read_envelope(part), read_headers(read_envelope(part)))

    def judge(status: int, content: bytes) -> Response:
        response = Response(status, [("content-type", XML)], Body.of(content))
        return asyncio.run(execution._checked(asked, response))

    assert judge(200, ANSWER).status == 200
    with pytest.raises(errors.SoapAnswerUnusable):
        judge(200, b"<html/>")
    with pytest.raises(errors.SoapAnswerUnusable, match="500"):
        judge(500, ANSWER)


def test_what_a_soap_metaservice_is_asked_about_must_be_there(execution: SoapExecution) -> None:
    said = message(headers=(("content-type", XML),))  # type: ignore[arg-type]
    with pytest.raises(errors.ServiceProtocolMismatch, match="REST"):
        asyncio.run(execution.metaservice(said, Request("POST", "/", [], Body.of(GOOD))))
    with pytest.raises(errors.UnknownService):
        execution._wsdl("VN/GOV/G01/hotich/rest", "")
    with pytest.raises(errors.UnknownService):
        SoapService("VN/GOV/G01/hotich/x", {}).version("v9")
