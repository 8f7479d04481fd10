"""What a node does with receipts that a member with valid keys has made up."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lienthong.exchange.receipts import MOST_GROUPS_A_PARCEL, GroupReceipt
from lienthong.exchange.wire import RECEIPTS_PATH
from lienthong.identity.keys import PrivateKey
from lienthong.ledger.messages import acknowledged_leaf, answer_leaf
from tests.fixtures.attack_scene import Scene, attack_scene
from tests.fixtures.hostile_peer import Reply

NEIGHBOUR = b"\7" * 32


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attack_scene(tmp_path_factory.mktemp("f")) as built:
        yield built


def receipt(scene: Scene, answer: bytes, **head: Any) -> dict[str, Any]:
    """An honest receipt for the answer with that leaf, as values of JSON."""
    key = head.pop("key", scene.peer.key)
    leaves = [NEIGHBOUR, acknowledged_leaf(answer)]
    group = scene.peer.commit(leaves, key, **head)
    made = GroupReceipt(
        group.head, b"".join(group.tree_path), b"".join(leaves), answers=((1, answer),)
    )
    values: dict[str, Any] = json.loads(msgspec.json.encode(made))
    return values


def deliver(scene: Scene, *receipts: Any) -> Reply:
    return scene.peer.send("POST", RECEIPTS_PATH, json.dumps(receipts).encode())


@pytest.fixture
def answered(scene: Scene) -> bytes:
    """Leaf of an answer that the provider gave."""
    return answer_leaf(scene.peer.ask(scene.peer.request(scene.service_id)).message)


def test_an_honest_receipt_is_taken_and_stands_in_the_providers_evidence(scene: Scene) -> None:
    answer = scene.peer.ask(scene.peer.request(scene.service_id)).message
    assert json.loads(deliver(scene, receipt(scene, answer_leaf(answer))).body) == {"taken": 1}
    file = scene.federation.folder / "bundle.json"
    words = ("export", answer.request_id, "--output", str(file))
    scene.provider.command("evidence", *words)
    assert "acknowledged" in json.loads(file.read_bytes())


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("head", "lienthong", "message.head_malformed"),
        ("tree", b64encode(bytes(32)).decode(), "message.proof_invalid"),
        ("leaves", b64encode(bytes(64)).decode(), "message.proof_invalid"),
        ("leaves", b64encode(bytes(65)).decode(), "message.malformed"),
        ("leaves", "", "message.malformed"),
        ("answers", [], "message.malformed"),
        ("answers", [[0, b64encode(bytes(32)).decode()]], "message.proof_invalid"),
        ("answers", [[2, b64encode(bytes(32)).decode()]], "message.proof_invalid"),
        ("answers", [[-1, b64encode(bytes(32)).decode()]], "message.proof_invalid"),
        ("note", "x", "message.malformed"),
    ],
)
def test_a_receipt_that_was_tampered_with_is_refused(
    scene: Scene, answered: bytes, name: str, value: Any, code: str
) -> None:
    scene.peer.commit([NEIGHBOUR], scene.peer.key)  # so that the tree has more than one group
    assert deliver(scene, {**receipt(scene, answered), name: value}).fault == code


def test_a_receipt_under_another_key_or_node_is_refused(scene: Scene, answered: bytes) -> None:
    unknown = receipt(scene, answered, key=PrivateKey.generate())
    assert deliver(scene, unknown).fault == "directory.unknown_signing_key"
    forged = receipt(
        scene, answered, key=PrivateKey.generate(), key_id=scene.peer.key.public.key_id
    )
    assert deliver(scene, forged).fault == "identity.signature_invalid"
    foreign = receipt(scene, answered, node=f"{scene.victim.member_id}/n1")
    assert deliver(scene, foreign).fault == "message.proof_invalid"


def test_parcels_that_are_no_parcels_are_refused(scene: Scene, answered: bytes) -> None:
    honest = receipt(scene, answered)
    many = [honest] * (MOST_GROUPS_A_PARCEL + 1)
    for content in (b"", b"{}", b"\xff", b"[" * 100_000, json.dumps(many).encode()):
        reply = scene.peer.send("POST", RECEIPTS_PATH, content)
        assert reply.fault == "message.malformed"
    assert deliver(scene).status == 200  # nothing owed, nothing taken


def test_who_does_not_say_which_node_it_is_delivers_nothing(scene: Scene, answered: bytes) -> None:
    content = json.dumps([receipt(scene, answered)]).encode()
    for name in ("", f"{scene.victim.member_id}/n1", "VN-TEST/GOV/X/y", "\u00e9"):
        headers = {"lienthong-node": name}
        reply = scene.peer.send("POST", RECEIPTS_PATH, content, headers)
        assert reply.fault in {"directory.unknown_node", "directory.certificate_not_accepted"}
