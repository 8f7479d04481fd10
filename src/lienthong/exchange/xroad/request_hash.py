"""``x-road-request-hash``: what ties an answer to the exact request it answers.

    base64(SHA512(SHA512(header part) || SHA512(body)))    with a body
    base64(SHA512(header part))                            without one

The header part is, byte for byte as in X-Road's ``RestRequest.toByteArray``::

    POST CRLF
    /r1/VN/GOV/G01/dancu/cong-dan/records:lookup?a=1 CRLF
    x-road-client:VN/GOV/H37/motcua CRLF        one line a header, no space after the colon

Headers come in the order in which they travel, a repeated header once for each time it was sent;
nothing is sorted or joined. One thing differs from X-Road: names are in lower case, since the
transport lowers them. The bytes of values are those on the wire.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha512

from lienthong.transport.messages import Body, Headers


def request_header_part(method: str, target: str, headers: Headers) -> bytes:
    """Return the header part; ``headers`` are those of ``headers.request_headers``."""
    lines = "".join([f"{name}:{value}\r\n" for name, value in headers])
    return f"{method}\r\n{target}\r\n{lines}".encode("latin-1")


def request_hash(header_part: bytes, body: Body | None) -> str:
    """Return the hash; a body of no bytes counts as none, and a spooled one is read in chunks."""
    digest = sha512(header_part).digest()
    if body is None or body.size == 0:
        return b64encode(digest).decode("ascii")
    return b64encode(sha512(digest + _body_digest(body)).digest()).decode("ascii")


def _body_digest(body: Body) -> bytes:
    if body.path is None:
        return sha512(body.read()).digest()
    running = sha512()
    for chunk in body.chunks():
        running.update(chunk)
    return running.digest()
