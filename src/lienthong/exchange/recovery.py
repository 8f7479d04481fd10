"""After a restart: fill the register of request ids, and the receipts owed, from the ledger.

A request that was received and has no answer in the ledger is in doubt: it may have been
executed. It is never executed again; whoever asks gets a signed "in doubt".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import msgspec

from lienthong.exchange.core import Core
from lienthong.exchange.once import OnceRegister
from lienthong.exchange.receipts import MOST_OWED
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.committer import Committed
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.messages import Answer, answer_leaf, leaf_of, plain_fields
from lienthong.ledger.records import CommittedGroup, Entry, EntryKind, Group, Located
from lienthong.ledger.store import LedgerStore

LONGEST_UNDELIVERED = timedelta(days=1)  # a provider's node that was away for longer has to ask


class _Named(msgspec.Struct):
    """The one member of a message that the register needs: a busy node has a million to read."""

    request_id: str


_decode_name = msgspec.json.Decoder(_Named).decode


def restore_register(core: Core, register: OnceRegister) -> int:
    """Read the groups of the remembered past; returns how many requests are in doubt."""
    since = milliseconds(core.clock.now() - core.remembered)
    received: dict[str, tuple[bytes, datetime]] = {}
    answered: dict[str, Located] = {}
    for group in core.store.groups(since_ms=since):
        for number, entry in enumerate(group.entries):
            if entry.kind is EntryKind.REQUEST_RECEIVED:
                received[_request_id(entry)] = (entry.leaf, group.time)
            elif entry.kind is EntryKind.ANSWER_SENT:
                answered.setdefault(_request_id(entry), Located(group.place, number))
    for request_id, (leaf, time) in received.items():
        register.restore(request_id, leaf, time, answered.get(request_id))
    return len(received.keys() - answered.keys())


def _request_id(entry: Entry) -> str:
    if is_erased(entry.message):
        return plain_fields(decode_erased(entry.message).lines)["x-road-request-id"]
    return _decode_name(entry.message).request_id


def undelivered_receipts(
    store: LedgerStore, now: datetime, after_place: int
) -> tuple[list[tuple[str, Committed, bytes]], int]:
    """Acknowledgements in groups after that place: (provider's node, record, answer's leaf).

    With the place up to which was read.
    """
    since = milliseconds(now - LONGEST_UNDELIVERED)
    owed: list[tuple[str, Committed, bytes]] = []
    tree = _TreeInTurn(store)
    for group in store.groups(after_place=after_place, since_ms=since):
        after_place, path = group.place, tree.path_of(group)
        answers = [
            (number, *_answer(entry))
            for number, entry in enumerate(group.entries)
            if entry.kind is EntryKind.ANSWER_RECEIVED
        ]
        if answers:
            levels = build_levels([entry.leaf for entry in group.entries])
            whole = CommittedGroup(levels, path, group.head)
            owed += [
                (node, Committed(whole, number, group.place), leaf)
                for number, node, leaf in answers
            ]
        if len(owed) >= MOST_OWED:
            break
    return owed, after_place


class _TreeInTurn:
    """The tree as it grows by groups that are read one after the other.

    To look a path up takes a query for each subtree in it. Gateways that share a ledger read back
    every group of it: at 220 calls a second that took a third of a processor.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._epoch = -1
        self._edge = Frontier()

    def path_of(self, group: Group) -> list[bytes]:
        """The path of that group, which is the last leaf of its own head's tree."""
        if (group.epoch, group.position) != (self._epoch, self._edge.size):
            self._epoch = group.epoch
            subtree = partial(self._store.subtree, group.epoch)
            self._edge = Frontier.load(subtree, group.position)
        path, _ = self._edge.append(leaf_hash(group.root))
        return path


def _answer(entry: Entry) -> tuple[str, bytes]:
    """The node that gave an answer, and the answer's leaf."""
    if is_erased(entry.message):
        remaining = decode_erased(entry.message)
        sender = plain_fields(remaining.lines)["lienthong-sender"]
        return sender, leaf_of(remaining.lines, remaining.commitments)
    answer = msgspec.json.decode(entry.message, type=Answer)
    return answer.sender, answer_leaf(answer)
