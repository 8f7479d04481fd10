"""The ledger on disk: appending groups durably, reading them back. SQLite or PostgreSQL.

store = LedgerStore(engine)
store.append(step)           # returns when the group is on disk, or raises
store.frontier(epoch)        # edge of the stored tree
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, update

from lienthong.errors import LedgerCorrupt, LedgerUnavailable, RecordNotFound
from lienthong.ledger import tables
from lienthong.ledger.alone import LoneWriter
from lienthong.ledger.clock import EPOCH_START, from_milliseconds, milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.erasure import erased
from lienthong.ledger.heads import parse_head
from lienthong.ledger.merkle import HASH_BYTES, Frontier
from lienthong.ledger.records import (
    POSITIONS_PER_EPOCH,
    Edge,
    EntryKind,
    Group,
    Located,
    Step,
    place_of,
)
from lienthong.ledger.rows import encode, read_group
from lienthong.ledger.sequence import SequencedWriter, read_edge

_PURGED = "purged"  # row of ledger_progress: bodies up to this place are gone
GROUPS_PURGED_AT_ONCE = 100  # a longer transaction would hold up the writer of new groups


class LedgerStore:
    """Groups, bodies and epochs of one node. One writer thread; readers from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.shared = engine.dialect.name != "sqlite"  # several gateways may write this ledger
        self.writer = SequencedWriter(engine) if self.shared else LoneWriter(engine)
        self._erasing = threading.Lock()  # two erasures in one group must not undo each other

    # --- writing -----------------------------------------------------------------------

    def append(self, step: Step) -> None:
        """Put a group on disk in one transaction.

        Raises LedgerUnavailable (nothing written), WriteInDoubt, or TurnLost (another gateway
        wrote there first, which only a shared ledger has).
        """
        self.writer.append(step)

    def edge(self) -> Edge:
        """What the next group is added to. Raises LedgerUnavailable, LedgerCorrupt."""
        epoch = self.current_epoch()
        if isinstance(self.writer, SequencedWriter):
            return self._shared_edge(self.writer)
        head = self.last_head(epoch)
        time = parse_head(head).time if head else EPOCH_START
        return Edge(epoch, self.frontier(epoch), time, head)

    def _shared_edge(self, writer: SequencedWriter) -> Edge:
        edge = writer.edge()
        if edge is None or self.size(edge.epoch) > edge.frontier.size:  # not made by us
            writer.mend_edge()
            edge = writer.edge()
        assert edge is not None
        stored = Frontier.load(
            lambda level, i: self.subtree(edge.epoch, level, i), edge.frontier.size
        )
        if stored.peaks != edge.frontier.peaks or self.size(edge.epoch) < edge.frontier.size:
            raise LedgerCorrupt(reason="the tree's edge does not belong to the stored groups")
        return edge

    def newest_edge(self) -> Edge | None:
        """The edge that all gateways share, without waiting for a turn; None on SQLite."""
        edge = tables.edge
        query = select(edge.c.epoch, edge.c.size, edge.c.peaks, edge.c.time_ms, edge.c.head)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else read_edge(tuple(row))

    def close(self) -> None:
        """Let go of the writer's connection; the next append opens another."""
        self.writer.close()

    # --- epochs and the tree -------------------------------------------------------------

    def current_epoch(self) -> int:
        """Number of the newest epoch; opens epoch 0 on first use."""
        newest = self._newest_epoch()
        if newest is None:
            try:
                with writing(self._engine) as connection:
                    connection.execute(insert(tables.epochs).values(_epoch_row(0, "first")))
            except LedgerUnavailable:
                if self._newest_epoch() is None:  # or another gateway was first
                    raise
        return newest or 0

    def _newest_epoch(self) -> int | None:
        with reading(self._engine) as connection:
            newest: int | None = connection.scalar(select(func.max(tables.epochs.c.epoch)))
        return newest

    def open_epoch(self, reason: str, opened: datetime | None = None) -> int:
        """Begin a new tree, as of ``opened`` (now); the old ones stay as they are."""
        epoch = self.current_epoch() + 1
        with writing(self._engine) as connection:
            connection.execute(insert(tables.epochs).values(_epoch_row(epoch, reason, opened)))
        if isinstance(self.writer, SequencedWriter):
            self.writer.mend_edge()
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
            self._rewrite(located.place, encode(tuple(entries)), kept)

    def _rewrite(self, place: int, entries: bytes, kept: dict[int, bytes]) -> None:
        row = {"entries": entries, "bodies": encode(kept) if kept else None}
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.groups).where(tables.groups.c.place == place).values(row)
            )


def _epoch_row(epoch: int, reason: str, opened: datetime | None = None) -> dict[str, Any]:
    opened_ms = milliseconds(opened or datetime.now(UTC))
    return {"epoch": epoch, "opened_ms": opened_ms, "reason": reason}
