"""A node whose database was set back, or that signs two histories, is caught by its peers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lienthong.node.admin_client import call
from tests.fixtures.federation import Answer, Federation, TestNode, run
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService

WITHIN_SECONDS = 90.0


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with RecordingService() as service, Federation(tmp_path_factory.mktemp("f")) as built:
        consumer = built.node("H37", subsystem="motcua")
        provider = built.node("G01", subsystem="dancu", clock_skew_seconds="2")
        built.start()
        provider.command(
            "service", "add", "--subsystem", "dancu", "--code", "dem", "--relay", service.url
        )
        built.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield built


def ask(federation: Federation) -> Answer:
    consumer, provider = federation.nodes
    return consumer.call("POST", provider.service_id("dem"), "/echo", b"x")


def status(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")
    return found


@pytest.fixture
def backup(federation: Federation, tmp_path: Path) -> Path:
    """A backup of the provider's database, taken before some exchanges with the consumer."""
    consumer, provider = federation.nodes
    provider.stop()
    copy = tmp_path / "backup.db"
    shutil.copy(provider.state / "node.db", copy)  # whole: the node is stopped
    provider.run()
    provider.wait()
    wait_for_an_answer(federation)
    for _ in range(5):
        assert ask(federation).status == 200
    wait_until_compared(consumer)
    return copy


def test_a_ledger_that_was_set_back_is_refused_until_its_node_knows_what_it_lost(
    federation: Federation, backup: Path
) -> None:
    consumer, provider = federation.nodes
    epoch = status(provider)["ledger"]["epoch"]
    consumer.stop()
    set_back(provider, backup)  # nobody is there to tell it that it lost something
    restart(consumer)
    assert is_forked(federation)
    ((origin, first, second),) = status(consumer)["forks"]
    assert origin.startswith(f"lienthong/{provider.member_id}/")
    assert first != second
    consumer.stop()
    restart(consumer)  # the proof is kept, and the ledger stays refused
    assert is_forked(federation)
    provider.stop()
    restart(provider)  # now it asks its peers
    assert_goes_on_in_a_new_epoch(federation, epoch)


def test_a_restored_node_asks_its_peers_records_the_gap_and_opens_a_new_epoch(
    federation: Federation, backup: Path
) -> None:
    consumer, provider = federation.nodes
    epoch, forks = status(provider)["ledger"]["epoch"], status(consumer)["forks"]
    set_back(provider, backup)
    assert_goes_on_in_a_new_epoch(federation, epoch)
    assert status(consumer)["forks"] == forks
    provider.stop()
    restart(provider)  # a second start finds nothing more to record
    assert status(provider)["ledger"]["epoch"] == epoch + 1
    assert ask(federation).status == 200


def is_forked(federation: Federation) -> bool:
    return ask(federation).headers.get("lienthong-error") == "ledger.forked"


def assert_goes_on_in_a_new_epoch(federation: Federation, epoch: int) -> None:
    _, provider = federation.nodes
    assert status(provider)["ledger"]["epoch"] == epoch + 1
    wait_for_an_answer(federation)
    words = ("--message", f"lienthong/{provider.member_id}/n1/{epoch}", "--json")
    (gap,) = json.loads(provider.command("ledger", "search", *words))
    assert gap["outcome"] == "ledger-restored"
    assert json.loads(provider.command("ledger", "verify", "--json"))["good"]


def wait_for_an_answer(federation: Federation) -> None:
    """Requests from about the time of a gap are refused; that ends after the clock skew."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while ask(federation).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def restart(node: TestNode) -> None:
    node.run()
    node.wait()


def set_back(node: TestNode, backup: Path) -> None:
    """Stop the node, restore its database, and run it again."""
    node.stop()
    for file in node.state.glob("node.db*"):
        file.unlink()
    shutil.copy(backup, node.state / "node.db")
    restart(node)


def wait_until_compared(node: TestNode) -> None:
    """Until the node has had the growth of its peer's newest ledger proven (asked every second)."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        with closing(sqlite3.connect(node.state / "node.db")) as database:
            found = database.execute(
                "SELECT size, consistent_size FROM ledger_peer_heads ORDER BY origin DESC LIMIT 1"
            )
            rows = found.fetchall()
        if rows and all(size == proven and size > 1 for size, proven in rows):
            return
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)


def test_two_histories_signed_by_one_node_are_refused_and_kept_as_proof(
    federation: Federation, tmp_path: Path
) -> None:
    _, provider = federation.nodes
    liar = federation.node("G66", subsystem="ke")
    federation.nodes.remove(liar)  # it has no process: this one speaks for it, twice
    double = replace(liar, state=tmp_path / "double")
    shutil.copytree(liar.state, double.state)
    newest = json.loads(run("directory", "show", str(federation.directory), "--json"))["version"]
    deadline = time.monotonic() + WITHIN_SECONDS
    while status(provider)["directory"]["version"] < newest:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    service = provider.service_id("dem")
    with HostilePeer(liar, provider) as first, HostilePeer(double, provider) as second:
        assert first.ask(first.request(service)).status == 200
        assert second.ask(second.request(service)).fault == "ledger.forked"
        assert first.ask(first.request(service)).fault == "ledger.forked"
    ((origin, one, other),) = status(provider)["forks"]
    assert origin.startswith(f"lienthong/{liar.member_id}/")
    assert one.split("\n")[1] == other.split("\n")[1]  # one size
    assert one.split("\n")[2] != other.split("\n")[2]  # two roots
