"""Just enough of DER (X.690) to put a time-stamp's parts where they belong.

Many authorities, OpenSSL's among them, send the certificates of a token in any order; DER wants
a set sorted, and a strict reader refuses others. No signature covers that order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SEQUENCE, OBJECT_IDENTIFIER, FIRST_TAGGED = 0x30, 0x06, 0xA0


class Part(NamedTuple):
    """One element: its tag, all of its bytes, and what is inside."""

    tag: int
    whole: bytes
    content: bytes


def with_sorted_certificates(response: bytes) -> bytes:
    """A TimeStampResp (RFC 3161 §2.4.2) whose certificates are in DER's order.

    Raises ValueError when the bytes have not that structure; nothing else is judged.
    """
    status, *token = parts(_only(response, SEQUENCE))
    if not token:
        return response  # a refusal has no token
    content_type, explicit = parts(token[0].content)
    signed = parts(_only(explicit.content, SEQUENCE))
    inner = b"".join(_sorted(each) if each.tag == FIRST_TAGGED else each.whole for each in signed)
    wrapped = element(FIRST_TAGGED, element(SEQUENCE, inner))
    return element(SEQUENCE, status.whole + element(SEQUENCE, content_type.whole + wrapped))


def with_policy(request: bytes, policy: str) -> bytes:
    """A TimeStampReq (RFC 3161 §2.4.1) that asks for a policy: it follows the imprint."""
    version, imprint, *rest = parts(_only(request, SEQUENCE))
    wanted = element(OBJECT_IDENTIFIER, _encoded_identifier(policy))
    tail = b"".join(each.whole for each in rest)
    return element(SEQUENCE, version.whole + imprint.whole + wanted + tail)


def parts(data: bytes) -> list[Part]:
    """The elements of ``data``, one after the other. Raises ValueError."""
    return list(_parts(data))


def element(tag: int, content: bytes) -> bytes:
    """One element with its length in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _parts(data: bytes) -> Iterator[Part]:
    at = 0
    while at < len(data):
        start, end = _bounds(data, at)
        yield Part(data[at], data[at:end], data[start:end])
        at = end


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at ``at`` begins and ends."""
    if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
        raise ValueError("cut off, or a tag of several bytes")
    start, size = at + 2, data[at + 1]
    if size & 0x80:
        length = size & 0x7F
        if not 0 < length <= 4 or start + length > len(data):
            raise ValueError("length")
        size = int.from_bytes(data[start : start + length])
        start += length
    if start + size > len(data):
        raise ValueError("cut off")
    return start, start + size


def _only(data: bytes, tag: int) -> bytes:
    found = parts(data)
    if len(found) != 1 or found[0].tag != tag:
        raise ValueError("another structure")
    return found[0].content


def _sorted(certificates: Part) -> bytes:
    return element(certificates.tag, b"".join(sorted(x.whole for x in parts(certificates.content))))


def _encoded_identifier(dotted: str) -> bytes:
    """The content of an OBJECT IDENTIFIER (X.690 §8.19). Raises ValueError."""
    first, second, *rest = [int(arc) for arc in dotted.split(".")]
    if not 0 <= first <= 2 or second < 0 or (first < 2 and second > 39) or min(rest, default=0) < 0:
        raise ValueError(dotted)
    return b"".join(_base_128(arc) for arc in (first * 40 + second, *rest))


def _base_128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))
