"""What two nodes keep of their exchanges: ledger, logs, metrics — and what they must not keep."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.federation.conftest import FATHER, FIELDS, MOTHER, Pair
from tests.fixtures.federation import Answer, TestNode, attempt, eventually, run

LOOKUP = {"keys": [FATHER], "fields": ["ho_ten"]}
NAME = "Nguyễn Văn Mẫu"
OFFICER = "can-bo-so-7741"


def ask(pair: Pair, service: str, dossier: str, body: Any = None) -> Answer:
    headers = {"X-Road-Issue": dossier, "X-Road-UserId": OFFICER, "X-Mine": "tieu-de-rieng-5521"}
    answer = pair.consumer.call("POST", service, "/records:lookup", body or LOOKUP, headers=headers)
    assert answer.status == 200, answer.body
    return answer


def search(node: TestNode, *conditions: str) -> list[dict[str, Any]]:
    found = json.loads(node.command("ledger", "search", *conditions, "--json"))
    assert isinstance(found, list)
    return found


def kept(node: TestNode, text: str) -> bool:
    """Whether a text is anywhere in the node's database or among its kept bodies."""
    with closing(sqlite3.connect(node.state / "node.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [node.state / "node.db", node.state / "node.db-wal"]
    files += [path for path in (node.state / "bodies").iterdir() if path.is_file()]
    present = (path for path in files if path.exists())
    wanted = (text.encode(), json.dumps(text)[1:-1].encode())
    return any(word in content for content in map(Path.read_bytes, present) for word in wanted)


@pytest.fixture(scope="module")
def services(pair: Pair) -> dict[str, str]:
    """The register three times over, each with another mode of logging."""
    made = {}
    for mode in ("full", "metadata", "none"):
        made[mode] = pair.add_contract_service(f"so-{mode}", "--bodies", mode)
        pair.federation.agree(pair.consumer, pair.provider, f"so-{mode}", "--fields", FIELDS)
    return made


def test_an_exchange_is_found_on_both_sides_by_all_that_it_is_known_by(
    pair: Pair, services: dict[str, str]
) -> None:
    answer = ask(pair, services["full"], "HS-tim-1")
    for node, kinds in (
        (pair.consumer, {"request-sent", "answer-received"}),
        (pair.provider, {"request-received", "answer-sent"}),
    ):
        records = search(node, "--message", answer.request_id)
        assert {record["kind"] for record in records} == kinds
        assert {record["service"] for record in records} == {services["full"]}
        dossier = search(node, "--dossier", "HS-tim-1")
        assert [record["request_id"] for record in dossier] == [answer.request_id]
        citizen = search(node, "--citizen", FATHER, "--party", services["full"])
        assert answer.request_id in {record["request_id"] for record in citizen}
        assert search(node, "--citizen", MOTHER, "--party", services["full"]) == []
        assert search(node, "--message", answer.request_id, "--until", "2020-01-01T00:00:00Z") == []
        named = search(node, "--message", answer.headers["x-road-id"])
        assert {record["request_id"] for record in named} == {answer.request_id}


def test_a_refusal_is_in_the_ledgers_with_its_reason(pair: Pair) -> None:
    body = {"keys": [FATHER], "fields": ["thu_nhap"]}
    answer = pair.consumer.call("POST", pair.citizens, "/records:lookup", body)
    for node in (pair.consumer, pair.provider):
        records = search(node, "--message", answer.request_id)
        told = [(each["outcome"], each["reason"]) for each in records if each["outcome"]]
        assert told == [("refused", "agreements.fields")]


def test_mode_full_keeps_bodies_and_metadata_keeps_none_of_them(
    pair: Pair, services: dict[str, str]
) -> None:
    ask(pair, services["metadata"], "HS-che-do-2", {"keys": [MOTHER], "fields": ["ho_ten"]})
    assert kept(pair.provider, "HS-che-do-2")
    assert not kept(pair.provider, 'Trần Thị "Thử", B')
    ask(pair, services["full"], "HS-che-do-3")
    assert kept(pair.provider, NAME)


def test_mode_none_keeps_nothing_personal_and_still_finds_and_proves(
    pair: Pair, services: dict[str, str]
) -> None:
    number = "079300112233"  # no other test asks about it; the answer repeats it as missing
    body = {"keys": [number], "fields": ["ho_ten", "so_dinh_danh"]}
    officer, dossier = "can-bo-khac-9932", "HS-kin-4417"
    headers = {"X-Road-Issue": dossier, "X-Road-UserId": officer, "X-Mine": "rieng-8856"}
    answer = pair.consumer.call("POST", services["none"], "/records:lookup", body, headers=headers)
    assert answer.json["missing"] == [number]
    for text in (number, officer, dossier, "rieng-8856"):
        assert not kept(pair.provider, text), text
    assert kept(pair.consumer, dossier)  # it logs by its own choice
    for condition in (("--citizen", number), ("--dossier", dossier)):
        records = search(pair.provider, *condition, "--party", services["none"])
        assert answer.request_id in {record["request_id"] for record in records}
    assert verify(pair.provider)["good"]
    bundle = export(pair, pair.provider, answer.request_id)
    verdict = judge(pair, bundle)
    assert verdict["verdict"] == "valid"
    assert number.encode() not in bundle.read_bytes()


def verify(node: TestNode) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(node.command("ledger", "verify", "--json"))
    return report


def export(pair: Pair, node: TestNode, request_id: str) -> Path:
    path = pair.federation.folder / f"{node.code}-{request_id}.json"
    node.command("evidence", "export", request_id, "--output", str(path))
    return path


def judge(pair: Pair, bundle: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads(
        run("evidence", "verify", "--trust", str(pair.federation.root), str(bundle), "--json")
    )
    return verdict


def test_a_consumer_that_keeps_commitments_only_keeps_nothing_personal(unusual: Pair) -> None:
    answer = ask(unusual, unusual.citizens, "HS-kin-5")
    for text in (FATHER, OFFICER, "HS-kin-5", "tieu-de-rieng-5521", NAME):
        assert not kept(unusual.consumer, text), text
    found = search(unusual.consumer, "--dossier", "HS-kin-5")
    assert [record["request_id"] for record in found] == [answer.request_id]
    assert verify(unusual.consumer)["good"]
    assert judge(unusual, export(unusual, unusual.consumer, answer.request_id))["notes"]


def test_a_node_on_postgresql_does_what_others_do(unusual: Pair) -> None:
    answer = ask(unusual, unusual.citizens, "HS-pg-1")
    assert not (unusual.provider.state / "node.db").exists()
    for condition in (("--message", answer.request_id), ("--dossier", "HS-pg-1")):
        assert search(unusual.provider, *condition)
    assert search(unusual.provider, "--citizen", FATHER)
    assert verify(unusual.provider)["good"]
    assert judge(unusual, export(unusual, unusual.provider, answer.request_id))["request"]
    purged = json.loads(unusual.provider.command("ledger", "purge", "--days", "0"))
    assert purged["groups"] > 0
    erased = json.loads(unusual.provider.command("ledger", "erase", answer.request_id))
    assert erased == {"erased": 2}
    report = verify(unusual.provider)
    assert report["good"] and report["erased"] == 2


def test_a_purge_takes_the_bodies_and_leaves_the_proof(
    pair: Pair, services: dict[str, str]
) -> None:
    service = pair.add_relay("don-dep")
    pair.federation.agree(pair.consumer, pair.provider, "don-dep", "--endpoint", "* /**")
    small = b'{"noi-dung": "than-nho-3141592"}'
    large = b"than-lon-2718281" * 100_000  # spooled, in a file of its own
    answers = [pair.consumer.call("POST", service, "/echo", body) for body in (small, large)]
    assert kept(pair.consumer, "than-nho-3141592") and kept(pair.consumer, "than-lon-2718281")
    for node in (pair.consumer, pair.provider):
        purged = json.loads(node.command("ledger", "purge", "--days", "0"))
        assert purged["groups"] > 0 and purged["files"] > 0
        assert not kept(node, "than-nho-3141592") and not kept(node, "than-lon-2718281")
        assert verify(node)["good"]
    for answer in answers:
        verdict = judge(pair, export(pair, pair.consumer, answer.request_id))
        assert verdict["verdict"] == "valid"


def test_erased_contents_are_gone_and_the_ledger_stays_whole(
    pair: Pair, services: dict[str, str]
) -> None:
    number = "079199012345"
    body = {"keys": [number], "fields": ["ho_ten"]}
    answer = ask(pair, services["full"], "HS-xoa-6620", body)
    for node in (pair.consumer, pair.provider):
        assert kept(node, number)
        erased = json.loads(node.command("ledger", "erase", answer.request_id))
        assert erased == {"erased": 2}
        assert not kept(node, number) and not kept(node, "HS-xoa-6620")
        assert search(node, "--citizen", number) == []
        assert search(node, "--message", answer.request_id)
        report = verify(node)
        assert report["good"] and report["erased"] >= 2
        verdict = judge(pair, export(pair, node, answer.request_id))
        assert verdict["verdict"] == "valid"
        assert any("erased" in note for note in verdict["notes"]), verdict["notes"]


def test_evidence_of_an_unknown_message_is_a_clear_error(pair: Pair) -> None:
    done = attempt(
        *("evidence", "export", str(pair.consumer.state), "khong-co"),
        *("--output", str(pair.federation.folder / "x.json")),
    )
    assert done.returncode != 0
    assert "khong-co" in done.stderr
    assert not (pair.federation.folder / "x.json").exists()


def lines_of(node: TestNode, request_id: str) -> list[dict[str, Any]]:
    """The lines of a node's log that belong to one message."""
    lines = map(json.loads, node.log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.get("request_id") == request_id]


def test_one_id_follows_a_message_through_both_logs(pair: Pair) -> None:
    answer = pair.consumer.call(
        "POST", pair.citizens, "/records:lookup", LOOKUP, headers={"X-Road-Id": "theo-doi-1"}
    )
    for node in (pair.consumer, pair.provider):
        assert eventually(lambda node=node: bool(lines_of(node, answer.request_id)))  # type: ignore[misc]
        (line,) = lines_of(node, answer.request_id)
        assert line["event"] == "exchange.answered"
        assert (line["message_id"], line["status"], line["outcome"]) == (
            "theo-doi-1",
            200,
            "answered",
        )
        assert line["node"] == f"{node.member_id}/n1"


def test_a_refusal_can_be_followed_too(pair: Pair) -> None:
    body = {"keys": [FATHER], "fields": ["thu_nhap"]}
    answer = pair.consumer.call("POST", pair.citizens, "/records:lookup", body)
    for node in (pair.consumer, pair.provider):
        assert eventually(lambda node=node: bool(lines_of(node, answer.request_id)))  # type: ignore[misc]
    reasons = {line.get("code") for line in lines_of(pair.provider, answer.request_id)}
    assert "agreements.fields" in reasons


def test_no_citizen_number_is_in_any_log(pair: Pair) -> None:
    shy = "001290077777"
    pair.consumer.call("GET", pair.citizens, f"/records/{shy}?fields=ho_ten")
    pair.consumer.call("GET", pair.citizens, f"/records/{shy}?fields=khong_co")
    pair.consumer.call("GET", pair.relay, f"/{shy}?so={shy}")
    pair.consumer.call("GET", pair.citizens, f"/records/..%2f{shy}")
    pair.consumer.call("GET", pair.citizens, "/x", headers={"X-Road-Id": shy, "X-Road-Issue": shy})
    pair.consumer.call("GET", f"/r1/VN-TEST/GOV/{shy}/x/y/z")
    pair.consumer.call("GET", f"/{shy}")
    last = pair.consumer.call("POST", pair.citizens, "/records:lookup", {"keys": [shy]})
    for node in (pair.consumer, pair.provider):
        assert node.logs(last.request_id)
        log = node.log.read_text(encoding="utf-8")
        for number in (shy, FATHER, MOTHER):
            assert number not in log


def test_metrics_count_exchanges_and_never_hold_a_personal_key(pair: Pair) -> None:
    assert pair.consumer.call("POST", pair.citizens, "/records:lookup", LOOKUP).status == 200
    pair.consumer.call("GET", f"VN-TEST/GOV/{FATHER}/x/y", f"/{FATHER}")
    for node, role in ((pair.consumer, "consumer"), (pair.provider, "provider")):
        answer = node.get(node.operations_port, "/metrics")
        text = answer.body.decode()
        assert FATHER not in text
        values = {
            (sample.name, sample.labels.get("role"), sample.labels.get("outcome")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("service") in {None, pair.citizens}
        }
        assert values["lienthong_exchanges_total", role, "answered"] >= 1
        assert values["lienthong_directory_version", None, None] >= 1
        assert values["lienthong_ledger_tree_size", None, None] >= 2
        assert values["lienthong_ledger_records_since_start", None, None] >= 2
