"""What somebody asks of the catalogue: words, phrases, beginnings, filters.

    Query('hộ tịch "khai sinh" truong:so_dinh_danh dia*', filters={"domain": ("tu-phap",)})

All words must be there. The last word counts as a beginning too, as people see results while
they type; a whole word comes first. ``truong:`` (``field:``) asks for a field by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

import msgspec

from lienthong.catalogue.terms import FILTERS
from lienthong.catalogue.words import Word, fold, folded_name, words
from lienthong.errors import QueryInvalid

LONGEST_TEXT = 300  # characters
MOST_WORDS = 16
MOST_FILTER_VALUES = 50
MOST_ROWS = 100
MOST_LISTED = 1_000  # rows of one page of a listing: as many as CKAN gives
LAST_ROW = 10_000  # deeper, narrow the search: nobody reads on page 500, only scrapers do

_PART = re.compile(r'"([^"]*)"?|(?:truong|trường|field):(\S+)|(\S+)', re.IGNORECASE)


class Query(msgspec.Struct, frozen=True):
    """A search; ``filters`` has one of ``FILTERS`` → values of which an entry has at least one.

    Raises QueryInvalid.
    """

    least_rows: ClassVar[int] = 1
    most_rows: ClassVar[int] = MOST_ROWS
    last_row: ClassVar[int] = LAST_ROW
    most_facet_values: ClassVar[int] = MOST_ROWS

    text: str = ""
    filters: Mapping[str, tuple[str, ...]] = {}
    fields: tuple[str, ...] = ()
    limit: int = 20
    offset: int = 0
    facet_values: int = 20  # of each facet; 0: no facets
    as_typed: bool = True  # the last word is a beginning too

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_TEXT:
            raise QueryInvalid(reason=f"text over {LONGEST_TEXT} characters")
        unknown = set(self.filters) - set(FILTERS)
        if unknown:
            raise QueryInvalid(reason=f"unknown filter {min(unknown)[:40]}")
        if any(len(values) > MOST_FILTER_VALUES for values in self.filters.values()):
            raise QueryInvalid(reason=f"over {MOST_FILTER_VALUES} values of one filter")
        if not self.least_rows <= self.limit <= self.most_rows:
            raise QueryInvalid(reason=f"limit is not {self.least_rows} to {self.most_rows}")
        if not 0 <= self.offset <= self.last_row:
            raise QueryInvalid(reason=f"offset is not 0 to {self.last_row}")
        if not 0 <= self.facet_values <= self.most_facet_values:
            raise QueryInvalid(reason=f"facet values are not 0 to {self.most_facet_values}")


class Order(StrEnum):
    """In which order a listing goes; a minus: the other way round."""

    RELEVANCE = "relevance"
    NUMBER = "number"  # as entries came in: a page changes only when something before it goes
    MODIFIED = "modified"
    MODIFIED_LAST = "-modified"
    KEY = "key"
    KEY_LAST = "-key"


class Listing(Query, frozen=True, kw_only=True):
    """A search of a program that reads on to the end: any depth, larger pages, an order.

    ``since`` and ``until``: changed in this time, both ends included. ``without``: filters of
    which an entry has no value. ``keys``: only these entries; None: all. ``tag_values``: how many
    tags to count, beside the facets.
    """

    least_rows: ClassVar[int] = 0
    most_rows: ClassVar[int] = MOST_LISTED
    last_row: ClassVar[int] = 1 << 31
    most_facet_values: ClassVar[int] = 1 << 31

    order: Order = Order.RELEVANCE
    since: datetime | None = None
    until: datetime | None = None
    without: Mapping[str, tuple[str, ...]] = {}
    keys: tuple[str, ...] | None = None
    tag_values: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.without) - set(FILTERS):
            raise QueryInvalid(reason=f"unknown filter {min(self.without)[:40]}")
        if len(self.keys or ()) > MOST_LISTED:
            raise QueryInvalid(reason=f"over {MOST_LISTED} values of one filter")


class Wanted(NamedTuple):
    """A query taken apart. A ``beginning`` is folded; ``last`` is a word that may be one."""

    words: tuple[Word, ...]
    beginnings: tuple[str, ...]
    last: Word | None
    phrases: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]

    @property
    def in_order(self) -> tuple[Word, ...]:
        """The words whose neighbourhood speaks for a match."""
        return (*self.words, *((self.last,) if self.last else ()))


def take_apart(query: Query) -> Wanted:
    """Read the text of a query. Raises QueryInvalid."""
    found: list[Word] = []
    beginnings: list[str] = []
    phrases: list[tuple[str, ...]] = []
    names = [folded_name(name) for name in query.fields]
    open_end = query.as_typed and not query.text.endswith((" ", '"'))
    plain_end = False
    for phrase, name, plain in _PART.findall(query.text):
        plain_end = False
        if name:
            names.append(folded_name(name))
        elif plain.endswith("*"):
            *whole, last = words(plain) or (None,)
            found += [each for each in whole if each]
            beginnings += [last.folded] if last else []
        elif plain:
            found += words(plain)
            plain_end = True
        elif len(folded := fold(phrase)) > 1:
            phrases.append(folded)
        else:
            found += words(phrase)
    if len(found) + len(beginnings) + sum(map(len, phrases)) + len(names) > MOST_WORDS:
        raise QueryInvalid(reason=f"over {MOST_WORDS} words")
    last = found.pop() if found and plain_end and open_end else None
    return Wanted(tuple(found), tuple(beginnings), last, tuple(phrases), tuple(filter(None, names)))
