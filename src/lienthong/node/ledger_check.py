"""Checking a node's whole ledger from the command line, whether the node runs or not.

The check reads the database itself: hours of hashing would hold up a node's own work, and a
ledger can be checked whose node no longer starts.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import Engine

from lienthong.directory.mirror import DirectoryMirror
from lienthong.ledger.database import connect_database
from lienthong.ledger.store import LedgerStore
from lienthong.ledger.verify import verify_ledger
from lienthong.node.progress import progress_bar
from lienthong.node.state import StateFolder
from lienthong.settings import load_settings


def check_ledger(state: StateFolder) -> dict[str, Any]:
    """Check every record, group and signature, with a progress bar on a terminal's stderr.

    Raises NodeNotInitialised, DirectoryNotLoaded, LedgerUnavailable.
    """
    state.read_identity()
    settings = load_settings(state.settings, os.environ)
    engine = connect_database(settings.database or f"sqlite:///{state.database}")
    try:
        return verify_stored(engine, state)
    finally:
        engine.dispose()


def verify_stored(engine: Engine, state: StateFolder) -> dict[str, Any]:
    """Check the ledger in ``engine`` by the node's copy of the directory.

    Raises DirectoryNotLoaded, LedgerUnavailable.
    """
    view = DirectoryMirror(state.directory, [], state.root.read_bytes()).view
    store = LedgerStore(engine)
    epoch = store.current_epoch()
    groups = sum(store.size(each) for each in range(epoch + 1))
    with progress_bar() as bar:
        task = bar.add_task("Kiểm tra sổ · checking the ledger", total=groups)
        report = verify_ledger(
            store,
            lambda head: view.signing_key(head.node, head.key_id, head.time),
            progress=lambda done: bar.update(task, completed=done),
        )
    return {
        "good": report.good,
        "groups": report.groups,
        "records": report.entries,
        "erased": report.erased,
        "unproven": report.unproven,
        "problems": report.problems,
        "head": store.last_head(epoch),
    }
