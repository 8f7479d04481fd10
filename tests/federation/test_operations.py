"""Running nodes: health, maintenance, graceful stop, restart, hosted members, a further node."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.conftest import FATHER, Pair
from tests.fixtures.federation import Answer, attempt, eventually, run
from tests.fixtures.people import CONTRACT_TEXT, store_in_sql

LOOKUP = {"keys": [FATHER], "fields": ["ho_ten"]}


def ask(pair: Pair) -> Answer:
    return pair.consumer.call("POST", pair.citizens, "/records:lookup", LOOKUP)


@pytest.fixture(autouse=True)
def both_run(unusual: Pair) -> Iterator[None]:
    """Each test finds both nodes running and answering."""
    yield
    for node in (unusual.consumer, unusual.provider):
        if node.process is None:
            node.run()
            node.wait()
    assert eventually(lambda: ask(unusual).status == 200)


def test_health_says_what_was_checked(unusual: Pair) -> None:
    answer = unusual.consumer.get(unusual.consumer.operations_port, "/health")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    names = {check["name"] for check in answer.json["checks"]}
    assert {"directory", "certificate", "clock", "ledger"} <= names


def test_maintenance_is_503_and_the_node_goes_on_answering(unusual: Pair) -> None:
    node = unusual.consumer

    def health() -> int:
        return node.get(node.operations_port, "/health").status

    node.command("node", "maintenance", "on")
    assert health() == 503
    assert ask(unusual).status == 200
    node.command("node", "maintenance", "off")
    assert health() == 200


def test_a_node_that_is_not_approved_says_so_until_it_is(unusual: Pair) -> None:
    federation = unusual.federation
    node = federation.unapproved_node("H40", subsystem="motcua")
    node.run()

    def health() -> Answer | None:
        try:
            return node.get(node.operations_port, "/health")
        except OSError:
            return None

    try:
        assert eventually(lambda: (found := health()) is not None and found.status == 500)
        waiting = health()
        assert waiting is not None
        assert waiting.json["checks"][0]["reason"]
        run("directory", "approve", str(federation.directory), str(node.state / "request.json"))
        node.wait()
    finally:
        node.stop()


def test_a_further_node_joins_a_running_federation(unusual: Pair) -> None:
    federation = unusual.federation
    node = federation.node("G15", subsystem="hotich")
    node.run()
    try:
        node.wait()
        node.command("client", "add", "--subsystem", "hotich", "--connection", "http")
        federation.agree(node, unusual.provider, "cong-dan", "--fields", "ho_ten")
        answer = node.call("POST", unusual.citizens, "/records:lookup", LOOKUP)
        assert answer.json["records"] == [{"ho_ten": "Nguyễn Văn Mẫu"}]
    finally:
        assert node.stop() == 0


def test_a_node_speaks_for_members_that_delegated_to_it(unusual: Pair, tmp_path: Path) -> None:
    host, provider = unusual.consumer, unusual.provider
    statements = []
    for number in (1, 2):
        statement = tmp_path / f"xa-{number}.json"
        run(
            *("node", "delegate", f"VN-TEST/COM/xa{number}", "--node", f"{host.member_id}/n1"),
            *("--name", f"Xã {number}", "--key", str(tmp_path / f"xa-{number}.pem")),
            *("--subsystem", "motcua=Một cửa", "--output", str(statement)),
        )
        statements.append(statement)
    hosts = [word for path in statements for word in ("--hosts", str(path))]
    request = host.command("node", "request", *hosts).strip()
    run("directory", "approve", str(unusual.federation.directory), request)
    host.stop()
    host.run()
    host.wait()
    for number in (1, 2):
        client = f"VN-TEST/COM/xa{number}/motcua"
        host.command("client", "add", "--subsystem", client, "--connection", "http")
        proposed = host.command(
            *("agreement", "propose", "--consumer", client, "--service", unusual.citizens),
            *("--purpose", "p1", "--legal-basis", "Luật", "--fields", "ho_ten"),
            *("--from", "2026-01-01", "--until", "2036-01-01", "--json"),
        )
        if number == 1:
            provider.command("agreement", "accept", json.loads(proposed)["id"])
    answers = [
        host.call(
            *("POST", unusual.citizens, "/records:lookup", LOOKUP),
            client=f"VN-TEST/COM/xa{number}/motcua",
        )
        for number in (1, 2)
    ]
    assert answers[0].status == 200
    assert answers[0].headers["x-road-client"] == "VN-TEST/COM/xa1/motcua"
    assert answers[1].headers["lienthong-error"] == "agreements.not_accepted"
    bundle = tmp_path / "bang-chung.json"
    host.command("evidence", "export", answers[0].request_id, "--output", str(bundle))
    run("evidence", "verify", "--trust", str(unusual.federation.root), str(bundle))


def test_a_member_that_did_not_delegate_cannot_be_spoken_for(unusual: Pair) -> None:
    state = str(unusual.consumer.state)
    done = attempt("client", "add", state, "--subsystem", "VN-TEST/GOV/G01/dancu")
    assert done.returncode != 0
    assert "[node.subsystem_not_hosted]" in done.stderr


def test_a_node_that_is_told_to_stop_finishes_what_runs(unusual: Pair) -> None:
    answers: list[Answer] = []

    def slow() -> None:
        answers.append(unusual.consumer.call("GET", unusual.relay, "/slow/2"))

    thread = threading.Thread(target=slow)
    before = len(unusual.service.received)
    thread.start()
    assert eventually(lambda: len(unusual.service.received) > before)
    for node in (unusual.provider, unusual.consumer):
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: refuses_new_requests(unusual))
    thread.join()
    assert (answers[0].status, answers[0].json) == (200, {"late": True})
    for node in (unusual.provider, unusual.consumer):
        assert node.stop() == 0


def refuses_new_requests(pair: Pair) -> bool:
    try:
        return ask(pair).status != 200
    except OSError:
        return True


def test_everything_is_as_before_after_a_restart(unusual: Pair) -> None:
    before = ask(unusual)
    services = unusual.provider.command("service", "list", "--json")
    for node in (unusual.provider, unusual.consumer):
        assert node.stop() == 0
        node.run()
        node.wait()
    assert unusual.provider.command("service", "list", "--json") == services
    assert ask(unusual).json == before.json
    for node in (unusual.provider, unusual.consumer):
        assert json.loads(node.command("ledger", "verify", "--json"))["good"]
        found = json.loads(
            node.command("ledger", "search", "--message", before.request_id, "--json")
        )
        assert len(found) == 2


def test_a_service_whose_source_is_away_at_the_start_opens_when_it_is_back(
    unusual: Pair,
) -> None:
    folder, provider = unusual.federation.folder, unusual.provider
    contract = folder / "muon.odcs.yaml"
    contract.write_text(CONTRACT_TEXT, encoding="utf-8")
    file = folder / "muon.db"
    source = store_in_sql(f"sqlite:///{file}")
    named = ("--subsystem", "dancu", "--code", "muon")
    provider.command("service", "add", *named, "--contract", str(contract), "--source", source)
    unusual.federation.agree(unusual.consumer, provider, "muon", "--fields", "ho_ten")
    service = provider.service_id("muon")

    def code() -> str:
        answer = unusual.consumer.call("POST", service, "/records:lookup", LOOKUP)
        return answer.headers.get("lienthong-error", str(answer.status))

    assert code() == "200"
    provider.stop()
    file.rename(folder / "muon.away")
    provider.run()
    provider.wait()
    assert code() == "message.service_disabled"
    assert ask(unusual).status == 200
    (folder / "muon.away").rename(file)
    assert eventually(lambda: code() == "200", seconds=90)


def test_a_second_process_on_one_state_folder_is_refused(unusual: Pair) -> None:
    done = attempt("node", "run", str(unusual.consumer.state))
    assert done.returncode != 0
    assert "[node.already_running]" in done.stderr
    assert ask(unusual).status == 200


def test_the_status_command_tells_how_the_node_is(unusual: Pair) -> None:
    status = json.loads(unusual.provider.command("node", "status", "--json"))
    assert status["node"] == f"{unusual.provider.member_id}/n1"
    assert status["health"]["status"] == "ok"
    assert unusual.citizens in status["services"]
    assert status["ledger"]["groups"] > 0 and not status["forks"]
    text = unusual.provider.command("node", "status")
    assert "Danh bạ" in text and unusual.citizens in text
