"""Messages: found in the node's ledger, with their path through both nodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from starlette.responses import Response

from lienthong.errors import LienthongError, PageForbidden, RecordNotFound
from lienthong.portal.desk import Exchange
from lienthong.portal.forms import Form
from lienthong.portal.visit import Visit

RECORDS = 400
STEPS = (
    "ledger.request_sent",
    "ledger.request_received",
    "ledger.answer_sent",
    "ledger.answer_received",
)


def search(visit: Visit) -> Response:
    """By id, party and time; what names a person is asked for by ``search_citizen``."""
    form = Form({name: [visit.query(name)] for name in ("message", "party", "from", "until")})
    visit.form = form
    conditions: dict[str, str] = {
        "message": form.optional("message", 1024),
        "party": form.optional("party", 1024),
    }
    for field, condition in (("from", "since"), ("until", "until")):
        found = form.day(field) if form.value(field) else None
        if found is not None:
            conditions[condition] = found.astimezone(UTC).isoformat()
    before = visit.query("before")
    if before:
        conditions["until"] = before
    exchanges = _found(visit, conditions) if form.good else []
    return visit.page("messages.html", exchanges=exchanges, more=_oldest(exchanges), person=False)


def search_citizen(visit: Visit) -> Response:
    """By a citizen's or a dossier's number: in the body, so that no log or history has it."""
    form = visit.form
    kind = form.one_of("kind", ["citizen", "dossier"])
    value = form.wanted("value", 200)
    exchanges = []
    if form.good:
        visit.audit("messages.search", kind)
        exchanges = _found(visit, {kind: value})
    return visit.page("messages.html", exchanges=exchanges, more="", person=True)


def show(visit: Visit) -> Response:
    """One exchange: its records here, and its path as both nodes tell it."""
    exchange = find(visit, visit.path("id"))
    trace, trouble = None, ""
    try:
        trace = visit.site.desk.trace(exchange.request_id)
        trace["lines"] = sorted(trace["lines"], key=_place_on_the_path)
    except LienthongError as error:
        trouble = error.message(visit.language)
    return visit.page("message.html", exchange=exchange, trace=trace, trouble=trouble)


def _place_on_the_path(line: Mapping[str, Any]) -> tuple[str, int]:
    """By the second, then as messages go: clocks of two nodes differ by parts of one."""
    event = str(line.get("event", ""))
    order = STEPS.index(event) if event in STEPS else len(STEPS)
    return str(line.get("time", ""))[:19], order


def find(visit: Visit, identifier: str) -> Exchange:
    """An exchange that concerns the visitor's member. Raises RecordNotFound, PageForbidden."""
    found = visit.site.desk.exchanges(message=identifier)
    if not found:
        raise RecordNotFound(name=identifier)
    if not visit.concerns(found[0].client, found[0].service):
        raise PageForbidden()
    return found[0]


def _found(visit: Visit, conditions: dict[str, str]) -> list[Exchange]:
    if not any(conditions.values()) and visit.member:
        conditions = {"party": visit.member}
    found = visit.site.desk.exchanges(limit=RECORDS, **conditions)
    return [each for each in found if visit.concerns(each.client, each.service)]


def _oldest(exchanges: list[Exchange]) -> str:
    """Where the next page begins; empty when this one was not full."""
    if sum(len(each.records) for each in exchanges) < RECORDS // 2:
        return ""
    return min(each.time for each in exchanges)
