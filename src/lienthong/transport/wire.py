"""From the wire's bytes to texts and back: header names, heads of requests and responses.

Heads are put together as one text; that no line was smuggled in through a name or value is
seen from the number of line breaks in it (response splitting).
"""

from __future__ import annotations

from functools import lru_cache

from lienthong.errors import RequestUnsendable
from lienthong.transport.messages import Headers, reason_phrase

# These describe one connection or one framing (RFC 9110 §7.6.1); they are written here anew
# and never taken over from a message that is passed on.
FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
FRAMING_AND_HOST = FRAMING | {"host", "expect"}
METHODS = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
}
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_KNOWN_NAMES = 1024  # a stranger's made-up names must not fill the memory
_NAMES: dict[bytes, str] = {}
name_of = _NAMES.get


def learn_name(name: bytes) -> str:
    """Return a header's name in lower case, and remember it for ``name_of``."""
    text = name.decode("latin-1").lower()
    if len(_NAMES) < _KNOWN_NAMES and len(name) <= 64:
        _NAMES[name] = text
    return text


CHUNKED = "chunked"  # in the place of a content length


@lru_cache(maxsize=256)
def status_line(status: int, reason: str) -> str:
    """Return the first line of a response."""
    return f"HTTP/1.1 {status} {reason or reason_phrase(status)}\r\n"


def response_head(
    status: int, reason: str, headers: Headers, content_length: str | None, closing: bool, date: str
) -> bytes:
    """Write the head of a response; ``date`` is a whole line. Raises RequestUnsendable."""
    lines = [f"{name}: {value}\r\n" for name, value in headers if name not in FRAMING]
    if content_length is CHUNKED:
        lines.append("transfer-encoding: chunked\r\n")
    elif content_length is not None:
        lines.append(f"content-length: {content_length}\r\n")
    if closing:
        lines.append("connection: close\r\n")
    text = f"{status_line(status, reason)}{''.join(lines)}"
    if "\r\ndate: " in text:
        return _checked(f"{text}\r\n", len(lines) + 2)
    return _checked(f"{text}{date}\r\n", len(lines) + 3)


def request_head(method: str, target: str, host: str, headers: Headers, size: int) -> bytes:
    """Write the head of a request. Raises RequestUnsendable."""
    lines = [f"{name}: {value}\r\n" for name, value in headers if name not in FRAMING_AND_HOST]
    if size or method in METHODS_WITH_BODY:
        lines.append(f"content-length: {size}\r\n")
    if " " in target or not target.isprintable():
        raise RequestUnsendable(reason="target")
    text = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{''.join(lines)}\r\n"
    return _checked(text, len(lines) + 3)


def _checked(text: str, line_count: int) -> bytes:
    if text.count("\n") != line_count or text.count("\r") != line_count:
        raise RequestUnsendable(reason="a header holds a line break")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise RequestUnsendable(reason="a header holds letters outside latin-1") from error
