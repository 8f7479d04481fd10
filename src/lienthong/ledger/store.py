"""The ledger on disk: appending groups durably, reading them back. SQLite or PostgreSQL.

    store = LedgerStore(engine)
    store.append(group)          # returns when the group is on disk, or raises
    store.frontier(epoch)        # edge of the stored tree

Hot statements are compiled once from the tables and run on the driver's own connection:
SQLAlchemy's execution would cost more than the insert (docs/performance.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from lienthong.errors import LedgerCorrupt, LedgerUnavailable, RecordNotFound
from lienthong.ledger import tables
from lienthong.ledger.erasure import erased
from lienthong.ledger.merkle import HASH_BYTES, Frontier
from lienthong.ledger.records import (
    POSITIONS_PER_EPOCH,
    Entry,
    EntryKind,
    Group,
    Located,
    place_of,
)

RECONNECT_SECONDS = 5.0  # time to find out whether a commit whose reply was lost took place
_DISK_FULL = 13  # SQLITE_FULL: the statement is rolled back, nothing is in doubt
_BUSY = 5  # SQLITE_BUSY

_encode = msgspec.msgpack.Encoder().encode
_decode_entries = msgspec.msgpack.Decoder(tuple[Entry, ...]).decode
_decode_bodies = msgspec.msgpack.Decoder(dict[int, bytes]).decode


class WriteInDoubt(Exception):
    """Nobody knows whether the last group is on disk: the process must end (not our error tree:
    it never leaves this room)."""


class LedgerStore:
    """Groups, bodies and epochs of one node. One writer thread; readers from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        tables.metadata.create_all(engine)
        self._insert_group = _compiled(engine, tables.groups)
        self._insert_bodies = _compiled(engine, tables.bodies)
        self._writer: Any = None

    # --- writing -----------------------------------------------------------------------

    def append(self, group: Group) -> None:
        """Put ``group`` on disk in one transaction.

        Raises LedgerUnavailable (nothing written) or WriteInDoubt.
        """
        try:
            connection = self._writer_connection()
            cursor = connection.cursor()
        except Exception as error:
            self._drop_writer()
            raise LedgerUnavailable() from error
        try:
            if self._sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            self._insert(cursor, group)
        except Exception as error:
            self._give_up(connection)
            raise LedgerUnavailable() from error
        self._commit(connection, cursor, group)

    def _insert(self, cursor: Any, group: Group) -> None:
        time_ms = milliseconds(group.time)
        row = {
            "place": group.place,
            "time_ms": time_ms,
            "root": group.root,
            "head": group.head,
            "subtrees": b"".join(group.subtrees),
            "entries": _encode(group.entries),
        }
        self._execute(cursor, self._insert_group, row)
        if group.bodies:
            row = {"place": group.place, "time_ms": time_ms, "bodies": _encode(group.bodies)}
            self._execute(cursor, self._insert_bodies, row)

    def _execute(self, cursor: Any, statement: tuple[str, list[str]], row: dict[str, Any]) -> None:
        sql, names = statement
        cursor.execute(sql, tuple([row[name] for name in names]) if names else row)

    def _commit(self, connection: Any, cursor: Any, group: Group) -> None:
        try:
            if self._sqlite:
                cursor.execute("COMMIT")
            else:
                connection.commit()
        except Exception as error:
            if self._sqlite:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in (_DISK_FULL, _BUSY):
                    self._give_up(connection)
                    raise LedgerUnavailable() from error
                raise WriteInDoubt(str(error)) from error
            self._find_out(group, error)

    def _find_out(self, group: Group, error: Exception) -> None:
        """After a lost reply to COMMIT: look whether the group is there."""
        self._drop_writer()
        deadline = time.monotonic() + RECONNECT_SECONDS
        while time.monotonic() < deadline:
            try:
                stored = self._head_at(group.place)
            except DBAPIError:
                time.sleep(0.2)
                continue
            if stored == group.head:
                return
            raise LedgerUnavailable() from error
        raise WriteInDoubt(str(error)) from error

    def _writer_connection(self) -> Any:
        if self._writer is None:
            self._writer = self._engine.raw_connection()
        return self._writer.driver_connection

    def _give_up(self, connection: Any) -> None:
        try:
            if self._sqlite:
                connection.execute("ROLLBACK")
            else:
                connection.rollback()
        except Exception:
            self._drop_writer()

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.invalidate()
            self._writer = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # --- epochs and the tree -------------------------------------------------------------

    def current_epoch(self) -> int:
        """Number of the newest epoch; opens epoch 0 on first use."""
        with self._engine.begin() as connection:
            newest = connection.scalar(select(func.max(tables.epochs.c.epoch)))
            if newest is None:
                connection.execute(insert(tables.epochs).values(_epoch_row(0, "first")))
                newest = 0
        return int(newest)

    def open_epoch(self, reason: str) -> int:
        """Begin a new tree; the old ones stay as they are."""
        epoch = self.current_epoch() + 1
        with self._engine.begin() as connection:
            connection.execute(insert(tables.epochs).values(_epoch_row(epoch, reason)))
        return epoch

    def size(self, epoch: int) -> int:
        """Groups stored in ``epoch``."""
        last = self._last_place(epoch)
        return 0 if last is None else last % POSITIONS_PER_EPOCH + 1

    def last_head(self, epoch: int) -> str:
        """Newest head note of ``epoch``; empty when there is none."""
        last = self._last_place(epoch)
        return "" if last is None else self._head_at(last) or ""

    def frontier(self, epoch: int) -> Frontier:
        return Frontier.load(lambda level, i: self.subtree(epoch, level, i), self.size(epoch))

    def subtree(self, epoch: int, level: int, index: int) -> bytes:
        """Hash of a complete subtree; it lies with the group that closed it."""
        place = place_of(epoch, ((index + 1) << level) - 1)
        with self._engine.connect() as connection:
            closed = connection.scalar(
                select(tables.groups.c.subtrees).where(tables.groups.c.place == place)
            )
        found = (closed or b"")[level * HASH_BYTES : (level + 1) * HASH_BYTES]
        if len(found) != HASH_BYTES:
            raise LedgerCorrupt(reason=f"no subtree {level}/{index} in epoch {epoch}")
        return bytes(found)

    def _last_place(self, epoch: int) -> int | None:
        with self._engine.connect() as connection:
            last: int | None = connection.scalar(
                select(func.max(tables.groups.c.place)).where(
                    tables.groups.c.place >= place_of(epoch, 0),
                    tables.groups.c.place < place_of(epoch + 1, 0),
                )
            )
        return last

    def _head_at(self, place: int) -> str | None:
        with self._engine.connect() as connection:
            return connection.scalar(
                select(tables.groups.c.head).where(tables.groups.c.place == place)
            )

    # --- reading -------------------------------------------------------------------------

    def group(self, place: int) -> Group:
        """One group with the bodies that are still kept. Raises RecordNotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(tables.groups).where(tables.groups.c.place == place)
            ).first()
            kept = connection.scalar(
                select(tables.bodies.c.bodies).where(tables.bodies.c.place == place)
            )
        if row is None:
            raise RecordNotFound(name=place)
        return _group(row, kept)

    def groups(
        self, after_place: int = -1, since_ms: int = 0, batch_rows: int = 200
    ) -> Iterator[Group]:
        """Groups in order of place, without bodies, a batch of rows at a time."""
        while True:
            with self._engine.connect() as connection:
                rows = connection.execute(
                    select(tables.groups)
                    .where(tables.groups.c.place > after_place)
                    .where(tables.groups.c.time_ms >= since_ms)
                    .order_by(tables.groups.c.place)
                    .limit(batch_rows)
                ).all()
            for row in rows:
                yield _group(row, None)
            if len(rows) < batch_rows:
                return
            after_place = rows[-1].place

    def body(self, located: Located) -> bytes | None:
        """Body of an entry, if it was logged and is still kept."""
        with self._engine.connect() as connection:
            kept = connection.scalar(
                select(tables.bodies.c.bodies).where(tables.bodies.c.place == located.place)
            )
        return None if kept is None else _decode_bodies(kept).get(located.index)

    # --- erasing -------------------------------------------------------------------------

    def purge_bodies(self, before: datetime) -> int:
        """Delete bodies of groups older than ``before``; returns how many groups had any."""
        with self._engine.begin() as connection:
            return connection.execute(
                delete(tables.bodies).where(tables.bodies.c.time_ms < milliseconds(before))
            ).rowcount

    def erase(self, located: Located, erase_file: Callable[[str], None]) -> None:
        """Erase the contents and the body of one record; its leaf, and so the tree, stays."""
        group = self.group(located.place)
        entries = list(group.entries)
        if entries[located.index].kind is EntryKind.EVENT:
            return  # a step of an agreement holds no personal data
        erase_file(entries[located.index].body_file)
        entries[located.index] = erased(entries[located.index])
        kept = {i: body for i, body in group.bodies.items() if i != located.index}
        with self._engine.begin() as connection:
            connection.execute(
                update(tables.groups)
                .where(tables.groups.c.place == located.place)
                .values(entries=_encode(tuple(entries)))
            )
            connection.execute(
                update(tables.bodies)
                .where(tables.bodies.c.place == located.place)
                .values(bodies=_encode(kept))
            )


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, by which times are stored."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def from_milliseconds(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)


def _epoch_row(epoch: int, reason: str) -> dict[str, Any]:
    return {"epoch": epoch, "opened_ms": milliseconds(datetime.now(UTC)), "reason": reason}


def _group(row: Any, kept: bytes | None) -> Group:
    return Group(
        epoch=row.place // POSITIONS_PER_EPOCH,
        position=row.place % POSITIONS_PER_EPOCH,
        time=from_milliseconds(row.time_ms),
        root=bytes(row.root),
        head=row.head,
        subtrees=tuple(
            bytes(row.subtrees[i : i + HASH_BYTES]) for i in range(0, len(row.subtrees), HASH_BYTES)
        ),
        entries=_decode_entries(row.entries),
        bodies=_decode_bodies(kept) if kept is not None else {},
    )


def _compiled(engine: Engine, table: Any) -> tuple[str, list[str]]:
    """SQL of an insert for the driver, with the order of its positional parameters."""
    statement = insert(table).compile(dialect=engine.dialect)
    return str(statement), list(statement.positiontup or [])
