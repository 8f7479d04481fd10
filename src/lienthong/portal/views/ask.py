"""Asking for access: from a dataset's page to a proposal of the consumer's own node."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from lienthong.catalogue.models import CatalogueEntry
from lienthong.errors import LienthongError
from lienthong.portal.visit import Visit


def show(visit: Visit) -> Response:
    return _shown(visit, _entry(visit))


def send(visit: Visit) -> Response:
    """Propose the agreement, or show the form again with what is wrong beside each field."""
    form, entry = visit.form, _entry(visit)
    consumer = form.one_of("consumer", own_systems(visit))
    fields = form.chosen("fields", [field.name for field in entry.fields if field.can_be_asked_for])
    purpose = form.wanted("purpose", 200)
    legal_basis = form.wanted("legal_basis", 2000)
    since, until = form.day("valid_from"), form.day("valid_until")
    quota = form.number("daily_quota", 1, 1_000_000_000)
    if since and until and until <= since:
        form.refuse("valid_until", "ask.until_before_from")
    elif until and until <= datetime.now(UTC):
        form.refuse("valid_until", "ask.until_past")
    if not form.good or since is None or until is None:
        return _shown(visit, entry)
    terms = {
        "consumer": consumer,
        "service": entry.service,
        "purposes": [purpose],
        "legal_basis": legal_basis,
        "valid_from": since.isoformat(),
        "valid_until": until.isoformat(),
        "fields": fields,
        "daily_quota": quota,
        "contract": contract_of(entry),
    }
    try:
        agreement = visit.site.desk.propose(terms)
    except LienthongError as error:
        visit.audit("agreement.propose", entry.service, error.code)
        form.refuse("form", "form.said", told=error.message(visit.language))
        return _shown(visit, entry)
    visit.audit("agreement.propose", agreement["id"])
    return visit.redirect(f"/console/agreements/{agreement['id']}", "asked")


def contract_of(entry: CatalogueEntry) -> dict[str, str] | None:
    """What the asker has read; the owner's node accepts no other version than it serves."""
    if not entry.digest:
        return None
    return {"id": entry.contract_id, "version": entry.version, "digest": entry.digest}


def own_systems(visit: Visit) -> list[str]:
    """The information systems in whose name the visitor may ask."""
    return [
        f"{member.id}/{system.code}"
        for member in visit.site.desk.identity().members
        for system in member.subsystems
        if visit.concerns(member.id)
    ]


def _entry(visit: Visit) -> CatalogueEntry:
    return visit.site.catalogue.get(visit.path("key"))


def _shown(visit: Visit, entry: CatalogueEntry) -> Response:
    return visit.page("ask.html", entry=entry, systems=own_systems(visit), today=datetime.now(UTC))
