"""``requestHash``: what ties a SOAP answer to the exact envelope that it answers (PR-MESS 2.2).

It is base64(SHA-512) of the envelope's bytes as the client sent them: the HTTP body, or the
first part of a multipart message. The provider's node writes it into the answer's header; a
field of that name that the service wrote itself is replaced. Nothing else of the answer changes,
not a byte, since services put signatures of their own into envelopes.
"""

from __future__ import annotations

import tempfile
from base64 import b64encode
from hashlib import sha256, sha512
from pathlib import Path
from xml.parsers import expat

from lienthong.errors import SoapHeaderMissing, SoapXmlInvalid
from lienthong.exchange.soap.multipart import SoapPart
from lienthong.exchange.soap.names import ENVELOPE, SHA512, XROAD
from lienthong.transport.messages import CHUNK_SIZE_BYTES, Body

_HEADER, _FIELD = f"{ENVELOPE} Header", f"{XROAD} requestHash"


def request_hash(part: SoapPart) -> str:
    """The hash of a request's envelope."""
    return b64encode(sha512(part.content).digest()).decode("ascii")


def with_request_hash(content: bytes, encoding: str, value: str) -> bytes:
    """An answer's envelope with the field as the last of its header.

    ``content`` was read by ``read_envelope`` before: it is well-formed and has no document type.
    Raises SoapHeaderMissing for an envelope without a header.
    """
    places = _Places(content, encoding)
    if places.header_end < 0:
        raise SoapHeaderMissing()
    element = (
        f'<xrd:requestHash xmlns:xrd="{XROAD}" algorithmId="{SHA512}">{value}</xrd:requestHash>'
    )
    new = element.encode(_exact(content, encoding))
    head = content[: places.header_end]
    for start, end in reversed(places.former):
        head = head[:start] + head[end:]
    return head + new + content[places.header_end :]


class _Found(Exception):
    """Nothing behind the header is of interest."""


class _Places:
    """Where the header ends and former fields stand, as byte offsets.

    Expat tells the byte at which each tag begins, which lxml does not.
    """

    def __init__(self, content: bytes, encoding: str) -> None:
        self.header_end = -1
        self.former: list[tuple[int, int]] = []
        self._content = content
        self._close = ">".encode(_exact(content, encoding))
        self._depth = 0
        self._start = -1
        self._parser = expat.ParserCreate(_NAMES.get(encoding, encoding), " ")
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        try:
            self._parser.Parse(content, True)
        except _Found:
            return
        except expat.ExpatError as error:
            raise SoapXmlInvalid() from error

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 3 and name == _FIELD and self.header_end < 0:
            self._start = self._parser.CurrentByteIndex

    def _end(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        if self._depth == 3 and self._start >= 0:
            end = self._content.index(self._close, at) + len(self._close)
            self.former.append((self._start, end))
            self._start = -1
        elif self._depth == 2 and name == _HEADER:
            self.header_end = at
            raise _Found
        self._depth -= 1


_NAMES = {"utf-8": "utf-8", "utf-16": "utf-16", "ascii": "us-ascii", "iso8859-1": "iso-8859-1"}


def _exact(content: bytes, encoding: str) -> str:
    """The encoding without a byte-order mark of its own, for text put into the middle."""
    if encoding != "utf-16":
        return encoding
    return "utf-16-be" if content.startswith(b"\xfe\xff") else "utf-16-le"


def replaced(body: Body, part: SoapPart, content: bytes) -> Body:
    """The body with its envelope exchanged, attachments as they are (blocking when spooled)."""
    if body.path is None:
        whole = body.read()
        return Body.of(whole[: part.start] + content + whole[part.end :])
    return _replaced_file(body, body.path, part, content)


def _replaced_file(body: Body, path: Path, part: SoapPart, content: bytes) -> Body:
    digest, size = sha256(), 0
    with (
        path.open("rb") as old,
        tempfile.NamedTemporaryFile(dir=path.parent, prefix="soap-", delete=False) as new,
    ):
        pieces = [old.read(part.start), content]
        old.seek(part.end)
        while pieces:
            for piece in pieces:
                digest.update(piece)
                size += new.write(piece)
            rest = old.read(CHUNK_SIZE_BYTES)
            pieces = [rest] if rest else []
    body.discard()
    return Body.spooled(Path(new.name), size, digest.digest())
