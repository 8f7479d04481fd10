"""An error of the exchange as a SOAP fault (PR-MESS 2.5, Annex D).

The code, its two spellings and the id are those of the REST interface. The HTTP status is 200,
as X-Road's is (HandlerBase.sendErrorResponse), although SOAP 1.1 §6.2 says 500: programs that
were written for X-Road read the body of a 200. What is the exchange's own fault is told apart
from a service's by ``X-Road-Error`` and ``Lienthong-Error``.
"""

from __future__ import annotations

import msgspec
from lxml import etree

from lienthong.errors import InconsistentAnswer
from lienthong.exchange.soap.names import ENVELOPE, TEXT_XML
from lienthong.exchange.xroad.faults import (
    LARGEST_FAULT_BYTES,
    Fault,
    snake_spelling,
)
from lienthong.exchange.xroad.xml import xml_bytes, xml_text
from lienthong.transport.messages import Body, Headers, Response

XML_UTF_8 = f"{TEXT_XML};charset=utf-8"


class _RestFault(msgspec.Struct):
    type: str
    message: str
    detail: str


_decode = msgspec.json.Decoder(_RestFault).decode


def soap_fault_response(fault: Fault, spelling: str) -> Response:
    """The answer that tells a client of ``fault``."""
    kind = fault.type if spelling == "camel" else snake_spelling(fault.type)
    headers = [
        ("content-type", XML_UTF_8),
        ("soapaction", '""'),
        ("x-road-error", kind),
        ("lienthong-error", fault.code),
    ]
    return Response(200, headers, Body.of(_xml(kind, fault.message, fault.detail)))


def signed_fault(headers: Headers, body: Body) -> Fault:
    """Read a refusal that the provider's node signed: between nodes it is in the form of REST.

    Raises InconsistentAnswer, MalformedFault.
    """
    if body.size > LARGEST_FAULT_BYTES:
        raise InconsistentAnswer(reason="a fault of too many bytes")
    try:
        told = _decode(body.read())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InconsistentAnswer(reason="a fault that cannot be read") from error
    return Fault(told.type, dict(headers).get("lienthong-error", ""), told.message, told.detail)


def _xml(code: str, message: str, detail: str) -> bytes:
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"SOAP-ENV": ENVELOPE})
    body = etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")
    fault = etree.SubElement(body, f"{{{ENVELOPE}}}Fault")
    for name, text in (("faultcode", code), ("faultstring", message), ("faultactor", "")):
        etree.SubElement(fault, name).text = xml_text(text)
    within = etree.SubElement(etree.SubElement(fault, "detail"), "faultDetail")
    within.text = xml_text(detail)
    return xml_bytes(envelope)
