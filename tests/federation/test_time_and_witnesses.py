"""Nodes whose heads are stamped and witnessed; what happens when the authority is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lienthong.ledger.database import connect_database
from lienthong.ledger.timestamps import stamp_query
from lienthong.node.admin_client import call
from lienthong.node.doctor import storage
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Finding
from lienthong.node.state import StateFolder
from tests.fixtures.federation import Answer, Federation, TestNode, run
from tests.fixtures.recording_service import RecordingService
from tests.fixtures.time_authority import RunningAuthority

WITHIN_SECONDS = 90.0  # a busy machine takes its time


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAuthority]:
    with RunningAuthority(tmp_path_factory.mktemp("tsa")) as running:
        yield running


@pytest.fixture(scope="module")
def federation(
    tmp_path_factory: pytest.TempPathFactory, authority: RunningAuthority
) -> Iterator[Federation]:
    """Two agencies that exchange, and two that both of them talk with."""
    folder = tmp_path_factory.mktemp("f")
    anchored = {
        "time_stamp_urls": f"http://127.0.0.1:9/nobody,{authority.url}",
        "time_stamp_interval_seconds": "0.5",
        "time_stamp_alarm_seconds": "2",
        "witness_interval_seconds": "0.5",
    }
    with RecordingService() as service, Federation(folder) as built:
        run(
            *("directory", "time-authority", "add", str(built.directory)),
            *(str(authority.chain), "--name", "Demo TSA"),
        )
        consumer = built.node("H37", subsystem="motcua", **anchored)
        provider = built.node("G01", subsystem="dancu", **anchored)
        for code in ("G15", "G18"):
            built.node(code, subsystem="khac", witness_interval_seconds="600")
        built.start()
        words = ("--code", "dem", "--relay", service.url)
        provider.command("service", "add", "--subsystem", "dancu", *words)
        for node in (consumer, *built.nodes[2:]):
            built.agree(node, provider, "dem", "--endpoint", "* /**")
        yield built


def ask(federation: Federation, node: TestNode | None = None) -> Answer:
    consumer, provider, *_ = federation.nodes
    answer = (node or consumer).call("POST", provider.service_id("dem"), "/echo", b"x")
    assert answer.status == 200, answer.body
    return answer


def status(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")
    return found


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class TwoHoursLater(Context):
    """The same node when nobody has signed anything for two hours."""

    @staticmethod
    def now() -> datetime:
        return Context.now() + timedelta(hours=2)


def doctor_on(node: TestNode, kind: type[Context] = Context) -> dict[str, Finding]:
    """What the doctor says of the node's anchors, by the name of the check."""
    context = kind.of(StateFolder(node.state), {})
    engine = connect_database(context.database)
    try:
        return {each.check: each for each in storage.anchors(context, engine)}
    finally:
        engine.dispose()


def verdict(federation: Federation, node: TestNode, answer: Answer, *more: str) -> dict[str, Any]:
    file = federation.folder / f"{node.code}-{answer.request_id}.json"
    node.command("evidence", "export", answer.request_id, "--output", str(file))
    trust = ("--trust", str(federation.root), "--json")
    found: dict[str, Any] = json.loads(run("evidence", "verify", *trust, str(file), *more))
    return found


def test_evidence_of_both_sides_has_its_time_proven_by_a_stamp(federation: Federation) -> None:
    answer = ask(federation)
    for node in federation.nodes[:2]:

        def is_stamped(node: TestNode = node) -> bool:
            return verdict(federation, node, answer)["time"] == "proven"

        wait_until(is_stamped)
        found = verdict(federation, node, answer)
        assert found["proven_by"] == "time-stamp"
        assert [stamp["authority"] for stamp in found["stamps"]] == ["Demo TSA"]
        assert found["proven_at"] == found["stamps"][0]["time"]


def test_other_agencies_witness_and_prove_the_time_too(federation: Federation) -> None:
    _, provider, *others = federation.nodes
    for node in others:  # now the provider knows them
        ask(federation, node)
    answer = ask(federation)
    independent = {f"{node.member_id}/n1" for node in others}

    def witnesses() -> set[str]:
        return {each["node"] for each in verdict(federation, provider, answer)["witnesses"]}

    wait_until(lambda: witnesses() >= independent)
    assert independent <= status(provider)["witnesses"]["signed"].keys()
    found = verdict(federation, provider, answer, "--witnesses", "2")
    assert found["time"] == "proven"
    parties = [each["node"] for each in found["witnesses"] if each["party"]]
    assert set(parties) <= {f"{federation.nodes[0].member_id}/n1"}
    assert doctor_on(provider)["ledger.witnesses"].state == "ok"
    stale = doctor_on(provider, TwoHoursLater)["ledger.witnesses"]
    assert stale.state == "warning"
    assert "witnesses" in stale.remedy.en


def test_traffic_goes_on_while_the_authority_is_away_and_the_backlog_is_stamped_later(
    federation: Federation, authority: RunningAuthority
) -> None:
    consumer = federation.nodes[0]
    wait_until(lambda: status(consumer)["time_stamps"]["backlog_groups"] == 0)
    authority.away = True
    try:
        answers = [ask(federation) for _ in range(5)]
        wait_until(lambda: status(consumer)["time_stamps"]["alarm"])
        seen = status(consumer)["time_stamps"]
        assert seen["backlog_groups"] > 0
        assert seen["backlog_seconds"] >= 2  # told in tenths: 2.04 is past the 2 and reads 2.0
        assert "ledger.time_stamp_invalid" in seen["last_error"]
        assert consumer.logs("time_stamp.backlog")
        health = consumer.get(consumer.operations_port, "/health")
        assert health.status == 200  # no balancer is to take the node away
        (check,) = [each for each in health.json["checks"] if each["name"] == "time_stamps"]
        assert check["alarm"]
        metrics = consumer.get(consumer.operations_port, "/metrics").body.decode()
        named = "lienthong_time_stamp_backlog_groups "
        waiting = next(line for line in metrics.splitlines() if line.startswith(named))
        assert float(waiting.split()[-1]) > 0
        assert "chờ quá lâu" in consumer.command("node", "status")
        told = doctor_on(consumer)["ledger.stamps"]
        assert told.state == "failed"
        assert "wait for a time-stamp" in told.found.en
        assert "time_stamp_urls" in told.remedy.en
        assert verdict(federation, consumer, answers[0])["proven_by"] != "time-stamp"
    finally:
        authority.away = False
    wait_until(lambda: status(consumer)["time_stamps"]["backlog_groups"] == 0)
    # New heads wait for their stamps all the time, on a busy machine for longer than the alarm.
    wait_until(lambda: not status(consumer)["time_stamps"]["alarm"])
    wait_until(lambda: doctor_on(consumer)["ledger.stamps"].state == "ok")
    for answer in answers:
        assert verdict(federation, consumer, answer)["proven_by"] == "time-stamp"


@pytest.mark.parametrize("fault", ["another nonce", "cannot be read", "HTTP status 500"])
def test_an_authority_that_answers_wrongly_counts_as_away(
    federation: Federation, authority: RunningAuthority, fault: str
) -> None:
    consumer = federation.nodes[0]
    old = stamp_query("another note").request
    if fault == "another nonce":
        authority.ask = lambda query: old  # stamps what nobody asked for just now
    elif fault == "cannot be read":
        authority.change = lambda answer: answer[: len(answer) // 2]
    else:
        authority.away = True
    try:
        ask(federation)
        ask(federation)
        wait_until(lambda: fault in status(consumer)["time_stamps"]["last_error"])
    finally:
        authority.ask = authority.change = lambda content: content
        authority.away = False
    wait_until(lambda: status(consumer)["time_stamps"]["backlog_groups"] == 0)


def test_authorities_are_asked_in_turn(federation: Federation, tmp_path: Path) -> None:
    """The node at the end of the list of addresses is asked only when all others fail."""
    consumer = federation.nodes[0]
    log = consumer.log.read_text(encoding="utf-8")
    assert "http://127.0.0.1:9" in log  # the first address, where nobody listens, is tried first
    assert status(consumer)["time_stamps"]["last_stamp"] is not None
