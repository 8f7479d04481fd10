"""``lienthong node migrate``: the node's tables brought to another version while it is stopped."""

from __future__ import annotations

import os
from typing import NamedTuple

from lienthong.ledger.database import connect_database
from lienthong.node.lock import take_lock
from lienthong.node.state import StateFolder
from lienthong.schema.migrations import current, migrate, newest
from lienthong.settings import load_settings


class Change(NamedTuple):
    """Versions of the tables: empty ``before`` where there were none."""

    before: str
    after: str


def migrate_node(state: StateFolder, version: str | None) -> Change:
    """Bring the tables of a node to ``version``; None: the newest that this program knows.

    Raises NodeNotInitialised, NodeAlreadyRunning, LedgerUnavailable, SchemaVersionUnknown,
    SchemaTooNew, SchemaChangeFailed.
    """
    state.read_identity()
    settings = load_settings(state.settings, os.environ)
    with take_lock(state):
        engine = connect_database(settings.database or f"sqlite:///{state.database}")
        try:
            before = current(engine)
            migrate(engine, version or newest())
            return Change(before, current(engine))
        finally:
            engine.dispose()
