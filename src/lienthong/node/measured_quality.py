"""A report of measured quality as the facts of a publication: numbers, never the data's values.

facts_of_report(measure_quality(contract, source))
"""

from __future__ import annotations

from datetime import UTC, datetime

from lienthong.catalogue.models import MOST_RESULTS, Facts, Quality, RuleResult
from lienthong.sources.quality import Outcome, QualityReport
from lienthong.sources.quality.results import CheckResult, found, wanted

_ORDER = (Outcome.FAILED, Outcome.NOT_MEASURED, Outcome.WARNED, Outcome.PASSED, Outcome.LEFT_OUT)
_LONGEST_RULE, _LONGEST_FIELD, _LONGEST_REASON, _MOST_FIELDS = 300, 200, 300, 20


def facts_of_report(report: QualityReport) -> Facts:
    """How many records there are, how many rules they meet, and what each rule came to."""
    rules = len(report.results) - report.count(Outcome.LEFT_OUT)
    passed = report.count(Outcome.PASSED) + report.count(Outcome.WARNED)
    by_gravity = sorted(report.results, key=lambda each: _ORDER.index(each.outcome))
    quality = Quality(
        rules=rules,
        failed=rules - passed,
        checked=datetime.now(UTC).replace(microsecond=0),
        results=tuple(map(_result, by_gravity[:MOST_RESULTS])),
    )
    return Facts(records=report.rows, quality=quality)


def _result(result: CheckResult) -> RuleResult:
    check = result.check
    return RuleResult(
        rule=check.name[:_LONGEST_RULE] or check.measure.value,
        outcome=result.outcome.value,
        fields=tuple(each[:_LONGEST_FIELD] for each in check.fields[:_MOST_FIELDS]),
        expected="" if result.reason_vi else wanted(check)[:100],
        found=found(result)[:60],
        samples=len(result.samples),
        reason_vi=result.reason_vi[:_LONGEST_REASON],
        reason_en=result.reason_en[:_LONGEST_REASON],
    )
