"""Whatever comes in as SOAP is read or refused with one of our errors, and never misread."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha512

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from lienthong.contracts.wsdl_file import published_wsdl, read_wsdl
from lienthong.errors import LienthongError
from lienthong.exchange.soap.envelope import read_envelope
from lienthong.exchange.soap.faults import signed_fault, soap_fault_response
from lienthong.exchange.soap.headers import read_headers
from lienthong.exchange.soap.media_type import media_type
from lienthong.exchange.soap.multipart import soap_part
from lienthong.exchange.soap.request_hash import replaced, request_hash, with_request_hash
from lienthong.exchange.xroad.faults import Fault
from lienthong.transport.messages import Body
from tests.fixtures.soap_calls import envelope, multipart
from tests.fixtures.soap_service import ENVELOPE, wsdl_text

CLIENT, SERVICE = "VN/GOV/H37/motcua", "VN/GOV/G01/hotich/traCuu/v1"
GOOD = envelope(CLIENT, SERVICE)
PARTS, PARTS_KIND = multipart(GOOD, b"tep", xop=True)
WSDL = wsdl_text("http://10.0.0.5/ws")
KINDS = st.sampled_from(["text/xml", "text/xml; charset=utf-16", PARTS_KIND]) | st.text(max_size=80)
# What makes XML dangerous or ambiguous, to be put anywhere into a good message.
PIECES = st.sampled_from(
    [
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        b"<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;&b;'>]>",
        b"&b;",
        b"<?x y?>",
        b"<![CDATA[</s:Header>]]>",
        b"<!-- </s:Envelope> -->",
        b"</s:Header>",
        b"<s:Header>",
        b"<s:Body/>",
        b"<xrd:id>x</xrd:id>",
        b"\r\n--ranh-gioi\r\n",
        b"\n--ranh-gioi--",
        b"\x00",
        b"\xff\xfe",
        b"<a>" * 150,
        b' xmlns:xrd="urn:khac"',
        b"<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd'/>",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A good message with pieces cut out, doubled or put in."""
    changed = content
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed)))
        length = draw(st.integers(0, 40))
        piece = draw(PIECES | st.binary(max_size=8))
        changed = changed[:at] + piece + changed[at + length :]
    return changed


def read(content: bytes, kind: str) -> None:
    """Read it as both edges do; what is read must survive being answered with a hash."""
    try:
        part = soap_part(kind, Body.of(content))
        found = read_envelope(part)
        said = read_headers(found)
    except LienthongError as error:
        assert error.message("vi")
        assert error.remedy("en")
        return
    assert str(said.client).count("/") == 3
    assert part.content in content
    assert b"<!DOCTYPE" not in part.content or b"<!--" in part.content or b"CDATA" in part.content
    written = with_request_hash(part.content, found.encoding, request_hash(part))
    again = read_envelope(part._replace(content=written))
    assert again.fields["requestHash"].text == b64encode(sha512(part.content).digest()).decode()
    kept = {name: each for name, each in found.fields.items() if name != "requestHash"}
    assert {name: each for name, each in again.fields.items() if name != "requestHash"} == kept
    body = replaced(Body.of(content), part, written).read()
    assert body == content[: part.start] + written + content[part.end :]


@given(st.binary(max_size=300), KINDS)
@example(GOOD, "text/xml")
@example(PARTS, PARTS_KIND)
@example(GOOD.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "text/xml; charset=utf-16")
def test_any_bytes_are_read_or_refused(content: bytes, kind: str) -> None:
    read(content, kind)


@settings(max_examples=300)
@given(damaged(GOOD))
def test_a_damaged_envelope_is_read_or_refused(content: bytes) -> None:
    read(content, "text/xml; charset=utf-8")


@settings(max_examples=300)
@given(damaged(PARTS), st.just(PARTS_KIND) | KINDS)
def test_damaged_parts_are_read_or_refused(content: bytes, kind: str) -> None:
    read(content, kind)


@given(
    st.text(max_size=200) | st.from_regex(r'[a-z]+/[a-z]+(; ?[a-z]+="?[^"]*"?)*', fullmatch=True)
)
def test_any_content_type_is_read_or_refused(text: str) -> None:
    try:
        found = media_type(text)
    except LienthongError:
        return
    assert found.name == found.name.lower()


@given(damaged(WSDL.encode()))
def test_a_damaged_wsdl_is_read_or_refused(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    try:
        operations = read_wsdl(text)
        public = published_wsdl(text)
    except LienthongError:
        return
    assert read_wsdl(public.decode()) == operations


@given(st.text(max_size=300), st.sampled_from(["camel", "snake"]))
def test_any_message_makes_a_fault_that_is_xml(message: str, spelling: str) -> None:
    fault = Fault("Server.ServerProxy.AccessDenied", "agreements.none", message, "id-1")
    response = soap_fault_response(fault, spelling)
    found = etree.fromstring(response.body.read()).find(f".//{{{ENVELOPE}}}Fault")
    assert found.findtext("detail/faultDetail") == "id-1"


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_signed_refusal_is_read_or_refused(content: bytes, code: str) -> None:
    try:
        fault = signed_fault([("lienthong-error", code)], Body.of(content))
    except LienthongError:
        return
    assert soap_fault_response(fault, "camel").status == 200
