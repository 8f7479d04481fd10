"""Entries in an order that pages can be cut from, and those that changed within a time.

A search puts the best first and looks at no more than a few; a program that reads a whole
catalogue asks for page 10,000. For it the numbers of all entries are kept sorted, twelve bytes
an entry, and sorted anew when something has changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from pyroaring import BitMap
from sqlalchemy import Connection, select

from lienthong.catalogue.query import Order
from lienthong.catalogue.tables import ENTRY

Numbers = np.ndarray[Any, np.dtype[Any]]


class Orders:
    """Sorted numbers of one catalogue. Not for two threads at once."""

    def __init__(self) -> None:
        self._sorted: dict[str, Any] = {}

    def forget(self) -> None:
        """Something has changed."""
        self._sorted.clear()

    def within(
        self,
        connection: Connection,
        matches: BitMap,
        since: datetime | None,
        until: datetime | None,
    ) -> BitMap:
        """Keep the entries that were changed from ``since`` to ``until``."""
        if since is None and until is None:
            return matches
        numbers, moments = self._by_time(connection)
        first = 0 if since is None else np.searchsorted(moments, since.timestamp(), "left")
        last = (
            len(moments) if until is None else np.searchsorted(moments, until.timestamp(), "right")
        )
        return matches & BitMap(numbers[first:last])

    def page(
        self, connection: Connection, matches: BitMap, order: Order, skip: int, most: int
    ) -> list[int]:
        """Return the numbers of one page of ``matches``."""
        if order is Order.NUMBER:
            return list(matches[skip : skip + most])
        by_time = order in (Order.MODIFIED, Order.MODIFIED_LAST)
        numbers = self._by_time(connection)[0] if by_time else self._by_key(connection)
        inside = np.zeros(int(numbers.max()) + 1 if len(numbers) else 0, dtype=bool)
        inside[np.asarray(matches.to_array(), dtype=np.int64)] = True
        found = numbers[inside[numbers]]
        if order in (Order.MODIFIED_LAST, Order.KEY_LAST):
            found = found[::-1]
        return [int(number) for number in found[skip : skip + most]]

    def _by_time(self, connection: Connection) -> tuple[Numbers, Numbers]:
        def read() -> tuple[Numbers, Numbers]:
            columns = select(ENTRY.c.number, ENTRY.c.modified)
            rows = connection.execute(columns.order_by(ENTRY.c.modified, ENTRY.c.number)).all()
            numbers = np.fromiter((row[0] for row in rows), np.uint32, len(rows))
            return numbers, np.fromiter((row[1] for row in rows), np.float64, len(rows))

        found: tuple[Numbers, Numbers] = self._kept("time", read)
        return found

    def _by_key(self, connection: Connection) -> Numbers:
        def read() -> Numbers:
            rows = connection.execute(select(ENTRY.c.number).order_by(ENTRY.c.key)).scalars().all()
            return np.array(rows, np.uint32)

        found: Numbers = self._kept("key", read)
        return found

    def _kept(self, name: str, read: Callable[[], Any]) -> Any:
        if name not in self._sorted:
            self._sorted[name] = read()
        return self._sorted[name]
