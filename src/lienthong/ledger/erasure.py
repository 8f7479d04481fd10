"""Erasing what a record says while its leaf, and so the whole tree, stays as it is.

    entry = erased(entry, keep=())                # only the plain lines and the commitments stay
    leaf = erased_leaf(decode_erased(entry.message))

A commitment without its salt and text says nothing: twelve digits behind a salt of 128 bits
cannot be guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

import msgspec

from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    REQUEST_COMMITMENTS,
    SALT_BYTES,
    Answer,
    Request,
    acknowledged_leaf,
    answer_contents,
    answer_lines,
    commitments,
    leaf_of,
    received_leaf,
    request_contents,
    request_lines,
)
from lienthong.ledger.records import Entry, EntryKind

_MARK = b'{"erased":'


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One content that was not erased, with its salt."""

    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    text: str


class Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stays of a message: its plain lines, all commitments, and the contents kept."""

    erased: int
    lines: str
    commitments: bytes
    kept: dict[str, Kept]


decode_erased = msgspec.json.Decoder(Erased).decode
_REQUESTS = (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED)


def is_erased(message: bytes) -> bool:
    return message.startswith(_MARK)


def erased(entry: Entry, keep: Sequence[str] = ()) -> Entry:
    """The entry without its contents but those named; an erased entry can lose more."""
    if is_erased(entry.message):
        before = decode_erased(entry.message)
        kept = {name: value for name, value in before.kept.items() if name in keep}
        remaining = msgspec.structs.replace(before, kept=kept)
    else:
        remaining = _erase(entry, keep)
    json = msgspec.json.encode(remaining)
    return msgspec.structs.replace(entry, message=json, body_file="", tokens=())


def _erase(entry: Entry, keep: Sequence[str]) -> Erased:
    names: tuple[str, ...]
    if entry.kind in _REQUESTS:
        request = msgspec.json.decode(entry.message, type=Request)
        lines, contents = request_lines(request), request_contents(request)
        names, salts = REQUEST_COMMITMENTS, request.salts
    else:
        answer = msgspec.json.decode(entry.message, type=Answer)
        lines, contents = answer_lines(answer), answer_contents(answer)
        names, salts = ANSWER_COMMITMENTS, answer.salts
    kept = {
        name: Kept(salts[i * SALT_BYTES : (i + 1) * SALT_BYTES], contents[i])
        for i, name in enumerate(names)
        if name in keep
    }
    return Erased(1, lines, commitments(contents, salts), kept)


def message_leaf(remaining: Erased, names: Sequence[str]) -> bytes | None:
    """The message's leaf, or None when something kept does not fit its commitment."""
    if len(remaining.commitments) != 32 * len(names):
        return None
    for name, kept in remaining.kept.items():
        if name not in names:
            return None
        start = 32 * names.index(name)
        if sha256(kept.salt + kept.text.encode()).digest() != remaining.commitments[start:][:32]:
            return None
    return leaf_of(remaining.lines, remaining.commitments)


def erased_leaf(kind: EntryKind, remaining: Erased) -> bytes | None:
    """The leaf that an erased entry of that kind must have."""
    names = REQUEST_COMMITMENTS if kind in _REQUESTS else ANSWER_COMMITMENTS
    leaf = message_leaf(remaining, names)
    if leaf is None or kind in (EntryKind.REQUEST_SENT, EntryKind.ANSWER_SENT):
        return leaf
    return received_leaf(leaf) if kind is EntryKind.REQUEST_RECEIVED else acknowledged_leaf(leaf)
