"""The WSDL that an agency gives of an existing SOAP service: its operations, and its public form.

    for operation in read_wsdl(text): …      # code, version, soap_action of each
    published_wsdl(text)                     # the same file without the service's address

PR-MESS 3.2 says where a service's code and version stand in a WSDL, PR-META 4 with what the
address is replaced.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lxml import etree

from lienthong.contracts.untrusted_xml import PARSING
from lienthong.errors import WsdlInvalid

WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
HTTP = "http://schemas.xmlsoap.org/wsdl/http/"
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
PUBLIC_ADDRESS = "http://example.org/xroad-endpoint"
LARGEST_WSDL_BYTES = 4 << 20
MOST_OPERATIONS = 1000
LONGEST_NAME = 100  # characters, as a part of an identifier
_DECLARED = re.compile(r"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)""")


class Operation(NamedTuple):
    """One operation of a SOAP 1.1 binding."""

    code: str
    version: str
    soap_action: str


def read_wsdl(text: str) -> tuple[Operation, ...]:
    """Return the operations in their order; an operation in two bindings once.

    Raises WsdlInvalid.
    """
    root = _parsed(text)
    found: dict[tuple[str, str], Operation] = {}
    for binding in root.iterfind(f"{{{WSDL}}}binding"):
        if binding.find(f"{{{SOAP}}}binding") is None:
            continue  # SOAP 1.2, HTTP: not spoken by the X-Road protocol 4.0
        for element in binding.iterfind(f"{{{WSDL}}}operation"):
            operation = _operation(element)
            found.setdefault((operation.code, operation.version), operation)
    if not found:
        raise WsdlInvalid(reason="no operation in a binding of SOAP 1.1")
    if len(found) > MOST_OPERATIONS:
        raise WsdlInvalid(reason=f"over {MOST_OPERATIONS} operations")
    return tuple(found.values())


def published_wsdl(text: str) -> bytes:
    """The file as clients get it, in UTF-8: addresses of ports are replaced. Raises WsdlInvalid."""
    root = _parsed(text)
    for namespace in (SOAP, SOAP12, HTTP):
        for address in root.iter(f"{{{namespace}}}address"):
            address.set("location", PUBLIC_ADDRESS)
    found: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return found


def _operation(element: etree._Element) -> Operation:
    code = element.get("name", "")
    version = ""
    for namespace in (XROAD, IDENTIFIERS):  # examples of PR-META have the second
        named = element.findtext(f"{{{namespace}}}version")
        version = version or (named or "").strip()
    soap = element.find(f"{{{SOAP}}}operation")
    action = "" if soap is None else soap.get("soapAction", "")
    if not code or max(len(code), len(version)) > LONGEST_NAME or len(action) > 1000:
        raise WsdlInvalid(reason="an operation's name, version or soapAction")
    return Operation(code, version, action)


def _parsed(text: str) -> etree._Element:
    content = text.encode()
    if len(content) > LARGEST_WSDL_BYTES:
        raise WsdlInvalid(reason=f"over {LARGEST_WSDL_BYTES} bytes")
    declared = _DECLARED.match(text)
    if declared is not None and declared[1].lower() != "utf-8":  # another parser believes it
        raise WsdlInvalid(reason="declares another encoding than UTF-8")
    parser = etree.XMLParser(encoding="utf-8", **PARSING)
    try:
        root = etree.fromstring(content, parser)
    except (etree.LxmlError, ValueError) as error:
        raise WsdlInvalid(reason="not well-formed XML") from error
    if root.getroottree().docinfo.doctype:
        raise WsdlInvalid(reason="a document type (DTD)")
    if root.tag != f"{{{WSDL}}}definitions":
        raise WsdlInvalid(reason="not WSDL 1.1")
    return root
