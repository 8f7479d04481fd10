"""Harvesting of other catalogues: each source, its last run, the next one, what went wrong."""

from __future__ import annotations

from typing import NamedTuple

from starlette.responses import Response

from lienthong.catalogue.harvest.lease import Lease
from lienthong.catalogue.harvest.models import Run, Source
from lienthong.catalogue.harvest.schedule import interval, next_due
from lienthong.catalogue.harvest.store import HarvestStore
from lienthong.errors import LienthongError
from lienthong.portal.visit import Visit
from lienthong.reasons import in_vietnamese

MOST_ERRORS = 5


class Told(NamedTuple):
    """One source as the page shows it."""

    source: Source
    shown: int
    last: Run | None
    every: float
    due: float | None
    running: bool


def show(visit: Visit) -> Response:
    store, settings = HarvestStore(visit.site.catalogue), visit.site.settings
    holder = Lease(visit.site.catalogue).holder()
    told = [
        Told(
            source,
            store.counts(source.name).get("shown", 0),
            next(iter(store.runs(source.name, 1)), None),
            interval(source, settings),
            next_due(source, settings),
            holder is not None and holder.source == source.name,
        )
        for source in store.sources()
    ]
    reason = in_vietnamese if visit.language == "vi" else str
    return visit.page(
        "harvest.html", sources=told, reason=reason, most_errors=MOST_ERRORS, every=_every(visit)
    )


def run_soon(visit: Visit) -> Response:
    """Make a source due: this process or another harvests it within moments."""
    store, name = HarvestStore(visit.site.catalogue), visit.path("name")
    source = store.get(name)
    source.state.due = 0.0
    if not interval(source, visit.site.settings):
        visit.form.refuse("form", "harvest.by_hand_only", name=name)
        return show(visit)
    try:
        store.put(source)
    except LienthongError as error:
        visit.audit("harvest.run", name, error.code)
        raise
    visit.audit("harvest.run", name)
    return visit.redirect("/console/harvest", "harvest_soon")


def _every(visit: Visit) -> object:
    def shown(seconds: float) -> str:
        if not seconds:
            return visit.text("harvest.by_hand")
        for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
            if seconds >= size and seconds % size == 0:
                return f"{seconds / size:g} {visit.text('unit_of.' + unit)}"
        return f"{seconds:g} {visit.text('unit_of.s')}"

    return shown
