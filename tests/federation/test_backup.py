"""A node is backed up while it works, lost, restored, and goes on; SQLite and PostgreSQL."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lienthong.node.admin_client import call
from tests.fixtures.federation import Federation, TestNode, attempt, eventually, refusal, run
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService

PASSPHRASE = "ngựa đúng pin kẹp giấy 2026"
WITHIN_SECONDS = 90.0


class Scene:
    """A consumer, and a provider with a service that writes down what it executes."""

    def __init__(
        self,
        federation: Federation,
        service: RecordingService,
        new_database: Callable[[], tuple[str, ...]],
    ) -> None:
        self.service = service
        self.root = federation.root
        self.folder = federation.folder
        self.new_database = new_database
        self.consumer, self.provider = federation.nodes
        self.passphrase = self.folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n", encoding="utf-8")

    def ask(self) -> int:
        service = self.provider.service_id("dem")
        return self.consumer.call("POST", service, "/echo", b"x").status

    def ask_until_answered(self) -> None:
        """Requests from about the time of a gap are refused; that ends after the clock skew."""
        assert eventually(lambda: self.ask() == 200, WITHIN_SECONDS)

    def back_up(self, name: str) -> Path:
        file = self.folder / name
        words = ("--output", str(file), "--passphrase-file", str(self.passphrase), "--json")
        taken = json.loads(run("backup", str(self.provider.state), *words))
        assert taken["keys"]
        assert taken["bytes"] == file.stat().st_size
        return file

    def restore(self, file: Path) -> dict[str, Any]:
        """The provider's machine is lost with its disk; the node comes back from the file."""
        state = self.provider.state
        shutil.rmtree(state)
        options = ("--passphrase-file", str(self.passphrase), "--json", *self.new_database())
        found: dict[str, Any] = json.loads(run("restore", str(file), str(state), *options))
        self.provider.run()
        self.provider.wait()
        return found

    @property
    def gaps(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = status(self.provider)["gaps"]
        return found

    @property
    def ledgers_are_good(self) -> bool:
        checks = [
            json.loads(node.command("ledger", "verify", "--json"))
            for node in (self.consumer, self.provider)
        ]
        return all(check["good"] for check in checks)


def status(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    def database() -> str:
        return str(request.getfixturevalue("postgresql_server").create_database())

    on_postgresql = request.param == "postgresql"
    chosen = {"database": database()} if on_postgresql else {}
    with RecordingService() as service, Federation(tmp_path_factory.mktemp("f")) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu", clock_skew_seconds="2", **chosen)
        federation.start()
        words = ("--subsystem", "dancu", "--code", "dem", "--relay", service.url)
        provider.command("service", "add", *words)
        federation.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield Scene(
            federation,
            service,
            lambda: ("--database-url", database()) if on_postgresql else (),
        )


def test_a_node_backed_up_under_load_and_lost_goes_on_in_a_new_epoch(scene: Scene) -> None:
    consumer, provider = scene.consumer, scene.provider
    answered: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answered.append(scene.ask())

    asking = [threading.Thread(target=load) for _ in range(4)]
    for thread in asking:
        thread.start()
    assert eventually(lambda: len(answered) > 50)
    backup = scene.back_up("under-load.backup")
    after_backup = len(answered)
    assert eventually(lambda: len(answered) > after_backup + 50)
    stop.set()
    for thread in asking:
        thread.join()
    assert set(answered) == {200}
    assert len(scene.service.received) == len(answered)
    lost_head = status(provider)["ledger"]["head"]
    assert scene.gaps == []

    answer = consumer.call("POST", provider.service_id("dem"), "/echo", b"in the gap")
    provider.kill()
    assert scene.restore(backup)["node"] == f"{provider.member_id}/n1"
    ((gap,), ledger) = scene.gaps, status(provider)["ledger"]
    assert (ledger["epoch"], gap["epoch"]) == (1, 1)
    assert gap["reason"].startswith(f"lost: lienthong/{provider.member_id}/n1/0 ")
    have, _, lost = gap["reason"].rpartition(" ")[2].partition("-")
    assert 0 < int(have) < int(lost)
    assert int(lost) >= int(lost_head.splitlines()[1])
    scene.ask_until_answered()
    assert scene.ledgers_are_good
    words = ("--message", f"lienthong/{provider.member_id}/n1/0", "--json")
    (event,) = json.loads(provider.command("ledger", "search", *words))
    assert event["outcome"] == "ledger-restored"
    assert status(consumer)["forks"] == []

    # What the provider has lost, the consumer still proves.
    bundle = scene.folder / f"{request_word(scene)}.json"
    consumer.command("evidence", "export", answer.request_id, "--output", str(bundle))
    judged = attempt("evidence", "verify", "--trust", str(scene.root), str(bundle), "--json")
    assert judged.returncode == 0, judged.stderr

    provider.stop()
    provider.run()
    provider.wait()  # a second start finds nothing more to record
    assert [each["epoch"] for each in scene.gaps] == [1]
    assert scene.ask() == 200


def request_word(scene: Scene) -> str:
    return f"evidence-{scene.provider.peer_port}"


def test_what_was_executed_in_the_lost_time_is_not_executed_again(scene: Scene) -> None:
    """Even where nobody can tell the restored node what it lost: its only partner is away."""
    epochs = len(scene.gaps)
    backup = scene.back_up("at-most-once.backup")
    scene.consumer.stop()
    with HostilePeer(scene.consumer, scene.provider) as partner:
        request = partner.request(scene.provider.service_id("dem"), path="/echo")
        message = partner.sign(request, neighbours=0)  # its ledger stays one that verifies
        before = len(scene.service.received)
        first = partner.ask(message)
        assert (first.status, first.message.outcome) == (200, "answered")
        assert len(scene.service.received) == before + 1
        scene.provider.kill()
        partner.hang_up()
        scene.restore(backup)
        again = partner.ask(message)
        assert again.fault == "message.expired"
        assert len(scene.service.received) == before + 1
    assert len(scene.gaps) == epochs + 1
    assert "no node that answered knows of a loss" in scene.gaps[-1]["reason"]
    scene.consumer.run()
    scene.consumer.wait()
    scene.ask_until_answered()
    assert scene.ledgers_are_good


def test_nothing_is_overwritten_and_nothing_is_left_half_done(scene: Scene) -> None:
    state = scene.provider.state
    file = scene.back_up("whole.backup")
    options = ("--passphrase-file", str(scene.passphrase))
    refused = attempt("restore", str(file), str(state), *options)
    assert "[node.restore_target_taken]" in refused.stderr
    assert refused.returncode != 0
    again = refusal("backup", str(state), "--output", str(file), *options)
    assert again == "configuration.path_unusable"
    wrong = scene.folder / "wrong"
    wrong.write_text("not the right one\n")
    damaged = scene.folder / "damaged.backup"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    cut = scene.folder / "cut.backup"
    cut.write_bytes(file.read_bytes()[:-100])
    target = scene.folder / "restored"
    empty = scene.new_database()
    for bad, words, code in (
        (damaged, options, "node.backup_damaged"),
        (cut, options, "node.backup_cut"),
        (scene.passphrase, options, "node.not_a_backup"),
        (file, ("--passphrase-file", str(wrong)), "node.backup_locked"),
        (file, (*options, "--database-url", other_kind(scene)), "node.other_database_wanted"),
    ):
        assert refusal("restore", str(bad), str(target), *empty, *words) == code
        assert not target.exists()
        assert list(scene.folder.glob(".restored*")) == []
    run("restore", str(file), str(target), *empty, *options)  # the database stayed empty
    if empty:
        second = str(target.with_name("second"))
        taken = refusal("restore", str(file), second, *empty, *options)
        assert taken == "node.restore_target_taken"


def other_kind(scene: Scene) -> str:
    """The address of a database of another kind than the node's."""
    if scene.new_database():
        return f"sqlite:///{scene.folder}/other.db"
    return "postgresql://nobody@127.0.0.1:1/nothing"


def test_a_backup_without_keys_is_restored_with_the_nodes_own_and_no_others(scene: Scene) -> None:
    provider = scene.provider
    file = scene.folder / "plain.backup"
    run("backup", str(provider.state), "--output", str(file), "--without-keys")
    assert b"state/keys" not in file.read_bytes()
    safe = scene.folder / "safe"
    shutil.copytree(provider.state / "keys", safe)
    epochs = len(scene.gaps)
    provider.stop()
    shutil.rmtree(provider.state)
    words = (str(file), str(provider.state), *scene.new_database())
    others = refusal("restore", *words, "--keys", str(scene.consumer.state / "keys"))
    assert others == "node.backup_forged"
    assert refusal("restore", *words)
    assert not provider.state.exists()
    run("restore", *words, "--keys", str(safe))
    provider.run()
    provider.wait()
    scene.ask_until_answered()
    assert len(scene.gaps) == epochs + 1
