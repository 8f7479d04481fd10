"""After a restart: fill the register of request ids, and the receipts owed, from the ledger.

A request that was received and has no answer in the ledger is in doubt: it may have been
executed. It is never executed again; whoever asks gets a signed "in doubt".
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from lienthong.exchange.core import Core
from lienthong.exchange.once import OnceRegister
from lienthong.exchange.receipts import MOST_OWED
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.committer import Committed
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.heads import parse_time
from lienthong.ledger.messages import (
    Answer,
    Request,
    answer_leaf,
    leaf_of,
    plain_fields,
    request_leaf,
)
from lienthong.ledger.records import CommittedGroup, Entry, EntryKind, Group, Located

LONGEST_UNDELIVERED = timedelta(days=1)  # a provider's node that was away for longer has to ask


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


def undelivered_receipts(core: Core, after_place: int) -> list[tuple[str, Committed, bytes]]:
    """Acknowledgements in groups after that place: (provider's node, record, answer's leaf)."""
    since = milliseconds(core.clock.now() - LONGEST_UNDELIVERED)
    owed: list[tuple[str, Committed, bytes]] = []
    for group in core.store.groups(after_place=after_place, since_ms=since):
        answers = [
            (number, *_answer(entry))
            for number, entry in enumerate(group.entries)
            if entry.kind is EntryKind.ANSWER_RECEIVED
        ]
        if answers:
            whole = CommittedGroup.stored(group, core.store.subtree)
            owed += [
                (node, Committed(whole, number, group.place), leaf)
                for number, node, leaf in answers
            ]
        if len(owed) >= MOST_OWED:
            break
    return owed


def _answer(entry: Entry) -> tuple[str, bytes]:
    """The node that gave an answer, and the answer's leaf."""
    if is_erased(entry.message):
        remaining = decode_erased(entry.message)
        sender = plain_fields(remaining.lines)["lienthong-sender"]
        return sender, leaf_of(remaining.lines, remaining.commitments)
    answer = msgspec.json.decode(entry.message, type=Answer)
    return answer.sender, answer_leaf(answer)


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
