"""What is known of sources and their records, in the catalogue's database.

    store = HarvestStore(catalogue)
    store.add(source)
    store.records("hcm", ["id-1", "id-2"])

What is written of records is written within the transaction that changes the entries
(``CatalogueStore.save(also=…)``): the two never differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from lienthong.catalogue.harvest.marks import Marks
from lienthong.catalogue.harvest.models import Run, Source, State
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.store import CatalogueStore, decode_entry
from lienthong.catalogue.tables import (
    HARVEST_EVENT,
    HARVEST_RECORD,
    HARVEST_RUN,
    HARVEST_SOURCE,
)
from lienthong.errors import CatalogueStoreFailed, HarvestSourceUnknown

_SOURCE = msgspec.json.Decoder(Source)
_RUN = msgspec.json.Decoder(Run)
_AT_ONCE = 500
ALIVE = (State.SHOWN.value, State.DUPLICATE.value, State.FAILED.value)


class Known(NamedTuple):
    """A record as it lies here; ``document``: the entry of one that is not shown."""

    record: str
    key: str
    state: State
    seen: int
    digest: str
    marks: Marks
    duplicate_of: str = ""
    document: CatalogueEntry | None = None


class Event(NamedTuple):
    """One line of a harvested entry's history."""

    at: datetime
    run: int
    act: str
    told: str


class HarvestStore:
    """Over the catalogue's database. All methods raise CatalogueStoreFailed."""

    def __init__(self, catalogue: CatalogueStore) -> None:
        self._engine = catalogue.engine
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        self._insert: Callable[..., sqlite.Insert] = dialect.insert

    # --- sources ----------------------------------------------------------------------

    def put(self, source: Source) -> None:
        """Add a source, or keep what is new of it."""
        statement = self._insert(HARVEST_SOURCE).values(
            name=source.name, document=msgspec.json.encode(source)
        )
        with self._connection() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"], set_={"document": statement.excluded.document}
                )
            )

    def get(self, name: str) -> Source:
        """Raises HarvestSourceUnknown."""
        query = select(HARVEST_SOURCE.c.document).where(HARVEST_SOURCE.c.name == name)
        with self._connection() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise HarvestSourceUnknown(source=name[:100])
        return _SOURCE.decode(found)

    def sources(self) -> list[Source]:
        """All sources, by name."""
        query = select(HARVEST_SOURCE.c.document).order_by(HARVEST_SOURCE.c.name)
        with self._connection() as connection:
            return [_SOURCE.decode(row) for row in connection.execute(query).scalars()]

    def forget(self, name: str) -> Callable[[Connection], None]:
        """What takes a source and its records out; its runs and events stay."""

        def write(connection: Connection) -> None:
            connection.execute(delete(HARVEST_SOURCE).where(HARVEST_SOURCE.c.name == name))
            connection.execute(delete(HARVEST_RECORD).where(HARVEST_RECORD.c.source == name))

        return write

    # --- runs and events --------------------------------------------------------------

    def begin(self, run: Run) -> int:
        """Write a run down as begun; returns its number."""
        with self._connection() as connection:
            values = {"source": run.source, "document": msgspec.json.encode(run)}
            done = connection.execute(insert(HARVEST_RUN).values(values))
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def end(self, number: int, run: Run) -> None:
        """Write down how it went."""
        document = msgspec.json.encode(run)
        with self._connection() as connection:
            connection.execute(
                update(HARVEST_RUN).where(HARVEST_RUN.c.number == number).values(document=document)
            )

    def runs(self, source: str, limit: int = 20) -> list[Run]:
        """The last runs, the newest first."""
        query = select(HARVEST_RUN.c.document).where(HARVEST_RUN.c.source == source)
        with self._connection() as connection:
            rows = connection.execute(query.order_by(HARVEST_RUN.c.number.desc()).limit(limit))
            return [_RUN.decode(row) for row in rows.scalars()]

    def events(self, key: str) -> list[Event]:
        """The history of a harvested entry, the oldest first."""
        query = select(HARVEST_EVENT).where(HARVEST_EVENT.c.key == key)
        with self._connection() as connection:
            rows = connection.execute(query.order_by(HARVEST_EVENT.c.number)).all()
        return [Event(_utc(row.at), row.run, row.act, row.told) for row in rows]

    # --- records ----------------------------------------------------------------------

    def records(self, source: str, ids: Collection[str]) -> dict[str, Known]:
        """Those of some ids that are known."""
        found: dict[str, Known] = {}
        wanted = list(ids)
        with self._connection() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                query = select(HARVEST_RECORD).where(
                    HARVEST_RECORD.c.source == source, HARVEST_RECORD.c.record.in_(part)
                )
                found.update((row.record, _known(row)) for row in connection.execute(query))
        return found

    def count_alive(self, source: str) -> int:
        """How many records the source has, by what was last seen."""
        query = select(func.count()).select_from(HARVEST_RECORD).where(_alive(source))
        with self._connection() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self, source: str) -> dict[str, int]:
        """How many records are in each state."""
        column = HARVEST_RECORD.c.state
        query = select(column, func.count()).where(HARVEST_RECORD.c.source == source)
        with self._connection() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(column))}

    def unseen(self, source: str, run: int) -> list[Known]:
        """Records that the source had, and that a run did not meet."""
        query = select(HARVEST_RECORD).where(_alive(source), HARVEST_RECORD.c.seen < run)
        with self._connection() as connection:
            return [_known(row) for row in connection.execute(query)]

    def duplicates(self, source: str) -> list[Known]:
        """Records that repeat an entry."""
        return self._in_state(source, State.DUPLICATE)

    def shown(self, source: str) -> list[Known]:
        """Records that are shown."""
        return self._in_state(source, State.SHOWN)

    def same(self, marks: Marks) -> list[tuple[str, str, str]]:
        """(source, record, key) of records that are shown and have one of these marks."""
        given = [
            column == mark for column, mark in zip(_MARKS, marks, strict=True) if mark is not None
        ]
        if not given:
            return []
        columns = (HARVEST_RECORD.c.source, HARVEST_RECORD.c.record, HARVEST_RECORD.c.key)
        query = select(*columns).where(or_(*given), HARVEST_RECORD.c.state == State.SHOWN.value)
        with self._connection() as connection:
            rows = connection.execute(query.order_by(HARVEST_RECORD.c.key).limit(20)).all()
        return [(row.source, row.record, row.key) for row in rows]

    def writing(
        self,
        source: str,
        run: int,
        known: Collection[Known],
        seen: Collection[str] = (),
        events: Collection[tuple[str, str, str]] = (),
    ) -> Callable[[Connection], None]:
        """What writes records, marks others as seen, and adds events (key, act, told)."""

        def write(connection: Connection) -> None:
            rows = [_row(source, each) for each in known]
            if rows:
                statement = self._insert(HARVEST_RECORD)
                names = [name for name in rows[0] if name not in ("source", "record")]
                new: dict[str, Any] = {name: statement.excluded[name] for name in names}
                new["seen"] = case(  # another run at the same time may have a higher number
                    (HARVEST_RECORD.c.seen > statement.excluded.seen, HARVEST_RECORD.c.seen),
                    else_=statement.excluded.seen,
                )
                keys = ["source", "record"]
                connection.execute(
                    statement.on_conflict_do_update(index_elements=keys, set_=new), rows
                )
            self._mark_seen(connection, source, run, list(seen))
            if events:
                now = datetime.now(UTC)
                lines = [
                    {"key": key, "run": run, "at": now, "act": act, "told": told}
                    for key, act, told in events
                ]
                connection.execute(insert(HARVEST_EVENT), lines)

        return write

    def _mark_seen(self, connection: Connection, source: str, run: int, ids: list[str]) -> None:
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            connection.execute(
                update(HARVEST_RECORD)
                .where(
                    HARVEST_RECORD.c.source == source,
                    HARVEST_RECORD.c.record.in_(part),
                    HARVEST_RECORD.c.seen < run,
                )
                .values(seen=run)
            )

    def _in_state(self, source: str, state: State) -> list[Known]:
        query = select(HARVEST_RECORD).where(
            HARVEST_RECORD.c.source == source, HARVEST_RECORD.c.state == state.value
        )
        with self._connection() as connection:
            return [_known(row) for row in connection.execute(query)]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error


_MARKS = (
    HARVEST_RECORD.c.identifier_mark,
    HARVEST_RECORD.c.landing_mark,
    HARVEST_RECORD.c.content_mark,
)


def _alive(source: str) -> ColumnElement[bool]:
    return and_(HARVEST_RECORD.c.source == source, HARVEST_RECORD.c.state.in_(ALIVE))


def _utc(moment: datetime) -> datetime:
    """SQLite keeps no zone; PostgreSQL gives the session's."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _known(row: Any) -> Known:
    values = row._mapping
    return Known(
        values["record"],
        values["key"],
        State(values["state"]),
        values["seen"],
        values["digest"],
        Marks(values["identifier_mark"], values["landing_mark"], values["content_mark"]),
        values["duplicate_of"] or "",
        decode_entry(values["document"]) if values["document"] else None,
    )


def _row(source: str, known: Known) -> dict[str, object]:
    return {
        "source": source,
        "record": known.record,
        "key": known.key,
        "state": known.state.value,
        "seen": known.seen,
        "digest": known.digest,
        "identifier_mark": known.marks.identifier,
        "landing_mark": known.marks.landing,
        "content_mark": known.marks.content,
        "duplicate_of": known.duplicate_of or None,
        "document": msgspec.json.encode(known.document) if known.document else None,
    }
