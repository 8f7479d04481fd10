"""Appending groups on SQLite, where one process writes the tree: a statement a group (ADR 0007)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, insert

from lienthong.errors import LedgerUnavailable
from lienthong.ledger import tables
from lienthong.ledger.database import turn_to_write
from lienthong.ledger.records import Step
from lienthong.ledger.rows import WriteInDoubt, group_row

# Errors of SQLite after which the statement was certainly rolled back: BUSY, LOCKED, READONLY,
# FULL, CANTOPEN, CONSTRAINT. After any other (a failed fsync is an IOERR) it is in doubt.
_NOTHING_WRITTEN = frozenset({5, 6, 8, 13, 14, 19})


class LoneWriter:
    """The connection by which the node writes groups. One thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = turn_to_write(engine)
        statement = insert(tables.groups).compile(dialect=engine.dialect)
        # Compiled once: SQLAlchemy's execution would cost more than the insert.
        self._insert, self._names = str(statement), list(statement.positiontup or [])
        self._connection: Any = None

    def append(self, step: Step) -> None:
        """Put a group on disk: one statement that is its own transaction.

        Raises LedgerUnavailable (nothing written) or WriteInDoubt.
        """
        try:
            cursor = self._open().cursor()
        except Exception as error:
            self.close()
            raise LedgerUnavailable() from error
        row = group_row(step.group)
        try:
            with self._turn:
                cursor.execute(self._insert, tuple([row[name] for name in self._names]))
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOTHING_WRITTEN:
                raise LedgerUnavailable() from error
            raise WriteInDoubt(str(error)) from error

    def _open(self) -> Any:
        if self._connection is None:
            pooled = self._engine.raw_connection()
            self._connection = pooled.dbapi_connection
            pooled.detach()  # it has a mode of its own and never goes back to the pool
            self._connection.isolation_level = None
        return self._connection

    def close(self) -> None:
        """Let go of the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is given up because it is broken
                connection.close()
