"""What anchors a node's own heads in time: time-stamps, and cosignatures of witnesses.

    store = AnchorStore(engine)
    store.put_stamp(place, note, stamp, stamped)
    store.unstamped()                    # heads that wait for a stamp: the newest of each epoch
    store.backlog(now)                   # how much is not covered by any stamp yet
    store.covering(place)                # the earliest anchors that cover a group

An anchor on a head covers everything below it in the same epoch: by a consistency proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from lienthong.ledger import tables
from lienthong.ledger.clock import from_milliseconds, milliseconds
from lienthong.ledger.cosignatures import Witnessed
from lienthong.ledger.database import reading, writing
from lienthong.ledger.records import POSITIONS_PER_EPOCH, place_of
from lienthong.ledger.timestamps import Stamp, StampedTime

MOST_COVERING = 8  # anchors looked at for one record; the first that hold are used

metadata = MetaData()

stamps = Table(
    "ledger_stamps",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("authority", String(500), primary_key=True),
    Column("time_ms", BigInteger, nullable=False),  # of the stamp
    Column("head", Text, nullable=False),
    Column("response", LargeBinary, nullable=False),  # TimeStampResp, DER
)

cosignatures = Table(
    "ledger_cosignatures",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", String(1024), primary_key=True),
    Column("time_ms", BigInteger, nullable=False),  # by the witness's clock
    Column("head", Text, nullable=False),
    Column("line", Text, nullable=False),
)


class OwnHead(NamedTuple):
    """One of the node's own heads: the place of its newest group, the signed note, its time."""

    place: int
    note: str
    time: datetime


class StampOn(NamedTuple):
    """A stamp that is kept, and the head under it."""

    place: int
    note: str
    stamp: Stamp


class CosignatureOn(NamedTuple):
    """A witness's line that is kept, and the head above it."""

    place: int
    note: str
    witness: str
    line: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What no time-stamp covers yet: how many groups, and for how long the oldest has waited."""

    groups: int = 0
    seconds: float = 0.0
    last_stamp: datetime | None = None


class AnchorStore:
    """Stamps and cosignatures on the node's own heads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- time-stamps -----------------------------------------------------------------------

    def put_stamp(self, head: OwnHead, stamp: Stamp, stamped: StampedTime) -> None:
        """Keep a stamp; one that is there already is replaced."""
        row = {
            "place": head.place,
            "authority": stamped.authority,
            "time_ms": milliseconds(stamped.time),
            "head": head.note,
            "response": stamp.response,
        }
        self._replace(stamps, "authority", row)

    def unstamped(self) -> list[OwnHead]:
        """The newest head of each epoch, if no stamp stands on it; the newest epoch first.

        An epoch that was given up is stamped too: nothing later covers its end.
        """
        newest, found = self.newest(), []
        while newest is not None:
            if self._is_stamped(newest.place):
                break
            found.append(newest)
            newest = self._newest_before(place_of(newest.place // POSITIONS_PER_EPOCH, 0))
        return found

    def newest(self) -> OwnHead | None:
        """The newest head of the ledger, whichever gateway wrote it."""
        return self._newest_before(None)

    def backlog(self, now: datetime) -> Backlog:
        """What waits for a stamp in the newest epoch."""
        newest = self.newest()
        if newest is None:
            return Backlog()
        first = place_of(newest.place // POSITIONS_PER_EPOCH, 0)
        place, time_ms = self._last_stamp(newest.place)
        groups = newest.place - max(place, first - 1)
        last = None if time_ms is None else from_milliseconds(time_ms)
        if groups <= 0:
            return Backlog(last_stamp=last)
        waiting = self._time_of_first_after(max(place, first - 1)) or newest.time
        return Backlog(groups, max(0.0, (now - waiting).total_seconds()), last)

    def stamps_covering(self, place: int) -> list[StampOn]:
        """The earliest stamps on heads that cover the group at ``place``."""
        return [
            StampOn(row.place, row.head, Stamp(bytes(row.response)))
            for row in self._covering(stamps, place)
        ]

    # --- witnesses -------------------------------------------------------------------------

    def put_cosignature(self, head: OwnHead, line: str, witnessed: Witnessed) -> None:
        """Keep a witness's line; one that is there already is replaced."""
        row = {
            "place": head.place,
            "witness": witnessed.node,
            "time_ms": milliseconds(witnessed.time),
            "head": head.note,
            "line": line,
        }
        self._replace(cosignatures, "witness", row)

    def cosigned_place(self, witness: str, epoch: int) -> int | None:
        """Where the last head of ``epoch`` lies that this witness signed."""
        within = _in_epoch(cosignatures, epoch)
        query = select(func.max(cosignatures.c.place)).where(
            cosignatures.c.witness == witness, *within
        )
        with reading(self._engine) as connection:
            place: int | None = connection.scalar(query)
        return place

    def last_cosignatures(self) -> dict[str, datetime]:
        """When each witness signed last, by its own clock."""
        query = select(cosignatures.c.witness, func.max(cosignatures.c.time_ms)).group_by(
            cosignatures.c.witness
        )
        with reading(self._engine) as connection:
            return {row[0]: from_milliseconds(row[1]) for row in connection.execute(query)}

    def cosignatures_covering(self, place: int) -> list[CosignatureOn]:
        """The earliest witnesses' lines on heads that cover the group at ``place``."""
        return [
            CosignatureOn(row.place, row.head, row.witness, row.line)
            for row in self._covering(cosignatures, place)
        ]

    # --- statements ------------------------------------------------------------------------

    def _replace(self, table: Table, second: str, row: dict[str, Any]) -> None:
        same = (table.c.place == row["place"], table.c[second] == row[second])
        with writing(self._engine) as connection:
            connection.execute(delete(table).where(*same))
            connection.execute(insert(table).values(row))

    def _covering(self, table: Table, place: int) -> list[Any]:
        query = (
            select(table)
            .where(table.c.place >= place, *_in_epoch(table, place // POSITIONS_PER_EPOCH))
            .order_by(table.c.place, table.c.time_ms)
            .limit(MOST_COVERING)
        )
        with reading(self._engine) as connection:
            return list(connection.execute(query))

    def _newest_before(self, limit: int | None) -> OwnHead | None:
        groups = tables.groups
        query = select(groups.c.place, groups.c.head, groups.c.time_ms)
        if limit is not None:
            query = query.where(groups.c.place < limit)
        with reading(self._engine) as connection:
            row = connection.execute(query.order_by(groups.c.place.desc()).limit(1)).first()
        return None if row is None else OwnHead(row[0], row[1], from_milliseconds(row[2]))

    def _is_stamped(self, place: int) -> bool:
        with reading(self._engine) as connection:
            query = select(stamps.c.place).where(stamps.c.place == place).limit(1)
            return connection.execute(query).first() is not None

    def _last_stamp(self, up_to: int) -> tuple[int, int | None]:
        """Place and time of the last stamp; -1 and None when there is none."""
        query = (
            select(stamps.c.place, stamps.c.time_ms)
            .where(stamps.c.place <= up_to)
            .order_by(stamps.c.place.desc(), stamps.c.time_ms)
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return (-1, None) if row is None else (row[0], row[1])

    def _time_of_first_after(self, place: int) -> datetime | None:
        groups = tables.groups
        query = select(groups.c.time_ms).where(groups.c.place > place).order_by(groups.c.place)
        with reading(self._engine) as connection:
            time_ms = connection.scalar(query.limit(1))
        return None if time_ms is None else from_milliseconds(time_ms)


def _in_epoch(table: Table, epoch: int) -> tuple[Any, Any]:
    return table.c.place >= place_of(epoch, 0), table.c.place < place_of(epoch + 1, 0)
