"""Where the catalogue keeps its entries, contracts and history; the search index in step.

    store = CatalogueStore(open_catalogue("sqlite:///catalogue.db"))
    store.save([entry], contracts={digest: content})
    store.get("VN/GOV/G01/vn-demo-cong-dan")

One transaction changes an entry, its place in the search index and its history, or nothing of
them. Nothing is deleted: a withdrawn entry leaves the search and keeps its history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, and_, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from lienthong.catalogue.models import CatalogueEntry, Kept, Publication
from lienthong.catalogue.postings import next_generation, write_change
from lienthong.catalogue.tables import CONTRACT, ENTRY, LABEL, PUBLICATION
from lienthong.catalogue.terms import facet_labels, terms_of
from lienthong.errors import CatalogueStoreFailed, EntryUnknown

MOST_AT_ONCE = 20_000  # entries of one transaction: its changes are held in memory
_PARAMETERS = 500  # keys in one statement

_ENTRY = msgspec.json.Decoder(CatalogueEntry)
_PUBLICATION = msgspec.json.Decoder(Publication)


# Shown an entry's history within the transaction that is to add to it; raises to stop it.
Check = Callable[[Sequence[Kept]], None]
Also = Callable[[Connection], None]


class Stored(NamedTuple):
    """An entry as it lies here; ``number`` is its place in the search index."""

    number: int
    entry: CatalogueEntry
    withdrawn: datetime | None


class CatalogueStore:
    """Entries in SQLite or PostgreSQL. All methods raise CatalogueStoreFailed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        dialect: Any = sqlite if engine.dialect.name == "sqlite" else postgresql
        self._insert = dialect.insert

    # --- writing ----------------------------------------------------------------------

    def save(
        self,
        entries: Iterable[CatalogueEntry],
        *,
        contracts: Mapping[str, bytes] | None = None,
        publication: Publication | None = None,
        check: Check | None = None,
        also: Also | None = None,
    ) -> None:
        """Add entries, or put them in the place of those of the same key.

        ``contracts`` are kept under their SHA-256, ``publication`` in the history, unless
        ``check``, which is shown the history before it, raises: then nothing is changed.
        ``also`` writes more within the transaction; it is for one part (``MOST_AT_ONCE``).
        """
        waiting = list({entry.key: entry for entry in entries}.values())
        for start in range(0, max(1, len(waiting)), MOST_AT_ONCE):
            part = waiting[start : start + MOST_AT_ONCE]
            with self._writing() as (connection, generation):
                self._keep(connection, contracts or {}, publication, check)
                self._replace(connection, generation, part)
                if also is not None:
                    also(connection)
            contracts, publication, also = None, None, None

    def withdraw(
        self,
        keys: Collection[str],
        at: datetime,
        *,
        publication: Publication | None = None,
        check: Check | None = None,
        also: Also | None = None,
    ) -> int:
        """Take entries out of the search; returns how many were there. See ``save``."""
        with self._writing() as (connection, generation):
            self._keep(connection, {}, publication, check)
            found = [each for each in _stored(connection, keys) if each.withdrawn is None]
            change = _change((each.number, terms_of(each.entry), set()) for each in found)
            write_change(connection, generation, change)
            for part in _parts([each.number for each in found]):
                connection.execute(
                    update(ENTRY)
                    .where(ENTRY.c.number.in_(part))
                    .values(withdrawn=at.timestamp(), modified=at.timestamp())
                )
            if also is not None:
                also(connection)
        return len(found)

    # --- reading ----------------------------------------------------------------------

    def get(self, key: str) -> CatalogueEntry:
        """Return the entry in force. Raises EntryUnknown, also of a withdrawn one."""
        stored = self.stored(key)
        if stored is None or stored.withdrawn is not None:
            raise EntryUnknown(entry=key[:200])
        return stored.entry

    def stored(self, key: str) -> Stored | None:
        """Return an entry also when it was withdrawn."""
        with self._reading() as connection:
            return next(iter(_stored(connection, [key])), None)

    def find(self, contract_id: str, limit: int = 10) -> list[CatalogueEntry]:
        """Return entries whose contract has that id, whoever owns them."""
        with self._reading() as connection:
            query = (
                select(ENTRY.c.document)
                .where(
                    ENTRY.c.withdrawn.is_(None),
                    ENTRY.c.key.endswith("/" + contract_id, autoescape=True),
                )
                .order_by(ENTRY.c.key)
                .limit(limit)
            )
            return [_ENTRY.decode(row) for row in connection.execute(query).scalars()]

    def entries(self, after: str = "", limit: int = 100, source: str = "") -> list[CatalogueEntry]:
        """Return entries in force by key, those after one key; all, or of one source."""
        query = select(ENTRY.c.document).where(ENTRY.c.withdrawn.is_(None), ENTRY.c.key > after)
        if source:
            query = query.where(ENTRY.c.source == source)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(ENTRY.c.key).limit(limit)).scalars()
            return [_ENTRY.decode(row) for row in rows]

    def keys(self, limit: int, offset: int = 0) -> list[str]:
        """Return keys of entries in force, sorted."""
        query = select(ENTRY.c.key).where(ENTRY.c.withdrawn.is_(None)).order_by(ENTRY.c.key)
        with self._reading() as connection:
            return list(connection.execute(query.limit(limit).offset(offset)).scalars())

    def places(self, first: int, until: int) -> list[tuple[str, datetime]]:
        """Return key and last change of the entries in force with these numbers."""
        columns = select(ENTRY.c.key, ENTRY.c.modified)
        within = ENTRY.c.number.between(first, until - 1)
        query = columns.where(within, ENTRY.c.withdrawn.is_(None)).order_by(ENTRY.c.number)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [(row.key, datetime.fromtimestamp(row.modified, UTC)) for row in rows]

    def numbers(self) -> int:
        """How many numbers were given to entries, also to those withdrawn."""
        with self._reading() as connection:
            last = connection.execute(select(func.max(ENTRY.c.number))).scalar_one()
        return 0 if last is None else int(last) + 1

    def changed_since(self, moment: datetime, after: int = 0, limit: int = 100) -> list[Stored]:
        """Return what was changed or withdrawn from ``moment`` on, the oldest change first.

        ``after`` is the number of the last entry of the page before, whose ``modified`` is
        ``moment``: a page may end within one second.
        """
        at = moment.timestamp()
        later = or_(ENTRY.c.modified > at, and_(ENTRY.c.modified == at, ENTRY.c.number > after))
        query = _COLUMNS.where(later).order_by(ENTRY.c.modified, ENTRY.c.number).limit(limit)
        with self._reading() as connection:
            return [_as_stored(row) for row in connection.execute(query)]

    def count(self) -> int:
        """How many entries are in force."""
        query = select(func.count()).select_from(ENTRY).where(ENTRY.c.withdrawn.is_(None))
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def contract(self, digest: str) -> bytes | None:
        """Return a contract's bytes as they were published."""
        query = select(CONTRACT.c.content).where(CONTRACT.c.digest == digest)
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def history(self, key: str) -> list[Kept]:
        """Return all publications of an entry, the oldest first."""
        with self._reading() as connection:
            return _history(connection, key)

    # --- within a transaction ---------------------------------------------------------

    def _keep(
        self,
        connection: Connection,
        contracts: Mapping[str, bytes],
        publication: Publication | None,
        check: Check | None,
    ) -> None:
        if publication is not None and check is not None:
            check(_history(connection, publication.key))
        for digest, content in contracts.items():
            row = {"digest": digest, "content": content}
            connection.execute(self._insert(CONTRACT).values(row).on_conflict_do_nothing())
        if publication is not None:
            connection.execute(
                insert(PUBLICATION).values(
                    key=publication.key,
                    received=datetime.now(UTC),
                    statement=msgspec.json.encode(publication),
                )
            )

    def _replace(
        self, connection: Connection, generation: int, entries: Sequence[CatalogueEntry]
    ) -> None:
        known = {each.entry.key: each for each in _stored(connection, [e.key for e in entries])}
        free = connection.execute(select(func.coalesce(func.max(ENTRY.c.number), -1))).scalar_one()
        rows, moves = [], []
        for entry in entries:
            before = known.get(entry.key)
            if before is None:
                free += 1
            number = free if before is None else before.number
            shown = before is not None and before.withdrawn is None
            moves.append(
                (number, terms_of(before.entry) if before and shown else set(), terms_of(entry))
            )
            rows.append(_row(number, entry))
        self._write_rows(connection, rows)
        self._write_labels(connection, entries)
        write_change(connection, generation, _change(moves))

    def _write_rows(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if rows:
            statement = self._insert(ENTRY)
            new = {name: statement.excluded[name] for name in rows[0] if name != "number"}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["number"], set_=new), rows
            )

    def _write_labels(self, connection: Connection, entries: Iterable[CatalogueEntry]) -> None:
        labels = {place: label for entry in entries for place, label in facet_labels(entry).items()}
        if labels:
            statement = self._insert(LABEL)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["facet", "value"], set_={"label": statement.excluded.label}
                ),
                [
                    {"facet": facet, "value": value, "label": label}
                    for (facet, value), label in labels.items()
                ],
            )

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        try:
            with self.engine.begin() as connection:
                yield connection, next_generation(connection)
        except SQLAlchemyError as error:
            # The driver's own text may hold addresses and passwords.
            raise CatalogueStoreFailed(reason=type(error).__name__) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise CatalogueStoreFailed(reason=type(error).__name__) from error


def _history(connection: Connection, key: str) -> list[Kept]:
    query = select(PUBLICATION).where(PUBLICATION.c.key == key).order_by(PUBLICATION.c.number)
    return [
        Kept(row.number, _PUBLICATION.decode(row.statement), _utc(row.received))
        for row in connection.execute(query)
    ]


def _utc(moment: datetime) -> datetime:
    """SQLite keeps no zone; PostgreSQL gives the session's."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_COLUMNS = select(ENTRY.c.number, ENTRY.c.withdrawn, ENTRY.c.document)


def decode_entry(document: bytes) -> CatalogueEntry:
    """Read an entry as it is stored."""
    return _ENTRY.decode(document)


def numbers_of_keys(connection: Connection, keys: Collection[str]) -> list[int]:
    """Return the numbers of the entries that there are, in force or not."""
    return [
        number
        for part in _parts(list(keys))
        for number in connection.execute(select(ENTRY.c.number).where(ENTRY.c.key.in_(part)))
        .scalars()
        .all()
    ]


def _stored(connection: Connection, keys: Collection[str]) -> list[Stored]:
    return [
        _as_stored(row)
        for part in _parts(list(keys))
        for row in connection.execute(_COLUMNS.where(ENTRY.c.key.in_(part)))
    ]


def _as_stored(row: Any) -> Stored:
    withdrawn = None if row.withdrawn is None else datetime.fromtimestamp(row.withdrawn, UTC)
    return Stored(row.number, _ENTRY.decode(row.document), withdrawn)


def _row(number: int, entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "number": number,
        "key": entry.key,
        "owner": entry.owner,
        "source": entry.source,
        "modified": entry.modified.timestamp(),
        "withdrawn": None,
        "document": msgspec.json.encode(entry),
    }


def _change(
    moves: Iterable[tuple[int, set[str], set[str]]],
) -> dict[str, tuple[list[int], list[int]]]:
    """Terms to add and to take away, from (number, terms before, terms after)."""
    change: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for number, before, after in moves:
        for term in after - before if before else after:
            change[term][0].append(number)
        for term in before - after:
            change[term][1].append(number)
    return change


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
