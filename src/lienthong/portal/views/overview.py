"""The console's first page: what waits, the last day in two charts with their tables."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from lienthong.errors import LienthongError
from lienthong.node.vietnam_time import VIETNAM
from lienthong.portal.charts import by_name, over_time
from lienthong.portal.desk import Exchange
from lienthong.portal.visit import Visit

HOURS = 24
MOST_REASONS = 10
REFUSED = frozenset({"refused", "failed", "in-doubt"})


def show(visit: Visit) -> Response:
    """What waits for somebody, and how the last day went; a node that is away is told."""
    desk = visit.site.desk
    if not desk.linked:
        return visit.page("console.html", node=None, trouble="")
    try:
        node = desk.status()
        exchanges = _own_exchanges(visit)
        waiting = [
            each
            for each in desk.agreements()
            if each["status"] == "proposed" and visit.concerns(each["consumer"], each["service"])
        ]
    except LienthongError as error:
        told = f"{error.message(visit.language)} {error.remedy(visit.language)}"
        return visit.page("console.html", node=None, trouble=told)
    hours = messages_per_hour(exchanges)
    reasons = [
        (reason_text(visit, reason), count) for reason, count in refusals_by_reason(exchanges)
    ]
    return visit.page(
        "console.html",
        node=node,
        trouble="",
        waiting=waiting,
        hours=hours,
        reasons=reasons,
        hours_chart=over_time(hours, visit.text("console.messages_axis")),
        reasons_chart=by_name(reasons, visit.text("console.refusals_axis")) if reasons else "",
    )


def reason_text(visit: Visit, code: str) -> str:
    """A refusal's reason in a few words; its code, where we have none."""
    return visit.text_or("refusal." + code.replace(".", "_"), code)


def messages_per_hour(
    exchanges: list[Exchange], now: datetime | None = None
) -> list[tuple[str, int]]:
    """(hour of Vietnam, exchanges) for the last 24 hours, those without any as well."""
    last = (now or datetime.now(UTC)).astimezone(VIETNAM).replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    counts = Counter(
        datetime.fromisoformat(each.time)
        .astimezone(VIETNAM)
        .replace(minute=0, second=0, microsecond=0)
        for each in exchanges
    )
    return [(f"{hour:%H}h", counts[hour]) for hour in hours]


def refusals_by_reason(exchanges: list[Exchange]) -> list[tuple[str, int]]:
    """(code of the reason, exchanges), the commonest first."""
    counts = Counter(each.reason or each.outcome for each in exchanges if each.outcome in REFUSED)
    return counts.most_common(MOST_REASONS)


def _own_exchanges(visit: Visit) -> list[Exchange]:
    return [
        each for each in visit.site.desk.last_day() if visit.concerns(each.client, each.service)
    ]
