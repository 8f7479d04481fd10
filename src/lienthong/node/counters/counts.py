"""Counting one hour of a ledger.

    counting = Counting("2026-11-23T10")
    for group in store.groups(since_ms=…):
        counting.add(group)
    counting.flows()

A message belongs to the hour of the time that its sender signed, which is the same at both
nodes; requests by the request's time, answers by the answer's. Nothing is counted but what the
plain lines of a message say of its parties, its size and its outcome: no user, no subject, no
dossier, no path. Specification: docs/protocols/0005-counters.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from lienthong.errors import LienthongError
from lienthong.identity.citizen import mask_text
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.messages import plain_fields
from lienthong.ledger.records import Entry, EntryKind, Group

SIZE_BOUNDS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)  # bytes
MOST_FLOWS = 20_000  # in one document; the rest is counted under no service
MOST_COUNTED = 100_000  # pairs in memory, whatever names clients make up
UNKNOWN = ""  # the service of requests for one that nobody offers: a name may hold anything
_NO_SUCH_SERVICE = ("UnknownService", "unknown_service")
_CONSUMING = (EntryKind.REQUEST_SENT, EntryKind.ANSWER_RECEIVED)
_REQUESTS = (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED)

Count = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(max_length=1024)]
Counts = Annotated[dict[Name, Count], msgspec.Meta(max_length=1000)]


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of bodies: their sum, and how many were not larger than each of SIZE_BOUNDS.

    The last of ``counts`` are the larger ones; ``unknown`` those whose size was not kept.
    """

    bytes: Count = 0
    counts: Annotated[tuple[Count, ...], msgspec.Meta(min_length=7, max_length=7)] = (0,) * 7
    unknown: Count = 0


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What went between one client and one service, as one of the two nodes has it.

    ``side`` is the side of the node that counts, ``other`` the node at the other end.
    ``outcomes`` counts answers by outcome, ``reasons`` those that were not ``answered``.
    """

    side: Name
    client: Name
    service: Name
    other: Name
    requests: Count
    request_sizes: Sizes
    outcomes: Counts
    reasons: Counts
    answer_sizes: Sizes

    @property
    def answers(self) -> int:
        return sum(self.outcomes.values())


class _Request(msgspec.Struct):
    client: str
    service: str
    sender: str
    receiver: str
    time: str
    body_bytes: int = -1


class _Answer(_Request):
    outcome: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Sizes:
    bytes: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * (len(SIZE_BOUNDS) + 1))
    unknown: int = 0

    def add(self, size_bytes: int) -> None:
        if size_bytes < 0:
            self.unknown += 1
            return
        self.bytes += size_bytes
        self.counts[bisect_left(SIZE_BOUNDS, size_bytes)] += 1

    def merge(self, other: _Sizes) -> None:
        self.bytes += other.bytes
        self.unknown += other.unknown
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]

    def frozen(self) -> Sizes:
        return Sizes(self.bytes, tuple(self.counts), self.unknown)


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    request_sizes: _Sizes = field(default_factory=_Sizes)
    outcomes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    answer_sizes: _Sizes = field(default_factory=_Sizes)

    def merge(self, other: _Sum) -> None:
        self.requests += other.requests
        self.request_sizes.merge(other.request_sizes)
        self.answer_sizes.merge(other.answer_sizes)
        for mine, theirs in ((self.outcomes, other.outcomes), (self.reasons, other.reasons)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count


_Key = tuple[str, str, str, str]  # side, client, service, other node
_decode_request = msgspec.json.Decoder(_Request).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class Counting:
    """Adds up one hour, group by group."""

    def __init__(self, hour: str) -> None:
        self._hour = hour
        self._sums: dict[_Key, _Sum] = {}
        self._offered: set[str] = set()

    def add(self, group: Group) -> None:
        """Count a group's entries of this hour. One that cannot be read is left out:
        ``ledger verify`` says what is wrong with it."""
        for entry in group.entries:
            if entry.kind is not EntryKind.EVENT:
                try:
                    self._add(entry)
                except (msgspec.MsgspecError, LienthongError, KeyError):
                    continue

    def flows(self) -> tuple[Flow, ...]:
        """The sums, in a fixed order."""
        merged: dict[_Key, _Sum] = {}
        for (side, client, service, other), each in self._sums.items():
            key = (side, client, self._name(service), other)
            if key not in merged and len(merged) >= MOST_FLOWS:
                key = (side, client, UNKNOWN, other)
            merged.setdefault(key, _Sum()).merge(each)
        return tuple(
            Flow(
                *key,
                requests=each.requests,
                request_sizes=each.request_sizes.frozen(),
                outcomes=each.outcomes,
                reasons=each.reasons,
                answer_sizes=each.answer_sizes.frozen(),
            )
            for key, each in sorted(merged.items())
        )

    def _name(self, service: str) -> str:
        return mask_text(service) if service in self._offered else UNKNOWN

    def _add(self, entry: Entry) -> None:
        is_request = entry.kind in _REQUESTS
        message = _read(entry, is_request)
        if isinstance(message, _Answer) and not message.reason.endswith(_NO_SUCH_SERVICE):
            self._offered.add(message.service)  # of the next hour too: a call at the full hour
        if not message.time.startswith(self._hour):
            return
        # The one node that is not ours is the sender of what came, the receiver of what went.
        came = entry.kind in (EntryKind.REQUEST_RECEIVED, EntryKind.ANSWER_RECEIVED)
        other = message.sender if came else message.receiver
        side = "consumer" if entry.kind in _CONSUMING else "provider"
        key = (side, message.client, message.service, other)
        if key not in self._sums and len(self._sums) >= MOST_COUNTED:
            key = (side, message.client, UNKNOWN, other)
        total = self._sums.setdefault(key, _Sum())
        if not isinstance(message, _Answer):
            total.requests += 1
            total.request_sizes.add(message.body_bytes)
            return
        total.outcomes[message.outcome] = total.outcomes.get(message.outcome, 0) + 1
        total.answer_sizes.add(message.body_bytes)
        if message.outcome != "answered":
            total.reasons[message.reason] = total.reasons.get(message.reason, 0) + 1


def _read(entry: Entry, is_request: bool) -> _Request:
    """What is counted of an entry. Raises MsgspecError, MessageMalformed, KeyError."""
    if not is_erased(entry.message):
        return _decode_request(entry.message) if is_request else _decode_answer(entry.message)
    lines = plain_fields(decode_erased(entry.message).lines)
    client, service, sender, receiver, time = (lines[name] for name in _LINES)
    if is_request:
        return _Request(client, service, sender, receiver, time)
    outcome, reason = lines["lienthong-outcome"], lines["lienthong-reason"]
    return _Answer(client, service, sender, receiver, time, outcome=outcome, reason=reason)


_LINES = (
    "x-road-client",
    "x-road-service",
    "lienthong-sender",
    "lienthong-receiver",
    "lienthong-time",
)


def hour_of(moment: datetime) -> str:
    """The hour of a moment, in UTC: ``2026-11-23T10``."""
    return moment.astimezone(UTC).isoformat()[:13]


def start_of(hour: str) -> datetime:
    """When an hour begins. Raises ValueError for what ``hour_of`` does not write."""
    moment = datetime.fromisoformat(f"{hour}:00:00+00:00")
    if hour_of(moment) != hour:
        raise ValueError(hour)
    return moment


def hours_between(first: str, last: str) -> tuple[str, ...]:
    """All hours from ``first`` to ``last``, both included."""
    start, end = start_of(first), start_of(last)
    number = int((end - start) / timedelta(hours=1)) + 1
    return tuple(hour_of(start + timedelta(hours=i)) for i in range(max(number, 0)))


def total_of(counts: Mapping[str, int]) -> int:
    return sum(counts.values())
