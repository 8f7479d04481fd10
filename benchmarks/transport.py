"""Two proxies made of our server and client pool, against two nginx hops over mutual TLS.

    python -m benchmarks.transport                    1 KB, 128 connections
    python -m benchmarks.transport --size 102400 --connections 64

Nothing is signed and nothing is logged on either side: what remains is the price of HTTP and TLS
in Python, the floor under ``benchmarks/exchange.py``. Both sides stand before the same service.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import wrk
from benchmarks.certificates import write_certificates
from benchmarks.form import alternate, median, print_line
from benchmarks.hops import Result, measure
from benchmarks.nginx import NginxHops, find_nginx, json_of_size
from lienthong.node.process import GC_THRESHOLDS
from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.messages import Request, Response
from lienthong.transport.server import serve
from lienthong.transport.tls import client_context, server_context

START_SECONDS = 10.0


class OurHops:
    """Two of our processes before a service; use as a context manager."""

    def __init__(self, service_port: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hops-")
        write_certificates(Path(self._folder.name))
        self._processes: list[subprocess.Popen[str]] = []
        self._service_port = service_port

    def __enter__(self) -> Self:
        second = self._start("second", self._service_port)
        self._port = self._start("first", second)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(timeout=10)
        self._folder.cleanup()

    def run_case(self, size_bytes: int, connections: int, seconds: float) -> Result:
        """Measure one case. Raises wrk.LoadFailed."""
        load = _load(f"http://127.0.0.1:{self._port}/{size_bytes}.json")
        second, first = ((process.pid,) for process in self._processes)
        return measure(load, connections, seconds, (first, second))

    def _start(self, role: str, target: int) -> int:
        port = _free_port()
        own = [sys.executable, "-m", "benchmarks.transport", "--hop", role]
        process = subprocess.Popen([*own, str(port), str(target), self._folder.name], text=True)
        self._processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.02)
        raise RuntimeError(f"hop {role} did not start")


def _load(url: str) -> wrk.Load:
    body = json_of_size(1024).decode()
    return wrk.Load(url, method="POST", headers={"content-type": "application/json"}, body=body)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def run_hop(role: str, port: int, target: int, folder: Path) -> None:
    """Be the first hop (plain in, TLS out) or the second (TLS in, plain out)."""
    authorities = (folder / "ca.crt").read_text(encoding="utf-8")
    outgoing = client_context(folder / "client.crt", folder / "client.key", authorities)
    incoming = server_context(folder / "server.crt", folder / "server.key", authorities, True)
    pool = ConnectionPool(lambda: outgoing, spool_folder=folder)
    address = Address("127.0.0.1", target, tls=role == "first")

    async def forward(request: Request) -> Response:
        return await pool.send(address, request, timeout_seconds=60)

    tls = incoming if role == "second" else None
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as a node does
    await serve(forward, "127.0.0.1", port, tls=tls, spool_folder=folder)
    await asyncio.Event().wait()


def compare(size_bytes: int, connections: int, rounds: int, seconds: float) -> None:
    """Measure one case on both sides in turn and print its line."""
    body = json_of_size(1024).decode()
    with NginxHops((size_bytes,)) as theirs, OurHops(theirs.backend_port) as ours:
        found = alternate(
            rounds,
            ours=lambda: ours.run_case(size_bytes, connections, seconds),
            theirs=lambda: theirs.run_case(
                size_bytes, connections, seconds, method="POST", body=body
            ),
        )
    figures = {
        f"{prefix}{name}": median([getattr(result, name) for result in results])
        for prefix, results in (("", found.ours), ("theirs_", found.theirs))
        for name in ("requests_per_second", "p50_ms", "p99_ms")
    }
    print_line(
        benchmark="transport",
        case=f"{size_bytes // 1024} KB, {connections} connections",
        unit="processor µs per request and hop",
        ours=[result.cpu_us_per_hop for result in found.ours],
        theirs=[result.cpu_us_per_hop for result in found.theirs],
        theirs_is="two nginx hops over mutual TLS",
        size={"bytes": size_bytes, "connections": connections, "seconds": seconds},
        cpu_us_first_hop=median([result.cpu_us[0] for result in found.ours]),
        cpu_us_second_hop=median([result.cpu_us[1] for result in found.ours]),
        **figures,
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=1024, help="bytes of an answer")
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--hop", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hop:
        import uvloop

        role, port, target, folder = options.hop
        uvloop.run(run_hop(role, int(port), int(target), Path(folder)))
        return
    find_nginx()
    wrk.find_wrk()
    compare(options.size, options.connections, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
