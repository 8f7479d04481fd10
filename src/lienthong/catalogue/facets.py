"""Counting how a set of entries spreads over the values of a facet, exactly.

Two ways, the cheaper one for the case:

- few matches: a column gives each entry's value (several columns where an entry may have several
  values); look the matches up and count;
- many matches: intersect them with each value's bitmap, the most frequent value first. A value's
  own total bounds its count, so counting ends where no further value can reach the list.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
import numpy as np
from pyroaring import BitMap

# What the two ways take, estimated: only their ratio matters, and only to which way is taken.
_NANOSECONDS_A_MATCH = 6
_NANOSECONDS_A_VALUE = 4_000

Numbers = np.ndarray[Any, np.dtype[np.uint32]]


class ValueCount(msgspec.Struct, frozen=True):
    """A value and how many matches have it."""

    value: str
    count: int


def numbers_of(bitmap: BitMap) -> Numbers:
    """Return the members of a bitmap, ascending."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)


class Facet:
    """All values of one facet, with the entries that have each.

    ``order`` fixes the indexes of values in the column: 1 for the first.
    """

    def __init__(self, order: Sequence[str] = ()) -> None:
        self._bitmaps: dict[str, BitMap] = {}
        self._values: list[str] = ["", *order]  # by index; 0 stands for no value
        self._index: dict[str, int] = {value: at for at, value in enumerate(order, start=1)}
        self._columns: list[Numbers] = []
        self._commonest: list[str] | None = None

    def replace(self, changed: Mapping[str, BitMap]) -> None:
        """Take new bitmaps of some values; an empty one ends the value."""
        for value in changed:
            self._clear(value)
        for value, bitmap in changed.items():
            if bitmap:
                self._bitmaps[value] = bitmap
                self._enter(value, numbers_of(bitmap))
            else:
                self._bitmaps.pop(value, None)
        self._commonest = None

    def column(self) -> Numbers:
        """Each entry's index, for a facet with one value an entry."""
        return self._columns[0] if self._columns else np.zeros(0, np.uint32)

    def top(self, matches: BitMap, most: int) -> list[ValueCount]:
        """Return the ``most`` commonest values among ``matches``, equal counts by value."""
        if not matches or not self._bitmaps:
            return []
        by_columns = len(matches) * len(self._columns) * _NANOSECONDS_A_MATCH
        if by_columns < len(self._bitmaps) * _NANOSECONDS_A_VALUE:
            return self._by_columns(matches, most)
        return self._by_bitmaps(matches, most)

    def _by_columns(self, matches: BitMap, most: int) -> list[ValueCount]:
        numbers = numbers_of(matches)
        counts = np.zeros(len(self._values), np.int64)
        for column in self._columns:
            inside = numbers[: np.searchsorted(numbers, len(column))]
            counts += np.bincount(column[inside], minlength=len(self._values))
        counts[0] = 0
        found = [ValueCount(self._values[at], int(counts[at])) for at in np.flatnonzero(counts)]
        return heapq.nsmallest(most, found, key=_rank)

    def _by_bitmaps(self, matches: BitMap, most: int) -> list[ValueCount]:
        best: list[ValueCount] = []
        least = 0  # the count that a value must reach to come into a full list
        for value in self._in_order():
            bitmap = self._bitmaps[value]
            if len(best) >= most and len(bitmap) < least:
                break
            if inside := matches.intersection_cardinality(bitmap):
                best.append(ValueCount(value, inside))
            if len(best) >= 2 * most:
                best = heapq.nsmallest(most, best, key=_rank)
                least = best[-1].count
        return heapq.nsmallest(most, best, key=_rank)

    def _in_order(self) -> list[str]:
        if self._commonest is None:
            self._commonest = sorted(self._bitmaps, key=lambda each: -len(self._bitmaps[each]))
        return self._commonest

    def _clear(self, value: str) -> None:
        at, old = self._index.get(value), self._bitmaps.get(value)
        if at is None or not old:
            return
        numbers = numbers_of(old)
        for column in self._columns:
            mine = numbers[column[numbers] == at]
            column[mine] = 0

    def _enter(self, value: str, numbers: Numbers) -> None:
        at = self._index.setdefault(value, len(self._values))
        if at == len(self._values):
            self._values.append(value)
        self._grow(int(numbers[-1]) + 1)
        for number_of_column in count():
            if number_of_column == len(self._columns):
                self._columns.append(np.zeros(len(self._columns[0]), np.uint32))
            column = self._columns[number_of_column]
            free = column[numbers] == 0
            column[numbers[free]] = at
            numbers = numbers[~free]
            if not len(numbers):
                return

    def _grow(self, wanted: int) -> None:
        if not self._columns:
            self._columns.append(np.zeros(wanted, np.uint32))
        missing = wanted - len(self._columns[0])
        if missing > 0:
            more = np.zeros(missing + wanted // 8, np.uint32)
            self._columns = [np.concatenate((column, more)) for column in self._columns]


def _rank(counted: ValueCount) -> tuple[int, str]:
    return -counted.count, counted.value
