"""What somebody asks of the catalogue: words, phrases, beginnings, filters.

    Query('hộ tịch "khai sinh" truong:so_dinh_danh dia*', filters={"domain": ("tu-phap",)})

All words must be there. The last word counts as a beginning too, as people see results while
they type; a whole word comes first. ``truong:`` (``field:``) asks for a field by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from lienthong.catalogue.terms import FACETS
from lienthong.catalogue.words import Word, fold, folded_name, words
from lienthong.errors import QueryInvalid

LONGEST_TEXT = 300  # characters
MOST_WORDS = 16
MOST_FILTER_VALUES = 50
MOST_ROWS = 100
LAST_ROW = 10_000  # deeper, narrow the search: nobody reads on page 500, only scrapers do

_PART = re.compile(r'"([^"]*)"?|(?:truong|trường|field):(\S+)|(\S+)', re.IGNORECASE)


class Query(msgspec.Struct, frozen=True):
    """A search; ``filters`` has one of ``FACETS`` → values of which an entry has at least one.

    Raises QueryInvalid.
    """

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
        unknown = set(self.filters) - set(FACETS)
        if unknown:
            raise QueryInvalid(reason=f"unknown filter {min(unknown)[:40]}")
        if any(len(values) > MOST_FILTER_VALUES for values in self.filters.values()):
            raise QueryInvalid(reason=f"over {MOST_FILTER_VALUES} values of one filter")
        if not 1 <= self.limit <= MOST_ROWS:
            raise QueryInvalid(reason=f"limit is not 1 to {MOST_ROWS}")
        if not 0 <= self.offset <= LAST_ROW:
            raise QueryInvalid(reason=f"offset is not 0 to {LAST_ROW}")
        if not 0 <= self.facet_values <= MOST_ROWS:
            raise QueryInvalid(reason=f"facet values are not 0 to {MOST_ROWS}")


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
