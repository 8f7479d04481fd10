"""Checking a whole stored ledger: every leaf, every group, every head.

    report = verify_ledger(store, key_for)
    report.groups, report.entries, report.problems

What is checked, with the numbers of docs/protocols/0001-message.md §9:
(1) each entry's leaf is the hash of its own message, or of what was kept of an erased one;
(2) each group's root is the root of its entries' leaves;
(3) each group's subtrees and its head's root and size follow from the groups before it;
(4) each head is signed by the node's key;
(5) positions have no gap, and times do not run backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from lienthong.errors import LienthongError
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
    received_leaf,
    request_leaf,
)
from lienthong.ledger.records import Entry, EntryKind, Group
from lienthong.ledger.store import LedgerStore

MOST_PROBLEMS = 100  # a rewritten ledger has a problem in every group; the first ones tell enough

_decoders: dict[EntryKind, Callable[[bytes], bytes]] = {
    EntryKind.REQUEST_SENT: lambda m: request_leaf(msgspec.json.decode(m, type=Request)),
    EntryKind.REQUEST_RECEIVED: lambda m: received_leaf(
        request_leaf(msgspec.json.decode(m, type=Request))
    ),
    EntryKind.ANSWER_SENT: lambda m: answer_leaf(msgspec.json.decode(m, type=Answer)),
    EntryKind.ANSWER_RECEIVED: lambda m: acknowledged_leaf(
        answer_leaf(msgspec.json.decode(m, type=Answer))
    ),
    EntryKind.EVENT: lambda m: event_leaf(msgspec.json.decode(m, type=EventRecord)),
}


@dataclass(slots=True)
class Report:
    """Outcome of a check: how much was looked at, and every contradiction found."""

    groups: int = 0
    entries: int = 0
    erased: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.problems


def verify_ledger(
    store: LedgerStore,
    key_for: Callable[[Head], PublicKey],
    progress: Callable[[int], None] = lambda groups: None,
) -> Report:
    """Check all epochs. ``key_for`` gives the key that a head names, or raises."""
    report = Report()
    frontier = Frontier()
    previous: Head | None = None
    epoch = -1
    for group in store.groups():
        if group.epoch != epoch:
            epoch, frontier = group.epoch, Frontier()
        for problem in _group_problems(group, frontier, previous, key_for, report):
            report.problems.append(f"epoch {group.epoch} group {group.position}: {problem}")
        previous = _head_or_none(group.head)
        report.groups += 1
        report.entries += len(group.entries)
        progress(report.groups)
        if len(report.problems) >= MOST_PROBLEMS:
            break
    return report


def _group_problems(
    group: Group,
    frontier: Frontier,
    previous: Head | None,
    key_for: Callable[[Head], PublicKey],
    report: Report,
) -> Iterator[str]:
    if group.position != frontier.size:
        yield f"position {frontier.size} is missing"
    for number, entry in enumerate(group.entries):
        problem = _entry_problem(entry, report)
        if problem:
            yield f"entry {number}: {problem}"
    if build_levels([entry.leaf for entry in group.entries])[-1][0] != group.root:
        yield "root does not follow from the entries"
    _, closed = frontier.append(leaf_hash(group.root))
    if tuple(closed) != group.subtrees:
        yield "subtrees do not follow from the groups"
    yield from _head_problems(group, frontier, previous, key_for)


def _entry_problem(entry: Entry, report: Report) -> str:
    try:
        if is_erased(entry.message):
            report.erased += 1
            if erased_leaf(entry.kind, decode_erased(entry.message)) != entry.leaf:
                return "leaf does not follow from what was kept"
        elif _decoders[entry.kind](entry.message) != entry.leaf:
            return "leaf does not follow from the message"
    except (msgspec.MsgspecError, ValueError):
        return "message cannot be read"
    return ""


def _head_problems(
    group: Group, frontier: Frontier, previous: Head | None, key_for: Callable[[Head], PublicKey]
) -> Iterator[str]:
    head = _head_or_none(group.head)
    if head is None:
        yield "head cannot be read"
        return
    if (head.epoch, head.size, head.root) != (group.epoch, frontier.size, frontier.root()):
        yield "head does not follow from the groups"
    if previous is not None and head.time < previous.time:
        yield "time runs backwards"
    try:
        verify_head(group.head, head, key_for(head))
    except LienthongError as error:
        yield f"head: {error}"


def _head_or_none(note: str) -> Head | None:
    try:
        return parse_head(note)
    except LienthongError:
        return None
