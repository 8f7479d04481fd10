"""Contracts and quality: the node's services, what was published, and each contract by itself."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.catalogue.models import CatalogueEntry
from lienthong.errors import EntryUnknown, LienthongError, PageForbidden
from lienthong.portal.roles import Role
from lienthong.portal.shelf import Compared, Version, promised, versions_of
from lienthong.portal.visit import Visit

MOST_ENTRIES = 500


def all_of_them(visit: Visit) -> Response:
    services = [each for each in visit.site.desk.services() if visit.concerns(each["id"])]
    entries = [
        entry
        for member in visit.site.desk.identity().members
        if visit.concerns(member.id)
        for entry in visit.site.catalogue.entries(after=member.id + "/", limit=MOST_ENTRIES)
        if entry.owner == member.id
    ]
    return visit.page(
        "contracts.html",
        services=services,
        entries=entries,
        published={entry.service: entry for entry in entries if entry.service},
    )


def show(visit: Visit) -> Response:
    """One contract: its rules with their results, its promises, its versions, what changed."""
    return _shown(visit, own_entry(visit, visit.path("key")))


def measure(visit: Visit) -> Response:
    """Have the node test the source by its contract, and publish what came of it."""
    entry = own_entry(visit, visit.path("key"))
    if not entry.service:
        visit.form.refuse("form", "contract.no_service")
        return _shown(visit, entry)
    try:
        visit.site.desk.publish({"service": entry.service, "measure": True})
    except LienthongError as error:
        visit.audit("contract.measure", entry.key, error.code)
        visit.form.refuse("form", "form.said", told=error.message(visit.language))
        return _shown(visit, entry)
    visit.audit("contract.measure", entry.key)
    return visit.redirect(f"/console/contracts/of/{entry.key}", "measured")


def own_entry(visit: Visit, key: str) -> CatalogueEntry:
    """An entry of a member that the visitor may act for. Raises EntryUnknown, PageForbidden."""
    entry = visit.site.catalogue.get(key)
    if not entry.is_own:
        raise EntryUnknown(entry=key[:200])
    if not visit.concerns(entry.owner):
        raise PageForbidden()
    return entry


def _shown(visit: Visit, entry: CatalogueEntry) -> Response:
    history = visit.site.catalogue.history(entry.key)
    versions = versions_of(history)
    levels, rules = promised(visit.site.shelf, entry)
    return visit.page(
        "contract.html",
        entry=entry,
        versions=versions,
        compared=_compared(visit, versions),
        measures=bool(entry.service) and visit.has(Role.DATA_OWNER) and _is_hosted(visit, entry),
        levels=levels,
        rules=rules,
    )


def _compared(visit: Visit, versions: list[Version]) -> Compared | None:
    """The two versions that were chosen; else the newest and the one before it."""
    by_digest = {each.digest: each for each in versions}
    if len(versions) < 2:
        return None
    new = by_digest.get(visit.query("new"), versions[0])
    old = by_digest.get(visit.query("old"), versions[1])
    return visit.site.shelf.compare(old, new)


def _is_hosted(visit: Visit, entry: CatalogueEntry) -> bool:
    try:
        return any(each.id == entry.owner for each in visit.site.desk.identity().members)
    except LienthongError:
        return False
