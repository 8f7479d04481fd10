"""A group as a row of its table, and back."""

from __future__ import annotations

from typing import Any

import msgspec

from lienthong.errors import LedgerCorrupt
from lienthong.ledger.clock import from_milliseconds, milliseconds
from lienthong.ledger.records import POSITIONS_PER_EPOCH, Entry, Group, split_hashes

encode = msgspec.msgpack.Encoder().encode
_decode_entries = msgspec.msgpack.Decoder(tuple[Entry, ...]).decode
_decode_bodies = msgspec.msgpack.Decoder(dict[int, bytes]).decode


class WriteInDoubt(Exception):
    """Nobody knows whether the last group is on disk: the process must end (not our error tree:
    it never leaves this room)."""


def group_row(group: Group) -> dict[str, Any]:
    """What ``ledger_groups`` holds of a group."""
    return {
        "place": group.place,
        "time_ms": milliseconds(group.time),
        "root": group.root,
        "head": group.head,
        "subtrees": b"".join(group.subtrees),
        "entries": encode(group.entries),
        "bodies": encode(group.bodies) if group.bodies else None,
    }


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
