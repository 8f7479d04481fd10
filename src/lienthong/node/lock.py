"""One process a state folder: two that write to one ledger would fork it."""

from __future__ import annotations

import fcntl
import os
from typing import IO

from lienthong.errors import NodeAlreadyRunning
from lienthong.node.state import StateFolder


def take_lock(state: StateFolder) -> IO[bytes]:
    """Hold the state folder until the file returned is closed. Raises NodeAlreadyRunning."""
    state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = state.lock.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise NodeAlreadyRunning(path=state.folder) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n".encode())
    lock.flush()
    return lock
