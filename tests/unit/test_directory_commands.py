"""``lienthong directory …`` as an operator types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lienthong.directory.commands import app
from lienthong.errors import ConfigurationError, DirectoryStateInvalid
from lienthong.identity.certificates import Authority
from lienthong.identity.keys import PrivateKey
from tests.fixtures.directory_world import Agency, Clock


@pytest.fixture
def state(tmp_path: Path) -> Path:
    run("init", str(tmp_path / "d"), "--instance", "VN", "--bins", "4")
    return tmp_path / "d"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.output


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def request_of(code: str, folder: Path) -> str:
    file = folder / f"{code}.json"
    file.write_bytes(Agency(code, Clock()).request())
    return str(file)


def test_from_nothing_to_an_approved_node(state: Path, tmp_path: Path) -> None:
    request = request_of("G01", tmp_path)
    first = run_json("approve", str(state), request)
    assert first == {
        "node": "VN/GOV/G01/n1",
        "members": ["VN/GOV/G01"],
        "changed": True,
        "version": 2,
    }
    assert run_json("approve", str(state), request)["changed"] is False
    shown = run_json("show", str(state))
    assert [member["id"] for member in shown["members"]] == ["VN/GOV/G01"]
    assert shown["nodes"][0]["addresses"] == ["https://127.0.0.1:5501"]
    assert "Cơ quan G01" in run("show", str(state))


def test_initialising_again_says_the_same(state: Path) -> None:
    again = run_json("init", str(state), "--instance", "VN", "--bins", "4")
    assert again == {"instance": "VN", "version": 1, "root": str(state / "root.json")}


def test_revokes_what_is_named(state: Path, tmp_path: Path) -> None:
    run("approve", str(state), request_of("G01", tmp_path))
    node = run_json("show", str(state))["nodes"][0]
    whys = ("--reason", "thử")
    run("revoke", str(state), *whys, "--key", node["signing_keys"][0]["id"])
    run("revoke", str(state), *whys, "--certificate", node["certificates"][0])
    run("revoke", str(state), *whys, "--member", "VN/GOV/G01", "--node", "VN/GOV/G01/n1")
    run("revoke", str(state), *whys, "--node", "VN/GOV/G01/n1")
    run("revoke", str(state), *whys, "--member", "VN/GOV/G01")
    shown = run_json("show", str(state))
    assert {item["kind"] for item in shown["nodes"][0]["revoked"]} == {"key", "certificate", "node"}
    assert {item["kind"] for item in shown["members"][0]["revoked"]} == {"delegation", "member"}
    assert "revoked" in run("show", str(state))


def test_wants_exactly_one_thing_to_revoke(state: Path) -> None:
    for options in ((), ("--key", "a", "--node", "b")):
        with pytest.raises(ConfigurationError):
            run("revoke", str(state), "--reason", "thử", *options)


def test_publishes_adds_authorities_and_registrars(state: Path, tmp_path: Path) -> None:
    assert run_json("publish", str(state))["version"] == 1
    clock = Clock()
    (tmp_path / "ca.pem").write_text(Authority.create("VN", 90, clock()).pem)
    assert run_json("authority", "add", str(state), str(tmp_path / "ca.pem"))["version"] == 2
    files = []
    for number in range(3):
        key = PrivateKey.generate()
        key.save(tmp_path / f"{number}.pem")
        signed = [option for file in files for option in ("--signed-with", file)]
        text = key.public.text
        run("registrar", "add", str(state), "--name", f"R{number}", "--key", text, *signed)
        files.append(str(tmp_path / f"{number}.pem"))
    assert len(run_json("show", str(state))["registrars"]) == 3
    request, output = request_of("G01", tmp_path), str(tmp_path / "signed.json")
    run("registrar", "countersign", request, "--key", files[0], "--output", output)
    assert run_json("approve", str(state), output)["changed"] is True


def test_names_files_and_folders_that_are_not_there(state: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        run("approve", str(state), str(tmp_path / "none.json"))
    with pytest.raises(DirectoryStateInvalid):
        run("show", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError):
        run("serve", str(state), "--listen", "nonsense")


def test_every_command_explains_itself_in_vietnamese_first_with_an_example() -> None:
    for words in (
        ["init"],
        ["approve"],
        ["publish"],
        ["revoke"],
        ["serve"],
        ["show"],
        ["authority", "add"],
        ["registrar", "add"],
        ["registrar", "countersign"],
    ):
        text = " ".join(run(*words, "--help").split())
        assert "Ví dụ (example): lienthong directory" in text
