"""A node whose signing and member keys are in a PKCS#11 token (SoftHSM2)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lienthong.demo.public_commands import program
from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder
from tests.fixtures.federation import Federation, TestNode, attempt, eventually, run
from tests.fixtures.recording_service import RecordingService
from tests.fixtures.soft_token import PIN, SoftToken

SOON_SECONDS = 90.0


@dataclass
class Scene:
    """A consumer with keys in files, a provider with keys in a token."""

    token: SoftToken
    federation: Federation
    consumer: TestNode
    provider: TestNode
    service: str

    def status(self) -> int:
        return self.consumer.call("POST", self.service, "/echo", {"a": 1}).status

    def health(self) -> tuple[int, str]:
        answer = self.provider.get(self.provider.operations_port, "/health")
        reasons = {each["name"]: each["reason"] for each in answer.json["checks"]}
        return answer.status, reasons.get("signing_key", "")


@pytest.fixture
def scene(soft_token: SoftToken, tmp_path: Path) -> Iterator[Scene]:
    with RecordingService() as service, Federation(tmp_path / "f") as federation:
        consumer = federation.node("H37", "motcua")
        provider = federation.node("G01", "dancu", options=("--keys", soft_token.uri()))
        federation.start()
        provider.command(
            "service", "add", "--subsystem", "dancu", "--code", "co-san", "--relay", service.url
        )
        federation.agree(consumer, provider, "co-san", "--endpoint", "* /**")
        yield Scene(soft_token, federation, consumer, provider, provider.service_id("co-san"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()


def start_of(node: TestNode) -> subprocess.CompletedProcess[str]:
    """What a node says that cannot start."""
    return subprocess.run(
        [*program(), "node", "run", str(node.state)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def doctor_on_key(node: TestNode) -> dict[str, Any]:
    """What ``lienthong doctor`` finds of the signing key, in a process of its own."""
    found = json.loads(attempt("doctor", str(node.state), "--json").stdout)
    (told,) = [each for each in found["findings"] if each["check"] == "keys.signing"]
    return dict(told)


def test_a_node_signs_with_a_token_refuses_without_it_and_goes_on_when_it_is_back(
    scene: Scene,
) -> None:
    state = StateFolder(scene.provider.state)
    for path in (state.signing_key, state.member_key(scene.provider.member_id)):
        assert path.read_text().startswith("pkcs11:")
        assert PIN not in path.read_text()
    assert scene.status() == 200
    assert call(scene.provider.state, "GET", "/status")["keys"]["in_token"] is True
    told = doctor_on_key(scene.provider)
    assert told["state"] == "ok"
    assert "token PKCS#11" in told["found"]["en"]

    scene.token.take_out()
    answer = scene.consumer.call("POST", scene.service, "/echo", {"a": 1})
    assert answer.status != 200
    assert answer.headers["lienthong-error"] in {"identity.token_failed", "identity.token_missing"}
    assert eventually(lambda: scene.health()[0] == 500, SOON_SECONDS)
    assert scene.token.label in scene.health()[1]
    told = doctor_on_key(scene.provider)
    assert told["state"] == "failed"
    assert scene.token.label in told["found"]["en"]
    assert "token list" in told["remedy"]["en"]

    scene.token.put_back()
    assert eventually(lambda: scene.health()[0] == 200, SOON_SECONDS)
    assert scene.status() == 200
    assert json.loads(scene.provider.command("ledger", "verify", "--json"))

    # The next key comes from the same token, without a pause.
    before = call(scene.provider.state, "GET", "/status")["keys"]["signing"]
    scene.provider.command("node", "rotate", "--signing", "--member")
    request = str(scene.provider.state / "request.json")
    run("directory", "approve", str(scene.federation.directory), request)
    assert eventually(
        lambda: call(scene.provider.state, "GET", "/status")["keys"]["signing"] != before,
        SOON_SECONDS,
    )
    assert state.signing_key.read_text().startswith("pkcs11:")
    assert scene.status() == 200

    # Started without it, with a wrong PIN, without a PIN: each says what it is and what to do.
    scene.provider.stop()
    scene.token.take_out()
    missing = start_of(scene.provider)
    assert missing.returncode == 3
    assert "token list" in missing.stderr
    scene.token.put_back()
    scene.token.write_pin("99999999")
    wrong = start_of(scene.provider)
    assert wrong.returncode == 3
    assert "PIN" in wrong.stderr
    scene.token.pin_file.unlink()
    assert "0600" in start_of(scene.provider).stderr
    scene.token.write_pin(PIN)
    scene.provider.run()
    scene.provider.wait()
    assert scene.status() == 200
