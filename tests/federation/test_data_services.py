"""The data service derived from a contract, and the agreements that open it, between nodes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.federation.conftest import FATHER, MOTHER, THIRD, Pair
from tests.fixtures.federation import Answer, attempt
from tests.fixtures.people import CONTRACT_TEXT


def lookup(pair: Pair, *keys: str, fields: list[str] | None = None, **more: Any) -> Answer:
    body: dict[str, Any] = {"keys": list(keys)}
    if fields is not None:
        body["fields"] = fields
    return pair.consumer.call("POST", pair.citizens, "/records:lookup", body, **more)


def code(answer: Answer) -> str:
    return answer.headers.get("lienthong-error", str(answer.status))


def test_gives_the_agreed_fields_and_names_those_withheld(pair: Pair) -> None:
    answer = lookup(pair, FATHER, fields=["ho_ten", "so_con", "thu_nhap"])
    assert answer.status == 200
    assert answer.json["records"] == [{"ho_ten": "Nguyễn Văn Mẫu"}]
    assert sorted(answer.json["withheld"]) == ["so_con", "thu_nhap"]
    assert b"1500000" not in answer.body


def test_says_which_keys_are_missing(pair: Pair) -> None:
    answer = lookup(pair, FATHER, "001099999999", MOTHER, fields=["so_dinh_danh"])
    found = [record["so_dinh_danh"] for record in answer.json["records"]]
    assert found == [FATHER, MOTHER]
    assert answer.json["missing"] == ["001099999999"]


def test_reads_one_record(pair: Pair) -> None:
    one = pair.consumer.call("GET", pair.citizens, f"/records/{THIRD}?fields=ho_ten,ngay_sinh")
    assert one.json["record"] == {"ho_ten": "Lê Hoà", "ngay_sinh": None}
    none = pair.consumer.call("GET", pair.citizens, "/records/001099999999?fields=ho_ten")
    assert (none.status, none.json["record"]) == (404, None)
    assert "x-road-error" not in none.headers


def test_verifies_a_claim_without_releasing_the_value(pair: Pair) -> None:
    claims = {"ngay_sinh": "1990-03-15", "ho_ten": "Nguyễn Văn Khác", "thu_nhap": "1"}
    body = {"key": FATHER, "claims": claims}
    answer = pair.consumer.call("POST", pair.citizens, "/records:verify", body)
    assert answer.json["matches"] == {"ngay_sinh": True, "ho_ten": False}
    assert answer.json["withheld"] == ["thu_nhap"]
    assert "Nguyễn Văn Mẫu".encode() not in answer.body


@pytest.mark.parametrize(("count", "expected"), [(1000, "200"), (1001, "sources.too_many_keys")])
def test_takes_a_thousand_keys_at_once_and_no_more(pair: Pair, count: int, expected: str) -> None:
    keys = [FATHER, *(f"0010800{number:05d}" for number in range(count - 1))]
    answer = lookup(pair, *keys, fields=["ho_ten"])
    assert code(answer) == expected
    if expected == "200":
        assert len(answer.json["missing"]) == count - 1


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/records:lookup", {"keys": [FATHER], "fields": ["khong_co"]}, "unknown_field"),
        ("POST", "/records:lookup", {"keys": []}, "invalid_query"),
        ("POST", "/records:lookup", {"keys": [FATHER], "la": 1}, "invalid_query"),
        ("POST", "/records:lookup", b"{", "invalid_query"),
        ("POST", "/records:lookup", b'{"keys":["1"],"keys":["2"]}', "duplicate_json_key"),
        ("POST", "/records:lookup?x=1", {"keys": [FATHER]}, "invalid_query"),
        ("POST", "/records:verify", {"key": FATHER, "claims": {"ngay_sinh": 5}}, "invalid_claim"),
        ("GET", f"/records/{FATHER}?limit=1", None, "invalid_query"),
    ],
)
def test_names_what_is_wrong_with_a_question(
    pair: Pair, method: str, path: str, body: Any, expected: str
) -> None:
    answer = pair.consumer.call(method, pair.citizens, path, body)
    assert code(answer) == f"sources.{expected}"
    assert answer.status == 500
    assert FATHER.encode() not in answer.body


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("DELETE", f"/records/{FATHER}")])
def test_other_paths_and_methods_are_not_agreed(pair: Pair, method: str, path: str) -> None:
    answer = pair.consumer.call(method, pair.citizens, path)
    assert answer.headers["x-road-error"] == "Server.ServerProxy.AccessDenied"
    assert code(answer) == "agreements.endpoint"


def test_without_an_agreement_even_a_bad_question_is_just_refused(pair: Pair) -> None:
    service = pair.add_contract_service("chua-thoa-thuan")
    bad = {"keys": [FATHER], "fields": ["khong_co"]}
    answer = pair.consumer.call("POST", service, "/records:lookup", bad)
    assert answer.headers["x-road-error"] == "Server.ServerProxy.AccessDenied"
    assert code(answer) == "agreements.none"


def test_the_purpose_is_the_agreements_first_unless_another_is_named(pair: Pair) -> None:
    def asked(purpose: str | None) -> str:
        headers = {} if purpose is None else {"Lienthong-Purpose": purpose}
        return code(lookup(pair, FATHER, fields=["ho_ten"], headers=headers))

    assert [asked(None), asked("p1"), asked("p2")] == ["200", "200", "200"]
    assert asked("quang-cao") == "agreements.purpose"


def test_a_rate_and_a_quota_hold(pair: Pair) -> None:
    service = pair.add_contract_service("gioi-han")
    terms = ("--fields", "ho_ten", "--rate", "1", "--burst", "3", "--daily", "1000")
    pair.federation.agree(pair.consumer, pair.provider, "gioi-han", *terms)

    def ask(*keys: str) -> str:
        body = {"keys": list(keys), "fields": ["ho_ten"]}
        return code(pair.consumer.call("POST", service, "/records:lookup", body))

    many = [f"0010800{number:05d}" for number in range(998)]
    assert ask(*many) == "200"
    assert ask(*many[:3]) == "agreements.quota"  # a batch counts by its keys
    codes = [ask(FATHER) for _ in range(6)]
    assert codes[0] == "200"
    assert "agreements.rate" in codes or "agreements.quota" in codes


def test_a_disabled_service_tells_its_notice_until_it_is_enabled(pair: Pair) -> None:
    service = pair.add_contract_service("tam-tat")
    pair.federation.agree(pair.consumer, pair.provider, "tam-tat", "--fields", "ho_ten")
    named = ("--subsystem", "dancu", "--code", "tam-tat")
    body = {"keys": [FATHER], "fields": ["ho_ten"]}
    pair.provider.command("service", "disable", *named, "--notice", "Bảo trì đến 8 giờ")
    off = pair.consumer.call("POST", service, "/records:lookup", body)
    assert off.headers["x-road-error"] == "Server.ServerProxy.ServiceDisabled"
    assert "Bảo trì đến 8 giờ" in off.json["message"]
    pair.provider.command("service", "enable", *named)
    assert pair.consumer.call("POST", service, "/records:lookup", body).status == 200


def test_adding_a_service_again_replaces_it_and_removing_ends_it(pair: Pair) -> None:
    service = pair.add_contract_service("thay-the")
    pair.federation.agree(pair.consumer, pair.provider, "thay-the", "--fields", "ho_ten,so_con")
    body = {"keys": [FATHER], "fields": ["ho_ten", "so_con"]}
    newer = pair.federation.folder / "moi.odcs.yaml"
    start = CONTRACT_TEXT.index("      - name: so_con")
    end = CONTRACT_TEXT.index("      - name: con_song")
    newer.write_text(CONTRACT_TEXT[:start] + CONTRACT_TEXT[end:], encoding="utf-8")
    named = ("--subsystem", "dancu", "--code", "thay-the")
    assert pair.consumer.call("POST", service, "/records:lookup", body).status == 200
    pair.provider.command(
        "service", "add", *named, "--contract", str(newer), "--source", pair.source
    )
    answer = pair.consumer.call("POST", service, "/records:lookup", body)
    assert code(answer) == "sources.unknown_field"
    pair.provider.command("service", "remove", *named)
    answer = pair.consumer.call("POST", service, "/records:lookup", body)
    assert code(answer) == "message.unknown_service"


def test_a_contract_with_a_state_secret_field_is_refused_and_changes_nothing(pair: Pair) -> None:
    secret = pair.federation.folder / "mat.odcs.yaml"
    text = CONTRACT_TEXT.replace("classification: sensitive", "classification: state-secret")
    secret.write_text(text, encoding="utf-8")
    done = attempt(
        *("service", "add", str(pair.provider.state), "--subsystem", "dancu"),
        *("--code", "cong-dan", "--contract", str(secret), "--source", pair.source),
    )
    assert done.returncode != 0
    assert "[contracts.state_secret]" in done.stderr
    assert lookup(pair, FATHER, fields=["ho_ten"]).status == 200


def test_a_source_that_goes_away_is_an_error_and_comes_back_by_itself(pair: Pair) -> None:
    file = pair.federation.folder / "dancu.db"

    def execute(statement: str) -> None:
        with closing(sqlite3.connect(file)) as database:
            database.execute(statement)
            database.commit()

    execute("ALTER TABLE nguoi RENAME TO di_vang")
    try:
        away = lookup(pair, FATHER, fields=["ho_ten"])
    finally:
        execute("ALTER TABLE di_vang RENAME TO nguoi")
    assert away.headers["x-road-error"] == "Server.ServerProxy.ServiceFailed"
    assert str(pair.federation.folder).encode() not in away.body
    assert lookup(pair, FATHER, fields=["ho_ten"]).status == 200


def test_agreements_end_by_withdrawal_and_begin_by_acceptance_only(pair: Pair) -> None:
    service = pair.add_contract_service("thoa-thuan")
    today = datetime.now(UTC).date()
    body = {"keys": [FATHER], "fields": ["ho_ten"]}

    def ask() -> str:
        return code(pair.consumer.call("POST", service, "/records:lookup", body))

    def propose(since: str, until: str) -> str:
        proposed = pair.consumer.command(
            *("agreement", "propose", "--consumer", pair.consumer.client_id),
            *("--service", service, "--purpose", "p1", "--fields", "ho_ten"),
            *("--legal-basis", "Luật", "--from", since, "--until", until, "--json"),
        )
        return str(json.loads(proposed)["id"])

    later = propose(str(today + timedelta(days=5)), "2036-01-01")
    assert ask() == "agreements.not_accepted"
    pair.provider.command("agreement", "accept", later)
    assert ask() == "agreements.not_yet_valid"
    refused = propose("2026-01-01", "2036-01-01")
    pair.provider.command("agreement", "refuse", refused, "--reason", "thiếu căn cứ")
    shown = json.loads(pair.consumer.command("agreement", "show", refused, "--json"))
    assert (shown["status"], shown["statements"][-1]["reason"]) == ("refused", "thiếu căn cứ")
    now = propose("2026-01-01", "2036-01-01")
    pair.provider.command("agreement", "accept", now)
    assert ask() == "200"
    pair.consumer.command("agreement", "withdraw", now, "--reason", "hết nhu cầu")
    assert ask() == "agreements.not_yet_valid"
    listed = json.loads(pair.provider.command("agreement", "list", "--json"))["agreements"]
    states = {each["id"]: each["status"] for each in listed}
    assert states[now] == "withdrawn"
    assert states[refused] == "refused"
