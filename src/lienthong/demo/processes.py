"""The demo's own child processes: started, awaited, stopped by their own ids."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import SystemRandom

from lienthong.errors import DemoNotReady, DemoPortsTaken

READY_SECONDS = 60.0
STOP_SECONDS = 40.0  # longer than a node's own drain time
POLL_SECONDS = 0.1
LOG_LINES = 12
# Below the range from which systems take ports for outgoing connections.
LOWEST_PORT, HIGHEST_PORT = 20_000, 30_000


def is_free(port: int) -> bool:
    """Whether a port of loopback can be listened on now."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Choose ports one after another: from ``first`` if given, else anywhere free."""
    if first is not None:
        wanted = list(range(first, first + count))
        taken = [port for port in wanted if not is_free(port)]
        if taken:
            raise DemoPortsTaken(ports=", ".join(map(str, taken)))
        return wanted
    start = SystemRandom().randrange(LOWEST_PORT, HIGHEST_PORT - 10 * count)
    found = [port for port in range(start, HIGHEST_PORT) if is_free(port)][:count]
    if len(found) < count:
        raise DemoPortsTaken(ports=f"{start}–{HIGHEST_PORT}")
    return found


class Child:
    """One process of the demo with its log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demo, which stops them in order
            )

    def wait_until_ready(self, port: int, path: str | None) -> None:
        """Wait for a port to answer: 200 on ``path``, or any connection where it is None."""
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(port, path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DemoNotReady(name=self.name, log=self.log, lines=self._last_lines())
            time.sleep(POLL_SECONDS)

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


def _answers(port: int, path: str | None) -> bool:
    try:
        if path is None:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


class Children:
    """All child processes of one demo."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def __iter__(self) -> Iterator[Child]:
        return iter(self.children)

    def start(self, name: str, command: Sequence[str], log: Path) -> Child:
        """Start a process that runs until ``stop``."""
        child = Child(name, command, log)
        self.children.append(child)
        return child

    def stop(self) -> None:
        """Ask all to end, wait for them, and kill those that do not."""
        running = [child.process for child in self.children if child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.children.clear()
