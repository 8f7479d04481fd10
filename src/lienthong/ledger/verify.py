"""Checking a whole stored ledger: every leaf, every group, every head, every kept body.

    report = verify_ledger(store, key_for)
    report.groups, report.entries, report.problems

What is checked, with the numbers of docs/protocols/0001-message.md §9:
(1) each entry's leaf is the hash of its own message, or of what was kept of an erased one;
(2) each group's root is the root of its entries' leaves;
(3) each group's subtrees and its head's root and size follow from the groups before it;
(4) each head is signed by the node's key;
(5) positions have no gap, times are the heads' and do not run backwards;
(6) each body that is kept is the one whose digest was signed;
(7) the proof kept with a received message leads to a head that its sender signed.

What a node cannot see alone is that its newest groups are missing: the nodes that it talked
to hold its later heads (§10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from lienthong.errors import (
    DirectoryError,
    HeadMalformed,
    LedgerCorrupt,
    LienthongError,
    ProofInvalid,
    SignatureInvalid,
)
from lienthong.identity.keys import PublicKey
from lienthong.ledger.erasure import decode_erased, erased_leaf, is_erased
from lienthong.ledger.heads import Head, parse_head, verify_head
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.messages import (
    Answer,
    EventRecord,
    Request,
    acknowledged_leaf,
    answer_leaf,
    event_leaf,
    leaf_of,
    plain_fields,
    received_leaf,
    request_leaf,
)
from lienthong.ledger.proofs import ProofChecker, decode_proof
from lienthong.ledger.records import POSITIONS_PER_EPOCH, Entry, EntryKind, Group
from lienthong.ledger.rows import read_group
from lienthong.ledger.store import LedgerStore

MOST_PROBLEMS = 100  # a rewritten ledger has a problem in every group; the first ones tell enough

KeyFor = Callable[[Head], PublicKey]


@dataclass(slots=True)
class Report:
    """Outcome of a check: how much was looked at, and every contradiction found.

    ``unproven`` counts proofs of other nodes whose keys the directory no longer accepts.
    """

    groups: int = 0
    entries: int = 0
    erased: int = 0
    unproven: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.problems


def verify_ledger(
    store: LedgerStore,
    key_for: KeyFor,
    progress: Callable[[int], None] = lambda groups: None,
) -> Report:
    """Check all epochs. ``key_for`` gives the key that a head names, or raises."""
    check = _Check(key_for)
    for row, kept in store.rows(with_bodies=True):
        check.take(row, kept)
        progress(check.report.groups)
        if len(check.report.problems) >= MOST_PROBLEMS:
            break
    return check.report


class _KeyBook:
    """``key_for`` as the checker of proofs asks for keys."""

    def __init__(self, key_for: KeyFor) -> None:
        self._key_for = key_for

    def signing_key(self, node_id: str, key_id: str, at: datetime) -> PublicKey:
        return self._key_for(Head(node_id, 0, 1, b"", at, 0, key_id))


class _Check:
    """One walk over the stored groups, in order."""

    def __init__(self, key_for: KeyFor) -> None:
        self.report = Report()
        self._key_for = key_for
        self._keys = _KeyBook(key_for)
        self._checker = ProofChecker()
        self._frontier = Frontier()
        self._previous: Head | None = None
        self._epoch = -1

    def take(self, row: Any, kept: bytes | None) -> None:
        place = row.place if isinstance(row.place, int) else 0
        epoch, position = divmod(place, POSITIONS_PER_EPOCH)
        if epoch != self._epoch:
            self._epoch, self._frontier = epoch, Frontier()
        try:
            group = read_group(row, kept)
        except LedgerCorrupt:
            self._note(epoch, position, "the row cannot be read")
            if isinstance(row.root, bytes):
                self._frontier.append(leaf_hash(row.root))
        else:
            for problem in self._problems(group):
                self._note(epoch, position, problem)
            self._previous = _head_or_none(group.head) or self._previous
            self.report.entries += len(group.entries)
        self.report.groups += 1

    def _note(self, epoch: int, position: int, problem: str) -> None:
        self.report.problems.append(f"epoch {epoch} group {position}: {problem}")

    def _problems(self, group: Group) -> Iterator[str]:
        if group.position != self._frontier.size:
            yield f"position {self._frontier.size} is missing"
        for number, entry in enumerate(group.entries):
            for problem in self._entry_problems(entry, group.bodies.get(number)):
                yield f"entry {number}: {problem}"
        if build_levels([entry.leaf for entry in group.entries])[-1] != [group.root]:
            yield "root does not follow from the entries"
        if group.bodies.keys() - range(len(group.entries)):
            yield "a body without an entry"
        _, closed = self._frontier.append(leaf_hash(group.root))
        if tuple(closed) != group.subtrees:
            yield "subtrees do not follow from the groups"
        yield from self._head_problems(group)

    def _entry_problems(self, entry: Entry, body: bytes | None) -> Iterator[str]:
        try:
            said = _said(entry)
        except (msgspec.MsgspecError, LienthongError, ValueError):
            yield "message cannot be read"
            return
        self.report.erased += said.erased
        if said.leaf != entry.leaf:
            yield "leaf does not follow from the message"
        if body is not None and sha256(body).digest() != said.body:
            yield "body is not the one that was signed"
        if entry.kind in _RECEIVED or entry.proof:
            yield from self._proof_problems(entry, said)

    def _proof_problems(self, entry: Entry, said: _Said) -> Iterator[str]:
        try:
            self._checker.check(decode_proof(entry.proof), said.inner, said.sender, self._keys)
        except (ProofInvalid, HeadMalformed, SignatureInvalid) as error:
            yield f"proof of the sender: {error}"
        except DirectoryError:
            self.report.unproven += 1
        except (msgspec.MsgspecError, ValueError):
            yield "proof of the sender cannot be read"

    def _head_problems(self, group: Group) -> Iterator[str]:
        head = _head_or_none(group.head)
        if head is None:
            yield "head cannot be read"
            return
        if (head.epoch, head.size) != (group.epoch, self._frontier.size):
            yield "head is of another place"
        if head.root != self._frontier.root():
            yield "head does not follow from the groups"
        if head.time != group.time:
            yield "time is not the head's"
        if self._previous is not None and head.time < self._previous.time:
            yield "time runs backwards"
        try:
            verify_head(group.head, head, self._key_for(head))
        except LienthongError as error:
            yield f"head: {error}"


@dataclass(frozen=True, slots=True)
class _Said:
    """What an entry's message says: its leaf in this ledger and in its sender's."""

    leaf: bytes | None
    inner: bytes
    sender: str
    body: bytes | None
    erased: bool = False


_RECEIVED = {
    EntryKind.REQUEST_RECEIVED: received_leaf,
    EntryKind.ANSWER_RECEIVED: acknowledged_leaf,
}
_REQUESTS = (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED)


def _said(entry: Entry) -> _Said:
    if is_erased(entry.message):
        return _said_by_erased(entry)
    if entry.kind is EntryKind.EVENT:
        event = msgspec.json.decode(entry.message, type=EventRecord)
        return _Said(event_leaf(event), b"", "", None)
    message: Request | Answer
    if entry.kind in _REQUESTS:
        message = msgspec.json.decode(entry.message, type=Request)
        inner = request_leaf(message)
    else:
        message = msgspec.json.decode(entry.message, type=Answer)
        inner = answer_leaf(message)
    wrap = _RECEIVED.get(entry.kind)
    return _Said(wrap(inner) if wrap else inner, inner, message.sender, message.body)


def _said_by_erased(entry: Entry) -> _Said:
    remaining = decode_erased(entry.message)
    inner = leaf_of(remaining.lines, remaining.commitments)
    leaf = erased_leaf(entry.kind, remaining)
    sender = plain_fields(remaining.lines)["lienthong-sender"]
    return _Said(leaf, inner, sender, None, erased=True)


def _head_or_none(note: str) -> Head | None:
    try:
        return parse_head(note)
    except (LienthongError, TypeError):
        return None
