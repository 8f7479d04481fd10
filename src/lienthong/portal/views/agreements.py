"""Agreements and requests for access: shown, accepted, narrowed, refused, withdrawn.

Each step is the node's own, signed with its key; the page only asks for it. In the provider's
name a data owner acts, in the consumer's an officer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from starlette.responses import Response

from lienthong.catalogue.models import CatalogueEntry
from lienthong.errors import EntryUnknown, LienthongError, PageForbidden
from lienthong.portal.forms import Form
from lienthong.portal.roles import Role
from lienthong.portal.visit import Visit

Agreement = Mapping[str, Any]
STATUSES = ("proposed", "active", "refused", "withdrawn", "expired")
REASON = 2000
ACTS = ("propose", "accept", "refuse", "withdraw")
ROWS = 50
MEMBER_PARTS = 3  # instance, class, code


class Sides(NamedTuple):
    """What this visitor may do with an agreement."""

    provider: bool  # its provider is ours, and the visitor a data owner
    consumer: bool  # its consumer is ours, and the visitor an officer
    answers: bool  # it waits for a word of ours
    withdraws: bool

    @property
    def narrows(self) -> bool:
        return self.answers and self.provider


def all_of_them(visit: Visit) -> Response:
    chosen = visit.query("status")
    found = [each for each in visit.site.desk.agreements() if _concerns(visit, each)]
    counts = {status: sum(each["status"] == status for each in found) for status in STATUSES}
    shown = [each for each in found if chosen not in STATUSES or each["status"] == chosen]
    page = int(text) if (text := visit.query("page")).isdecimal() and len(text) < 6 else 1
    begin = (max(1, page) - 1) * ROWS
    return visit.page(
        "agreements.html",
        agreements=shown[begin : begin + ROWS],
        counts=counts,
        chosen=chosen,
        number_of_page=max(1, page),
        more=len(shown) > begin + ROWS,
    )


def show(visit: Visit) -> Response:
    return _shown(visit, _find(visit), "")


def accept(visit: Visit) -> Response:
    agreement = _find(visit)
    if not sides_of(visit, agreement).answers:
        raise PageForbidden()
    return _step(visit, agreement, "accept", "")


def refuse(visit: Visit) -> Response:
    return _with_reason(visit, "refuse")


def withdraw(visit: Visit) -> Response:
    return _with_reason(visit, "withdraw")


def narrow(visit: Visit) -> Response:
    """Offer less than was asked: a new proposal of the provider's, and the old one refused."""
    agreement, form = _find(visit), visit.form
    if not sides_of(visit, agreement).narrows:
        raise PageForbidden()
    fields = form.chosen("fields", list(agreement["fields"]))
    until = form.day("valid_until")
    quota = form.number("daily_quota", 1, 1_000_000_000)
    reason = form.wanted("reason", REASON - 200)
    _check_narrower(visit, agreement, fields, until.isoformat() if until else "", quota)
    if not form.good or until is None:
        return _shown(visit, agreement, "narrow")
    terms = {name: agreement[name] for name in ("consumer", "service", "legal_basis", "valid_from")}
    terms |= {"purposes": agreement["purposes"], "contract": agreement["contract"]}
    terms |= {"fields": fields, "valid_until": until.isoformat(), "daily_quota": quota}
    terms |= {"endpoints": agreement["endpoints"]}
    if agreement["rate"]:
        terms |= {"rate": agreement["rate"]["per_second"], "burst": agreement["rate"]["burst"]}
    try:
        offered = visit.site.desk.propose(terms)
        visit.audit("agreement.narrow", f"{agreement['id']} → {offered['id']}")
        told = visit.text("agreement.narrowed_reason", id=offered["id"], reason=reason)
        visit.site.desk.step(agreement["id"], "refuse", told)
    except LienthongError as error:
        form.refuse("step", "form.said", told=error.message(visit.language))
        return _shown(visit, agreement, "narrow")
    return visit.redirect(f"/console/agreements/{offered['id']}", "narrowed")


def sides_of(visit: Visit, agreement: Agreement) -> Sides:
    """Whose agreement it is, and whose turn."""
    identity = visit.site.desk.identity()
    provider_system = str(agreement["service"]).rpartition("/")[0]
    provider = identity.hosts(provider_system) and visit.concerns(provider_system)
    consumer = identity.hosts(agreement["consumer"]) and visit.concerns(agreement["consumer"])
    provider, consumer = (
        provider and visit.has(Role.DATA_OWNER),
        consumer and visit.has(Role.OFFICER),
    )
    proposed, by_consumer = (
        agreement["status"] == "proposed",
        agreement["proposed_by"] == "consumer",
    )
    answers = proposed and (provider if by_consumer else consumer)
    mine = proposed and (consumer if by_consumer else provider)
    return Sides(
        provider,
        consumer,
        answers,
        mine or (agreement["status"] == "active" and (provider or consumer)),
    )


def _with_reason(visit: Visit, verb: str) -> Response:
    agreement = _find(visit)
    sides = sides_of(visit, agreement)
    if not (sides.answers if verb == "refuse" else sides.withdraws):
        raise PageForbidden()
    reason = visit.form.wanted("reason", REASON)
    if not visit.form.good:
        return _shown(visit, agreement, verb)
    return _step(visit, agreement, verb, reason)


def _step(visit: Visit, agreement: Agreement, verb: str, reason: str) -> Response:
    try:
        visit.site.desk.step(agreement["id"], verb, reason)
    except LienthongError as error:
        visit.audit(f"agreement.{verb}", agreement["id"], error.code)
        visit.form.refuse("step", "form.said", told=error.message(visit.language))
        return _shown(visit, agreement, verb)
    visit.audit(f"agreement.{verb}", agreement["id"])
    return visit.redirect(f"/console/agreements/{agreement['id']}", verb)


def _check_narrower(
    visit: Visit, agreement: Agreement, fields: list[str], until: str, quota: int | None
) -> None:
    """A counter-proposal gives less; whoever wants to give more accepts and is asked again."""
    if until and datetime.fromisoformat(until) > datetime.fromisoformat(agreement["valid_until"]):
        visit.form.refuse("valid_until", "agreement.not_longer")
    asked = agreement["daily_quota"]
    if asked is not None and (quota is None or quota > asked):
        visit.form.refuse("daily_quota", "agreement.not_more")


def _shown(visit: Visit, agreement: Agreement, acting: str) -> Response:
    """The agreement with its forms; ``acting`` is the one that was sent."""
    entry = _entry_of(visit, agreement)
    return visit.page(
        "agreement.html",
        agreement=agreement,
        sides=sides_of(visit, agreement),
        steps=sorted(agreement["statements"], key=_order),
        acting=acting,
        blank=Form(),
        entry=entry,
        titles=defaultdict(str, {each.name: each.title for each in entry.fields} if entry else {}),
    )


def _order(statement: Mapping[str, Any]) -> tuple[str, int]:
    """Steps as they followed each other; several may lie within one second."""
    return str(statement["time"]), ACTS.index(statement["act"])


def _entry_of(visit: Visit, agreement: Agreement) -> CatalogueEntry | None:
    """The catalogue's entry of what is agreed, for the names of its fields."""
    if not agreement["contract"]:
        return None
    owner = "/".join(str(agreement["service"]).split("/")[:MEMBER_PARTS])
    try:
        return visit.site.catalogue.get(f"{owner}/{agreement['contract']['id']}")
    except EntryUnknown:
        return None


def _find(visit: Visit) -> dict[str, Any]:
    agreement = visit.site.desk.agreement(visit.path("id"))
    if not _concerns(visit, agreement):
        raise PageForbidden()
    return agreement


def _concerns(visit: Visit, agreement: Agreement) -> bool:
    return visit.concerns(agreement["consumer"], agreement["service"])
