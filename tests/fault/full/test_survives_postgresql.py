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
from tests.fixtures.federation import Federation, TestNode

RESTARTS = 4  # of each kind
WORKERS = 2
WORKER_KILLS = 2  # of each node in a round
ROUNDS = 2  # with ledgers of their own: each verdict reads them from their beginning
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


@pytest.mark.parametrize(
    ("code", "points"),
    [
        (code, points[half::ROUNDS])
        for code, points in (("H37", CONSUMER_POINTS), ("G01", PROVIDER_POINTS))
        for half in range(ROUNDS)
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_kills_of_nodes_on_postgresql_lose_nothing(
    tmp_path: Path, server: PostgresqlServer, code: str, points: tuple[str, ...]
) -> None:
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua", database=server.create_database())
        provider = federation.node("G01", subsystem="dancu", database=server.create_database())
        killed = consumer if code == "H37" else provider
        name = f"kill -9 of {code} on PostgreSQL: {', '.join(points)}"
        with under_load(federation, consumer, provider, name, launcher=killable) as stage:
            for point in points:
                stage.fault(partial(stage.kill_at, point, killed))
    stage.assert_survived()


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_kills_of_workers_of_one_node_lose_nothing(
    tmp_path: Path, server: PostgresqlServer, number: int
) -> None:
    with Federation(tmp_path) as federation:
        consumer, provider = nodes_of_workers(federation, server)
        name = f"kill -9 of one of {WORKERS} workers, round {number}"
        with under_load(federation, consumer, provider, name) as stage:
            for node in (consumer, provider) * WORKER_KILLS:
                stage.fault(partial(stage.kill_a_worker, node))
    stage.assert_survived()
    assert stage.case.kills == 2 * WORKER_KILLS
    assert stage.case.kills_in_flight * 2 >= stage.case.kills


def test_restarts_of_postgresql_under_several_gateways_lose_nothing(
    tmp_path: Path, server: PostgresqlServer
) -> None:
    with Federation(tmp_path) as federation:
        consumer, provider = nodes_of_workers(federation, server)
        name = f"PostgreSQL ended under {WORKERS} workers a node"
        with under_load(federation, consumer, provider, name) as stage:
            for how in (FAST, IMMEDIATE) * (RESTARTS // 2):
                stage.fault(partial(restart, server, how, stage))
    stage.assert_survived()


def nodes_of_workers(federation: Federation, server: PostgresqlServer) -> tuple[TestNode, TestNode]:
    consumer = federation.node("H37", subsystem="motcua", database=server.create_database())
    provider = federation.node("G01", subsystem="dancu", database=server.create_database())
    consumer.workers = provider.workers = WORKERS
    return consumer, provider
