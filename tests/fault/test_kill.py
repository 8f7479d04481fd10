"""``kill -9`` at random moments under load: nothing is executed twice, nothing is lost."""

from __future__ import annotations

import json
import random
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lienthong.exchange.wire import MESSAGE_HEADER
from lienthong.ledger.evidence import verify_evidence
from lienthong.node.admin_client import call
from tests.fixtures.federation import Federation, TestNode, eventually
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService

KILLS = 2  # of each side
CALLERS = 6
SEED = 20261123
ENOUGH = 100  # calls that succeeded, however slow the machine is
PAUSE_SECONDS = 0.01  # of each caller, so that a quick machine makes no more than a search shows


@dataclass
class Outcomes:
    """What the clients saw, by request id."""

    succeeded: set[str] = field(default_factory=set)
    in_doubt: int = 0
    failed: int = 0

    def add(self, status: int, headers: dict[str, str]) -> None:
        if status == 200:
            self.succeeded.add(headers["x-road-request-id"])
        elif headers.get("lienthong-error") == "message.in_doubt":
            self.in_doubt += 1
        else:
            self.failed += 1


@dataclass
class Stage:
    federation: Federation
    consumer: TestNode
    provider: TestNode
    evil: TestNode
    service: RecordingService
    outcomes: Outcomes = field(default_factory=Outcomes)

    @property
    def service_id(self) -> str:
        return self.provider.service_id("dem")

    def load(self, until: threading.Event, caller: int) -> None:
        """Call again and again until told to stop; what fails is tried no second time."""
        number = 0
        while not until.is_set():
            number += 1
            pause = random.Random(f"{caller}.{number}").choice(["/x", "/echo", "/slow/0.02"])
            try:
                answer = self.consumer.call(
                    "POST", self.service_id, pause, {"n": [caller, number]}, timeout=30
                )
            except OSError:  # the consumer's own node was killed: its client knows nothing
                self.outcomes.failed += 1
                time.sleep(0.05)
                continue
            self.outcomes.add(answer.status, answer.headers)
            time.sleep(PAUSE_SECONDS)

    def executions(self) -> Counter[str]:
        return Counter(each.headers["x-road-request-id"] for each in self.service.received)

    def restart(self, node: TestNode) -> None:
        node.kill()
        node.run()
        node.wait()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with RecordingService() as service, Federation(tmp_path_factory.mktemp("f")) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        evil = federation.node("G66", subsystem="ke")
        federation.start()
        provider.command(
            "service", "add", "--subsystem", "dancu", "--code", "dem", "--relay", service.url
        )
        for asking in (consumer, evil):
            federation.agree(asking, provider, "dem", "--endpoint", "* /**")
        evil.stop()
        yield Stage(federation, consumer, provider, evil, service)


@pytest.fixture(scope="module")
def after_the_kills(stage: Stage) -> Stage:
    """The stage after load during which both nodes were killed several times."""
    chance, done = random.Random(SEED), threading.Event()
    with ThreadPoolExecutor(CALLERS) as threads:
        callers = [threads.submit(stage.load, done, number) for number in range(CALLERS)]
        try:
            for node in [stage.provider, stage.consumer] * KILLS:
                time.sleep(chance.uniform(0.2, 0.8))
                stage.restart(node)
            assert eventually(lambda: len(stage.outcomes.succeeded) > ENOUGH, 60)
        finally:
            done.set()
        for caller in callers:
            caller.result()
    return stage


def test_no_request_is_executed_twice(after_the_kills: Stage) -> None:
    executions = after_the_kills.executions()
    assert len(executions) > ENOUGH
    assert {id_: count for id_, count in executions.items() if count > 1} == {}


def test_every_call_that_succeeded_is_in_both_ledgers(after_the_kills: Stage) -> None:
    stage = after_the_kills
    assert len(stage.outcomes.succeeded) > ENOUGH
    assert stage.outcomes.succeeded <= set(stage.executions())
    for node, sent, received in (
        (stage.consumer, "request-sent", "answer-received"),
        (stage.provider, "request-received", "answer-sent"),
    ):
        logged = recorded(node)
        for request_id in stage.outcomes.succeeded:
            assert {sent, received} <= logged[request_id], (node.code, request_id)


def recorded(node: TestNode) -> dict[str, set[str]]:
    """Kinds of records by request id, through the public search."""
    words = ("--party", "VN-TEST", "--limit", "10000", "--json")
    found = json.loads(node.command("ledger", "search", *words))
    assert len(found) < 10_000
    kinds: dict[str, set[str]] = {}
    for each in found:
        kinds.setdefault(each["request_id"], set()).add(each["kind"])
    return kinds


def test_what_was_executed_is_in_the_providers_ledger(after_the_kills: Stage) -> None:
    logged = recorded(after_the_kills.provider)
    for request_id in after_the_kills.executions():
        assert "request-received" in logged[request_id]


def test_both_ledgers_are_whole_after_the_kills(after_the_kills: Stage) -> None:
    for node in (after_the_kills.consumer, after_the_kills.provider):
        report = json.loads(node.command("ledger", "verify", "--json"))
        assert report["good"], report["problems"]
        status = call(node.state, "GET", "/status")
        assert status["forks"] == []


def test_evidence_of_an_exchange_before_the_kills_verifies(after_the_kills: Stage) -> None:
    stage = after_the_kills
    request_id = min(stage.outcomes.succeeded)
    for node in (stage.consumer, stage.provider):
        file = stage.federation.folder / f"{node.code}.evidence"
        node.command("evidence", "export", request_id, "--output", str(file))
        assert verify_evidence(file.read_bytes(), stage.federation.root.read_bytes()).checks


def test_an_answered_request_gets_its_stored_answer_after_a_kill(stage: Stage) -> None:
    with HostilePeer(stage.evil, stage.provider) as peer:
        wire = peer.sign(peer.request(stage.service_id, path="/echo"))
        first = peer.ask(wire)
        peer.hang_up()
        stage.restart(stage.provider)
        again = peer.ask(wire)
        assert (again.message, again.body) == (first.message, first.body)
        assert stage.executions()[first.message.request_id] == 1


def test_a_request_killed_while_it_runs_gets_a_signed_in_doubt(stage: Stage) -> None:
    with HostilePeer(stage.evil, stage.provider) as peer:
        wire = peer.sign(peer.request(stage.service_id, path="/held"))
        connection = peer.connect()
        connection.request("POST", "/lienthong/1/message", wire.body, wire.headers)
        request_id = str(json.loads(wire.json)["request_id"])
        assert eventually(lambda: stage.executions()[request_id] == 1)
        stage.restart(stage.provider)
        stage.service.let_go()
        connection.close()
        for _ in range(2):
            assert peer.ask(wire).message.outcome == "in-doubt"
        assert stage.executions()[request_id] == 1
        changed = wire.with_field("salts", b64encode(bytes(96)).decode())
        assert peer.ask(changed).fault == "message.proof_invalid"
        assert MESSAGE_HEADER in peer.ask(wire).headers


def test_receipts_of_answers_arrive_although_the_consumer_was_killed(
    stage: Stage, tmp_path: Path
) -> None:
    answer = stage.consumer.call("POST", stage.service_id, "/echo", {"n": 1})
    stage.restart(stage.consumer)
    deadline = time.monotonic() + 60
    file = tmp_path / "bundle.json"
    while True:
        stage.provider.command("evidence", "export", answer.request_id, "--output", str(file))
        if "acknowledged" in json.loads(file.read_bytes()):
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)
