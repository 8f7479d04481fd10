"""Keys and certificates change under steady calls, and no call fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder
from tests.federation.conftest import Pair, make_pair
from tests.fixtures.federation import TestNode, eventually, run
from tests.fixtures.recording_service import RecordingService

CHANGED_WITHIN_SECONDS = 90.0  # refreshes come every second; slow machines take their time


class SteadyCalls:
    """Some threads that call without a pause, and what they were answered."""

    def __init__(self, pair: Pair, threads: int = 3) -> None:
        self._pair = pair
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]
        self.succeeded = 0
        self.failed: list[object] = []

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._pair.consumer.call("POST", self._pair.relay, "/echo", {"a": 1})
            except OSError as error:
                self.failed.append(error)
                continue
            if answer.status == 200:
                self.succeeded += 1
            else:
                self.failed.append(answer)

    def go_on(self, calls: int) -> None:
        """Wait for so many further calls."""
        wanted = self.succeeded + calls
        assert eventually(lambda: self.succeeded >= wanted or bool(self.failed))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with RecordingService() as service:
        pair = make_pair(tmp_path_factory.mktemp("r"), service, {}, {})
        with pair.federation:
            yield pair


def keys_of(node: TestNode) -> dict[str, Any]:
    found = call(node.state, "GET", "/status")["keys"]
    assert isinstance(found, dict)
    return found


def certificate_of(node: TestNode) -> bytes:
    return (node.state / "keys" / "tls.crt").read_bytes()


def approve(pair: Pair, node: TestNode) -> None:
    run("directory", "approve", str(pair.federation.directory), str(node.state / "request.json"))


def in_directory(pair: Pair, node: TestNode) -> dict[str, Any]:
    shown = json.loads(run("directory", "show", str(pair.federation.directory), "--json"))
    return next(each for each in shown["nodes"] if each["owner"] == node.member_id)


def test_signing_key_tls_key_and_certificate_of_both_nodes_change_without_a_failed_call(
    rotating: Pair,
) -> None:
    nodes = (rotating.consumer, rotating.provider)
    former = [(keys_of(node)["signing"], certificate_of(node)) for node in nodes]
    with SteadyCalls(rotating) as calls:
        calls.go_on(20)
        for node in nodes:
            node.command("node", "rotate", "--signing", "--tls")
            assert keys_of(node)["waiting"] == ["signing", "tls"]
            approve(rotating, node)
        for node, (key, certificate) in zip(nodes, former, strict=True):
            assert eventually(lambda n=node: not keys_of(n)["waiting"], CHANGED_WITHIN_SECONDS)
            assert keys_of(node)["signing"] != key
            assert certificate_of(node) != certificate
            calls.go_on(20)
    assert calls.failed == []
    for node, (key, _) in zip(nodes, former, strict=True):
        keys = {each["id"]: each["until"] for each in in_directory(rotating, node)["signing_keys"]}
        assert keys[key] is not None  # the former one retires
        assert keys[keys_of(node)["signing"]] is None
        assert not StateFolder(node.state).next_key(node.state / "keys" / "tls.pem").exists()
        assert json.loads(node.command("ledger", "verify", "--json"))


def test_a_member_key_is_changed_by_the_former_one_and_raises_no_alarm(rotating: Pair) -> None:
    node = rotating.consumer
    path = StateFolder(node.state).member_key(node.member_id)
    former = path.read_bytes()
    before = call(rotating.provider.state, "GET", "/status")["directory"]["alarms"]
    node.command("node", "rotate", "--member")
    approve(rotating, node)
    assert eventually(lambda: path.read_bytes() != former, CHANGED_WITHIN_SECONDS)
    assert rotating.consumer.call("POST", rotating.relay, "/echo", {}).status == 200
    # What comes next is signed by the new key alone.
    node.command("node", "request", "--subsystem", "khac=Hệ thống khác")
    approve(rotating, node)
    version = json.loads(run("directory", "show", str(rotating.federation.directory), "--json"))
    assert eventually(
        lambda: (
            call(rotating.provider.state, "GET", "/status")["directory"]["version"]
            >= version["version"]
        )
    )
    assert call(rotating.provider.state, "GET", "/status")["directory"]["alarms"] == before


def test_rotating_again_before_the_approval_writes_the_same_request(rotating: Pair) -> None:
    node = rotating.provider
    node.command("node", "rotate", "--signing")
    request = (node.state / "request.json").read_bytes()
    assert json.loads(node.command("node", "rotate", "--signing", "--json"))["made"] == {
        "signing": False
    }
    assert (node.state / "request.json").read_bytes() == request
    assert rotating.consumer.call("POST", rotating.relay, "/echo", {}).status == 200


def test_a_node_restarted_after_a_rotation_goes_on_with_the_new_keys(rotating: Pair) -> None:
    node = rotating.provider
    key = keys_of(node)["signing"]
    node.stop()
    node.run()
    node.wait()
    assert keys_of(node)["signing"] == key
    assert rotating.consumer.call("POST", rotating.relay, "/echo", {}).status == 200


def test_nothing_to_rotate_is_said(tmp_path: Path, rotating: Pair) -> None:
    from tests.fixtures.federation import attempt

    done = attempt("node", "rotate", str(rotating.provider.state))
    assert done.returncode == 2
    assert "--signing" in done.stderr
