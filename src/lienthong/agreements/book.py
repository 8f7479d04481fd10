"""The book of agreements in memory: the question that every request must pass.

    decision = book.decide(Question(consumer, service, "POST", "/records:lookup", ...))
    if not decision.allowed:
        raise decision.error

Denied unless one agreement allows all of it: consumer, service, time, endpoint, purpose, at
least one field, rate and quota. Of several agreements the first that allows is used and
charged; when none does, the reason given is that of the one which came furthest. A decision
takes a few microseconds and touches no store (``benchmarks/agreements.py``).

One event loop uses a book; it is not made for several threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from lienthong.agreements.limits import Allowance, DayCount, TokenBucket, vietnam_day
from lienthong.agreements.models import Agreement, Kind, Status
from lienthong.agreements.patterns import ANY_METHOD, Endpoint, compile_pattern
from lienthong.errors import (
    AgreementError,
    AgreementExpired,
    AgreementNotAccepted,
    AgreementNotYetValid,
    AgreementRefused,
    AgreementWithdrawn,
    EndpointNotAgreed,
    FieldsNotAgreed,
    NoAgreement,
    PurposeNotAgreed,
    QuotaExceeded,
    RateExceeded,
    ReservationWanted,
    ServiceKindNotAgreed,
)

ALLOWED = "agreements.allowed"
_NOTHING: frozenset[str] = frozenset()
_INACTIVE: dict[Status, type[AgreementError]] = {
    Status.PROPOSED: AgreementNotAccepted,
    Status.REFUSED: AgreementRefused,
    Status.WITHDRAWN: AgreementWithdrawn,
}
# How far a request came before it was refused; the furthest reason helps the caller most.
_PROGRESS: dict[type[AgreementError], int] = {
    error: progress
    for progress, error in enumerate(
        (
            NoAgreement,
            AgreementRefused,
            AgreementWithdrawn,
            AgreementNotAccepted,
            AgreementExpired,
            AgreementNotYetValid,
            ServiceKindNotAgreed,
            EndpointNotAgreed,
            PurposeNotAgreed,
            FieldsNotAgreed,
            QuotaExceeded,
            RateExceeded,
            ReservationWanted,
        )
    )
}


class Question(msgspec.Struct, frozen=True, gc=False):
    """May ``consumer`` ask this of ``service``? Identifiers as text with slashes.

    ``path`` comes from ``normalise_path``. ``purpose`` is None when the caller named none;
    ``fields`` is None for a relay. ``count`` is the number of keys asked about, which the
    daily quota counts, so that a batch of 1,000 is not one look-up.
    """

    consumer: str
    service: str
    method: str
    path: str
    purpose: str | None
    fields: frozenset[str] | None
    now: datetime
    count: int = 1


class Decision(msgspec.Struct, frozen=True):
    """The answer, with a stable reason code for the ledger and an error for the caller."""

    allowed: bool
    reason: str
    agreement_id: str | None
    purpose: str | None
    granted: frozenset[str]
    error: AgreementError | None


class Usage(NamedTuple):
    """What an agreement's daily quota was used for, in the form that is kept on disk."""

    agreement_id: str
    day: int
    used: int


class AgreementBook:
    """All agreements that concern this node, ready to decide.

    ``shared``: other gateways of the node let requests pass under the same agreements. Then
    rates and quotas are charged to what was reserved, and a decision may say that it wants a
    reservation first (ReservationWanted).
    """

    def __init__(self, agreements: Iterable[Agreement] = (), *, shared: bool = False) -> None:
        self.shared = shared
        self.allowances: dict[str, Allowance] = {}
        self._entries: dict[tuple[str, str], tuple[_Entry, ...]] = {}
        self._by_id: dict[str, _Entry] = {}
        self._counts: dict[str, DayCount] = {}
        self.reload(agreements)

    def reload(self, agreements: Iterable[Agreement]) -> None:
        """Replace everything by ``agreements``; what they have used so far is kept."""
        self._entries, previous, self._by_id = {}, self._by_id, {}
        for agreement in sorted(agreements, key=lambda each: each.id):
            self._put(agreement, previous.get(agreement.id))
        self._counts = {id_: self._counts[id_] for id_ in self._by_id if id_ in self._counts}

    def put(self, agreement: Agreement) -> None:
        """Add one agreement, or replace its former state; takes effect at once."""
        self._put(agreement, self._by_id.get(agreement.id))

    def decide(self, question: Question) -> Decision:
        """Answer ``question``, and charge the agreement when the answer is yes."""
        entries = self._entries.get((question.consumer, question.service))
        if entries is None:
            return _denied(
                question, None, NoAgreement(consumer=question.consumer, service=question.service)
            )
        best: tuple[_Entry, AgreementError] | None = None
        for entry in entries:
            answer = entry.judge(question)
            if isinstance(answer, Decision):
                return answer
            if best is None or _PROGRESS[type(answer)] > _PROGRESS[type(best[1])]:
                best = (entry, answer)
        assert best is not None  # an entry list is never empty
        return _denied(question, best[0].id, best[1])

    def agreements(self) -> list[Agreement]:
        """Return all agreements in the book."""
        return [entry.agreement for entry in self._by_id.values()]

    def get(self, agreement_id: str) -> Agreement | None:
        """Return one agreement."""
        entry = self._by_id.get(agreement_id)
        return None if entry is None else entry.agreement

    def endpoints(self, consumer: str, service: str, now: datetime) -> tuple[Endpoint, ...]:
        """Return what ``consumer`` may call of ``service``, for X-Road's allowedMethods."""
        found: dict[Endpoint, None] = {}
        for entry in self._entries.get((consumer, service), ()):
            if entry.in_force(now):
                found.update(dict.fromkeys(entry.agreement.document.endpoints))
        return tuple(found)

    def usage(self) -> list[Usage]:
        """Return the counts that changed since the last call, to be kept on disk."""
        changed = [(id_, count) for id_, count in self._counts.items() if count.changed]
        for _, count in changed:
            count.changed = False
        return [Usage(id_, count.day, count.used) for id_, count in changed]

    def restore_usage(self, usages: Iterable[Usage]) -> None:
        """Go on counting from what was kept on disk; a count never becomes smaller."""
        for usage in usages:
            count = self._counts.get(usage.agreement_id)
            if count is not None and (usage.day, usage.used) > (count.day, count.used):
                count.day, count.used = usage.day, usage.used

    def _put(self, agreement: Agreement, previous: _Entry | None) -> None:
        document = agreement.document
        count = self._counts.setdefault(agreement.id, DayCount())
        entry = _Entry(agreement, count, previous.bucket if previous else None)
        if self.shared:
            entry.allowance = self.allowances.setdefault(agreement.id, Allowance())
        self._by_id[agreement.id] = entry
        pair = (document.consumer, document.service)
        others = (each for each in self._entries.get(pair, ()) if each.id != agreement.id)
        self._entries[pair] = tuple(sorted((*others, entry), key=lambda each: each.id))


class _Entry:
    """One agreement, laid out for ``judge``."""

    __slots__ = (
        "agreement",
        "allowance",
        "bucket",
        "count",
        "fields",
        "id",
        "inactive",
        "literals",
        "patterns",
        "purpose",
        "purposes",
        "quota",
        "since",
        "until",
    )

    def __init__(self, agreement: Agreement, count: DayCount, bucket: TokenBucket | None) -> None:
        document = agreement.document
        self.agreement = agreement
        self.id = agreement.id
        self.since, self.until = document.valid_from, document.valid_until
        self.inactive = _INACTIVE.get(agreement.status(document.valid_from))
        self.literals, self.patterns = _routes(document.endpoints)
        self.fields = _shared(document.fields) if document.kind is Kind.CONTRACT else None
        self.purpose = document.purposes[0]
        self.purposes = _shared(document.purposes)
        self.quota = document.daily_quota
        self.count = count
        if bucket is None and document.rate is not None:
            bucket = TokenBucket(document.rate)
        self.bucket = bucket
        self.allowance: Allowance | None = None

    def in_force(self, now: datetime) -> bool:
        return self.inactive is None and self.since <= now < self.until

    def judge(self, question: Question) -> Decision | AgreementError:
        """Check in the order of ``_PROGRESS``; nothing is charged before all has passed."""
        if not self.in_force(question.now):
            return self._not_in_force(question)
        if (self.fields is None) is not (question.fields is None):
            return ServiceKindNotAgreed(agreement=self.id, service=question.service)
        if not self._covers(question.method, question.path):
            return EndpointNotAgreed(agreement=self.id, method=question.method)
        purpose = self.purpose if question.purpose is None else question.purpose
        if purpose not in self.purposes:
            return PurposeNotAgreed(agreement=self.id, purpose=purpose)
        granted = _NOTHING
        if self.fields is not None and question.fields is not None:
            granted = question.fields & self.fields
            if not granted:
                asked = ", ".join(sorted(question.fields))
                return FieldsNotAgreed(agreement=self.id, fields=asked)
        exceeded = self._charge(question)
        if exceeded is not None:
            return exceeded
        return Decision(True, ALLOWED, self.id, purpose, granted, None)

    def _covers(self, method: str, path: str) -> bool:
        if (method, path) in self.literals or (ANY_METHOD, path) in self.literals:
            return True
        for wanted, fullmatch in self.patterns:
            if wanted in (method, ANY_METHOD) and fullmatch(path) is not None:
                return True
        return False

    def _charge(self, question: Question) -> AgreementError | None:
        if self.quota is None and self.bucket is None:
            return None
        timestamp = question.now.timestamp()
        if self.allowance is not None:
            return self._charge_shared(self.allowance, question.count, timestamp)
        if self.quota is not None and not self.count.fits(
            vietnam_day(timestamp), question.count, self.quota
        ):
            return QuotaExceeded(agreement=self.id, quota=self.quota)
        if self.bucket is not None:
            if not self.bucket.ready(timestamp):
                rate = self.agreement.document.rate
                return RateExceeded(agreement=self.id, rate=rate.per_second if rate else 0)
            self.bucket.take()
        if self.quota is not None:
            self.count.add(question.count)
        return None

    def _charge_shared(
        self, allowance: Allowance, count: int, timestamp: float
    ) -> AgreementError | None:
        limited, day = self.bucket is not None, vietnam_day(timestamp)
        token = not limited or allowance.has_token(timestamp)
        quota = self.quota is None or allowance.has_quota(day, count)
        if token and quota:
            allowance.take(token=limited, count=0 if self.quota is None else count)
            return None
        if not quota and not allowance.may_ask_for_quota(day, count):
            return QuotaExceeded(agreement=self.id, quota=self.quota)
        if not token and not allowance.may_ask_for_token(timestamp):
            rate = self.agreement.document.rate
            return RateExceeded(agreement=self.id, rate=rate.per_second if rate else 0)
        return ReservationWanted(agreement=self.id, count=count)

    def _not_in_force(self, question: Question) -> AgreementError:
        if self.inactive is not None:
            return self.inactive(agreement=self.id)
        if question.now < self.since:
            return AgreementNotYetValid(agreement=self.id, since=self.since.isoformat())
        return AgreementExpired(agreement=self.id, until=self.until.isoformat())


class _Routes(NamedTuple):
    """The endpoints of an agreement: single paths, and what is left to match."""

    literals: frozenset[tuple[str, str]]
    patterns: tuple[tuple[str, Callable[[str], re.Match[str] | None]], ...]


# Thousands of agreements are worded alike; what they share stays in the processor's cache.


@lru_cache(maxsize=4096)
def _routes(endpoints: tuple[Endpoint, ...]) -> _Routes:
    return _Routes(
        frozenset((each.method, each.pattern) for each in endpoints if each.literal),
        tuple(
            (each.method, compile_pattern(each.pattern).fullmatch)
            for each in endpoints
            if not each.literal
        ),
    )


@lru_cache(maxsize=4096)
def _shared(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(texts)


def _denied(question: Question, agreement_id: str | None, error: AgreementError) -> Decision:
    return Decision(False, error.code, agreement_id, question.purpose, _NOTHING, error)
