"""Our side of ``benchmarks/exchange.py``: a directory and two nodes, everything on.

    wrk → consumer's node → (mutual TLS, signed, logged) → provider's node → the service

Built with the public commands: a relay service, an agreement with rate and quota, bodies and
all else logged as a node does by default.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import wrk
from benchmarks.hops import Result, measure
from benchmarks.nginx import NginxHops
from lienthong.node.admin_client import call
from tests.fixtures.database_servers import PostgresqlServer
from tests.fixtures.federation import Federation, TestNode

SERVICE = "tep"


class Nodes:
    """Two nodes in a folder of their own; use as a context manager.

    ``options`` are further ones of the consumer's ``node init``.
    """

    def __init__(
        self,
        service_port: int,
        ledger: str = "sqlite",
        options: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self._servers = ExitStack()
        databases = self._databases(ledger)
        self._folder = Path(tempfile.mkdtemp(prefix="nodes-"))
        self._service_port = service_port
        self._federation = Federation(self._folder)
        settings = {"log_level": "info", **settings}
        self.provider = self._federation.node("G01", "dancu", **settings, **databases[0])
        self.consumer = self._federation.node(
            "H37", "motcua", options=options, **settings, **databases[1]
        )

    def _databases(self, ledger: str) -> list[dict[str, str]]:
        """Settings that give each node a ledger of that kind; one server for both."""
        if ledger == "sqlite":
            return [{}, {}]
        server = self._servers.enter_context(PostgresqlServer.start())
        return [{"database": server.create_database()} for _ in range(2)]

    def __enter__(self) -> Self:
        self._federation.start()
        self.provider.command(
            "service",
            "add",
            *("--subsystem", "dancu", "--code", SERVICE),
            *("--relay", f"http://127.0.0.1:{self._service_port}"),
        )
        terms = ("--endpoint", "GET /**", "--endpoint", "POST /**")
        limits = ("--rate", "1000000", "--daily", "1000000000")
        self._federation.agree(self.consumer, self.provider, SERVICE, *terms, *limits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._federation.close()
        self._servers.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run_case(self, size_bytes: int, connections: int, seconds: float) -> Result:
        """Measure one case. Raises wrk.LoadFailed."""
        target = f"/r1/{self.provider.service_id(SERVICE)}/{size_bytes}.json"
        load = wrk.Load(
            f"http://127.0.0.1:{self.consumer.client_port}{target}",
            headers={"X-Road-Client": self.consumer.client_id, "X-Road-UserId": "canbo01"},
        )
        nodes = (self.consumer, self.provider)
        before = [_groups(node) for node in nodes]
        result = measure(load, connections, seconds, [(_pid(node),) for node in nodes])
        # One group is one transaction and one sync; the warm-up's are in both counts.
        groups = sum(_groups(node)[0] - b[0] for node, b in zip(nodes, before, strict=True))
        records = sum(_groups(node)[1] - b[1] for node, b in zip(nodes, before, strict=True))
        return replace(result, syncs_per_exchange=4 * groups / max(records, 1))


def open_nodes(theirs: NginxHops, ledger: str = "sqlite") -> Nodes:
    """Two nodes in front of the service that stands behind nginx's two hops."""
    return Nodes(theirs.backend_port, ledger)


def _pid(node: TestNode) -> int:
    assert node.process is not None
    return node.process.pid


def _groups(node: TestNode) -> tuple[int, int]:
    ledger = call(node.state, "GET", "/status")["ledger"]
    return int(ledger["groups_since_start"]), int(ledger["records_since_start"])
