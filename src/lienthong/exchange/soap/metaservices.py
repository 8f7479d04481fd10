"""``listMethods``, ``allowedMethods`` and ``getWsdl`` over SOAP (PR-META 3, 4).

An answer repeats the request's header, byte by byte in meaning, and carries the request's hash.
Only SOAP services are listed; those of REST are listed over REST.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from lxml import etree

from lienthong.errors import InconsistentAnswer, SoapFieldMissing
from lienthong.exchange.soap.envelope import COMPOUND, REPRESENTED_PARTY, Envelope, Field
from lienthong.exchange.soap.faults import XML_UTF_8
from lienthong.exchange.soap.media_type import media_type
from lienthong.exchange.soap.multipart import boundary_of, part_end, part_head
from lienthong.exchange.soap.names import ENVELOPE, IDENTIFIERS, REPRESENTATION, SHA512, XROAD
from lienthong.exchange.xroad.xml import xml_bytes, xml_text
from lienthong.identity.identifiers import ServiceId, SubsystemId
from lienthong.transport.messages import Body, Headers

_NAMESPACES = {
    "SOAP-ENV": ENVELOPE,
    "xroad": XROAD,
    "id": IDENTIFIERS,
    "repr": REPRESENTATION,
}
_MOST_ATTACHMENT_BYTES = 16 << 20


class Listed(NamedTuple):
    """One version of a SOAP service."""

    service: ServiceId
    version: str


class Wanted(NamedTuple):
    """Which WSDL ``getWsdl`` asks for."""

    code: str
    version: str


def wanted_wsdl(envelope: Envelope) -> Wanted:
    """Read the operation ``getWsdl``. Raises SoapFieldMissing."""
    code = envelope.arguments.get("serviceCode", "")
    if not code:
        raise SoapFieldMissing(field="getWsdl/serviceCode")
    return Wanted(code, envelope.arguments.get("serviceVersion", ""))


def methods_answer(
    asked: Envelope, request_hash: str, services: Iterable[Listed]
) -> tuple[Headers, Body]:
    """Answer ``listMethods`` or ``allowedMethods``, whichever was asked."""
    root, operation = _answer(asked, request_hash)
    for listed in services:
        _add_service(operation, listed)
    return [("content-type", XML_UTF_8)], Body.of(xml_bytes(root))


def wsdl_answer(
    asked: Envelope, request_hash: str, wanted: Wanted, wsdl: bytes
) -> tuple[Headers, Body]:
    """Answer ``getWsdl``: the file is the attachment, as X-Road sends it."""
    root, operation = _answer(asked, request_hash)
    _text(operation, XROAD, "serviceCode", wanted.code)
    if wanted.version:
        _text(operation, XROAD, "serviceVersion", wanted.version)
    boundary = f"xroad-{uuid.uuid4().hex}"
    body = b"".join(
        (
            f"--{boundary}\r\ncontent-type: {XML_UTF_8}\r\n".encode(),
            b"content-transfer-encoding: 8bit\r\ncontent-id: <soap>\r\n\r\n",
            xml_bytes(root),
            f"\r\n--{boundary}\r\ncontent-type: {XML_UTF_8}\r\n".encode(),
            b"content-transfer-encoding: 8bit\r\ncontent-id: <wsdl>\r\n\r\n",
            wsdl,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
    kind = f'multipart/related; type="text/xml"; start="<soap>"; boundary="{boundary}"'
    return [("content-type", kind)], Body.of(body)


def wsdl_request(client: SubsystemId, service: ServiceId, version: str, message_id: str) -> bytes:
    """The envelope of ``getWsdl`` that the node writes for a plain ``GET /wsdl``."""
    asked = Envelope("utf-8")
    asked.fields["client"] = _identifier(client, "SUBSYSTEM")
    meta = msgspec.structs.replace(service, service="getWsdl")
    asked.fields["service"] = _identifier(meta, "SERVICE")
    asked.fields["id"] = Field(message_id)
    asked.fields["protocolVersion"] = Field("4.0")
    asked.operation = "getWsdl"
    root, operation = _envelope(asked, "", "getWsdl")
    _text(operation, XROAD, "serviceCode", service.service)
    if version:
        _text(operation, XROAD, "serviceVersion", version)
    return xml_bytes(root)


def wsdl_of(headers: Headers, body: Body) -> bytes:
    """Take the WSDL out of an answer to ``getWsdl``. Raises InconsistentAnswer, SoapError."""
    kind = media_type(dict(headers).get("content-type", ""))
    if body.size > _MOST_ATTACHMENT_BYTES or kind.name != "multipart/related":
        raise InconsistentAnswer(reason="an answer to getWsdl without its attachment")
    content, delimiter = body.read(), boundary_of(kind)
    _, start = part_head(content, delimiter, content.find(delimiter))
    end = part_end(content, delimiter, start)
    if end < 0 or content.startswith(b"--", end + 2 + len(delimiter)):
        raise InconsistentAnswer(reason="an answer to getWsdl without its attachment")
    _, start = part_head(content, delimiter, end + 2)
    return content[start : part_end(content, delimiter, start)]


def _identifier(identifier: SubsystemId | ServiceId, kind: str) -> Field:
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")
    parts = str(identifier).split("/")
    return Field(parts=dict(zip(names, parts, strict=False)), object_type=kind)


def _answer(asked: Envelope, request_hash: str) -> tuple[etree._Element, etree._Element]:
    return _envelope(asked, request_hash, f"{asked.operation}Response")


def _envelope(
    asked: Envelope, request_hash: str, operation: str
) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap=_NAMESPACES)
    header = etree.SubElement(root, f"{{{ENVELOPE}}}Header")
    for name, field in asked.fields.items():
        if name != "requestHash":
            _add_field(header, name, field)
    if request_hash:
        element = _text(header, XROAD, "requestHash", request_hash)
        element.set("algorithmId", SHA512)
    body = etree.SubElement(root, f"{{{ENVELOPE}}}Body")
    return root, etree.SubElement(body, f"{{{XROAD}}}{operation}")


def _add_field(header: etree._Element, name: str, field: Field) -> None:
    party = name == REPRESENTED_PARTY
    element = _text(header, REPRESENTATION if party else XROAD, name, field.text)
    if name in COMPOUND or party:
        element.text = None
        for part, text in field.parts.items():
            _text(element, REPRESENTATION if party else IDENTIFIERS, part, text)
    if field.object_type:
        element.set(f"{{{IDENTIFIERS}}}objectType", xml_text(field.object_type))


def _add_service(parent: etree._Element, listed: Listed) -> None:
    field = _identifier(listed.service, "SERVICE")
    if listed.version:
        field.parts["serviceVersion"] = listed.version
    _add_field(parent, "service", field)


def _text(parent: etree._Element, namespace: str, name: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.text = xml_text(text)
    return element
