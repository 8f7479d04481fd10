"""The SOAP part of an HTTP body: the body itself, or the first part of ``multipart/related``.

    part = soap_part(request.header("content-type"), request.body)
    part.content                     # bytes of the envelope; the attachments are never read

SOAP with Attachments and MTOM/XOP look alike here: the envelope is the first part, and what
follows travels byte for byte. A program that took another part for the envelope would execute
what nobody checked; whatever allows that (``start``, line ends, encodings) is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lienthong.errors import MultipartMalformed, SoapContentType, SoapTooLarge
from lienthong.exchange.soap.media_type import MediaType, media_type
from lienthong.exchange.soap.names import MULTIPART, TEXT_XML, XOP_XML
from lienthong.transport.messages import Body

LARGEST_ENVELOPE_BYTES = 16 << 20  # memory that one envelope may take; attachments are apart
LARGEST_PART_HEAD_BYTES = 16_384
LONGEST_EPILOGUE_BYTES = 1024  # what may follow the last boundary
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_FOLD = re.compile(r"\r\n[ \t]+")
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


class SoapPart(NamedTuple):
    """The envelope's bytes, and where they stand in the body."""

    content: bytes
    type: MediaType
    start: int = 0
    end: int = 0
    multipart: bool = False


def soap_part(content_type: str | None, body: Body) -> SoapPart:
    """Find the envelope. Raises SoapContentType, MultipartMalformed, SoapTooLarge."""
    kind = media_type(content_type or "")
    if kind.name == TEXT_XML:
        if body.size > LARGEST_ENVELOPE_BYTES:
            raise SoapTooLarge(reason=f"over {LARGEST_ENVELOPE_BYTES} bytes")
        content = body.read()
        return SoapPart(content, kind, 0, len(content))
    if kind.name != MULTIPART:
        raise SoapContentType(found=kind.name[:100], reason="text/xml or multipart/related wanted")
    return _first_part(kind, body)


def boundary_of(kind: MediaType) -> bytes:
    """The delimiter between parts, without its line ends. Raises MultipartMalformed."""
    boundary = kind.parameters.get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MultipartMalformed(reason="no boundary that RFC 2046 allows")
    return b"--" + boundary.encode("ascii")


def _first_part(kind: MediaType, body: Body) -> SoapPart:
    delimiter = boundary_of(kind)
    _check_end(delimiter, body)
    window = first_bytes(body, LARGEST_ENVELOPE_BYTES + LARGEST_PART_HEAD_BYTES + 256)
    headers, start = part_head(window, delimiter, _first_delimiter(window, delimiter))
    end = part_end(window, delimiter, start)
    if end < 0:
        if len(window) < body.size:
            raise SoapTooLarge(reason=f"over {LARGEST_ENVELOPE_BYTES} bytes")
        raise MultipartMalformed(reason="the first part has no end")
    content = window[start:end]
    if b"\n" + delimiter in content:  # behind a bare line feed: some programs would end it there
        raise MultipartMalformed(reason="a boundary within the first part")
    return SoapPart(content, _part_type(kind, headers), start, end, True)


def _first_delimiter(window: bytes, delimiter: bytes) -> int:
    position = 0
    while window.startswith(b"\r\n", position) and position < 8:
        position += 2
    if not window.startswith(delimiter, position):
        raise MultipartMalformed(reason="it does not begin with its boundary")
    return position


def part_head(window: bytes, delimiter: bytes, position: int) -> tuple[dict[str, str], int]:
    """Headers of the part behind the delimiter at ``position``, and where its content begins.

    Raises MultipartMalformed.
    """
    line_end = window.find(b"\r\n", position)
    padding = window[position + len(delimiter) : max(line_end, 0)]
    if line_end < 0 or padding.strip(b" \t"):
        raise MultipartMalformed(reason="a boundary is not alone on its line")
    if window.startswith(b"\r\n", line_end + 2):
        return {}, line_end + 4
    end = window.find(b"\r\n\r\n", line_end, line_end + LARGEST_PART_HEAD_BYTES)
    if end < 0:
        raise MultipartMalformed(reason="headers of a part have no end")
    return _headers(window[line_end + 2 : end]), end + 4


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _FOLD.sub(" ", head.decode("latin-1")).split("\r\n"):
        found = _HEADER.fullmatch(line)
        if found is None or "\n" in line or "\r" in line:
            raise MultipartMalformed(reason="a header of a part cannot be read")
        name = found[1].lower()
        if name in headers:
            raise MultipartMalformed(reason="a header of a part stands twice")
        headers[name] = found[2].strip(" \t")
    return headers


def part_end(window: bytes, delimiter: bytes, start: int) -> int:
    """Where the content ends, before the line end that belongs to the delimiter; -1: nowhere."""
    at = start - 2  # an empty part: the head's line end is the delimiter's
    while (at := window.find(b"\r\n" + delimiter, at)) >= 0:
        behind = window[at + 2 + len(delimiter) : at + 2 + len(delimiter) + 64]
        if behind.startswith(b"--") or behind.lstrip(b" \t").startswith(b"\r\n") or not behind:
            return max(at, start)
        at += 2
    return -1


def _check_end(delimiter: bytes, body: Body) -> None:
    """A cut message must not pass for a whole one with fewer attachments."""
    closing = b"\r\n" + delimiter + b"--"
    tail = last_bytes(body, len(closing) + LONGEST_EPILOGUE_BYTES)
    if closing not in tail:
        raise MultipartMalformed(reason="the last boundary is missing")


def _part_type(kind: MediaType, headers: dict[str, str]) -> MediaType:
    """The first part's own type, once it is certain that it is the SOAP part."""
    wanted = kind.parameters.get("start")
    if wanted is not None and _bare(headers.get("content-id", "")) != _bare(wanted):
        raise MultipartMalformed(reason="start names another part than the first")
    encoding = headers.get("content-transfer-encoding", "8bit").lower()
    if encoding not in _PLAIN_ENCODINGS:
        raise MultipartMalformed(reason="the SOAP part must be 8bit")
    part = media_type(headers.get("content-type", "text/plain"))
    if part.name not in (TEXT_XML, XOP_XML):
        raise SoapContentType(
            found=part.name[:100], reason="text/xml or application/xop+xml wanted"
        )
    return part


def _bare(content_id: str) -> str:
    return content_id.strip().removeprefix("<").removesuffix(">")


def first_bytes(body: Body, size_bytes: int) -> bytes:
    """The beginning of a body, wherever it lies (blocking when it is spooled)."""
    if body.path is None:
        return body.read()
    with body.path.open("rb") as file:
        return file.read(size_bytes)


def last_bytes(body: Body, size_bytes: int) -> bytes:
    """The end of a body (blocking when it is spooled)."""
    if body.path is None:
        return body.read()[-size_bytes:]
    with body.path.open("rb") as file:
        file.seek(max(0, body.size - size_bytes))
        return file.read(size_bytes)
