"""About whom a request asks: the personal keys in it, for the ledger's keyed index.

Only the shapes of a contract service are read (``records/{key}``, ``records:lookup``,
``records:verify``); of any other request nothing is known, and its subjects are empty.
"""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from lienthong.transport.messages import Body

MOST_SUBJECTS = 1000
LONGEST_SUBJECT = 200
LARGEST_READ = 262_144  # bytes; a look-up of 1,000 keys has under 20,000


class _Keys(msgspec.Struct):
    keys: list[str] = []
    key: str = ""


_decode = msgspec.json.Decoder(_Keys).decode


def subjects_of(method: str, path: str, body: Body) -> tuple[str, ...]:
    """Keys that the request names; empty when it is not one of a contract service."""
    if method == "GET" and path.startswith("/records/"):
        key = unquote(path.removeprefix("/records/"))
        return (key,) if _is_key(key) else ()
    if method != "POST" or not path.startswith("/records:") or body.size > LARGEST_READ:
        return ()
    try:
        asked = _decode(body.read())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()  # the provider will say what is wrong with it
    keys = [asked.key, *asked.keys] if asked.key else asked.keys
    return tuple([key for key in keys[:MOST_SUBJECTS] if _is_key(key)])


def _is_key(key: str) -> bool:
    return 0 < len(key) <= LONGEST_SUBJECT and key.isprintable()
