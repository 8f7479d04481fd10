"""A node of several gateways on one PostgreSQL: killed one by one, it goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lienthong.node.admin_client import call
from tests.fixtures.federation import attempt, eventually
from tests.fixtures.gateways import Gateways, another_machine, gateways, recorded
from tests.fixtures.lengths import short_or_long

WORKERS = 2
KILLS = short_or_long(2, 20)
CALLERS = 6
SEED = 20261123


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: object
) -> Iterator[Gateways]:
    url = postgresql_server.create_database()  # type: ignore[attr-defined]
    with gateways(tmp_path_factory.mktemp("g"), url, WORKERS) as made:
        assert made.all_answer()
        yield made


@pytest.fixture(scope="module")
def after_the_kills(stage: Gateways) -> Gateways:
    """The stage after load during which workers were killed with calls in flight."""
    chance, done = random.Random(SEED), threading.Event()
    with ThreadPoolExecutor(CALLERS) as threads:
        callers = [threads.submit(stage.load, done, number) for number in range(CALLERS)]
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.3, 0.8))
                stage.kill_a_worker(chance)
                assert stage.all_answer()
            assert eventually(lambda: len(stage.outcomes.succeeded) > 150, seconds=120)
        finally:
            done.set()
        for caller in callers:
            caller.result()
    return stage


def test_no_request_is_executed_twice_by_different_workers(after_the_kills: Gateways) -> None:
    executions = after_the_kills.executions()
    assert len(executions) > 100
    assert {id_: count for id_, count in executions.items() if count > 1} == {}


def test_a_client_sees_nothing_of_a_killed_worker_but_doubts(after_the_kills: Gateways) -> None:
    assert len(after_the_kills.outcomes.succeeded) > 100
    assert set(after_the_kills.outcomes.failed) <= {"message.in_doubt"}


def test_every_call_that_succeeded_is_in_both_ledgers(after_the_kills: Gateways) -> None:
    stage = after_the_kills
    assert stage.outcomes.succeeded <= set(stage.executions())
    for node, sent, received in (
        (stage.consumer, "request-sent", "answer-received"),
        (stage.provider, "request-received", "answer-sent"),
    ):
        logged = recorded(node)
        for request_id in stage.outcomes.succeeded:
            assert {sent, received} <= logged[request_id], (node.code, request_id)


def test_the_one_tree_of_all_workers_is_whole(after_the_kills: Gateways) -> None:
    for node in (after_the_kills.provider, after_the_kills.consumer):
        report = json.loads(node.command("ledger", "verify", "--json"))
        assert report["good"], report["problems"]
        assert call(node.state, "GET", "/status")["forks"] == []


def test_both_workers_work(after_the_kills: Gateways) -> None:
    port = after_the_kills.provider.operations_port
    page = after_the_kills.provider.get(port, "/metrics").body.decode()
    for number in range(WORKERS):
        assert f'lienthong_ledger_groups_since_start{{worker="{number}"}}' in page
    starts = [x for x in page.splitlines() if x.startswith("lienthong_worker_starts_total{")]
    assert sum(int(line.split()[-1]) for line in starts) >= WORKERS + KILLS


def test_a_change_is_in_force_on_all_workers_when_the_command_returns(stage: Gateways) -> None:
    provider, consumer = stage.provider, stage.consumer
    service = ("--subsystem", "dancu", "--code", "dem")
    provider.command("service", "disable", *service, "--notice", "bảo trì")
    refused = [consumer.call("GET", stage.service_id, "/x") for _ in range(12)]
    assert {each.json["type"].rpartition(".")[2] for each in refused} == {"ServiceDisabled"}
    provider.command("service", "enable", *service)
    answers = [consumer.call("GET", stage.service_id, "/x") for _ in range(12)]
    assert {each.status for each in answers} == {200}


def test_maintenance_holds_for_the_machine(stage: Gateways) -> None:
    port = stage.provider.operations_port
    stage.provider.command("node", "maintenance", "on")
    assert stage.provider.get(port, "/health").status == 503
    stage.provider.command("node", "maintenance", "off")
    assert stage.provider.get(port, "/health").status == 200


def test_a_second_machine_joins_the_node_and_the_first_may_go(
    stage: Gateways, tmp_path: Path
) -> None:
    """The consumer's system calls through either machine of its provider's node."""
    provider = stage.provider
    second = another_machine(stage, tmp_path / "second")
    second.run()
    try:
        second.wait()
        words = ("--subsystem", provider.subsystem, "--connection", "http")
        second.command("client", "add", *words)
        for node in (provider, second):  # what one machine was told holds on both
            listed = json.loads(node.command("client", "list", "--json"))
            assert [each["subsystem"] for each in listed] == [provider.client_id]
        own = stage.federation.agree(provider, provider, "dem", "--endpoint", "GET /chinh-no")
        answers = [
            node.call("GET", stage.service_id, "/chinh-no").status for node in (provider, second)
        ]
        assert answers == [200, 200]
        second.command("agreement", "withdraw", own, "--reason", "thử")
        answers = [
            node.call("GET", stage.service_id, "/chinh-no").status for node in (provider, second)
        ]
        assert 200 not in answers
        assert json.loads(second.command("ledger", "verify", "--json"))["good"]
    finally:
        assert second.stop() == 0
    assert stage.consumer.call("GET", stage.service_id, "/x").status == 200


def test_workers_need_postgresql(stage: Gateways) -> None:
    refused = attempt("node", "run", str(stage.consumer.state), "--workers", "2")
    assert refused.returncode != 0
    assert "node.workers_need_postgresql" in refused.stderr
    assert "run-many-gateways.md" in refused.stderr


def test_workers_end_when_their_supervisor_is_killed(stage: Gateways) -> None:
    """The last test of this stage: systemd would start the supervisor again."""
    left = stage.workers()
    assert len(left) == WORKERS
    stage.provider.kill()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), seconds=60)
    stage.provider.run()
    stage.provider.wait()
    assert stage.consumer.call("GET", stage.service_id, "/x").status == 200
    assert stage.provider.process is not None
    os.kill(stage.provider.process.pid, signal.SIGTERM)
    assert stage.provider.process.wait(120) == 0
    stage.provider.process = None
    assert not stage.provider.state.joinpath("admin.sock").exists()
