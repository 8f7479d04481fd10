"""What came of testing a source against its contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lienthong.contracts.classification import Classification
from lienthong.contracts.details import Operator
from lienthong.sources.quality.checks import Check, Measure

SECONDS_OF_HOUR = 3600
_KEPT_IN_FRONT, _KEPT_AT_END, _SHORTEST_SHOWN = 3, 2, 9  # as identity/citizen.py masks


class Outcome(StrEnum):
    """Passed, failed, only warned about, could not be measured, or not for a program."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    NOT_MEASURED = "not-measured"
    LEFT_OUT = "left-out"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: the number measured, what it had to be, and keys of rows that break it."""

    check: Check
    outcome: Outcome
    measured: float | None = None
    reason_vi: str = ""
    reason_en: str = ""
    samples: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "name": self.check.name,
            "measure": self.check.measure.value,
            "fields": list(self.check.fields),
            "outcome": self.outcome.value,
            "measured": self.measured,
            "must": wanted(self.check),
            "severity": self.check.severity,
            "reason_vi": self.reason_vi,
            "reason_en": self.reason_en,
            "samples": list(self.samples),
        }


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All checks of one contract on one source; ``rows`` are those of the served object."""

    contract: str
    version: str
    rows: int | None
    seconds: float
    queries: int
    results: tuple[CheckResult, ...]
    objects: Mapping[str, int | None] = field(default_factory=dict)  # rows of each

    def count(self, outcome: Outcome) -> int:
        """How many checks came out so."""
        return sum(result.outcome is outcome for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "contract": self.contract,
            "version": self.version,
            "rows": self.rows,
            "objects": dict(self.objects),
            "seconds": round(self.seconds, 3),
            "queries": self.queries,
            "counts": {outcome.value: self.count(outcome) for outcome in Outcome},
            "results": [result.as_json() for result in self.results],
        }


_SIGNS = {
    Operator.MUST_BE: "= {}",
    Operator.MUST_NOT_BE: "≠ {}",
    Operator.GREATER: "> {}",
    Operator.GREATER_OR_EQUAL: "≥ {}",
    Operator.LESS: "< {}",
    Operator.LESS_OR_EQUAL: "≤ {}",
    Operator.BETWEEN: "{}–{}",
    Operator.NOT_BETWEEN: "≠ {}–{}",
}


def found(result: CheckResult) -> str:
    """The number that was measured, for people; an age in hours."""
    value = result.measured
    if value is None:
        return ""
    if result.check.measure is Measure.AGE:
        return f"{value / SECONDS_OF_HOUR:.1f} h"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def wanted(check: Check) -> str:
    """What the number must be, for people: ``≤ 5 %``, of an age ``≤ 24 h``."""
    if check.measure is Measure.AGE and not check.obstacle:
        return f"≤ {float(check.bound) / SECONDS_OF_HOUR:g} h"
    ends = check.bound if isinstance(check.bound, tuple) else (check.bound,)
    text = _SIGNS[check.operator].format(*(*ends, *("?",) * 2)[:2])
    return text + (" %" if check.percent else "")


def holds(operator: Operator, measured: Any, bound: Any) -> bool:
    """Whether a number is what a rule wants. Raises TypeError where they cannot be compared."""
    if operator is Operator.MUST_BE:
        return bool(measured == bound)
    if operator is Operator.MUST_NOT_BE:
        return bool(measured != bound)
    if operator in (Operator.BETWEEN, Operator.NOT_BETWEEN):
        low, high = bound
        return bool(low <= measured <= high) == (operator is Operator.BETWEEN)
    if operator is Operator.GREATER:
        return bool(measured > bound)
    if operator is Operator.GREATER_OR_EQUAL:
        return bool(measured >= bound)
    return bool(measured < bound) if operator is Operator.LESS else bool(measured <= bound)


def shown_key(value: Any, classification: Classification) -> str:
    """A key as a report may show it: one that names a person is masked."""
    text = "NULL" if value is None else str(value)[:100]
    if not classification.names_a_person or value is None:
        return text
    if len(text) < _SHORTEST_SHOWN:
        return "*" * len(text)
    hidden = len(text) - _KEPT_IN_FRONT - _KEPT_AT_END
    return text[:_KEPT_IN_FRONT] + "*" * hidden + text[-_KEPT_AT_END:]
