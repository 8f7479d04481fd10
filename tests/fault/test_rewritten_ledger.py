"""A node whose database was set back, or that signs two histories, is caught by its peers."""

from __future__ import annotations

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
from tests.fixtures.federation import Answer, Federation, TestNode
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService

WITHIN_SECONDS = 20.0


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    with RecordingService() as service, Federation(tmp_path) as built:
        consumer = built.node("H37", subsystem="motcua")
        provider = built.node("G01", subsystem="dancu")
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


def test_growth_is_compared_and_a_ledger_that_was_set_back_is_refused(
    federation: Federation, tmp_path: Path
) -> None:
    consumer, provider = federation.nodes
    provider.stop()
    backup = tmp_path / "backup.db"
    shutil.copy(provider.state / "node.db", backup)  # whole: the node is stopped
    provider.run()
    provider.wait()
    for _ in range(5):
        assert ask(federation).status == 200
    wait_until_compared(consumer)
    assert status(consumer)["forks"] == []

    provider.stop()
    set_back(provider, backup)
    provider.run()
    provider.wait()
    refused = ask(federation)
    assert refused.headers.get("lienthong-error") == "ledger.forked"
    origin, first, second = status(consumer)["forks"][0]
    assert origin.endswith("/0")
    assert first != second
    consumer.stop()  # the proof is kept, and the ledger stays refused
    consumer.run()
    consumer.wait()
    assert ask(federation).headers.get("lienthong-error") == "ledger.forked"


def set_back(node: TestNode, backup: Path) -> None:
    for file in node.state.glob("node.db*"):
        file.unlink()
    shutil.copy(backup, node.state / "node.db")


def wait_until_compared(node: TestNode) -> None:
    """Until the node has had the growth of its peer's ledger proven (asked every second)."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        with closing(sqlite3.connect(node.state / "node.db")) as database:
            found = database.execute("SELECT size, consistent_size FROM ledger_peer_heads")
            rows = found.fetchall()
        if rows and all(size == proven and size > 1 for size, proven in rows):
            return
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)


def test_two_histories_signed_by_one_node_are_refused_and_kept_as_proof(
    federation: Federation, tmp_path: Path
) -> None:
    consumer, provider = federation.nodes
    consumer.stop()
    double = replace(consumer, state=tmp_path / "double")
    shutil.copytree(consumer.state, double.state)
    service = provider.service_id("dem")
    with HostilePeer(consumer, provider) as first, HostilePeer(double, provider) as second:
        assert first.ask(first.request(service)).status == 200
        assert second.ask(second.request(service)).fault == "ledger.forked"
        assert first.ask(first.request(service)).fault == "ledger.forked"
    ((origin, one, other),) = status(provider)["forks"]
    assert origin.startswith("lienthong/VN-TEST/GOV/H37/")
    assert one.split("\n")[1] == other.split("\n")[1]  # one size
    assert one.split("\n")[2] != other.split("\n")[2]  # two roots
