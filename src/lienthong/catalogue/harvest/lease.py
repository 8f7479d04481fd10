"""The right to harvest: one holder at a time, whichever processes share the catalogue's database.

    with Lease(catalogue).held("da-nang") as lease:      # raises HarvestBusy
        harvester.run(source, progress=lambda *_: lease.check())

It is one row that counts until a moment, drawn out again and again by its holder. A holder that
dies leaves it to run out; one that has lost it, as after a long sleep of its machine, stops.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from lienthong.catalogue.harvest.fetching import SourceFailed
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import HARVEST_LEASE
from lienthong.errors import CatalogueStoreFailed, HarvestBusy, LienthongError

SECONDS = 120.0  # longer than clocks of machines that share a database differ
DRAWN_OUT_EVERY_SECONDS = 20.0
LOST = "another process has begun to harvest"
_NAME = "harvest"


class Holder(NamedTuple):
    """Who harvests, and which source."""

    holder: str
    source: str
    until: float


class Lease:
    """One process's side of it. Raises CatalogueStoreFailed."""

    def __init__(self, catalogue: CatalogueStore, clock: Callable[[], float] = time.time) -> None:
        self._engine = catalogue.engine
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        self._insert: Callable[..., sqlite.Insert] = dialect.insert
        self._clock = clock
        self._source = ""
        self._me = secrets.token_hex(16)
        self._lost = threading.Event()
        self._done = threading.Event()

    @contextmanager
    def held(self, source: str) -> Iterator[Lease]:
        """Hold it for a block. Raises HarvestBusy where another does."""
        if not self._take(source):
            now = self.holder()
            raise HarvestBusy(source=now.source if now else source)
        self._source = source
        self._lost.clear()
        self._done.clear()
        drawing = threading.Thread(target=self._draw_out, daemon=True)
        drawing.start()
        try:
            yield self
        finally:
            self._done.set()
            drawing.join(DRAWN_OUT_EVERY_SECONDS)
            self._give_back()

    def tell(self, source: str) -> None:
        """Say which source it is used for."""
        self._source = source
        self._take(source)

    def check(self) -> None:
        """Raises SourceFailed when somebody else may harvest by now."""
        if self._lost.is_set():
            raise SourceFailed(LOST)

    def holder(self) -> Holder | None:
        """Who holds it now, if somebody does."""
        query = select(HARVEST_LEASE).where(HARVEST_LEASE.c.until > self._clock())
        try:
            with self._engine.connect() as connection:
                row = connection.execute(query).first()
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error
        return None if row is None else Holder(row.holder, row.source, row.until)

    def _take(self, source: str) -> bool:
        """Take it, or draw it out: one statement, so that of two at once one gets it."""
        now = self._clock()
        values = {"holder": self._me, "source": source, "until": now + SECONDS}
        statement = self._insert(HARVEST_LEASE).values(name=_NAME, **values)
        taken = statement.on_conflict_do_update(
            index_elements=["name"],
            set_=values,
            where=or_(HARVEST_LEASE.c.until <= now, HARVEST_LEASE.c.holder == self._me),
        ).returning(HARVEST_LEASE.c.holder)
        try:
            with self._engine.begin() as connection:
                return connection.execute(taken).first() is not None
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error

    def _draw_out(self) -> None:
        while not self._done.wait(DRAWN_OUT_EVERY_SECONDS):
            try:
                if not self._take(self._source):
                    self._lost.set()
                    return
            except LienthongError:
                continue  # the database is away; the lease counts until it runs out

    def _give_back(self) -> None:
        mine = delete(HARVEST_LEASE).where(HARVEST_LEASE.c.holder == self._me)
        try:
            with self._engine.begin() as connection:
                connection.execute(mine)
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error
