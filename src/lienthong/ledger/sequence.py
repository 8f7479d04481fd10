"""Appending groups on PostgreSQL, where several gateways write one tree (ADR 0010).

    writer.append(step)              # at the edge we know; TurnLost if another was faster
    writer.in_turn(claims, make)     # wait for the turn, then make the group at the edge

One row holds the tree's right edge. Who moves it holds it until the transaction ends, so groups
are made one after the other, whoever makes them; a writer that dies lets go of it with nothing
written. Two fences stand behind each other: the row moves only from the edge that the group was
made for, and a place of the tree is a primary key.

A gateway that writes alone needs one round trip a group. One that has met another asks for its
turn first (two round trips), so that nothing is signed in vain while they alternate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import NotNullViolation, UniqueViolation
from sqlalchemy import Engine

from lienthong.errors import LedgerUnavailable
from lienthong.ledger.clock import from_milliseconds
from lienthong.ledger.merkle import HASH_BYTES, Frontier
from lienthong.ledger.records import Claims, Edge, Group, Step, place_of
from lienthong.ledger.rows import WriteInDoubt, group_row

RECONNECT_SECONDS = 60.0  # to find out whether a commit whose reply was lost took place
RECONNECT_PAUSE_SECONDS = 0.2
# A writer that stops in its turn (a frozen machine) holds up the others for no longer than this.
TURN_SECONDS = 3

_SESSION = f"SET idle_in_transaction_session_timeout TO '{TURN_SECONDS}s'"
_EDGE = "SELECT epoch, size, peaks, time_ms, head FROM ledger_edge WHERE id = 1"
_MOVE = """
UPDATE ledger_edge SET epoch = %(epoch)s, size = %(size)s + 1, peaks = %(peaks)b,
    time_ms = %(time_ms)s, head = %(head)s,
    fence = CASE WHEN epoch = %(epoch)s AND size = %(size)s THEN 0 END
WHERE id = 1"""
_INSERT = """
INSERT INTO ledger_groups (place, time_ms, root, head, subtrees, entries, bodies) VALUES
(%(place)s, %(time_ms)s, %(root)b, %(head)s, %(subtrees)b, %(entries)b, %(bodies)b)"""
_CLAIM = """
INSERT INTO ledger_requests (request_id, leaf, gateway, received_ms)
SELECT id, leaf, %(gateway)s, extract(epoch FROM clock_timestamp()) * 1000
FROM unnest(%(ids)s::text[], %(leaves)s::bytea[]) AS claimed(id, leaf)"""
# One simple query, because the server arms no idle timeout after a pipeline of libpq's.
_LOCK = f"{_EDGE} FOR UPDATE"
_LOCK_AND_CLAIM = f"{_LOCK}; {_CLAIM} ON CONFLICT (request_id) DO NOTHING RETURNING request_id"
_ANSWERED = """
UPDATE ledger_requests SET answer_place = %(place)s, answer_entry = answered.entry
FROM unnest(%(ids)s::text[], %(entries)s::int[]) AS answered(id, entry)
WHERE request_id = answered.id AND answer_place IS NULL"""
_SUBTREE = "SELECT subtrees FROM ledger_groups WHERE place = %s"
_LAST = "SELECT max(place) FROM ledger_groups WHERE place >= %s AND place < %s"
_GROUP_HEAD = "SELECT time_ms, head FROM ledger_groups WHERE place = %s"
_BEGIN_EDGE = """
INSERT INTO ledger_edge (id, epoch, size, peaks, time_ms, head, fence)
VALUES (1, %(epoch)s, %(size)s, %(peaks)b, %(time_ms)s, %(head)s, 0)
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, size = excluded.size,
    peaks = excluded.peaks, time_ms = excluded.time_ms, head = excluded.head"""


class TurnLost(Exception):
    """Another gateway wrote at this place first; nothing of ours was written (not our error
    tree: it never leaves this room)."""


Make = Callable[[Edge, frozenset[str]], Step | None]


class SequencedWriter:
    """The connection by which one gateway writes groups. One thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: psycopg.Connection[Any] | None = None
        self.gateway = 0

    def append(self, step: Step) -> None:
        """Put a group on disk, in one round trip, if the edge is still where it begins.

        Raises TurnLost, LedgerUnavailable (nothing written), WriteInDoubt.
        """
        with self._writing(step.group) as connection, connection.pipeline():
            connection.execute("BEGIN")
            self._send(connection.cursor(), step)
            if step.claims.received:
                connection.execute(_CLAIM, self._claim(step.claims), prepare=True)
            connection.execute("COMMIT")

    def in_turn(self, claims: Claims, make: Make) -> Step | None:
        """Wait for the turn, let ``make`` build the group at the edge, and put it on disk.

        ``make`` is told which request ids are taken already; when nothing is left it returns
        None, and nothing is written. Raises LedgerUnavailable, WriteInDoubt.
        """
        try:
            return self._take_turn(claims, make)
        except TurnLost:  # groups beyond the edge: a release that knows no edge has written
            self.mend_edge()
        try:
            return self._take_turn(claims, make)
        except TurnLost as error:
            raise LedgerUnavailable() from error

    def _take_turn(self, claims: Claims, make: Make) -> Step | None:
        with self._writing() as connection:
            edge, taken = self._lock(connection, claims)
            step = make(edge, taken)
            if step is None:
                connection.rollback()
                return None
        with self._writing(step.group) as connection, connection.pipeline():
            self._send(connection.cursor(), step)
            connection.execute("COMMIT")
        return step

    def _lock(
        self, connection: psycopg.Connection[Any], claims: Claims
    ) -> tuple[Edge, frozenset[str]]:
        cursor = psycopg.ClientCursor(connection)
        if claims.received:
            cursor.execute(f"BEGIN; {_LOCK_AND_CLAIM}", self._claim(claims))
        else:
            cursor.execute(f"BEGIN; {_LOCK}")
        cursor.nextset()
        row = cursor.fetchone()
        if row is None:
            raise TurnLost
        free = cursor.fetchall() if cursor.nextset() else []
        ids = {id_ for id_, _ in claims.received}
        return read_edge(row), frozenset(ids - {id_ for (id_,) in free})

    def _send(self, cursor: psycopg.Cursor[Any], step: Step) -> None:
        group, row = step.group, group_row(step.group)
        moved = {
            "epoch": group.epoch,
            "size": group.position,
            "peaks": b"".join(step.frontier.peaks),
            "time_ms": row["time_ms"],
            "head": group.head,
        }
        cursor.execute(_MOVE, moved, prepare=True)
        cursor.execute(_INSERT, row, prepare=True)
        if step.claims.answered:
            ids, entries = zip(*step.claims.answered, strict=True)
            answered = {"place": group.place, "ids": list(ids), "entries": list(entries)}
            cursor.execute(_ANSWERED, answered, prepare=True)

    def _claim(self, claims: Claims) -> dict[str, Any]:
        ids, leaves = zip(*claims.received, strict=True)
        return {"gateway": self.gateway, "ids": list(ids), "leaves": list(leaves)}

    # --- the connection ------------------------------------------------------------------

    @contextmanager
    def _writing(self, group: Group | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Tell apart: nothing was written; another was faster; it has to be found out.

        ``group``: what the block commits, if it does.
        """
        connection = self._open()
        try:
            yield connection
        except (NotNullViolation, UniqueViolation) as error:
            self._give_up(connection)
            raise TurnLost from error
        except psycopg.OperationalError as error:
            self.close()
            if group is None:
                raise LedgerUnavailable() from error
            self._find_out(group, error)
        except psycopg.Error as error:
            self._give_up(connection)
            raise LedgerUnavailable() from error
        except BaseException:
            self._give_up(connection)
            raise

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            try:
                pooled = self._engine.raw_connection()
                connection: Any = pooled.dbapi_connection
                pooled.detach()  # it never goes back to the pool
                self._connection = connection
                connection.rollback()
                connection.autocommit = True  # transactions begin with what they are about
                connection.execute(_SESSION)
            except Exception as error:
                self.close()
                raise LedgerUnavailable() from error
        assert self._connection is not None
        return self._connection

    def _give_up(self, connection: psycopg.Connection[Any]) -> None:
        try:
            connection.rollback()
        except Exception:
            self.close()

    def close(self) -> None:
        """Let go of the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is given up because it is broken
                connection.close()

    def _find_out(self, group: Group, error: Exception) -> None:
        """After a lost reply to COMMIT: look whether the group is there."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while time.monotonic() < deadline:
            try:
                connection = self._open()
                # Our lost transaction holds the edge until the server has ended it.
                connection.execute(f"BEGIN; {_LOCK}")
                row = connection.execute(_GROUP_HEAD, (group.place,)).fetchone()
                connection.rollback()
            except (psycopg.Error, LedgerUnavailable):
                self.close()
                time.sleep(RECONNECT_PAUSE_SECONDS)
                continue
            if row is not None and row[1] == group.head:
                return
            raise LedgerUnavailable() from error
        raise WriteInDoubt(str(error)) from error

    # --- the edge ------------------------------------------------------------------------

    def edge(self) -> Edge | None:
        """The edge as it is now; None while there is none. Raises LedgerUnavailable."""
        with self._writing() as connection:
            row = connection.execute(_EDGE, binary=True).fetchone()
        return None if row is None else read_edge(row)

    def mend_edge(self) -> None:
        """Make the edge from the groups: at first, and after a release that knows no edge.

        Raises LedgerUnavailable.
        """
        with self._writing() as connection:
            connection.execute("BEGIN; LOCK TABLE ledger_edge IN EXCLUSIVE MODE")
            epoch = _value(connection, "SELECT max(epoch) FROM ledger_epochs")
            self._set_edge(connection, int(epoch or 0))
            connection.execute("COMMIT")

    def _set_edge(self, connection: psycopg.Connection[Any], epoch: int) -> None:
        bounds = (place_of(epoch, 0), place_of(epoch + 1, 0))
        last = _value(connection, _LAST, bounds)
        size = 0 if last is None else last - bounds[0] + 1

        def subtree(level: int, index: int) -> bytes:
            place = place_of(epoch, ((index + 1) << level) - 1)
            closed = bytes(_value(connection, _SUBTREE, (place,)) or b"")
            return closed[level * HASH_BYTES : (level + 1) * HASH_BYTES]

        time_ms, head = 0, ""
        if last is not None:
            found = connection.execute(_GROUP_HEAD, (last,)).fetchone()
            assert found is not None
            time_ms, head = found
        row = {
            "epoch": epoch,
            "size": size,
            "peaks": b"".join(Frontier.load(subtree, size).peaks),
            "time_ms": time_ms,
            "head": head,
        }
        connection.execute(_BEGIN_EDGE, row)


def read_edge(row: tuple[Any, ...]) -> Edge:
    """A row of the edge's table."""
    epoch, size, peaks, time_ms, head = row
    hashes = [bytes(peaks[i : i + HASH_BYTES]) for i in range(0, len(peaks), HASH_BYTES)]
    return Edge(epoch, Frontier(size, hashes), from_milliseconds(time_ms), head)


def _value(
    connection: psycopg.Connection[Any], query: str, parameters: tuple[Any, ...] = ()
) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]
