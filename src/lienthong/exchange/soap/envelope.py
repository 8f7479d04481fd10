"""A SOAP 1.1 envelope, read without building a tree: its header fields and what its body is.

    envelope = read_envelope(soap_part(content_type, body))
    envelope.fields["client"].parts["memberCode"]; envelope.operation == "traCuu"

lxml reads with DTD, entities and network off. Sizes, depth and number of elements are bounded
here, since envelopes come from outside: a document type is refused before a single entity of
it is declared, so there is nothing to expand. Of the content only names are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from lienthong.contracts.untrusted_xml import PARSING
from lienthong.errors import (
    LienthongError,
    NotAnEnvelope,
    SoapBodyInvalid,
    SoapBodyMissing,
    SoapDoctype,
    SoapFieldInvalid,
    SoapFieldTwice,
    SoapTooLarge,
    SoapXmlInvalid,
)
from lienthong.exchange.soap.encoding import encoding_of
from lienthong.exchange.soap.multipart import SoapPart
from lienthong.exchange.soap.names import ENVELOPE, IDENTIFIERS, REPRESENTATION, XROAD

DEEPEST = 100  # elements within each other; stops stack exhaustion here and behind us
MOST_ELEMENTS = 200_000  # bounds the time of reading
MOST_ATTRIBUTES = 256  # of one element
LONGEST_FIELD = 255  # characters; X-Road's message log has columns of this length
_PIECE = 1 << 16
_ENVELOPE, _HEADER, _BODY = (f"{{{ENVELOPE}}}{name}" for name in ("Envelope", "Header", "Body"))
_FAULT = f"{{{ENVELOPE}}}Fault"
_OBJECT_TYPE = f"{{{IDENTIFIERS}}}objectType"
SIMPLE = frozenset({"id", "userId", "issue", "protocolVersion", "requestHash"})
COMPOUND = frozenset({"client", "service", "centralService", "securityServer"})
REPRESENTED_PARTY = "representedParty"


@dataclass(slots=True)
class Field:
    """One header field: its text, or the parts of an identifier."""

    text: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    object_type: str = ""
    algorithm: str = ""


@dataclass(slots=True)
class Envelope:
    """What an envelope says. ``arguments``: X-Road's own elements within the operation."""

    encoding: str
    fields: dict[str, Field] = field(default_factory=dict)
    has_header: bool = False
    operation: str = ""
    fault: bool = False
    arguments: dict[str, str] = field(default_factory=dict)


def read_envelope(part: SoapPart) -> Envelope:
    """Read it whole. Raises leaves of SoapError; nothing else, whatever it is given."""
    encoding = encoding_of(part.content, part.type.parameters.get("charset"))
    reader = _Reader(Envelope(encoding))
    parser = etree.XMLParser(target=reader, encoding=encoding, **PARSING)
    try:
        for start in range(0, len(part.content), _PIECE):
            parser.feed(part.content[start : start + _PIECE])
        parser.close()
    except LienthongError:
        raise
    except (etree.LxmlError, ValueError, LookupError) as error:
        raise SoapXmlInvalid() from error
    # libxml2 lets a prefix pass that nothing binds; other parsers read another name, or none.
    if len(parser.feed_error_log):
        raise SoapXmlInvalid()
    return reader.finished()


class _Reader:
    """lxml's parser target: callbacks for what it finds, in order."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._path: list[str] = []
        self._elements = 0
        self._field: Field | None = None
        self._text: list[str] | None = None
        self._text_length = 0
        self._bodies = 0
        self._operations = 0

    # --- callbacks ---------------------------------------------------------------------

    def doctype(self, *_: object) -> None:
        raise SoapDoctype()

    def pi(self, *_: object) -> None:
        raise NotAnEnvelope(reason="a processing instruction")  # SOAP 1.1 §3

    def comment(self, _: str) -> None:
        return None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise SoapTooLarge(reason=f"over {MOST_ELEMENTS} elements")
        if len(attributes) > MOST_ATTRIBUTES:
            raise SoapTooLarge(reason=f"over {MOST_ATTRIBUTES} attributes")
        self._path.append(tag)
        depth = len(self._path)
        if depth > DEEPEST:
            raise SoapTooLarge(reason=f"over {DEEPEST} elements deep")
        if depth == 1:
            self._root(tag)
        elif depth == 2:
            self._section(tag)
        elif self._path[1] == _HEADER:
            self._block(tag, attributes, depth)
        elif self._path[1] == _BODY:
            self._content(tag, depth)

    def data(self, text: str) -> None:
        if self._text is None:
            return
        self._text_length += len(text)
        if self._text_length > LONGEST_FIELD * 4:
            raise SoapFieldInvalid(field=_local(self._path[-1]), reason="too long")
        self._text.append(text)

    def end(self, tag: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if self._text is not None:
            self._keep(_local(tag), "".join(self._text).strip(" \t\r\n"), depth)
            self._text = None
        if depth == 3:
            self._field = None

    def close(self) -> Envelope:
        return self._envelope

    # --- what they mean ----------------------------------------------------------------

    def _root(self, tag: str) -> None:
        if tag != _ENVELOPE:
            raise NotAnEnvelope(reason="not Envelope of SOAP 1.1")

    def _section(self, tag: str) -> None:
        if tag == _HEADER:
            if self._envelope.has_header or self._bodies:
                raise NotAnEnvelope(reason="Header stands twice or behind Body")
            self._envelope.has_header = True
        elif tag == _BODY:
            self._bodies += 1
        if self._bodies > 1 or (self._bodies and tag != _BODY):
            raise NotAnEnvelope(reason="more than one Body, or something behind it")

    def _block(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        name = _local(tag)
        if depth == 3:
            if not _is_field(tag):
                return
            if name in self._envelope.fields:
                raise SoapFieldTwice(field=name)
            self._field = self._envelope.fields[name] = Field(
                object_type=attributes.get(_OBJECT_TYPE, "")[:LONGEST_FIELD],
                algorithm=attributes.get("algorithmId", "")[:LONGEST_FIELD],
            )
            if name in SIMPLE:
                self._listen()
        elif self._field is not None:
            self._part(tag, _local(self._path[2]), depth)

    def _part(self, tag: str, parent: str, depth: int) -> None:
        assert self._field is not None
        if parent in SIMPLE or depth > 4:
            raise SoapFieldInvalid(field=parent, reason="an element within it")
        wanted = REPRESENTATION if parent == REPRESENTED_PARTY else IDENTIFIERS
        if not tag.startswith(f"{{{wanted}}}"):
            raise SoapFieldInvalid(field=parent, reason="an element of another namespace")
        if _local(tag) in self._field.parts:
            raise SoapFieldTwice(field=_local(tag))
        self._listen()

    def _content(self, tag: str, depth: int) -> None:
        envelope = self._envelope
        if depth == 3:
            self._operations += 1
            envelope.operation = _local(tag)
            envelope.fault = tag == _FAULT
        elif depth == 4 and tag in _ARGUMENTS and not envelope.fault:
            if _local(tag) in envelope.arguments:
                raise SoapFieldTwice(field=_local(tag))
            self._listen()
        elif depth == 5 and self._text is not None:
            raise SoapFieldInvalid(field=_local(self._path[3]), reason="an element within it")

    def _listen(self) -> None:
        self._text, self._text_length = [], 0

    def _keep(self, name: str, text: str, depth: int) -> None:
        if name == "requestHash":
            text = "".join(text.split())  # base64 may be wrapped
        if len(text) > LONGEST_FIELD or not text.isprintable():
            raise SoapFieldInvalid(field=name, reason="too long, or a control character")
        if self._field is None:
            self._envelope.arguments[name] = text
        elif depth == 3:
            self._field.text = text
        else:
            self._field.parts[name] = text

    def finished(self) -> Envelope:
        """The envelope, once all of it was read."""
        if not self._bodies:
            raise SoapBodyMissing()
        if self._operations != 1:
            raise SoapBodyInvalid()
        return self._envelope


_ARGUMENTS = frozenset(f"{{{XROAD}}}{name}" for name in ("serviceCode", "serviceVersion"))
_FIELDS = frozenset(f"{{{XROAD}}}{name}" for name in SIMPLE | COMPOUND) | {
    f"{{{REPRESENTATION}}}{REPRESENTED_PARTY}"
}


def _is_field(tag: str) -> bool:
    return tag in _FIELDS


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
