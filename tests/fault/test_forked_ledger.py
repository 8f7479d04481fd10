"""A ledger rewritten with its node's own key, and one of two faces: caught and named by others."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from lienthong.exchange.witness_desk import ADD_CHECKPOINT_PATH
from lienthong.identity.keys import PrivateKey
from lienthong.ledger import tables
from lienthong.ledger.database import open_database
from lienthong.ledger.heads import parse_head, sign_head
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.messages import EventRecord, event_leaf
from lienthong.ledger.records import Entry, EntryKind, Group, Step
from lienthong.ledger.store import LedgerStore
from lienthong.ledger.witness_request import WitnessRequest, format_witness_request
from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder
from tests.fixtures.federation import Answer, Federation, TestNode, run
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService

WITHIN_SECONDS = 90.0


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    settings = {"witness_interval_seconds": "0.5", "clock_skew_seconds": "2"}
    with RecordingService() as service, Federation(tmp_path_factory.mktemp("f")) as built:
        consumer = built.node("H37", subsystem="motcua", **settings)
        provider = built.node("G01", subsystem="dancu", **settings)
        third = built.node("G15", subsystem="hotich", **settings)
        built.start()
        words = ("--code", "dem", "--relay", service.url)
        provider.command("service", "add", "--subsystem", "dancu", *words)
        for node in (consumer, third):
            built.agree(node, provider, "dem", "--endpoint", "* /**")
        yield built


def ask(provider: TestNode, node: TestNode) -> Answer:
    return node.call("POST", provider.service_id("dem"), "/echo", b"x")


def status(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")
    return found


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def accusation(federation: Federation, by: TestNode, against: str) -> dict[str, Any]:
    """The proof that a node exports, as a third party judges it offline."""
    file = federation.folder / f"fork-{by.code}.json"
    by.command("evidence", "fork", against, "--output", str(file))
    trust = ("--trust", str(federation.root), "--json")
    found: dict[str, Any] = json.loads(run("evidence", "verify", *trust, str(file)))
    return found


def rewrite(state: StateFolder) -> None:
    """Tell the ledger's first event differently, and sign every head of it again.

    This is what an administrator can do who has the database and the node's key.
    """
    engine = open_database(f"sqlite:///{state.database}")
    store, key = LedgerStore(engine), PrivateKey.load(state.signing_key)
    told = list(store.groups(with_bodies=True))
    with engine.begin() as connection:
        connection.execute(delete(tables.groups))
    frontier, changed = Frontier(), False
    for group in told:
        entries = list(group.entries)
        for number, entry in enumerate(entries):
            if entry.kind is EntryKind.EVENT and not changed:
                entries[number], changed = _told_differently(entry), True
        root = build_levels([entry.leaf for entry in entries])[-1][0]
        _, closed = frontier.append(leaf_hash(root))
        head = msgspec.structs.replace(
            parse_head(group.head), root=frontier.root(), key_id=key.public.key_id
        )
        again = Group(
            group.epoch,
            group.position,
            group.time,
            root,
            sign_head(head, key),
            tuple(closed),
            tuple(entries),
            group.bodies,
        )
        store.append(Step(again, frontier.copy()))
    assert changed
    store.close()
    engine.dispose()


def _told_differently(entry: Entry) -> Entry:
    event = msgspec.json.decode(entry.message, type=EventRecord)
    lie = msgspec.structs.replace(event, document=b'{"another":"story"}')
    return msgspec.structs.replace(entry, leaf=event_leaf(lie), message=msgspec.json.encode(lie))


def test_a_ledger_of_two_faces_is_caught_by_the_two_that_compare(
    federation: Federation, tmp_path: Path
) -> None:
    """Each of two agencies is shown a history of its own, and witnesses it in good faith."""
    consumer, provider, third = federation.nodes
    for node in (consumer, third):
        assert ask(provider, node).status == 200
    liar = federation.node("G66", subsystem="ke")
    federation.nodes.remove(liar)  # it has no process: this one speaks for it, twice
    double = replace(liar, state=tmp_path / "double")
    shutil.copytree(liar.state, double.state)
    name = f"{liar.member_id}/n1"
    newest = json.loads(run("directory", "show", str(federation.directory), "--json"))["version"]
    for node in (consumer, third):
        wait_until(lambda node=node: status(node)["directory"]["version"] >= newest)
    with HostilePeer(liar, consumer) as one, HostilePeer(double, third) as other:
        for peer, told in ((one, b"truth"), (other, b"story")):
            note = peer.commit([told.ljust(32, b".")], peer.key).head
            request = format_witness_request(WitnessRequest(0, [], note))
            reply = peer.send("POST", ADD_CHECKPOINT_PATH, request)
            if reply.status == 200:
                assert reply.body.decode().startswith("— lienthong-witness/")
            else:  # the first one's word was here before the liar's second story
                assert (peer, reply.fault) == (other, "ledger.forked")
    # Neither has seen what the other was told, until they compare with the agency both talk to.
    wait_until(lambda: pair_against(name, consumer) or pair_against(name, third))
    caught = consumer if pair_against(name, consumer) else third
    verdict = accusation(federation, caught, name)
    assert (verdict["verdict"], verdict["node"]) == ("forked", name)


def test_a_ledger_signed_anew_from_end_to_end_is_reported_by_name(
    federation: Federation,
) -> None:
    consumer, provider, third = federation.nodes
    name = f"{provider.member_id}/n1"
    for node in (consumer, third):
        assert ask(provider, node).status == 200
    wait_until(lambda: len(status(provider)["witnesses"]["signed"]) == 2)
    for node in federation.nodes:
        node.stop()
    rewrite(StateFolder(provider.state))
    # Alone at its start, nobody can tell the node that its ledger is not the one they hold.
    provider.run()
    provider.wait()
    assert json.loads(provider.command("ledger", "verify", "--json"))["good"]
    for node in (consumer, third):
        node.run()
        node.wait()
    ask(provider, consumer)
    for node in (consumer, third):  # one by its traffic, the other as a witness

        def is_proven(node: TestNode = node) -> bool:
            return convinces_everybody(pair_against(name, node))

        wait_until(is_proven)
        verdict = accusation(federation, node, name)
        assert (verdict["verdict"], verdict["node"]) == ("forked", name)
        one, other = verdict["heads"]
        assert one["size"] == other["size"]
        assert one["root"] != other["root"]
    assert ask(provider, consumer).headers.get("lienthong-error") == "ledger.forked"
    assert_everybody_is_told(consumer, name)
    wait_until(lambda: len(status(provider)["witnesses"]["refused"]) == 2)


def pair_against(name: str, held_by: TestNode) -> list[str]:
    """The two heads of a node that one of its peers keeps; none while it has seen no fork."""
    kept: list[list[str]] = status(held_by)["forks"]
    return next((heads for origin, *heads in kept if origin == f"lienthong/{name}/0"), [])


def convinces_everybody(pair: list[str]) -> bool:
    """Whether the two heads alone contradict each other, without the failed proof."""
    if not pair:
        return False
    one, other = map(parse_head, pair)
    return one.size == other.size and one.root != other.root


def assert_everybody_is_told(node: TestNode, name: str) -> None:
    """In the log, in metrics, in health and in the status that people read."""
    assert node.logs("ledger.fork_seen")
    assert f'"forked_node":"{name}"' in node.log.read_text(encoding="utf-8")
    metrics = node.get(node.operations_port, "/metrics").body.decode()
    named = "lienthong_ledger_forks "
    (value,) = [x.split()[1] for x in metrics.splitlines() if x.startswith(named)]
    assert float(value) >= 1
    health = node.get(node.operations_port, "/health")
    (check,) = [each for each in health.json["checks"] if each["name"] == "forks"]
    assert (check["alarm"], name in check["reason"]) == (True, True)
    assert health.status == 200  # it is the other node that is to be looked at
    assert name in node.command("node", "status").replace("\n", "").replace(" ", "")
