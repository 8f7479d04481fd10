"""What a provider's node does with messages that a member with valid keys has tampered with."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from lienthong.exchange.wire import MESSAGE_HEADER, MESSAGE_PATH, PROOF_HEADER
from lienthong.identity.keys import PrivateKey
from lienthong.ledger.heads import format_time
from lienthong.ledger.messages import Request
from lienthong.node.state import StateFolder
from tests.fixtures.attack_scene import Scene, attack_scene
from tests.fixtures.federation import INSTANCE

MALFORMED, PROOF, FOREIGN = "message.malformed", "message.proof_invalid", "message.foreign"
OTHER = b64encode(b"\1" * 32).decode()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attack_scene(tmp_path_factory.mktemp("f"), request_limit_bytes="4000000") as built:
        yield built


@pytest.fixture(autouse=True)
def nothing_changes(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    """Unless a test says otherwise, nothing is executed and nothing is logged."""
    before = scene.effects()
    yield
    if "accepted" not in request.node.name:
        assert scene.effects() == before


def moment(**away: float) -> str:
    return format_time(datetime.now(UTC) + timedelta(**away))


def test_an_honest_message_is_accepted_and_executed_once(scene: Scene) -> None:
    request = scene.peer.request(scene.service_id)
    answer = scene.peer.ask(request).message
    assert (answer.outcome, answer.status) == ("answered", 200)
    assert scene.executions(request.request_id) == 1


TAMPERED: dict[str, tuple[Any, set[str]]] = {
    "version": (2, {MALFORMED}),
    "request_id": ("00000000-0000-4000-8000-000000000000", {PROOF}),
    "message_id": ("m-2", {PROOF}),
    "client": (f"{INSTANCE}/GOV/G66/khac", {PROOF}),
    "service": (f"{INSTANCE}/GOV/G01/dancu/khac", {PROOF}),
    "sender": (f"{INSTANCE}/GOV/H37/n1", {"directory.certificate_not_accepted"}),
    "receiver": (f"{INSTANCE}/GOV/H37/n1", {FOREIGN}),
    "represented_party": ("GOV/H37", {PROOF}),
    "purpose": ("p9", {PROOF}),
    "time": (moment(seconds=1), {PROOF}),
    "method": ("DELETE", {PROOF}),
    "path": ("/y", {PROOF}),
    "query": ("a=1", {PROOF}),
    "user": ("can-bo-2", {PROOF}),
    "dossier": ("HS-2", {PROOF}),
    "subjects": (["001090000001"], {PROOF}),
    "headers": ([["accept", "text/xml"], ["content-type", "application/json"]], {PROOF}),
    "body": (OTHER, {PROOF}),
    "body_bytes": (3, {PROOF}),
    "salts": (b64encode(bytes(96)).decode(), {PROOF}),
}


def test_every_field_of_a_request_is_in_the_table_of_tampering() -> None:
    assert set(TAMPERED) == set(Request.__struct_fields__)


@pytest.mark.parametrize("name", TAMPERED)
def test_refuses_a_request_with_a_field_changed_after_signing(scene: Scene, name: str) -> None:
    value, expected = TAMPERED[name]
    wire = scene.peer.sign(scene.peer.request(scene.service_id)).with_field(name, value)
    assert scene.peer.ask(wire).fault in expected


@pytest.mark.parametrize("number", range(6))
def test_refuses_a_request_with_one_salt_changed_after_signing(scene: Scene, number: int) -> None:
    request = scene.peer.request(scene.service_id)
    salts = bytearray(request.salts)
    salts[number * 16] ^= 1
    wire = scene.peer.sign(request).with_field("salts", b64encode(salts).decode())
    assert scene.peer.ask(wire).fault == PROOF


@pytest.mark.parametrize("number", range(2))
def test_refuses_a_header_whose_name_or_value_was_changed(scene: Scene, number: int) -> None:
    request = scene.peer.request(scene.service_id)
    wire = scene.peer.sign(request)
    for changed in (("x-forged", request.headers[number][1]), (request.headers[number][0], "v")):
        headers = [list(pair) for pair in request.headers]
        headers[number] = list(changed)
        assert scene.peer.ask(wire.with_field("headers", headers)).fault == PROOF
    assert scene.peer.ask(wire.with_field("headers", [*request.headers, ["x", "y"]])).fault == PROOF


def test_refuses_another_body_than_the_signed_one(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    for body in (b"[]", b"", b"{} ", b"x" * 2_000_000):
        assert scene.peer.ask(replace(wire, body=body)).fault == "message.digest_mismatch"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index", 0),
        ("index", 2),
        ("index", -1),
        ("size", 3),
        ("size", 1 << 70),
        ("path", OTHER),
        ("path", ""),
        ("path", b64encode(b"\1" * 32 * 65).decode()),
        ("tree", OTHER),
        ("tree", ""),
    ],
)
def test_refuses_a_proof_with_another_path(scene: Scene, name: str, value: Any) -> None:
    scene.peer.ask(scene.peer.sign(scene.peer.request(scene.service_id, time=moment(days=-1))))
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    assert scene.peer.ask(wire.with_proof_field(name, value)).fault in {PROOF, MALFORMED}


def test_refuses_a_head_changed_after_signing(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    head = json.loads(wire.proof)["head"]
    lines = head.split("\n")
    for number, line in enumerate(lines[:6]):
        other = line[:-1] + ("1" if line[-1] != "1" else "2")
        changed = "\n".join([*lines[:number], other, *lines[number + 1 :]])
        fault = scene.peer.ask(wire.with_proof_field("head", changed)).fault
        assert fault in {
            "message.head_malformed",
            PROOF,
            "identity.signature_invalid",
            "directory.unknown_signing_key",
        }, line


def test_refuses_a_signature_by_another_nodes_key(scene: Scene) -> None:
    victims = PrivateKey.load(StateFolder(scene.victim.state).signing_key)
    request = scene.peer.request(scene.service_id)
    fault = scene.peer.ask(scene.peer.sign(request, key=victims)).fault
    assert fault == "directory.unknown_signing_key"


def test_refuses_a_signature_by_a_key_that_claims_to_be_the_nodes_own(scene: Scene) -> None:
    wire = scene.peer.sign(
        scene.peer.request(scene.service_id),
        key=PrivateKey.generate(),
        key_id=scene.peer.key.public.key_id,
    )
    assert scene.peer.ask(wire).fault == "identity.signature_invalid"


def test_refuses_a_sender_that_is_not_the_tls_peer(scene: Scene) -> None:
    victim = StateFolder(scene.victim.state)
    request = scene.peer.request(
        scene.service_id, sender=victim.read_identity().node, client=scene.victim.client_id
    )
    wire = scene.peer.sign(
        request, key=PrivateKey.load(victim.signing_key), node=victim.read_identity().node
    )
    assert scene.peer.ask(wire).fault == "directory.certificate_not_accepted"


def test_refuses_a_client_of_another_member(scene: Scene) -> None:
    request = scene.peer.request(scene.service_id, client=scene.victim.client_id)
    assert scene.peer.ask(request).fault == "directory.not_delegated"


def test_refuses_a_client_or_service_that_is_no_identifier(scene: Scene) -> None:
    for name in ("client", "service"):
        for text in ("", "/", f"{INSTANCE}/GOV/G66", f"{INSTANCE}/GOV/G66/ke/a/b", "VN/../x/y"):
            request = scene.peer.request(scene.service_id, **{name: text})
            assert scene.peer.ask(request).fault in {MALFORMED, FOREIGN}


def test_refuses_a_message_for_another_receiver(scene: Scene) -> None:
    request = scene.peer.request(scene.service_id, receiver=f"{INSTANCE}/GOV/H37/n1")
    assert scene.peer.ask(request).fault == FOREIGN


def test_refuses_a_service_of_a_member_that_another_node_hosts(scene: Scene) -> None:
    request = scene.peer.request(f"{scene.victim.client_id}/dem")
    assert scene.peer.ask(request).fault == "directory.not_delegated"


@pytest.mark.parametrize("name", ["client", "service"])
def test_refuses_another_instance(scene: Scene, name: str) -> None:
    request = scene.peer.request(scene.service_id)
    foreign = getattr(request, name).replace(INSTANCE, "VN", 1)
    assert scene.peer.ask(msgspec.structs.replace(request, **{name: foreign})).fault == FOREIGN


@pytest.mark.parametrize("away", [{"minutes": -7}, {"days": -400}, {"minutes": 2}, {"days": 400}])
def test_refuses_a_message_that_is_too_old_or_from_the_future(
    scene: Scene, away: dict[str, float]
) -> None:
    request = scene.peer.request(scene.service_id, time=moment(**away))
    assert scene.peer.ask(request).fault == "message.expired"


@pytest.mark.parametrize("time", ["", "2026-11-23", "9999-99-99T99:99:99.999Z"])
def test_refuses_a_time_that_is_not_in_its_form(scene: Scene, time: str) -> None:
    assert scene.peer.ask(scene.peer.request(scene.service_id, time=time)).fault == MALFORMED


BREAKS = ("a\nb", "a\rb", "a\x00b", 'x\n"lienthong-sender": VN-TEST/GOV/H37/n1')
BROKEN_FIELDS = ("request_id", "message_id", "purpose", "user", "dossier", "path", "query")


@pytest.mark.parametrize("name", BROKEN_FIELDS)
def test_refuses_a_line_break_or_control_character_in_a_field(scene: Scene, name: str) -> None:
    for text in BREAKS:
        request = scene.peer.request(scene.service_id, **{name: text})
        assert scene.peer.ask(request).fault == MALFORMED


def test_refuses_a_line_break_in_headers_and_subjects(scene: Scene) -> None:
    for text in BREAKS:
        for headers in ((("accept", text),), ((text, "v"),), (("Upper", "v"),)):
            request = scene.peer.request(scene.service_id, headers=headers)
            assert scene.peer.ask(request).fault == MALFORMED
        request = scene.peer.request(scene.service_id, subjects=(text,))
        assert scene.peer.ask(request).fault == MALFORMED


def test_refuses_unknown_fields_missing_fields_and_other_types(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    fields = json.loads(wire.json)
    less = {name: value for name, value in fields.items() if name != "salts"}
    for content in (
        json.dumps({**fields, "note": "x"}).encode(),
        json.dumps(less).encode(),
        json.dumps({**fields, "path": 7}).encode(),
        json.dumps([fields]).encode(),
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        wire.json[:-1],
    ):
        assert scene.peer.ask(replace(wire, json=content)).fault == MALFORMED
    assert scene.peer.ask(wire.with_proof_field("note", "x")).fault == MALFORMED


def test_refuses_headers_that_are_missing_truncated_or_no_base64(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    for name in (MESSAGE_HEADER, PROOF_HEADER):
        for value in (None, "", "%%%", wire.headers[name][:-5], wire.headers[name] + "!"):
            headers = {key: text for key, text in wire.headers.items() if key != name}
            if value is not None:
                headers[name] = value
            reply = scene.peer.send("POST", MESSAGE_PATH, wire.body, headers)
            assert reply.fault in {MALFORMED, "message.head_malformed"}


def test_refuses_headers_over_the_limit(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    long = replace(wire, json=wire.json[:-1] + b" " * 140_000 + b"}")
    assert scene.peer.ask(long).fault == MALFORMED
    head = b"POST /lienthong/1/message HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n"
    answer = scene.peer.raw(head + b"lienthong-message: " + b"A" * 400_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_refuses_a_body_over_the_limit(scene: Scene) -> None:
    body = bytes(4_000_001)
    wire = scene.peer.sign(scene.peer.request(scene.service_id, body=body), body)
    try:
        reply = scene.peer.ask(wire)
    except OSError:  # it hung up before we had sent all of it
        return
    assert reply.status == 413


def test_a_truncated_body_is_never_taken_for_a_message(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    lines = [f"{name}: {value}" for name, value in wire.headers.items()]
    head = "\r\n".join([f"POST {MESSAGE_PATH} HTTP/1.1", "host: x", *lines, "content-length: 9"])
    connection = scene.peer.connect()
    connection.connect()
    connection.sock.sendall(f"{head}\r\n\r\n".encode() + wire.body)
    connection.close()
    assert scene.peer.ask(replace(wire, body=b"")).fault == "message.digest_mismatch"


def test_refuses_what_no_node_serves(scene: Scene) -> None:
    assert scene.peer.send("POST", "/lienthong/2/message").fault == "message.unknown_path"
    assert scene.peer.send("GET", MESSAGE_PATH).fault == "message.unknown_path"
    assert scene.peer.send("GET", "/lienthong/1/directory/../node.toml").status == 404
    assert scene.peer.send("GET", "/lienthong/1/directory/%2e%2e/node.toml").status == 404
    query = "epoch=0&first=1&second=99999999"
    assert scene.peer.send("GET", f"/lienthong/1/consistency?{query}").status == 404
    for query in ("", "epoch=x&first=1&second=2", "epoch=0&first=-1&second=2", "epoch=0&epoch=1"):
        assert scene.peer.send("GET", f"/lienthong/1/consistency?{query}").fault == MALFORMED


def test_the_same_message_again_gets_the_same_answer_and_is_executed_once_when_accepted(
    scene: Scene,
) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id))
    first, second = scene.peer.ask(wire), scene.peer.ask(wire)
    assert first.message == second.message
    assert first.body == second.body
    request_id = first.message.request_id
    assert scene.executions(request_id) == 1


def test_concurrent_copies_of_one_accepted_message_are_executed_once(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id, path="/slow/0.3"))

    def send(_: int) -> Any:
        connection = scene.peer.connect()
        connection.request("POST", MESSAGE_PATH, wire.body, wire.headers)
        answer = connection.getresponse()
        found = answer.headers[MESSAGE_HEADER], answer.read()
        connection.close()
        return found

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(8)))
    assert len(answers) == 1
    assert scene.executions(json.loads(wire.json)["request_id"]) == 1


def test_another_message_under_an_accepted_id_is_refused(scene: Scene) -> None:
    request = scene.peer.request(scene.service_id)
    scene.peer.ask(request)
    before = scene.effects()
    for changes in ({"path": "/y"}, {"user": "other"}, {"salts": bytes(96)}):
        again = msgspec.structs.replace(request, **changes)  # type: ignore[arg-type]
        assert scene.peer.ask(again).fault == "message.replayed"
    assert scene.effects() == before


def test_an_accepted_message_may_lie_anywhere_in_a_large_group(scene: Scene) -> None:
    wire = scene.peer.sign(scene.peer.request(scene.service_id), neighbours=777)
    assert scene.peer.ask(wire).message.outcome == "answered"


def test_what_is_not_agreed_is_refused_in_a_signed_and_logged_answer_when_accepted(
    scene: Scene,
) -> None:
    groups = scene.effects()[1]
    request = scene.peer.request(f"{scene.provider.client_id}/khac")
    answer = scene.peer.ask(request).message
    assert (answer.outcome, answer.reason) == ("refused", "message.unknown_service")
    assert scene.effects()[1] > groups
    assert scene.executions(request.request_id) == 0


def test_a_body_of_a_message_that_was_accepted_is_the_one_that_the_service_sees(
    scene: Scene,
) -> None:
    body = bytes(range(256)) * 8192  # 2 MB: spooled to disk
    request = scene.peer.request(scene.service_id, path="/echo", body=body)
    reply = scene.peer.ask(scene.peer.sign(request, body))
    assert reply.body == body
    assert scene.service.last.body_sha256 == sha256(body).hexdigest()
    assert reply.message.body == sha256(body).digest()
