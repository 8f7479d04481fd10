"""Searching the catalogue: which entries match, in which order, how they spread over facets.

    search = CatalogueSearch(store)
    found = search.find(Query("ho tich", filters={"unit": ("01",)}))
    found.total, found.entries, found.facets["agency"]

Everything is exact, also over hundreds of thousands of matches, but for two cases that
``Found.exact`` tells: phrases of three words or more with over 400 candidates, and beginnings of
four letters or more with over 4,096 words. There is no cache of results; bitmaps of terms that
were used lately stay in memory.

Order: whole words before beginnings; all words in the title; spelled with the diacritics typed;
words side by side; then by standing (``CatalogueEntry.standing``), then the older entry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from pyroaring import BitMap
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from lienthong.catalogue.facets import Facet, ValueCount, numbers_of
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.orders import Orders
from lienthong.catalogue.postings import MOST_CACHED_BYTES, Postings, facet_terms
from lienthong.catalogue.query import Listing, Order, Query, Wanted, take_apart
from lienthong.catalogue.store import CatalogueStore, decode_entry, numbers_of_keys
from lienthong.catalogue.tables import ENTRY, LABEL
from lienthong.catalogue.terms import (
    ALL,
    BEGINNING,
    FACET,
    FACETS,
    LONGEST_BEGINNING,
    NAME,
    PAIR,
    SPELLED,
    STANDING,
    STANDINGS,
    TAG,
    TITLE,
    TITLE_BEGINNING,
    WORD,
    facet_term,
    sections,
)
from lienthong.catalogue.words import Word
from lienthong.errors import CatalogueStoreFailed

MOST_PHRASE_CANDIDATES = 400  # entries read to see whether a phrase of three words stands there
_SORT_AT_MOST = 20_000  # matches of one layer; above, walking the standings is cheaper


class FacetValue(msgspec.Struct, frozen=True):
    """One value of a facet, what people read for it, and how many matches have it."""

    value: str
    label: str
    count: int
    chosen: bool


class Found(NamedTuple):
    """One page. ``facets`` leave the facet's own filter out of account, so others can be chosen.

    ``exact`` is False where ``total`` and facets may count a few entries too many or too few.
    """

    entries: tuple[CatalogueEntry, ...]
    total: int
    facets: Mapping[str, tuple[FacetValue, ...]]
    exact: bool


class CatalogueSearch:
    """Searches one catalogue; threads take turns. Raises QueryInvalid, CatalogueStoreFailed."""

    def __init__(self, store: CatalogueStore, most_cached_bytes: int = MOST_CACHED_BYTES) -> None:
        engine = store.engine
        if engine.dialect.name == "postgresql":  # one snapshot for all statements of a search
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        self._engine = engine
        self._lock = threading.Lock()
        self._postings = Postings(most_cached_bytes)
        self._facets: dict[str, Facet] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._orders = Orders()

    def find(self, query: Query) -> Found:
        """Search once, or read one page of a ``Listing``."""
        wanted = take_apart(query)
        with self._reading() as connection:
            self._follow(connection)
            text, exact = self._matches(connection, wanted)
            if isinstance(query, Listing):
                text = self._narrow_listing(connection, text, query)
            chosen = self._filters(connection, query)
            matches = _narrowed(text, chosen.values())
            numbers = self._numbers(connection, query, wanted, matches)
            entries = self._entries(connection, numbers)
            tags = self._tags(connection, matches, query)
        facets = self._count(text, chosen, matches, query) if query.facet_values else {}
        return Found(entries, len(matches), facets | tags, exact)

    def values(self, facet: str) -> list[str]:
        """Return all values of one of ``FILTERS``, sorted."""
        start = facet_term(facet, "")
        with self._reading() as connection:
            return sorted(term.removeprefix(start) for term in facet_terms(connection, start))

    def close(self) -> None:
        self._engine.dispose()

    # --- what matches -----------------------------------------------------------------

    def _matches(self, connection: Connection, wanted: Wanted) -> tuple[BitMap, bool]:
        terms = [WORD + word.folded for word in wanted.words]
        terms += [NAME + name for name in wanted.names]
        for phrase in wanted.phrases:
            terms += _pairs(phrase)
        parts = list(self._postings.get(connection, terms or [ALL]).values())
        exact = True
        beginnings = [*wanted.beginnings, *([wanted.last.folded] if wanted.last else [])]
        for beginning in beginnings:
            bitmap, whole = self._beginning(connection, BEGINNING, WORD, beginning)
            parts.append(bitmap)
            exact &= whole
        matches = _intersection(parts)
        longer = [phrase for phrase in wanted.phrases if len(phrase) > 2]
        if longer and len(matches) > MOST_PHRASE_CANDIDATES:
            return matches, False
        return (self._with_phrases(connection, matches, longer) if longer else matches), exact

    def _beginning(
        self, connection: Connection, short: str, long: str, beginning: str
    ) -> tuple[BitMap, bool]:
        if len(beginning) <= LONGEST_BEGINNING:
            return self._postings.get(connection, [short + beginning])[short + beginning], True
        return self._postings.starting(connection, long + beginning)

    def _with_phrases(
        self, connection: Connection, matches: BitMap, phrases: Sequence[tuple[str, ...]]
    ) -> BitMap:
        """Keep the entries in which each phrase stands whole, not only its pairs of words."""
        numbers = list(matches)
        entries = self._entries(connection, numbers)
        return BitMap(
            number
            for number, entry in zip(numbers, entries, strict=True)
            if all(_stands_in(entry, phrase) for phrase in phrases)
        )

    def _filters(self, connection: Connection, query: Query) -> dict[str, BitMap]:
        given = query.filters.items()
        return {facet: self._having(connection, facet, each) for facet, each in given if each}

    def _having(self, connection: Connection, facet: str, values: Iterable[str]) -> BitMap:
        terms = [facet_term(facet, value) for value in values]
        return BitMap.union(BitMap(), *self._postings.get(connection, terms).values())

    def _narrow_listing(self, connection: Connection, text: BitMap, query: Listing) -> BitMap:
        for facet, values in query.without.items():
            text = text - self._having(connection, facet, values)
        if query.keys is not None:
            text = text & BitMap(numbers_of_keys(connection, query.keys))
        return self._orders.within(connection, text, query.since, query.until)

    # --- in which order ---------------------------------------------------------------

    def _numbers(
        self, connection: Connection, query: Query, wanted: Wanted, matches: BitMap
    ) -> list[int]:
        skip, most = query.offset, query.limit
        if isinstance(query, Listing) and query.order is not Order.RELEVANCE:
            return self._orders.page(connection, matches, query.order, skip, most)
        marks = self._marks(connection, wanted)
        return self._page(connection, matches, marks, skip, most) if most else []

    def _marks(self, connection: Connection, wanted: Wanted) -> list[BitMap]:
        """What lifts a match, the strongest first."""
        words, marks = wanted.in_order, []
        if wanted.last:
            marks.append(self._all(connection, [WORD + wanted.last.folded]))
        if words or wanted.beginnings:
            title = [TITLE + word.folded for word in wanted.words]
            parts = list(self._postings.get(connection, title).values())
            for beginning in (*wanted.beginnings, *([wanted.last.folded] if wanted.last else [])):
                parts.append(self._beginning(connection, TITLE_BEGINNING, TITLE, beginning)[0])
            marks.append(_intersection(parts))
        if spelled := [SPELLED + word.spelled for word in words if word.has_marks]:
            marks.append(self._all(connection, spelled))
        if len(words) > 1:
            marks.append(self._all(connection, _pairs([word.folded for word in words])))
        return marks

    def _all(self, connection: Connection, terms: list[str]) -> BitMap:
        return _intersection(list(self._postings.get(connection, terms).values()))

    def _page(
        self, connection: Connection, matches: BitMap, marks: list[BitMap], skip: int, most: int
    ) -> list[int]:
        page: list[int] = []
        for layer in _layers(matches, marks):
            if skip >= len(layer):
                skip -= len(layer)
                continue
            for run in self._by_standing(connection, layer):
                if skip >= len(run):
                    skip -= len(run)
                    continue
                page += (int(number) for number in run[skip : skip + most - len(page)])
                skip = 0
                if len(page) == most:
                    return page
        return page

    def _by_standing(
        self, connection: Connection, layer: BitMap
    ) -> Iterator[BitMap | Sequence[int]]:
        """Yield runs of the layer, the highest standing first, the older entry first in each."""
        if len(layer) <= _SORT_AT_MOST:
            numbers = numbers_of(layer)
            column = self._facets[STANDING].column()
            order = np.argsort(column[numbers], kind="stable")
            yield numbers[order].tolist()
            return
        for level in _LEVELS:
            if run := layer & self._postings.get(connection, [level])[level]:
                yield run

    # --- facets -----------------------------------------------------------------------

    def _count(
        self, text: BitMap, chosen: Mapping[str, BitMap], matches: BitMap, query: Query
    ) -> dict[str, tuple[FacetValue, ...]]:
        counts = {}
        for facet in FACETS:
            others = [bitmap for name, bitmap in chosen.items() if name != facet]
            within = _narrowed(text, others) if facet in chosen else matches
            top = self._facets[facet].top(within, query.facet_values)
            picked = query.filters.get(facet, ())
            counts[facet] = tuple(self._value(facet, each, picked) for each in top)
        return counts

    def _tags(
        self, connection: Connection, matches: BitMap, query: Query
    ) -> dict[str, tuple[FacetValue, ...]]:
        """Count tags: each has its bitmap, none is kept as a facet, as there may be very many."""
        if not isinstance(query, Listing) or not query.tag_values:
            return {}
        start = facet_term(TAG, "")
        found = self._postings.get(connection, facet_terms(connection, start))
        facet = Facet()
        facet.replace({term.removeprefix(start): bitmap for term, bitmap in found.items()})
        picked = query.filters.get(TAG, ())
        top = facet.top(matches, query.tag_values)
        return {TAG: tuple(self._value(TAG, each, picked) for each in top)}

    def _value(self, facet: str, counted: ValueCount, picked: Sequence[str]) -> FacetValue:
        label = self._labels.get((facet, counted.value), counted.value)
        return FacetValue(counted.value, label, counted.count, counted.value in picked)

    # --- in step with the database ----------------------------------------------------

    def _follow(self, connection: Connection) -> None:
        changed = self._postings.follow(connection)
        if changed is None or not self._facets:
            self._facets = {name: Facet() for name in FACETS}
            self._facets[STANDING] = Facet(_LEVELS)
            changed = frozenset((*facet_terms(connection, FACET), *_LEVELS))
        elif not changed:
            return
        self._orders.forget()
        if levels := changed & frozenset(_LEVELS):
            self._facets[STANDING].replace(self._postings.get(connection, levels))
        for facet in FACETS:
            start = facet_term(facet, "")
            terms = [term for term in changed if term.startswith(start)]
            if terms:
                found = self._postings.get(connection, terms)
                self._facets[facet].replace({t.removeprefix(start): b for t, b in found.items()})
        if any(term.startswith(FACET) for term in changed):
            rows = connection.execute(select(LABEL)).all()
            self._labels = {(row.facet, row.value): row.label for row in rows}

    def _entries(
        self, connection: Connection, numbers: Sequence[int]
    ) -> tuple[CatalogueEntry, ...]:
        rows = connection.execute(_DOCUMENTS, {"numbers": list(numbers)})
        found = {row.number: row.document for row in rows}
        return tuple(decode_entry(found[number]) for number in numbers)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._lock, self._engine.connect() as connection:
                if connection.dialect.name == "sqlite":  # one snapshot for all statements
                    connection.exec_driver_sql("BEGIN")
                yield connection
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error


_LEVELS = tuple(f"{STANDING}{level:02}" for level in reversed(range(STANDINGS)))
_DOCUMENTS = select(ENTRY.c.number, ENTRY.c.document).where(
    ENTRY.c.number.in_(bindparam("numbers", expanding=True))
)


def _layers(matches: BitMap, marks: Sequence[BitMap]) -> Iterator[BitMap]:
    """Part the matches by marks, lazily: those with the first mark, parted by the others, …"""
    if not matches:
        return
    if not marks:
        yield matches
        return
    yield from _layers(matches & marks[0], marks[1:])
    yield from _layers(matches - marks[0], marks[1:])


def _intersection(parts: list[BitMap]) -> BitMap:
    """Intersect, the smallest first."""
    if not parts:
        return BitMap()
    return BitMap.intersection(*sorted(parts, key=len))


def _narrowed(matches: BitMap, filters: Iterable[BitMap]) -> BitMap:
    for bitmap in filters:
        matches = matches & bitmap
    return matches


def _pairs(phrase: Sequence[str]) -> list[str]:
    return [f"{PAIR}{a} {b}" for a, b in pairwise(phrase)]


def _stands_in(entry: CatalogueEntry, phrase: tuple[str, ...]) -> bool:
    return any(_contains(section, phrase) for section in sections(entry))


def _contains(section: Sequence[Word], phrase: tuple[str, ...]) -> bool:
    folded = tuple(word.folded for word in section)
    size = len(phrase)
    return any(folded[at : at + size] == phrase for at in range(len(folded) - size + 1))
