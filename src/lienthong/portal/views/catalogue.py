"""The catalogue: search with facets, and the page of one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.query import LAST_ROW, Query
from lienthong.catalogue.schema_org import markup_of
from lienthong.catalogue.terms import FACETS
from lienthong.errors import QueryInvalid
from lienthong.portal.shelf import promised
from lienthong.portal.visit import Visit

ROWS = 20
FACET_VALUES = 12
SHOWN_FACETS = ("domain", "agency", "unit", "classification", "legal_basis", "source")


def search(visit: Visit) -> Response:
    """Words and facets; the script asks for the results alone."""
    words = visit.query("q")
    filters = _filters(visit)
    page = _page_number(visit.query("page"))
    problem = ""
    try:
        found = _find(visit, words, filters, page)
    except QueryInvalid as error:
        problem = error.message(visit.language)
        found = _find(visit, "", {}, 1)
    links = _Links(words, filters)
    template = "catalogue_results.html" if visit.is_fragment else "catalogue.html"
    return visit.page(
        template,
        words=words,
        filters=filters,
        found=found,
        facets=SHOWN_FACETS,
        links=links,
        number_of_page=page,
        pages=min(-(-found.total // ROWS), LAST_ROW // ROWS),
        problem=problem,
    )


def dataset(visit: Visit) -> Response:
    """One dataset: what it holds, under which law, how good, how to ask."""
    entry = visit.site.catalogue.get(visit.path("key"))
    levels, rules = promised(visit.site.shelf, entry)
    return visit.page(
        "dataset.html",
        entry=entry,
        history=list(reversed(visit.site.catalogue.history(entry.key))),
        markup=Markup(markup_of(entry, visit.site.addresses)),  # noqa: S704 — see there
        forms=_forms(visit, entry),
        levels=levels,
        rules=rules,
    )


def _forms(visit: Visit, entry: CatalogueEntry) -> dict[str, str]:
    """Where programs read the same, by media type."""
    address = visit.site.addresses.dataset(entry.key)
    return {"text/turtle": address + ".ttl", "application/ld+json": address + ".jsonld"}


class _Links:
    """Addresses of the same search with one thing changed."""

    def __init__(self, words: str, filters: Mapping[str, tuple[str, ...]]) -> None:
        self._words = words
        self._filters = filters

    def toggled(self, facet: str, value: str) -> str:
        chosen = self._filters.get(facet, ())
        new = tuple(v for v in chosen if v != value) if value in chosen else (*chosen, value)
        return self._address({**self._filters, facet: new})

    def page(self, number: int) -> str:
        return self._address(self._filters, number)

    def without_filters(self) -> str:
        return self._address({})

    def _address(self, filters: Mapping[str, tuple[str, ...]], page: int = 1) -> str:
        pairs = [("q", self._words)] if self._words else []
        pairs += [(facet, value) for facet, values in filters.items() for value in values]
        pairs += [("page", str(page))] if page > 1 else []
        return "/catalogue" + ("?" + urlencode(pairs) if pairs else "")


def _find(visit: Visit, words: str, filters: dict[str, tuple[str, ...]], page: int) -> Any:
    query = Query(
        words,
        filters=filters,
        limit=ROWS,
        offset=(page - 1) * ROWS,
        facet_values=FACET_VALUES,
    )
    return visit.site.search.find(query)


def _filters(visit: Visit) -> dict[str, tuple[str, ...]]:
    given = {name: visit.request.query_params.getlist(name) for name in FACETS}
    return {name: tuple(dict.fromkeys(filter(None, each))) for name, each in given.items() if each}


def _page_number(text: str) -> int:
    if not text.isdecimal() or len(text) > 4:
        return 1
    return max(1, min(int(text), LAST_ROW // ROWS))
