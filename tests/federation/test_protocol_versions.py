"""Two versions of the protocol side by side: each pair speaks the highest that both know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.federation import Federation, TestNode, eventually
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.lengths import short_or_long
from tests.fixtures.releases import NextRelease
from tests.fixtures.socket_keeper import SocketKeeper
from tests.fixtures.steady_load import EchoService, SteadyLoad

CALLS_PER_SECOND = short_or_long(10.0, 30.0)  # to each of two providers
SETTINGS = {
    "connect_timeout_seconds": "300",
    "service_timeout_seconds": "300",
    "drain_seconds": "90",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> NextRelease:
    return NextRelease(tmp_path_factory.mktemp("next"), speaks_2=True)


@pytest.fixture(scope="module")
def federation(
    tmp_path_factory: pytest.TempPathFactory, release: NextRelease
) -> Iterator[Federation]:
    """A consumer of the next release, one provider of it, and one of this release."""
    with EchoService() as service, Federation(tmp_path_factory.mktemp("f")) as built:
        consumer = built.node("H37", subsystem="motcua", **SETTINGS)
        older = built.node("G01", subsystem="dancu", **SETTINGS)
        newer = built.node("G02", subsystem="hotich", **SETTINGS)
        consumer.environment.update(release.environment)
        newer.environment.update(release.environment)
        built.start()
        for provider in (older, newer):
            words = ("--subsystem", provider.subsystem, "--code", "dem", "--relay", service.url)
            provider.command("service", "add", *words)
            built.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield built


def load_on(consumer: TestNode, provider: TestNode) -> SteadyLoad:
    path = f"/r1/{provider.service_id('dem')}/echo"
    return SteadyLoad(consumer.client_port, path, consumer.client_id, CALLS_PER_SECOND)


def version_spoken(consumer: TestNode, provider: TestNode, release: NextRelease) -> int:
    """By the evidence of one call more, which both releases' rules have to confirm."""
    answer = consumer.call("POST", provider.service_id("dem"), "/echo", b"{}")
    assert answer.status == 200, answer.body
    bundle = consumer.state.with_suffix(".evidence")
    words = ("evidence", "export", str(consumer.state), answer.request_id)
    release.run(*words, "--output", str(bundle))
    root = consumer.state.parent / "directory" / "root.json"
    release.run("evidence", "verify", "--trust", str(root), str(bundle))
    request = json.loads(bundle.read_text(encoding="utf-8"))["request"]["request"]
    assert request.get("handling", "") == ("urgent" if request["version"] == 2 else "")
    return int(request["version"])


def test_under_load_each_pair_speaks_its_highest_version_and_an_upgrade_raises_it(
    federation: Federation, release: NextRelease
) -> None:
    consumer, older, newer = federation.nodes
    assert version_spoken(consumer, older, release) == 1
    assert version_spoken(consumer, newer, release) == 2
    older.stop()
    with SocketKeeper(older) as keeper:
        keeper.start_as({})
        with load_on(consumer, older) as first, load_on(consumer, newer) as second:
            assert eventually(lambda: min(first.calls, second.calls) > CALLS_PER_SECOND, 300)
            keeper.restart(release.environment)
            answered = first.calls
            assert eventually(lambda: first.calls > answered + CALLS_PER_SECOND, 300)
    assert first.failures == []
    assert second.failures == []
    consumer.stop()
    consumer.run()
    consumer.wait()  # a new process asks anew; a running one within ten minutes
    assert version_spoken(consumer, older, release) == 2
    for node in federation.nodes:
        checked = json.loads(release.run("ledger", "verify", str(node.state), "--json"))
        assert checked["good"], checked["problems"]


def test_a_node_says_what_it_speaks_and_looks_at_nothing_else(
    tmp_path: Path,
) -> None:
    with Federation(tmp_path / "f") as federation:
        target = federation.node("G01", subsystem="dancu")
        other = federation.node("G66", subsystem="ke")
        federation.nodes.remove(other)  # it has no process: this one speaks for it
        federation.start()
        assert eventually(lambda: target.logs("directory.refreshed"))
        with HostilePeer(other, target) as peer:
            said = peer.send("GET", "/lienthong/versions")
            assert json.loads(said.body) == {"versions": [1]}
            request = peer.request(target.service_id("dem"))
            wire = peer.sign(request)
            for path in ("/lienthong/2/message", "/lienthong/2/messages", "/lienthong/0/message"):
                assert peer.send("POST", path, wire.body, wire.headers).fault == (
                    "message.unknown_path"
                )
            two = peer.sign(msgspec.structs.replace(request, version=2))
            assert peer.ask(two).fault == "message.malformed"
            nobody = peer.send("GET", "/lienthong/versions", b"", {"lienthong-node": "VN/GOV/X/n1"})
            assert nobody.status != 200
