"""The process of a node: event loop, log, signals. ``lienthong node run`` ends up here."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from lienthong.errors import ConfigurationError
from lienthong.events import log_event
from lienthong.node.incident_file import IncidentFile
from lienthong.node.log import LogWriter, start_logging
from lienthong.node.node import Node
from lienthong.node.state import StateFolder
from lienthong.node.worker import Worker
from lienthong.settings import Settings, load_settings

# Young objects of a busy node die in their request; looking at them rarely costs less.
GC_THRESHOLDS = (200_000, 20, 100)
# The ledger's thread needs Python's lock twice a group; it should not wait 5 ms for it each time.
SWITCH_INTERVAL_SECONDS = 0.0005
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("lienthong.node")


def run(folder: Path, worker: Worker | None = None) -> None:
    """Run the node in ``folder`` until SIGTERM or SIGINT. Raises LienthongError leaves.

    ``worker``: as one of several processes, which a supervisor started.
    """
    state = StateFolder(folder)
    identity = state.read_identity()
    settings = load_settings(state.settings, os.environ)
    if not settings.directory_url:
        raise ConfigurationError(reason="directory_url is not set")
    incidents = IncidentFile.open(state.log, settings.log_file_bytes)
    context: dict[str, Any] = {"worker": str(worker.number)} if worker else {}
    with start_logging(
        settings.log_level, node=identity.node, incidents=incidents, **context
    ) as writer:
        uvloop.run(_serve(state, settings, writer, worker))


async def _serve(
    state: StateFolder, settings: Settings, writer: LogWriter, worker: Worker | None
) -> None:
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    stopping = asyncio.Event()
    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    if worker is not None:
        worker.when_orphaned(stopping.set)
    node = Node(state, settings, worker)
    node.metrics.log_lines_dropped.set_function(lambda: writer.dropped)
    starting = asyncio.create_task(node.start(), name="start")
    waiting = asyncio.create_task(stopping.wait(), name="stop")
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if starting.done():
            starting.result()
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            await waiting
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
    except BaseException as error:
        log_event(logger, logging.ERROR, "node.failed", reason=str(error))
        raise
    finally:
        waiting.cancel()
        await node.stop()
        for number in STOPPING_SIGNALS:  # told twice, it still ends in order
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        gc.unfreeze()  # or libraries report all that they still hold as leaked
