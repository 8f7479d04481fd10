"""Envelopes and parts: what is read of them, and what is refused and by which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lienthong import errors
from lienthong.errors import LienthongError
from lienthong.exchange.soap.encoding import encoding_of
from lienthong.exchange.soap.envelope import Envelope, read_envelope
from lienthong.exchange.soap.headers import check_answer, check_message, read_headers
from lienthong.exchange.soap.media_type import media_type
from lienthong.exchange.soap.metaservices import Wanted, wsdl_answer, wsdl_of
from lienthong.exchange.soap.multipart import LARGEST_ENVELOPE_BYTES, soap_part
from lienthong.exchange.soap.request_hash import replaced, with_request_hash
from lienthong.exchange.soap.service import SoapVersion, check_action
from lienthong.ledger.messages import Request
from lienthong.sources.relay import Relay
from lienthong.transport.client import InProcessTransport
from lienthong.transport.messages import Body
from tests.fixtures.soap_calls import envelope, multipart
from tests.fixtures.soap_service import ENVELOPE, XROAD

CLIENT, SERVICE = "VN/GOV/H37/motcua", "VN/GOV/G01/hotich/traCuu/v1"
GOOD = envelope(CLIENT, SERVICE)
XML = "text/xml; charset=utf-8"


def read(content: bytes, kind: str = XML) -> Envelope:
    return read_envelope(soap_part(kind, Body.of(content)))


def changed(old: str, new: str, count: int = 1) -> bytes:
    assert old.encode() in GOOD
    return GOOD.replace(old.encode(), new.encode(), count)


def message(**other: str) -> Request:
    said: dict[str, object] = {
        "version": 1,
        "request_id": "r",
        "message_id": "m-1",
        "client": CLIENT,
        "service": SERVICE.removesuffix("/v1"),
        "sender": "VN/GOV/H37/n1",
        "receiver": "VN/GOV/G01/n1",
        "represented_party": "",
        "purpose": "",
        "time": "2026-11-23T07:00:00.123Z",
        "method": "POST",
        "path": "/",
        "query": "",
        "user": "VN001",
        "dossier": "HS-7",
        "subjects": (),
        "headers": (),
        "body": bytes(32),
        "body_bytes": 1,
        "salts": bytes(96),
    }
    return Request(**{**said, **other})  # type: ignore[arg-type]


def test_the_fields_of_a_request_are_read() -> None:
    said = read_headers(read(GOOD))
    assert str(said.client) == CLIENT
    assert (str(said.service), said.version) == ("VN/GOV/G01/hotich/traCuu", "v1")
    assert (said.id, said.user, said.issue) == ("m-1", "VN001", "HS-7")


def test_extensions_name_a_server_and_a_represented_party() -> None:
    more = (
        '<xrd:securityServer id:objectType="SERVER"><id:xRoadInstance>VN</id:xRoadInstance>'
        "<id:memberClass>GOV</id:memberClass><id:memberCode>G01</id:memberCode>"
        "<id:serverCode>n1</id:serverCode></xrd:securityServer>"
        '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd">'
        "<r:partyClass>COM</r:partyClass><r:partyCode>Hợp tác xã</r:partyCode>"
        "</r:representedParty>"
    )
    said = read_headers(read(envelope(CLIENT, SERVICE, more=more)))
    assert str(said.security_server) == "VN/GOV/G01/n1"
    assert said.party == "COM/H%E1%BB%A3p%20t%C3%A1c%20x%C3%A3"
    assert said.xroad(None).represented_party is not None


REFUSED = {
    "a document type": (
        b"<!DOCTYPE s:Envelope>" + GOOD.partition(b"\n")[2],
        errors.SoapDoctype,
    ),
    "entities": (
        b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]>' + GOOD.partition(b"\n")[2],
        errors.SoapDoctype,
    ),
    "broken xml": (GOOD[:-3], errors.SoapXmlInvalid),
    "nothing": (b"", errors.SoapXmlInvalid),
    "an unknown entity": (changed(">7<", ">&x;<"), errors.SoapXmlInvalid),
    "a processing instruction": (changed("<s:Body>", "<?x?><s:Body>"), errors.NotAnEnvelope),
    "soap 1.2": (
        GOOD.replace(ENVELOPE.encode(), b"http://www.w3.org/2003/05/soap-envelope"),
        errors.NotAnEnvelope,
    ),
    "another element": (b"<a/>", errors.NotAnEnvelope),
    "two bodies": (changed("</s:Envelope>", "<s:Body/></s:Envelope>"), errors.NotAnEnvelope),
    "two headers": (changed("<s:Header>", "<s:Header/><s:Header>"), errors.NotAnEnvelope),
    "no body": (
        GOOD[: GOOD.index(b"<s:Body>")] + b"</s:Envelope>",
        errors.SoapBodyMissing,
    ),
    "an empty body": (envelope(CLIENT, SERVICE, ""), errors.SoapBodyInvalid),
    "two operations": (
        envelope(CLIENT, SERVICE, "<h:traCuu/><h:traCuu/>"),
        errors.SoapBodyInvalid,
    ),
    "no header": (
        GOOD[: GOOD.index(b"<s:Header>")] + GOOD[GOOD.index(b"<s:Body>") :],
        errors.SoapHeaderMissing,
    ),
    "no id": (changed("<xrd:id>m-1</xrd:id>", ""), errors.SoapFieldMissing),
    "an empty id": (changed("<xrd:id>m-1</xrd:id>", "<xrd:id> </xrd:id>"), errors.SoapFieldMissing),
    "no service code": (
        changed("<id:serviceCode>traCuu</id:serviceCode>", ""),
        errors.SoapFieldMissing,
    ),
    "two ids": (
        changed("<xrd:id>", "<xrd:id>x</xrd:id><xrd:id>"),
        errors.SoapFieldTwice,
    ),
    "two member codes": (
        changed("<id:memberCode>", "<id:memberCode>H1</id:memberCode><id:memberCode>"),
        errors.SoapFieldTwice,
    ),
    "an element within a field": (changed("m-1", "m<b/>1"), errors.SoapFieldInvalid),
    "an identifier within a field": (changed("m-1", "m<id:x/>1"), errors.SoapFieldInvalid),
    "an identifier's part of another namespace": (
        changed("<id:memberCode>H37</id:memberCode>", "<xrd:memberCode>H37</xrd:memberCode>"),
        errors.SoapFieldInvalid,
    ),
    "getWsdl of two services": (
        envelope(
            CLIENT,
            "VN/GOV/G01/hotich/getWsdl",
            "<xrd:getWsdl><xrd:serviceCode>a</xrd:serviceCode>"
            "<xrd:serviceCode>b</xrd:serviceCode></xrd:getWsdl>",
        ),
        errors.SoapFieldTwice,
    ),
    "getWsdl of an element": (
        envelope(
            CLIENT,
            "VN/GOV/G01/hotich/getWsdl",
            "<xrd:getWsdl><xrd:serviceCode>a<b/></xrd:serviceCode></xrd:getWsdl>",
        ),
        errors.SoapFieldInvalid,
    ),
    "a long field": (changed("m-1", "m" * 256), errors.SoapFieldInvalid),
    "a very long field": (changed("m-1", "m" * 5000), errors.SoapFieldInvalid),
    "a control character": (changed("m-1", "m&#x85;1"), errors.SoapFieldInvalid),
    "a line break within": (changed("m-1", "m\n1"), errors.SoapFieldInvalid),
    "another object type": (changed("SUBSYSTEM", "MEMBER"), errors.SoapFieldInvalid),
    "another version": (envelope(CLIENT, SERVICE, version="3.1"), errors.SoapVersionUnsupported),
    "another operation": (envelope(CLIENT, SERVICE, "<h:xoa/>"), errors.SoapOperationMismatch),
    "a longer operation": (
        envelope(CLIENT, SERVICE, "<h:traCuuTatCa/>"),
        errors.SoapOperationMismatch,
    ),
    "a slash in an identifier": (changed("motcua", "a/b"), errors.InvalidIdentifier),
    "too deep": (
        envelope(CLIENT, SERVICE, "<h:traCuu>" + "<a>" * 120 + "</a>" * 120 + "</h:traCuu>"),
        errors.SoapTooLarge,
    ),
    "too many elements": (
        envelope(CLIENT, SERVICE, "<h:traCuu>" + "<a/>" * 200_001 + "</h:traCuu>"),
        errors.SoapTooLarge,
    ),
    "too many attributes": (
        envelope(
            CLIENT,
            SERVICE,
            "<h:traCuu " + " ".join(f'a{n}="1"' for n in range(300)) + "/>",
        ),
        errors.SoapTooLarge,
    ),
    "too large": (GOOD + b" " * LARGEST_ENVELOPE_BYTES, errors.SoapTooLarge),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_envelope_is_refused_with_a_name(name: str) -> None:
    content, error = REFUSED[name]
    with pytest.raises(LienthongError) as found:
        read_headers(read(content))
    assert type(found.value) is error
    assert found.value.message("vi")
    assert found.value.message("en")


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("client", {"client": "VN/GOV/H37/khac"}),
        ("service", {"service": "VN/GOV/G01/hotich/khac"}),
        ("id", {"message_id": "m-2"}),
        ("userId", {"user": "VN002"}),
        ("issue", {"dossier": ""}),
        ("representedParty", {"represented_party": "COM/1"}),
    ],
)
def test_an_envelope_that_is_not_its_message_is_refused(field: str, other: dict[str, str]) -> None:
    said = read_headers(read(GOOD))
    check_message(said, message(), "VN/GOV/G01/n1")
    with pytest.raises(errors.SoapInconsistent) as found:
        check_message(said, message(**other), "VN/GOV/G01/n1")
    assert found.value.facts["field"] == field


def test_an_envelope_for_another_security_server_is_refused() -> None:
    more = (
        '<xrd:securityServer id:objectType="SERVER"><id:xRoadInstance>VN</id:xRoadInstance>'
        "<id:memberClass>GOV</id:memberClass><id:memberCode>G01</id:memberCode>"
        "<id:serverCode>n2</id:serverCode></xrd:securityServer>"
    )
    said = read_headers(read(envelope(CLIENT, SERVICE, more=more)))
    with pytest.raises(errors.SoapInconsistent):
        check_message(said, message(), "VN/GOV/G01/n1")


def test_an_answer_must_repeat_every_field_of_the_request() -> None:
    asked = read(GOOD)
    good = changed("h:traCuu>", "h:traCuuResponse>", 2)
    check_answer(asked, read(good))
    for old, new in (("m-1", "m-2"), ("<xrd:issue>HS-7</xrd:issue>", ""), ("H37", "H38")):
        with pytest.raises(errors.SoapAnswerInconsistent):
            check_answer(asked, read(good.replace(old.encode(), new.encode())))
    with pytest.raises(errors.SoapAnswerInconsistent):
        check_answer(asked, read(envelope(CLIENT, SERVICE, "<h:khac/>")))
    without = read(changed("<xrd:issue>HS-7</xrd:issue>", ""))
    with pytest.raises(errors.SoapAnswerInconsistent):
        check_answer(without, read(good))


# --- encodings --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "windows-1258", "iso-8859-1"])
def test_other_encodings_are_read_where_they_are_declared(encoding: str) -> None:
    text = GOOD.decode().replace('encoding="UTF-8"', f'encoding="{encoding[:12]}"')
    if encoding == "utf-16-le":
        content, kind = b"\xff\xfe" + text.replace("-le", "").encode(encoding), "text/xml"
    else:
        content, kind = text.encode(encoding), f"text/xml; charset={encoding}"
    envelope = read(content, kind)
    assert read_headers(envelope).id == "m-1"
    hashed = with_request_hash(content, envelope.encoding, "abc=")
    assert read(hashed, kind).fields["requestHash"].text == "abc="
    assert len(hashed) > len(content)


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        (b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "utf-8"),
        (b"\xff\xfe<\0a\0/\0>\0", "utf-8"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', None),
        (b"<a/>", "khong-co"),
        (b"<a/>", "rot13"),
    ],
)
def test_an_encoding_that_two_programs_read_in_two_ways_is_refused(
    content: bytes, charset: str | None
) -> None:
    with pytest.raises(errors.SoapEncodingUnusable):
        encoding_of(content, charset)


# --- parts ------------------------------------------------------------------------------


def test_the_first_part_is_the_envelope_and_its_place_is_known() -> None:
    body, kind = multipart(GOOD, b"\x00\xff" * 100, b"")
    part = soap_part(kind, Body.of(body))
    assert part.content == GOOD == body[part.start : part.end]
    new = replaced(Body.of(body), part, b"<b/>")
    assert new.read() == body.replace(GOOD, b"<b/>")


def test_a_spooled_body_is_read_and_written_without_its_attachments_in_memory(
    tmp_path: Path,
) -> None:
    body, kind = multipart(GOOD, bytes(5_000_000))
    file = tmp_path / "body"
    file.write_bytes(body)
    spooled = Body.of_file(file)
    part = soap_part(kind, spooled)
    assert part.content == GOOD
    new = replaced(spooled, part, b"<b/>")
    assert new.path != file
    assert new.read() == body.replace(GOOD, b"<b/>")
    assert (new.size, new.sha256()) == (len(new.read()), Body.of(new.read()).sha256())


BROKEN = {
    "no boundary": lambda b, k: (b, "multipart/related"),
    "two boundaries": lambda b, k: (b, f'{k}; boundary="x"'),
    "a boundary that is none": lambda b, k: (b, 'multipart/related; boundary="a\tb"'),
    "cut off": lambda b, k: (b[:-10], k),
    "a preamble": lambda b, k: (b"hello\r\n" + b, k),
    "bare line feeds": lambda b, k: (b.replace(b"\r\n", b"\n"), k),
    "start elsewhere": lambda b, k: (b, k.replace("<goc>", "<tep0>")),
    "base64": lambda b, k: (b.replace(b"8bit", b"base64", 1), k),
    "a header twice": lambda b, k: (
        b.replace(b"Content-ID: <goc>", b"Content-Type: text/xml\r\nContent-ID: <goc>", 1),
        k,
    ),
    "a broken header": lambda b, k: (b.replace(b"Content-ID: <goc>", b"no colon", 1), k),
    "html first": lambda b, k: (b.replace(b"text/xml", b"text/html", 1), k),
    "a boundary within": lambda b, k: (b.replace(b"<h:so>", b"<h:so>\n--ranh-gioi\n", 1), k),
    "text on the boundary": lambda b, k: (b.replace(b"gioi\r\n", b"gioi x\r\n", 1), k),
}


@pytest.mark.parametrize("name", BROKEN)
def test_parts_that_cannot_be_told_apart_are_refused(name: str) -> None:
    body, kind = BROKEN[name](*multipart(GOOD, b"x"))
    with pytest.raises((errors.MultipartMalformed, errors.SoapContentType)):
        soap_part(kind, Body.of(body))


@pytest.mark.parametrize(
    "kind", ["", "text", "application/json", "application/soap+xml", "text/xml; a"]
)
def test_other_content_types_are_refused(kind: str) -> None:
    with pytest.raises(errors.SoapContentType):
        soap_part(kind, Body.of(GOOD))


def test_parameters_of_a_content_type_are_read() -> None:
    found = media_type('Multipart/Related ; Boundary="a;b\\"c" ;type=text/xml;')
    assert found.name == "multipart/related"
    assert found.parameters == {"boundary": 'a;b"c', "type": "text/xml"}


# --- answers ----------------------------------------------------------------------------


def test_the_hash_is_put_behind_the_last_field_and_replaces_another() -> None:
    forged = changed("<xrd:id>", '<xrd:requestHash algorithmId="x">a\nb</xrd:requestHash><xrd:id>')
    written = with_request_hash(forged, "utf-8", "abc=")
    assert written.count(b"requestHash") == 2
    assert read(written).fields["requestHash"].text == "abc="
    assert written.replace(written[written.index(b"<xrd:requestHash") :], b"") + b"" != forged
    element = written[written.index(b"<xrd:requestHash") : written.index(b"</s:Header>")]
    assert written.replace(element, b"") == GOOD


def test_the_hash_is_not_put_into_a_comment_that_looks_like_the_header() -> None:
    tricky = changed("<xrd:id>", "<!-- </s:Header> --><xrd:id>")
    assert read(with_request_hash(tricky, "utf-8", "abc=")).fields["requestHash"].text == "abc="


def test_a_wsdl_comes_out_of_its_attachment_as_it_went_in() -> None:
    asked = read(envelope(CLIENT, "VN/GOV/G01/hotich/getWsdl", "<xrd:getWsdl/>"))
    headers, body = wsdl_answer(asked, "abc=", Wanted("traCuu", "v1"), b"<wsdl/>")
    assert wsdl_of(headers, body) == b"<wsdl/>"
    answered = read_envelope(soap_part(dict(headers)["content-type"], body))
    check_answer(asked, answered)
    assert answered.arguments == {"serviceCode": "traCuu", "serviceVersion": "v1"}
    assert XROAD


def test_only_the_soap_action_of_the_wsdl_or_none_passes() -> None:
    relay = Relay("http://127.0.0.1:9/ws", InProcessTransport({}))
    version = SoapVersion(relay, "", "urn:traCuu", b"")
    for good in (None, "", '""', '"urn:traCuu"', "urn:traCuu"):
        check_action(version, good)
    with pytest.raises(errors.SoapActionRefused):
        check_action(version, '"urn:xoa"')
