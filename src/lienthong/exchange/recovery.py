"""After a restart: fill the register of request ids from the ledger.

A request that was received and has no answer in the ledger is in doubt: it may have been
executed. It is never executed again; whoever asks gets a signed "in doubt".
"""

from __future__ import annotations

import msgspec

from lienthong.exchange.core import Core
from lienthong.exchange.once import OnceRegister
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.heads import parse_time
from lienthong.ledger.messages import Answer, Request, leaf_of, plain_fields, request_leaf
from lienthong.ledger.records import Entry, EntryKind, Group, Located
from lienthong.ledger.store import milliseconds


def restore_register(core: Core, register: OnceRegister) -> int:
    """Read the groups of the remembered past; returns how many requests are in doubt."""
    since = milliseconds(core.clock.now() - 2 * core.remembered)
    received: dict[str, tuple[bytes, str]] = {}
    answered: dict[str, Located] = {}
    for group in core.store.groups(since_ms=since):
        _read(group, received, answered)
    for request_id, (leaf, time) in received.items():
        register.restore(request_id, leaf, parse_time(time), answered.get(request_id))
    return len(received.keys() - answered.keys())


def _read(
    group: Group, received: dict[str, tuple[bytes, str]], answered: dict[str, Located]
) -> None:
    for number, entry in enumerate(group.entries):
        if entry.kind is EntryKind.REQUEST_RECEIVED:
            request_id, leaf, time = _request(entry)
            received[request_id] = (leaf, time)
        elif entry.kind is EntryKind.ANSWER_SENT:
            answered.setdefault(_answered_id(entry), Located(group.place, number))


def _request(entry: Entry) -> tuple[str, bytes, str]:
    if is_erased(entry.message):
        remaining = decode_erased(entry.message)
        fields = plain_fields(remaining.lines)
        leaf = leaf_of(remaining.lines, remaining.commitments)
        return fields["x-road-request-id"], leaf, fields["lienthong-time"]
    request = msgspec.json.decode(entry.message, type=Request)
    return request.request_id, request_leaf(request), request.time


def _answered_id(entry: Entry) -> str:
    if is_erased(entry.message):
        return plain_fields(decode_erased(entry.message).lines)["x-road-request-id"]
    return msgspec.json.decode(entry.message, type=Answer).request_id
