"""A full disk: the client gets an error, nothing is half done, and the node goes on afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lienthong.node.admin_client import call
from tests.fixtures.faults.disk import full, small_disk
from tests.fixtures.federation import Answer, Federation, TestNode
from tests.fixtures.recording_service import RecordingService

DISK_MIB = 24


@dataclass(frozen=True)
class Stage:
    consumer: TestNode
    provider: TestNode
    service: RecordingService
    disks: dict[str, Path]

    def ask(self, path: str = "/echo", body: bytes = b"x") -> Answer:
        return self.consumer.call("POST", self.provider.service_id("dem"), path, body)

    def executions(self) -> int:
        return len(self.service.received)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("f")
    with (
        small_disk(folder / "H37", DISK_MIB) as first,
        small_disk(folder / "G01", DISK_MIB) as second,
        RecordingService() as service,
        Federation(folder) as federation,
    ):
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        federation.start()
        provider.command(
            "service", "add", "--subsystem", "dancu", "--code", "dem", "--relay", service.url
        )
        federation.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield Stage(consumer, provider, service, {"H37": first, "G01": second})


def groups(node: TestNode) -> int:
    return int(call(node.state, "GET", "/status")["ledger"]["groups"])


def fill_the_log(stage: Stage, disk: Path) -> Answer:
    """Call until the node's database cannot grow any more (its log has some room left)."""
    for _ in range(400):
        answer = stage.ask(body=bytes(20_000))
        if answer.status != 200:
            return answer
    raise AssertionError(f"{disk} never was full")


@pytest.mark.parametrize("code", ["H37", "G01"])
def test_a_full_disk_is_an_error_to_the_client_and_the_node_goes_on(
    stage: Stage, code: str
) -> None:
    assert stage.ask().status == 200
    node = stage.consumer if code == "H37" else stage.provider
    with full(stage.disks[code]):
        refused = fill_the_log(stage, stage.disks[code])
        assert refused.status == 500
        assert refused.headers["lienthong-error"] in {"ledger.unavailable", "message.in_doubt"}
        executed, committed = stage.executions(), groups(node)
        for _ in range(3):
            answer = stage.ask(body=bytes(20_000))
            assert answer.headers["lienthong-error"] in {"ledger.unavailable", "message.in_doubt"}
        if code == "H37":  # refused before anything was sent
            assert stage.executions() == executed
            assert groups(node) == committed
        health = node.get(node.operations_port, "/health")
        assert health.status == 500
        assert b"ledger" in health.body
        large = stage.ask(body=bytes(3_000_000))  # spooled: refused while it is written
        assert large.status >= 500
    assert stage.ask().status == 200
    assert node.get(node.operations_port, "/health").status == 200
    assert stage.ask(body=bytes(2_000_000)).body == bytes(2_000_000)


def test_the_ledgers_are_whole_afterwards_and_after_a_restart(stage: Stage) -> None:
    for node in (stage.consumer, stage.provider):
        assert json.loads(node.command("ledger", "verify", "--json"))["good"]
        node.stop()
        node.run()
        node.wait()
        assert json.loads(node.command("ledger", "verify", "--json"))["good"]
    assert stage.ask().status == 200


def test_no_spool_file_is_left_over(stage: Stage) -> None:
    for disk in stage.disks.values():
        assert list((disk / "spool").iterdir()) == []
