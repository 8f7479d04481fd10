"""Two releases, one after the other and back again, under load and without a failed call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lienthong import __version__
from lienthong.node.admin_client import call
from lienthong.schema.migrations import newest
from tests.fixtures.federation import Federation, TestNode, attempt, eventually
from tests.fixtures.lengths import short_or_long
from tests.fixtures.releases import NextRelease
from tests.fixtures.socket_keeper import SocketKeeper
from tests.fixtures.steady_load import EchoService, SteadyLoad

CALLS_PER_SECOND = short_or_long(20.0, 60.0)
WITHIN_SECONDS = 300.0  # a busy machine answers later
# Longer than a restart takes on a busy machine: a connection waits while its node restarts.
SETTINGS = {
    "connect_timeout_seconds": "300",
    "service_timeout_seconds": "300",
    "drain_seconds": "240",
    "maximum_connections": "20000",  # on a busy machine many calls wait for a restart
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> NextRelease:
    return NextRelease(tmp_path_factory.mktemp("next"))


@pytest.fixture(scope="module", params=short_or_long(["sqlite"], ["sqlite", "postgresql"]))
def federation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Federation]:
    chosen: dict[str, str] = {}
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        chosen = {"database": server.create_database()}
    with EchoService() as service, Federation(tmp_path_factory.mktemp("f")) as built:
        consumer = built.node("H37", subsystem="motcua", **SETTINGS)
        provider = built.node("G01", subsystem="dancu", **SETTINGS, **chosen)
        built.start()
        words = ("--subsystem", "dancu", "--code", "dem", "--relay", service.url)
        provider.command("service", "add", *words)
        built.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield built


def status(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")
    return found


def test_both_nodes_are_upgraded_and_rolled_back_under_load_without_a_failed_call(
    federation: Federation, release: NextRelease
) -> None:
    consumer, provider = federation.nodes
    path = f"/r1/{provider.service_id('dem')}/echo"
    load = SteadyLoad(consumer.client_port, path, consumer.client_id, CALLS_PER_SECOND)
    with ExitStack() as kept:
        keepers = [kept.enter_context(SocketKeeperOf(node)) for node in (consumer, provider)]
        kept.enter_context(load)
        assert eventually(lambda: load.calls > CALLS_PER_SECOND, WITHIN_SECONDS)
        for keeper in keepers:
            keeper.restart(release.environment)
            assert status(keeper.node)["version"] == release.version
        answered = load.calls
        assert eventually(lambda: load.calls > answered + CALLS_PER_SECOND, WITHIN_SECONDS)
        for keeper in reversed(keepers):
            node = keeper.node
            assert keeper.stop() == 0
            words = ("node", "migrate", str(node.state), "--to", newest(), "--json")
            change = json.loads(release.run(*words))
            assert change == {"before": release.schema, "after": newest()}
            keeper.start_as({})
            assert status(node)["version"] == __version__
        answered = load.calls
        assert eventually(lambda: load.calls > answered + CALLS_PER_SECOND, WITHIN_SECONDS)
    print(f"{load.calls} calls in {load.seconds:.0f} s, slowest {load.slowest_seconds:.1f} s")
    assert load.failures == []
    assert load.calls >= load.seconds * CALLS_PER_SECOND * 5 / 6
    for node in federation.nodes:
        assert json.loads(node.command("ledger", "verify", "--json"))["good"]
        assert status(node)["gaps"] == []
        assert status(node)["forks"] == []


def test_an_older_release_refuses_the_database_of_a_newer_one_until_it_is_taken_back(
    federation: Federation, release: NextRelease
) -> None:
    node = federation.nodes[1]
    node.stop()
    state = str(node.state)
    assert json.loads(release.run("node", "migrate", state, "--json"))["after"] == release.schema
    refused = attempt("node", "run", state)
    assert "[node.schema_too_new]" in refused.stderr
    assert release.schema in refused.stderr
    assert "[node.schema_too_new]" in attempt("node", "migrate", state).stderr
    release.run("node", "migrate", state, "--to", newest())
    node.run()
    node.wait()
    running = attempt("node", "migrate", state, "--to", newest())
    assert "[node.already_running]" in running.stderr


class SocketKeeperOf(SocketKeeper):
    """Takes the ports of a running node over, so that they stay open from then on."""

    def __init__(self, node: TestNode) -> None:
        node.stop()
        super().__init__(node)
        self.run()
        node.wait()


def test_a_socket_for_an_unknown_port_is_refused(federation: Federation, tmp_path: Path) -> None:
    node = federation.nodes[0]
    with SocketKeeperOf(node) as keeper:
        assert node.stop() == 0
        node.environment["LISTEN_FDNAMES"] = "client_http:peers:somewhere"
        keeper.run()
        assert node.process is not None
        assert node.process.wait(120) != 0
        assert "LISTEN_FDNAMES" in node.log.read_text()
        node.process = None
        node.environment.clear()
    node.run()
    node.wait()
