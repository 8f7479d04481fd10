"""The X-Road Message Protocol 4.0 as PR-MESS, PR-META and PR-TARGETSS write it, in our words.

The messages here follow the annexes' examples in form: prefixes, order of fields, line breaks
within hashes, parts of MTOM and SwA; names and values are ours.
"""

from __future__ import annotations

import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from lienthong.errors import SoapFieldInvalid, SoapFieldMissing, SoapVersionUnsupported
from lienthong.exchange.soap.envelope import Envelope, read_envelope
from lienthong.exchange.soap.faults import soap_fault_response
from lienthong.exchange.soap.headers import check_answer, read_headers
from lienthong.exchange.soap.metaservices import Listed, methods_answer
from lienthong.exchange.soap.multipart import soap_part
from lienthong.exchange.soap.request_hash import request_hash
from lienthong.exchange.xroad.faults import Fault
from lienthong.identity.identifiers import ServiceId
from lienthong.transport.messages import Body

FIELDS = """\
        <xrd:client id:objectType="SUBSYSTEM">
            <id:xRoadInstance>VN</id:xRoadInstance>
            <id:memberClass>GOV</id:memberClass>
            <id:memberCode>H37</id:memberCode>
            <id:subsystemCode>motcua</id:subsystemCode>
        </xrd:client>
        <xrd:service id:objectType="SERVICE">
            <id:xRoadInstance>VN</id:xRoadInstance>
            <id:memberClass>GOV</id:memberClass>
            <id:memberCode>G15</id:memberCode>
            <id:subsystemCode>hotich</id:subsystemCode>
            <id:serviceCode>{code}</id:serviceCode>
            <id:serviceVersion>v1</id:serviceVersion>
        </xrd:service>
        <xrd:id>7a1c9a52-5d0e-4a3e-9d0b-0f6f4a1c2d3e</xrd:id>
        <xrd:userId>VN001090000001</xrd:userId>
        <xrd:issue>H37.12-260601-0042</xrd:issue>
        <xrd:protocolVersion>4.0</xrd:protocolVersion>
"""
ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope
        xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
        xmlns:ns1="urn:vi-du"
        xmlns:id="http://x-road.eu/xsd/identifiers"
        xmlns:xrd="http://x-road.eu/xsd/xroad.xsd">
    <SOAP-ENV:Header>
{fields}    </SOAP-ENV:Header>
    <SOAP-ENV:Body>
        {body}
    </SOAP-ENV:Body>
</SOAP-ENV:Envelope>
"""
QUESTION = "<ns1:traCuu><so>42</so></ns1:traCuu>"
ANSWER = "<ns1:traCuuResponse><ten>Nguyễn</ten></ns1:traCuuResponse>"


def text(body: str = QUESTION, more: str = "", code: str = "traCuu") -> str:
    return ENVELOPE.format(fields=FIELDS.format(code=code) + more, body=body)


def read(content: str) -> Envelope:
    return read_envelope(soap_part("text/xml", Body.of(content.encode())))


def test_a_request_as_in_annex_e1() -> None:
    said = read_headers(read(text()))
    assert (str(said.client), str(said.service), said.version) == (
        "VN/GOV/H37/motcua",
        "VN/GOV/G15/hotich/traCuu",
        "v1",
    )
    assert said.issue == "H37.12-260601-0042"


def test_an_answer_as_in_annex_e2_with_a_hash_of_two_lines() -> None:
    broken = (
        '<xrd:requestHash algorithmId="http://www.w3.org/2001/04/xmlenc#sha512">\n'
        "            AAAA\n            BBBB==\n        </xrd:requestHash>\n"
    )
    answer = read(text(ANSWER, broken))
    check_answer(read(text()), answer)
    assert answer.fields["requestHash"].text == "AAAABBBB=="


def test_the_hash_is_sha_512_of_the_envelope_as_openssl_computes_it(tmp_path: Path) -> None:
    file = tmp_path / "envelope.xml"
    file.write_text(text(), encoding="utf-8")
    ours = request_hash(soap_part("text/xml", Body.of(file.read_bytes())))
    openssl = subprocess.run(
        ["openssl", "dgst", "-sha512", "-binary", str(file)], capture_output=True, check=True
    )
    assert b64decode(ours) == openssl.stdout


@pytest.mark.parametrize(
    ("kind", "part_kind"),
    [
        (
            'multipart/related; type="text/xml"; start="<rootpart>"; boundary="MIME_boundary"',
            "text/xml; charset=UTF-8",
        ),
        (
            'multipart/related; type="application/xop+xml"; start="<rootpart>"; '
            'start-info="text/xml"; boundary="MIME_boundary"',
            'application/xop+xml; charset=UTF-8; type="text/xml"',
        ),
    ],
    ids=["annex-f-swa", "annex-g-mtom"],
)
def test_the_hash_of_a_message_with_attachments_is_of_its_first_part(
    kind: str, part_kind: str
) -> None:
    body = (
        f"--MIME_boundary\r\nContent-Type: {part_kind}\r\nContent-Transfer-Encoding: 8bit\r\n"
        f"Content-ID: <rootpart>\r\n\r\n{text()}\r\n--MIME_boundary\r\n"
        "Content-Type: application/octet-stream; name=data.bin\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-ID: <data.bin>\r\n"
        'Content-Disposition: attachment; name="data.bin"; filename="data.bin"\r\n\r\n'
        "VMOgaSBsaeG7h3U=\r\n--MIME_boundary--\r\n"
    )
    part = soap_part(kind, Body.of(body.encode()))
    assert part.content == text().encode()
    assert request_hash(part) == request_hash(soap_part("text/xml", Body.of(text().encode())))


@pytest.mark.parametrize(
    ("version", "good"), [("4.0", True), ("4.1", True), ("4.x", True), ("5.0", False)]
)
def test_versions_of_one_major_number_are_compatible(version: str, good: bool) -> None:
    content = text().replace(">4.0<", f">{version}<")
    if good:
        assert read_headers(read(content)).id
    else:
        with pytest.raises(SoapVersionUnsupported):
            read_headers(read(content))


@pytest.mark.parametrize("field", ["client", "service", "id", "protocolVersion"])
def test_mandatory_fields_are_mandatory(field: str) -> None:
    start, end = text().index(f"<xrd:{field}"), text().index(f"</xrd:{field}>")
    content = text()[:start] + text()[end + len(f"</xrd:{field}>") :]
    with pytest.raises(SoapFieldMissing):
        read_headers(read(content))


def test_a_security_server_is_targeted_as_in_pr_targetss() -> None:
    more = (
        '<xrd:securityServer id:objectType="SERVER"><id:xRoadInstance>VN</id:xRoadInstance>'
        "<id:memberClass>GOV</id:memberClass><id:memberCode>G15</id:memberCode>"
        "<id:serverCode>n2</id:serverCode></xrd:securityServer>"
    )
    assert str(read_headers(read(text(more=more))).security_server) == "VN/GOV/G15/n2"
    with pytest.raises(SoapFieldInvalid):
        read_headers(read(text(more=more.replace("SERVER", "MEMBER"))))


def test_a_fault_as_in_annex_d1() -> None:
    fault = Fault(
        "Server.ClientProxy.ServiceFailed.MissingBody", "soap.body_missing", "thiếu", "f3"
    )
    body = soap_fault_response(fault, "camel").body.read().decode()
    assert (
        "<faultcode>Server.ClientProxy.ServiceFailed.MissingBody</faultcode>"
        "<faultstring>thiếu</faultstring><faultactor></faultactor>"
        "<detail><faultDetail>f3</faultDetail></detail>"
    ) in body
    snake = soap_fault_response(fault, "snake").body.read()
    assert b"<faultcode>server.clientproxy.service_failed.missing_body</faultcode>" in snake


def test_listed_methods_as_in_pr_meta_annex_c() -> None:
    asked = read(text("<xrd:listMethods/>", code="listMethods"))
    service = ServiceId("VN", "GOV", "G15", "hotich", "traCuu")
    headers, body = methods_answer(asked, "aa==", [Listed(service, "v1"), Listed(service, "")])
    answer = read_envelope(soap_part(dict(headers)["content-type"], body))
    check_answer(asked, answer)
    assert answer.operation == "listMethodsResponse"
    content = body.read().decode()
    listed = content[content.index("<xroad:listMethodsResponse>") :]
    assert listed.count('<xroad:service id:objectType="SERVICE">') == 2
    assert "<id:serviceCode>traCuu</id:serviceCode><id:serviceVersion>v1<" in listed
