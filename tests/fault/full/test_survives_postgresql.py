"""PostgreSQL, the ledger of both nodes, is restarted and crashes under load."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.database_servers import PostgresqlServer, ServerMissing
from tests.fixtures.faults.crash_points import CONSUMER_POINTS, PROVIDER_POINTS
from tests.fixtures.faults.stage import Stage, killable, under_load
from tests.fixtures.federation import Federation

RESTARTS = 4  # of each kind
AWAY_SECONDS = 1.5
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT  # immediate: as after a crash, it recovers


@pytest.fixture
def server() -> object:
    try:
        with PostgresqlServer.start() as running:
            yield running
    except ServerMissing as error:
        pytest.skip(str(error))


def restart(server: PostgresqlServer, how: signal.Signals, stage: Stage) -> float:
    stage.flow(0.5)
    server.end(how)
    time.sleep(AWAY_SECONDS)
    server.start_again()
    return time.monotonic()


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["restart", "crash"])
def test_restarts_of_postgresql_lose_nothing(
    tmp_path: Path, server: PostgresqlServer, how: signal.Signals
) -> None:
    name = "PostgreSQL restarted" if how is FAST else "PostgreSQL crashed"
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua", database=server.create_database())
        provider = federation.node("G01", subsystem="dancu", database=server.create_database())
        with under_load(federation, consumer, provider, name) as stage:
            for _ in range(RESTARTS):
                stage.fault(partial(restart, server, how, stage))
    stage.assert_survived()


def test_kills_of_nodes_on_postgresql_lose_nothing(
    tmp_path: Path, server: PostgresqlServer
) -> None:
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua", database=server.create_database())
        provider = federation.node("G01", subsystem="dancu", database=server.create_database())
        name = "kill -9 of nodes on PostgreSQL"
        with under_load(federation, consumer, provider, name, launcher=killable) as stage:
            for node, points in ((consumer, CONSUMER_POINTS), (provider, PROVIDER_POINTS)):
                for point in points:
                    stage.fault(partial(stage.kill_at, point, node))
    stage.assert_survived()
