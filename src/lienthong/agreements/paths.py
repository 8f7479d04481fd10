"""Request paths in the one form that agreements are matched against.

    normalise_path("/records/%30%30%31") == "/records/001"
    normalise_path("/records/../admin") == "/admin"
    normalise_path("/records/..%2fadmin")           # raises InvalidPath

A wildcard is only as safe as the path that it is held against: X-Road matched raw paths and
was passed by ``..`` (XRDDEV-3054). Whatever two programs may read in two ways is therefore
refused here, never repaired. What is repaired is what RFC 3986 calls equal: percent-encoded
letters (§6.2.2.2) and dot segments (§5.2.4).

Whoever forwards a request sends on ``encode_path(normalised)``: what was decided is then what
the service gets.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from lienthong.errors import InvalidPath

LONGEST_PATH = 4096  # characters; bounds the work of every match

# The common case needs no decoding: plain segments, none of which begins with a dot.
_PLAIN = re.compile(r"(?:/(?!\.)[A-Za-z0-9\-._~!$&'()*+,=:@]+)*/?", re.ASCII)
_MALFORMED_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STILL_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_IN_A_RAW_PATH = re.compile(r"[^\x21-\x7e]|[\\?#;]")
# %2F %5C: a slash that only some programs see. %3B: path parameters, by which ``..;`` hides.
_FORBIDDEN_ENCODED = re.compile(r"%(?:2f|5c|3b|00)", re.IGNORECASE)


def normalise_path(raw_path: str) -> str:
    """Return the decoded path with its dot segments resolved; the empty path is ``/``.

    Refused: no leading slash, over ``LONGEST_PATH``, characters outside printable ASCII,
    ``\\``, ``?``, ``#``, ``;``, their encoded forms, an encoded slash, control characters,
    broken or doubled percent-encoding, text that is not UTF-8, empty segments (some servers
    merge ``//``, some do not), and dot segments that climb above the root.
    A trailing slash is kept: ``/a`` and ``/a/`` are two paths.

    Raises InvalidPath.
    """
    if len(raw_path) > LONGEST_PATH:
        raise InvalidPath(reason=f"over {LONGEST_PATH} characters")
    if _PLAIN.fullmatch(raw_path):
        return raw_path or "/"
    return _resolve_dots(_decode(raw_path))


def encode_path(path: str) -> str:
    """Percent-encode a normalised path for sending; its normal form stays the same."""
    return quote(path, safe="/!$&'()*+,=:@~")


def _decode(raw_path: str) -> str:
    if not raw_path.startswith("/"):
        raise InvalidPath(reason="does not begin with /")
    if _NOT_IN_A_RAW_PATH.search(raw_path):
        raise InvalidPath(reason="forbidden character")
    if _FORBIDDEN_ENCODED.search(raw_path):
        raise InvalidPath(reason="encoded / \\ ; or NUL")
    if _MALFORMED_PERCENT.search(raw_path):
        raise InvalidPath(reason="broken percent-encoding")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidPath(reason="not UTF-8") from error
    if _STILL_ENCODED.search(path):
        raise InvalidPath(reason="percent-encoded twice")
    if _CONTROL.search(path):
        raise InvalidPath(reason="control character")
    return path


def _resolve_dots(path: str) -> str:
    segments = path[1:].split("/")
    last = segments[-1]
    if "" in segments[:-1]:
        raise InvalidPath(reason="empty segment (//)")
    resolved: list[str] = []
    for segment in segments:
        if segment == "..":
            if not resolved:
                raise InvalidPath(reason="climbs above the root")
            resolved.pop()
        elif segment not in {".", ""}:
            resolved.append(segment)
    if last in {"", ".", ".."} and resolved:
        resolved.append("")
    return "/" + "/".join(resolved)
