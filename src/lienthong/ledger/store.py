"""The ledger on disk: appending groups durably, reading them back. SQLite or PostgreSQL.

    store = LedgerStore(engine)
    store.append(group)          # returns when the group is on disk, or raises
    store.frontier(epoch)        # edge of the stored tree

Hot statements are compiled once from the tables and run on the driver's own connection:
SQLAlchemy's execution would cost more than the insert (docs/performance.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from lienthong.errors import LedgerCorrupt, LedgerUnavailable, RecordNotFound
from lienthong.ledger import tables
from lienthong.ledger.clock import from_milliseconds, milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.erasure import erased
from lienthong.ledger.merkle import HASH_BYTES, Frontier
from lienthong.ledger.records import (
    POSITIONS_PER_EPOCH,
    Entry,
    EntryKind,
    Group,
    Located,
    place_of,
    split_hashes,
)

LOOK_AGAIN_MS = 1000  # to wait for a transaction of ours that has not ended on the server
RECONNECT_SECONDS = 5.0  # time to find out whether a commit whose reply was lost took place
_PURGED = "purged"  # row of ledger_progress: bodies up to this place are gone
GROUPS_PURGED_AT_ONCE = 100  # a longer transaction would hold up the writer of new groups
# Errors of SQLite after which the statement was certainly rolled back: BUSY, LOCKED, READONLY,
# FULL, CANTOPEN, CONSTRAINT. After any other (a failed fsync is an IOERR) it is in doubt.
_NOTHING_WRITTEN = frozenset({5, 6, 8, 13, 14, 19})

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
        self._insert_group = _compiled(engine, tables.groups)
        self._writer: Any = None
        self._erasing = threading.Lock()  # two erasures in one group must not undo each other

    # --- writing -----------------------------------------------------------------------

    def append(self, group: Group) -> None:
        """Put ``group`` on disk in one transaction.

        Raises LedgerUnavailable (nothing written) or WriteInDoubt.
        """
        try:
            connection = self._writer_connection()
            cursor = connection.cursor()
        except Exception as error:
            self.close()
            raise LedgerUnavailable() from error
        if self._sqlite:
            self._insert_alone(cursor, group)
            return
        try:
            cursor.execute(self._insert_group[0], _group_row(group))
        except Exception as error:
            self._give_up(connection)
            raise LedgerUnavailable() from error
        try:
            connection.commit()
        except Exception as error:
            self._find_out(group, error)

    def _insert_alone(self, cursor: Any, group: Group) -> None:
        """One statement that is its own transaction: on disk, or not there, when it returns."""
        sql, names = self._insert_group
        row = _group_row(group)
        try:
            cursor.execute(sql, tuple([row[name] for name in names]))
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOTHING_WRITTEN:
                raise LedgerUnavailable() from error
            raise WriteInDoubt(str(error)) from error

    def _find_out(self, group: Group, error: Exception) -> None:
        """After a lost reply to COMMIT: look whether the group is there."""
        self.close()
        deadline = time.monotonic() + RECONNECT_SECONDS
        while time.monotonic() < deadline:
            try:
                taken = self._is_place_taken(group)
                stored = self._head_at(group.place)
            except LedgerUnavailable:
                time.sleep(0.2)
                continue
            if taken and stored == group.head:
                return
            raise LedgerUnavailable() from error
        raise WriteInDoubt(str(error)) from error

    def _is_place_taken(self, group: Group) -> bool:
        """Whether the group's place has a row; waits for a transaction that is still ending.

        The lost commit may not have reached its end on the server. To insert the same key
        again waits for it: a conflict if it took place, none if it was rolled back.
        """
        try:
            with self._engine.connect() as connection, connection.begin() as attempt:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout TO {LOOK_AGAIN_MS}")
                connection.execute(insert(tables.groups).values(_group_row(group)))
                attempt.rollback()
        except IntegrityError:
            return True
        except DBAPIError as error:
            raise LedgerUnavailable() from error
        return False

    def _writer_connection(self) -> Any:
        if self._writer is None:
            pooled = self._engine.raw_connection()
            self._writer = pooled.dbapi_connection
            pooled.detach()  # it has a mode of its own and never goes back to the pool
            if self._sqlite:
                self._writer.isolation_level = None
        return self._writer

    def _give_up(self, connection: Any) -> None:
        try:
            connection.rollback()
        except Exception:
            self.close()

    def close(self) -> None:
        """Let go of the writer's connection; the next append opens another."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):  # it is given up because it is broken
                writer.close()

    # --- epochs and the tree -------------------------------------------------------------

    def current_epoch(self) -> int:
        """Number of the newest epoch; opens epoch 0 on first use."""
        with writing(self._engine) as connection:
            newest = connection.scalar(select(func.max(tables.epochs.c.epoch)))
            if newest is None:
                connection.execute(insert(tables.epochs).values(_epoch_row(0, "first")))
                newest = 0
        return int(newest)

    def open_epoch(self, reason: str) -> int:
        """Begin a new tree; the old ones stay as they are."""
        epoch = self.current_epoch() + 1
        with writing(self._engine) as connection:
            connection.execute(insert(tables.epochs).values(_epoch_row(epoch, reason)))
        return epoch

    def opened(self, epoch: int) -> datetime:
        """When an epoch was opened."""
        with reading(self._engine) as connection:
            found = connection.scalar(
                select(tables.epochs.c.opened_ms).where(tables.epochs.c.epoch == epoch)
            )
        return from_milliseconds(found or 0)

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
        with reading(self._engine) as connection:
            closed = connection.scalar(
                select(tables.groups.c.subtrees).where(tables.groups.c.place == place)
            )
        found = (closed or b"")[level * HASH_BYTES : (level + 1) * HASH_BYTES]
        if len(found) != HASH_BYTES:
            raise LedgerCorrupt(reason=f"no subtree {level}/{index} in epoch {epoch}")
        return bytes(found)

    def _last_place(self, epoch: int) -> int | None:
        with reading(self._engine) as connection:
            last: int | None = connection.scalar(
                select(func.max(tables.groups.c.place)).where(
                    tables.groups.c.place >= place_of(epoch, 0),
                    tables.groups.c.place < place_of(epoch + 1, 0),
                )
            )
        return last

    def _head_at(self, place: int) -> str | None:
        with reading(self._engine) as connection:
            return connection.scalar(
                select(tables.groups.c.head).where(tables.groups.c.place == place)
            )

    # --- reading -------------------------------------------------------------------------

    def group(self, place: int) -> Group:
        """One group with the bodies that are still kept. Raises RecordNotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(tables.groups).where(tables.groups.c.place == place)
            ).first()
        if row is None:
            raise RecordNotFound(name=place)
        return read_group(row, row.bodies)

    def groups(
        self,
        after_place: int = -1,
        since_ms: int = 0,
        batch_rows: int = 200,
        *,
        with_bodies: bool = False,
    ) -> Iterator[Group]:
        """Groups in order of place, a batch of rows at a time; without bodies unless asked for.

        Raises LedgerCorrupt for a row that cannot be read.
        """
        for row, kept in self.rows(after_place, since_ms, batch_rows, with_bodies=with_bodies):
            yield read_group(row, kept)

    def rows(
        self,
        after_place: int = -1,
        since_ms: int = 0,
        batch_rows: int = 200,
        *,
        with_bodies: bool = False,
    ) -> Iterator[tuple[Any, bytes | None]]:
        """The rows behind ``groups``, as they are stored."""
        columns = [each for each in tables.groups.c if with_bodies or each.name != "bodies"]
        query: Any = select(*columns)
        if since_ms:
            after_place = max(after_place, self._last_place_before(since_ms))
        query = query.order_by(tables.groups.c.place).limit(batch_rows)
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(query.where(tables.groups.c.place > after_place)).all()
            for row in rows:
                yield row, (row.bodies if with_bodies else None)
            if len(rows) < batch_rows:
                return
            after_place = rows[-1].place

    def _last_place_before(self, moment_ms: int) -> int:
        """Place of the last group older than that, by bisection; -1 when there is none.

        Within an epoch places have no gap and times do not run backwards.
        """
        for epoch in range(self.current_epoch(), -1, -1):
            low, high = 0, self.size(epoch)  # groups before `low` are older, from `high` on not
            while low < high:
                middle = (low + high) // 2
                if self._time_at(place_of(epoch, middle)) < moment_ms:
                    low = middle + 1
                else:
                    high = middle
            if low:
                return place_of(epoch, low - 1)
        return -1

    def _time_at(self, place: int) -> int:
        with reading(self._engine) as connection:
            time_ms = connection.scalar(
                select(tables.groups.c.time_ms).where(tables.groups.c.place == place)
            )
        if time_ms is None:
            raise LedgerCorrupt(reason=f"no group at {place}")
        return int(time_ms)

    # --- erasing -------------------------------------------------------------------------

    def purge_bodies(self, before: datetime) -> int:
        """Delete bodies of groups older than ``before``; returns how many groups had any."""
        purged, place = 0, self._purged_place()
        while True:
            places, place, done = self._purge_step(place, milliseconds(before))
            purged += places
            if done:
                return purged

    def _purge_step(self, after_place: int, before_ms: int) -> tuple[int, int, bool]:
        """Purge some groups; returns how many, up to which place, and whether none are left."""
        groups, progress = tables.groups, tables.progress
        with writing(self._engine) as connection:
            rows = connection.execute(
                select(groups.c.place, groups.c.time_ms, groups.c.bodies.is_not(None).label("kept"))
                .where(groups.c.place > after_place)
                .order_by(groups.c.place)
                .limit(GROUPS_PURGED_AT_ONCE)
            ).all()
            old = [row for row in rows if row.time_ms < before_ms]
            kept = [row.place for row in old if row.kept]
            connection.execute(update(groups).where(groups.c.place.in_(kept)).values(bodies=None))
            if old:
                after_place = old[-1].place
                connection.execute(delete(progress).where(progress.c.name == _PURGED))
                connection.execute(insert(progress).values(name=_PURGED, value=after_place))
        return len(kept), after_place, len(old) < GROUPS_PURGED_AT_ONCE

    def _purged_place(self) -> int:
        with reading(self._engine) as connection:
            place = connection.scalar(
                select(tables.progress.c.value).where(tables.progress.c.name == _PURGED)
            )
        return -1 if place is None else int(place)

    def erase(self, located: Located, erase_file: Callable[[str], None]) -> None:
        """Erase the contents and the body of one record; its leaf, and so the tree, stays."""
        with self._erasing:
            group = self.group(located.place)
            entry = group.entries[located.index]
            if entry.kind is EntryKind.EVENT:
                return  # a step of an agreement holds no personal data
            erase_file(entry.body_file)
            entries = list(group.entries)
            entries[located.index] = erased(entry)
            kept = {i: body for i, body in group.bodies.items() if i != located.index}
            self._rewrite(located.place, _encode(tuple(entries)), kept)

    def _rewrite(self, place: int, entries: bytes, kept: dict[int, bytes]) -> None:
        row = {"entries": entries, "bodies": _encode(kept) if kept else None}
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.groups).where(tables.groups.c.place == place).values(row)
            )


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "place": group.place,
        "time_ms": milliseconds(group.time),
        "root": group.root,
        "head": group.head,
        "subtrees": b"".join(group.subtrees),
        "entries": _encode(group.entries),
        "bodies": _encode(group.bodies) if group.bodies else None,
    }


def _epoch_row(epoch: int, reason: str) -> dict[str, Any]:
    return {"epoch": epoch, "opened_ms": milliseconds(datetime.now(UTC)), "reason": reason}


def read_group(row: Any, kept: bytes | None) -> Group:
    """A row as a group. Raises LedgerCorrupt."""
    try:
        return Group(
            epoch=row.place // POSITIONS_PER_EPOCH,
            position=row.place % POSITIONS_PER_EPOCH,
            time=from_milliseconds(row.time_ms),
            root=bytes(row.root),
            head=row.head,
            subtrees=tuple(split_hashes(bytes(row.subtrees))),
            entries=_decode_entries(row.entries),
            bodies=_decode_bodies(kept) if kept is not None else {},
        )
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise LedgerCorrupt(reason=f"the group at {row.place} cannot be read") from error


def _compiled(engine: Engine, table: Any) -> tuple[str, list[str]]:
    """SQL of an insert for the driver, with the order of its positional parameters."""
    statement = insert(table).compile(dialect=engine.dialect)
    return str(statement), list(statement.positiontup or [])
