"""Commands against running nodes: what a mistake is told as, and that it changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lienthong.demo.public_commands import program
from lienthong.errors import LienthongError
from tests.federation.conftest import Pair
from tests.fixtures.federation import INSTANCE, attempt, eventually, run
from tests.fixtures.people import CONTRACT_TEXT


def refused(*arguments: str) -> str:
    """Run a command that must fail with an error of ours; returns its code."""
    with pytest.raises(LienthongError) as caught:
        run(*arguments)
    error = caught.value
    assert error.exit_code not in {0, 1}
    vietnamese, english = error.message("vi"), error.message("en")
    assert vietnamese and english and error.remedy("vi") and error.remedy("en")
    return error.code


def test_a_folder_without_a_node_and_a_node_that_does_not_run_are_told_apart(
    pair: Pair, tmp_path: Path
) -> None:
    assert refused("node", "status", str(tmp_path)) == "node.not_initialised"
    idle = pair.federation.unapproved_node("G18", subsystem="yte")
    assert refused("service", "list", str(idle.state)) == "node.not_running"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--code", "listMethods", "--relay", "http://127.0.0.1:9"), "xroad.reserved_service_code"),
        (("--code", "x", "--relay", "ftp://127.0.0.1:9"), "sources.relay_address_invalid"),
        (("--code", "x/y", "--relay", "http://127.0.0.1:9"), "*"),
        (("--code", "x", "--relay", "http://127.0.0.1:9", "--classification", "mat"), "*"),
        (("--code", "x", "--relay", "http://127.0.0.1:9", "--bodies", "some"), "*"),
        (("--code", "x", "--relay", "http://127.0.0.1:9", "--timeout", "0"), "*"),
        (("--code", "x", "--contract", "{contract}"), "*"),
        (("--code", "x", "--contract", "{contract}", "--source", "oracle://x/y"), "sources.*"),
        (
            ("--code", "x", "--contract", "{contract}", "--source", "sqlite:////khong/co"),
            "sources.*",
        ),
        (("--code", "x", "--contract", "{broken}", "--source", "{source}"), "contracts.*"),
        (("--code", "x", "--contract", "{binary}", "--source", "{source}"), "usage"),
    ],
)
def test_a_service_that_cannot_be_is_refused(
    pair: Pair, tmp_path: Path, options: tuple[str, ...], code: str
) -> None:
    broken, binary = tmp_path / "hong.yaml", tmp_path / "nhi-phan.yaml"
    broken.write_text(CONTRACT_TEXT.replace("logicalType: string", "logicalType: chu", 1))
    binary.write_bytes(b"\xff\xfe\x00")
    filled = [
        word.replace("{contract}", str(pair.contract))
        .replace("{broken}", str(broken))
        .replace("{binary}", str(binary))
        .replace("{source}", pair.source)
        for word in options
    ]
    before = pair.provider.command("service", "list", "--json")
    arguments = ("service", "add", str(pair.provider.state), "--subsystem", "dancu", *filled)
    if code == "usage":
        assert attempt(*arguments).returncode == 2
    else:
        assert re.fullmatch(code.replace("*", "[a-z_.]+"), refused(*arguments))
    assert pair.provider.command("service", "list", "--json") == before


@pytest.mark.parametrize(
    "options",
    [
        ("--fields", "ho_ten", "--until", "2020-01-01"),
        ("--fields", "ho_ten", "--from", "hôm nay"),
        ("--fields", "ho_ten", "--rate", "0"),
        ("--fields", "ho_ten", "--service", f"{INSTANCE}/GOV/G01/dancu"),
        ("--fields", "ho_ten", "--service", f"{INSTANCE}/GOV/G99/dancu/x"),
        ("--fields", "ho_ten", "--consumer", f"{INSTANCE}/GOV/G01/dancu"),
        ("--fields", "ho_ten", "--endpoint", "GET records"),
        (),
        ("--fields", "ho_ten", "--from", "2025-01-01", "--until", "2025-02-01"),
    ],
)
def test_an_agreement_that_cannot_be_is_refused(pair: Pair, options: tuple[str, ...]) -> None:
    before = pair.consumer.command("agreement", "list", "--json")
    code = refused(
        *("agreement", "propose", str(pair.consumer.state)),
        *("--consumer", pair.consumer.client_id, "--service", pair.citizens),
        *("--purpose", "p1", "--legal-basis", "Luật", "--from", "2026-01-01"),
        *("--until", "2036-01-01", *options),
    )
    assert code.partition(".")[0] in {"agreements", "identity", "directory", "node"}
    assert pair.consumer.command("agreement", "list", "--json") == before


def test_acts_on_an_agreement_that_cannot_be_done_are_refused(pair: Pair) -> None:
    state = str(pair.consumer.state)
    assert refused("agreement", "accept", state, "khong-co").startswith("agreements.")
    listed = json.loads(pair.consumer.command("agreement", "list", "--json"))["agreements"]
    active = next(each["id"] for each in listed if each["status"] == "active")
    again = refused("agreement", "refuse", state, active, "--reason", "muộn")
    assert again.startswith("agreements.")
    proposed = pair.consumer.command(
        *("agreement", "propose", "--consumer", pair.consumer.client_id),
        *("--service", pair.citizens, "--purpose", "p1", "--legal-basis", "Luật"),
        *("--fields", "khong_co", "--from", "2026-01-01", "--until", "2036-01-01", "--json"),
    )
    unknown = json.loads(proposed)["id"]  # the provider alone knows its fields
    assert refused("agreement", "accept", str(pair.provider.state), unknown).startswith("agree")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"format": "la"}', b"[" * 100_000])
def test_what_is_not_evidence_is_refused_with_one_exit_code(
    pair: Pair, tmp_path: Path, content: bytes
) -> None:
    bundle = tmp_path / "x.json"
    bundle.write_bytes(content)
    done = attempt("evidence", "verify", "--trust", str(pair.federation.root), str(bundle))
    assert done.returncode not in {0, 1, 2}
    assert "[evidence." in done.stderr


def test_init_is_idempotent_and_does_not_take_another_nodes_folder(
    pair: Pair, tmp_path: Path
) -> None:
    def init(code: str, *more: str) -> tuple[str, ...]:
        return (
            *("node", "init", str(tmp_path / "n"), "--instance", INSTANCE, "--code", code),
            *("--name", "Cơ quan", "--address", "https://127.0.0.1:5599"),
            *("--directory-url", "http://127.0.0.1:1", "--root", str(pair.federation.root)),
            *("--subsystem", "a=A", *more),
        )

    first = json.loads(run(*init("G77"), "--json"))
    content = Path(first["request"]).read_bytes()
    assert json.loads(run(*init("G77"), "--json")) == first
    assert Path(first["request"]).read_bytes() == content
    assert refused(*init("G78")) == "node.conflict"
    assert refused(*init("G77", "--set", "khong_co=1")) == "configuration.unknown_setting"
    assert refused(*init("G77", "--set", "drain_seconds=lau")) == "configuration.invalid_setting"
    wrong = [word.replace(INSTANCE, "VN") for word in init("G77")]
    assert refused(*wrong).startswith(("configuration.", "node."))
    assert Path(first["request"]).read_bytes() == content


def test_errors_speak_vietnamese_first_or_english_first(tmp_path: Path) -> None:
    def lines(language: str) -> list[str]:
        done = subprocess.run(
            [*program(), "node", "status", str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "LIENTHONG_LANGUAGE": language},
            check=False,
        )
        assert done.returncode != 0
        return done.stderr.strip().splitlines()

    vietnamese, english = lines("vi"), lines("en")
    assert vietnamese[:2] == english[1::-1]
    assert english[0].isascii()


def test_a_search_with_a_date_that_is_none_is_refused(pair: Pair) -> None:
    state = str(pair.consumer.state)
    assert refused("ledger", "search", state, "--from", "hôm qua") == "node.request_malformed"


def test_what_lists_say_of_a_service_never_holds_the_password_of_its_source(pair: Pair) -> None:
    listed = json.loads(pair.provider.command("service", "list", "--json"))
    shown = next(each for each in listed if each["id"] == pair.citizens)
    assert shown["source"] == "sqlite"
    assert str(pair.federation.folder) not in json.dumps(listed)
    assert "internal" in pair.provider.command("service", "list")
    clients = json.loads(pair.consumer.command("client", "list", "--json"))
    assert clients[0]["subsystem"] == pair.consumer.client_id
    assert pair.consumer.client_id[-6:] in pair.consumer.command("client", "list")


def test_a_node_that_waits_for_approval_is_not_said_to_be_stopped(pair: Pair) -> None:
    waiting = pair.federation.unapproved_node("G19", subsystem="cho")
    waiting.run()
    try:
        assert eventually(lambda: "node.waiting" in waiting.log.read_text())
        assert refused("service", "list", str(waiting.state)) == "node.waiting"
    finally:
        assert waiting.stop() == 0
    assert refused("service", "list", str(waiting.state)) == "node.not_running"


def test_a_contract_service_is_listed_with_the_class_of_its_most_closed_field(pair: Pair) -> None:
    added = pair.provider.command(
        *("service", "add", "--subsystem", "dancu", "--code", "lop"),
        *("--contract", str(pair.contract), "--source", pair.source),
    )
    try:
        assert "sensitive" in added
        listed = json.loads(pair.provider.command("service", "list", "--json"))
        classes = {each["id"].rpartition("/")[2]: each["classification"] for each in listed}
        assert classes["lop"] == "sensitive"
        assert classes["co-san"] == "internal"
    finally:
        pair.provider.command("service", "remove", "--subsystem", "dancu", "--code", "lop")


def test_a_client_certificate_that_is_none_is_told_as_the_clients(
    pair: Pair, tmp_path: Path
) -> None:
    bad = tmp_path / "x.crt"
    bad.write_text("không phải chứng thư")
    before = pair.consumer.command("client", "list", "--json")
    add = ("client", "add", str(pair.consumer.state), "--subsystem", "motcua")
    more = ("--connection", "mtls", "--certificate", str(bad))
    assert refused(*add, *more) == "node.client_certificate"
    assert pair.consumer.command("client", "list", "--json") == before


def test_an_https_client_of_a_node_without_an_https_port_is_warned_of(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.provider.command("client", "add", "--subsystem", "dancu", "--connection", "https")
    assert "client_https_listen" in capsys.readouterr().err
    pair.provider.command("client", "add", "--subsystem", "dancu", "--connection", "http")
    assert "client_https_listen" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("ledger search STATE --limit -1", "node.request_malformed"),
        ("ledger purge STATE --days nan", "node.request_malformed"),
        ("ledger purge STATE --days 1e300", "node.request_malformed"),
        ("ledger erase STATE ../x", "ledger.not_found"),
        ("evidence export STATE x/y --output /nonexist/z", "node.not_found"),
        ("service remove STATE --subsystem motcua --code khong", "node.not_found"),
        ("service remove STATE --subsystem a/b --code c", "identity.invalid_identifier"),
        ("client add STATE --subsystem motcua --connection ftp", "node.request_malformed"),
        ("client remove STATE --subsystem khong", "node.not_found"),
        ("agreement show STATE ../../x", "node.not_found"),
        (
            "agreement propose STATE --consumer a --service b --fields x --purpose p "
            "--legal-basis L --from 0001-01-01 --until 2040-01-01",
            "agreements.document",
        ),
        ("node run STATE", "node.already_running"),
    ],
)
def test_what_the_running_node_refuses_has_its_own_code(pair: Pair, words: str, code: str) -> None:
    assert refused(*words.replace("STATE", str(pair.consumer.state)).split()) == code


def test_tables_tell_times_of_vietnam(pair: Pair) -> None:
    listed = json.loads(pair.consumer.command("agreement", "list", "--json"))["agreements"]
    shown = pair.consumer.command("agreement", "show", listed[0]["id"])
    assert "+07:00" in shown
    assert "2026-01-01 00:00:00" in shown
