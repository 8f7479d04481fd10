"""Names that the X-Road Message Protocol 4.0 is written with."""

from __future__ import annotations

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
REPRESENTATION = "http://x-road.eu/xsd/representation.xsd"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

TEXT_XML = "text/xml"
XOP_XML = "application/xop+xml"
MULTIPART = "multipart/related"

# The request line of every SOAP call in a message between nodes (docs/protocols/0004-soap.md).
METHOD, PATH = "POST", "/"
