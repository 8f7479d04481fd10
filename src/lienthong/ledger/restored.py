"""A mark in a database that came back from a backup: its tree must not go on as it is.

A node that finds the mark begins a new epoch at its start, whether or not a peer can tell what
was lost since (``exchange/restoration.py``).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, delete, insert, select

from lienthong.ledger import tables
from lienthong.ledger.clock import from_milliseconds
from lienthong.ledger.database import reading, writing

_NAME = "restored"  # row of ledger_progress


def mark_restored(engine: Engine, backup_made_ms: int) -> None:
    """Note that the database is a backup of that moment. Raises LedgerUnavailable."""
    progress = tables.progress
    with writing(engine) as connection:
        connection.execute(delete(progress).where(progress.c.name == _NAME))
        connection.execute(insert(progress).values(name=_NAME, value=backup_made_ms))


def is_restored(engine: Engine) -> bool:
    """Whether no new epoch was begun since the restore. Raises LedgerUnavailable."""
    progress = tables.progress
    with reading(engine) as connection:
        found = connection.scalar(select(progress.c.value).where(progress.c.name == _NAME))
    return found is not None


def clear_mark(engine: Engine) -> None:
    """The new epoch has its first record. Raises LedgerUnavailable."""
    with writing(engine) as connection:
        connection.execute(delete(tables.progress).where(tables.progress.c.name == _NAME))


class Gap(NamedTuple):
    """A new tree that was begun because the old one could not go on."""

    epoch: int
    opened: datetime
    reason: str


def gaps(engine: Engine) -> list[Gap]:
    """All of them, the oldest first. Raises LedgerUnavailable."""
    epochs = tables.epochs
    with reading(engine) as connection:
        rows = connection.execute(
            select(epochs).where(epochs.c.epoch > 0).order_by(epochs.c.epoch)
        ).all()
    return [Gap(row.epoch, from_milliseconds(row.opened_ms), row.reason) for row in rows]
