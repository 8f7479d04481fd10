"""Several processes of one node on one machine: ``lienthong node run STATE --workers N``.

The supervisor starts the workers, and a dead one again; it answers no call itself. Each worker
listens on the node's ports with sockets of its own once it is ready (SO_REUSEPORT), so that the
system shares connections out evenly, and those of a dead one go to the others at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import uvloop

from lienthong.errors import WorkersNeedPostgresql
from lienthong.events import log_event
from lienthong.node.incident_file import IncidentFile
from lienthong.node.inherited import inherited_sockets
from lienthong.node.lock import take_lock
from lienthong.node.log import start_logging
from lienthong.node.state import StateFolder
from lienthong.node.worker_reports import WorkerReports
from lienthong.settings import Settings, load_settings
from lienthong.transport.limits import Limits
from lienthong.transport.server import Server, serve
from lienthong.transport.spool import clear_spool

STEADY_SECONDS = 10.0  # a worker that ran for so long starts again at once
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
KILL_SECONDS = 10.0  # beyond the time to drain
LOOK_SECONDS = 0.2

logger = logging.getLogger("lienthong.node.workers")


def run_workers(folder: Path, count: int) -> int:
    """Run ``count`` workers until SIGTERM or SIGINT; returns the exit code.

    Raises WorkersNeedPostgresql, NodeAlreadyRunning, ListenFailed, and what reading the state
    folder raises.
    """
    state = StateFolder(folder)
    identity = state.read_identity()
    settings = load_settings(state.settings, os.environ)
    if not settings.database.startswith("postgresql"):
        raise WorkersNeedPostgresql(workers=count)
    incidents = IncidentFile.open(state.log, settings.log_file_bytes)
    with (
        take_lock(state),
        start_logging(
            settings.log_level, node=identity.node, incidents=incidents, worker="supervisor"
        ),
    ):
        state.create()
        clear_spool(state.spool)
        state.maintenance.unlink(missing_ok=True)
        return uvloop.run(Supervisor(state, settings, count).run())


class Slot:
    """The place of one worker, and the process that works there now."""

    def __init__(self, number: int, operations: Path) -> None:
        self.number = number
        self.operations = operations  # where it reports to the supervisor
        self.reporting = _unix_listener(operations)
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    def close(self) -> None:
        self.reporting.close()
        self.operations.unlink(missing_ok=True)


class Supervisor:
    """Keeps ``count`` workers running. Event loop only."""

    def __init__(self, state: StateFolder, settings: Settings, count: int) -> None:
        self._state = state
        self._settings = settings
        inherited = inherited_sockets(os.environ)
        self._inherited = inherited.listening
        inherited.close_idle()  # of a time without workers
        state.workers.mkdir(mode=0o700, exist_ok=True)
        self._slots = [Slot(i, state.workers / f"{i}.sock") for i in range(count)]
        self._admin = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lifeline, self._held = os.pipe()
        self._stopping = asyncio.Event()
        self._served = False  # whether any worker has ever been ready
        self._exit_code = 0
        self.reports = WorkerReports(self._slots)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._state.admin_socket.unlink(missing_ok=True)
        operations = await self._open_operations()
        log_event(logger, logging.INFO, "workers.started", workers=len(self._slots))
        tasks = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        tasks.append(asyncio.create_task(self._look()))
        await self._stopping.wait()
        log_event(logger, logging.INFO, "workers.stopping")
        await self._stop_workers()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if operations is not None:
            operations.close()
        self._clean_up()
        return self._exit_code

    async def _open_operations(self) -> Server | None:
        """``/health`` and ``/metrics`` of the whole node on this machine."""
        listen = self._settings.operations_listen
        given = self._inherited.get("operations")
        if not listen and given is None:
            return None
        host, _, port = listen.rpartition(":")
        return await serve(
            self.reports.handle,
            host.strip("[]"),
            int(port),
            limits=Limits(),
            listening_socket=given,
        )

    def _clean_up(self) -> None:
        for slot in self._slots:
            slot.close()
        self._admin.close()
        self._state.admin_socket.unlink(missing_ok=True)

    # --- workers ---------------------------------------------------------------------------

    async def _keep(self, slot: Slot) -> None:
        """Run a worker, and another when it has ended."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run_worker(slot)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            log_event(
                logger, logging.ERROR, "workers.worker_ended", number=slot.number, exit_code=code
            )
            if code > 0 and not self._served:  # it cannot start: neither can the others
                self._exit_code = code
                self._stopping.set()
                return
            await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        """One death is followed by a start at once, several by a pause that grows."""
        if failures > 1:
            pause = min(FIRST_PAUSE_SECONDS * 2**failures, LONGEST_PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_worker(self, slot: Slot) -> int:
        # Ports that systemd holds open have one queue for all workers.
        given = {name: each.fileno() for name, each in self._inherited.items()}
        given |= {"operations": slot.reporting.fileno(), "admin": self._admin.fileno()}
        given["lifeline"] = self._lifeline
        text = ",".join(f"{name}={descriptor}" for name, descriptor in given.items())
        slot.process = await asyncio.create_subprocess_exec(
            *_program(),
            *("node", "run", str(self._state.folder), "--worker", f"{slot.number}:{text}"),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=list(given.values()),
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in order
        )
        slot.starts += 1
        code = await slot.process.wait()
        slot.process = None
        return code

    async def _look(self) -> None:
        """Find out when the first worker is ready."""
        while not self._served:
            await asyncio.sleep(LOOK_SECONDS)
            self._served = await self.reports.any_ready()

    async def _stop_workers(self) -> None:
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        patience = self._settings.drain_seconds + KILL_SECONDS
        waits = [asyncio.create_task(process.wait()) for process in running]
        if waits:
            _, late = await asyncio.wait(waits, timeout=patience)
            for process in running if late else ():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def _program() -> list[str]:
    """This very program: the worker must not be of another release."""
    beside = Path(sys.executable).with_name("lienthong")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-c", "from lienthong.cli import main; main()"]


def _unix_listener(path: Path) -> socket.socket:
    from lienthong.node.listeners import join_socket

    path.unlink(missing_ok=True)
    return join_socket(path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
