"""The golden vectors of protocol 0001, read by a second implementation and by our own."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lienthong.errors import EvidenceRejected
from lienthong.exchange.wire import read_answer, read_request
from lienthong.identity.keys import PublicKey
from lienthong.ledger.evidence import verify_evidence
from lienthong.ledger.heads import parse_head, verify_head
from lienthong.ledger.merkle import verify_consistency
from lienthong.ledger.messages import (
    Answer,
    EventRecord,
    Request,
    answer_leaf,
    check_answer,
    check_request,
    event_leaf,
    request_leaf,
)
from lienthong.ledger.proofs import ProofChecker, decode_proof
from lienthong.transport.messages import Body
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse
from tests.spec import message_reference as reference
from tools import make_vectors

FOLDER = Path(__file__).parent / "vectors"


def vectors(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


MESSAGES = vectors("messages")
WIRE = vectors("wire")
CONSUMER, PROVIDER = WIRE["keys"]


def test_the_program_still_makes_these_vectors() -> None:
    assert make_vectors.main(["--check"]) == 0


# --- the second implementation -----------------------------------------------------------


@pytest.mark.parametrize("vector", MESSAGES["requests"] + MESSAGES["answers"])
def test_lines_contents_commitments_and_leaves(vector: dict[str, Any]) -> None:
    message = vector["json"]
    assert reference.plain_lines(message) == vector["plain_lines"]
    assert reference.contents(message) == list(vector["contents"].values())
    assert [each.hex() for each in reference.commitments(message)] == vector["commitments"]
    leaf = reference.leaf(message)
    assert leaf.hex() == vector["leaf"]
    for kind in ("received", "acknowledged"):
        if f"{kind}_leaf" in vector:
            assert reference.wrapped(kind, leaf).hex() == vector[f"{kind}_leaf"]


@pytest.mark.parametrize("vector", vectors("heads"), ids=lambda vector: vector["algorithm"])
def test_heads_of_every_algorithm(vector: dict[str, Any]) -> None:
    head = reference.verify_head(vector["note"], vector["public_key"])
    assert head["text"] == vector["text"]
    assert head["key_id"] == vector["key_id"]
    assert head["node"] == vector["node"] == "VN-TEST/GOV/Huế/n1"


def test_an_ed25519_head_is_signed_the_same_everywhere() -> None:
    vector = vectors("heads")[0]
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert vector["public_key"] == "ed25519:" + base64.b64encode(der).decode()
    signature = base64.b64decode(vector["note"].split(" ")[-1])[4:]
    assert key.sign(vector["text"].encode()) == signature


@pytest.mark.parametrize("kind", ["request", "answer"])
def test_a_message_on_the_wire(kind: str) -> None:
    message = WIRE[kind]
    headers = message["headers"]
    for name in ("message", "proof"):
        header = headers[f"lienthong-{name}"]
        assert header.isascii()
        assert header.isprintable()
        assert json.loads(header) == json.loads(message[name])
    said = json.loads(message["message"])
    body = message["body"].encode()
    assert base64.b64decode(said["body"]) == reference.sha(body)
    assert said["body_bytes"] == len(body)
    sender = said["sender"]
    head = reference.verify_proof(
        message["proof"], reference.leaf(said), sender, WIRE["keys"][sender]
    )
    assert head["time"] == said["time"]


def test_the_four_proofs_of_an_exchange() -> None:
    request, answer = (json.loads(WIRE[kind]["message"]) for kind in ("request", "answer"))
    asked, answered = reference.leaf(request), reference.leaf(answer)
    assert base64.b64decode(answer["request_leaf"]) == asked
    received = reference.wrapped("received", asked)
    reference.verify_proof(WIRE["received"], received, PROVIDER, WIRE["keys"][PROVIDER])
    acknowledged = reference.wrapped("acknowledged", answered)
    reference.verify_proof(WIRE["acknowledged"], acknowledged, CONSUMER, WIRE["keys"][CONSUMER])


def test_a_receipt() -> None:
    receipt = WIRE["receipt"]
    head = reference.verify_head(receipt["head"], WIRE["keys"][CONSUMER])
    leaves = reference.hashes_of(base64.b64decode(receipt["leaves"]))
    for index, answer in receipt["answers"]:
        assert leaves[index] == reference.wrapped("acknowledged", base64.b64decode(answer))
    group = reference.sha(b"\0", reference.root_of(leaves))
    tree = reference.hashes_of(base64.b64decode(receipt["tree"]))
    root = reference.root_by_path(group, head["size"] - 1, head["size"], tree)
    assert root == head["root"]


def test_trees_and_consistency() -> None:
    trees = vectors("trees")
    leaves = [reference.sha(b"\0", bytes.fromhex(each)) for each in trees["group_roots"]]
    roots = [bytes.fromhex(each) for each in trees["roots"]]
    assert [reference.root_of(leaves[: size + 1]) for size in range(9)] == roots
    assert len(trees["consistency"]) == 45
    for proof in trees["consistency"]:
        first, second = proof["first"], proof["second"]
        path = [bytes.fromhex(each) for each in proof["path"]]
        for check in (reference.consistent, verify_consistency):
            assert check(first, second, path, roots[first - 1], roots[second - 1])
            assert not check(first, second, path, bytes(32), roots[second - 1])


def test_evidence_in_full_and_erased_shows_the_same_leaves() -> None:
    bundles = vectors("evidence")
    full, erased = json.loads(bundles["full"]), json.loads(bundles["erased"])
    for kind in ("request", "answer"):
        remaining = erased[kind]["erased"]
        committed = base64.b64decode(remaining["commitments"])
        leaf = reference.sha(b"\0", remaining["lines"].encode(), committed)
        assert leaf == reference.leaf(full[kind][kind])
        for name, kept in remaining["kept"].items():
            value = reference.sha(base64.b64decode(kept["salt"]), kept["text"].encode())
            assert value in reference.hashes_of(committed), name
        sender = full[kind][kind]["sender"]
        proof = json.dumps(full[kind]["proof"])
        reference.verify_proof(proof, leaf, sender, WIRE["keys"][sender])


# --- our own code -------------------------------------------------------------------------


@pytest.mark.parametrize("vector", MESSAGES["requests"])
def test_our_code_reads_the_requests(vector: dict[str, Any]) -> None:
    request = msgspec.convert(vector["json"], Request)
    check_request(request)
    assert request_leaf(request).hex() == vector["leaf"]


@pytest.mark.parametrize("vector", MESSAGES["answers"])
def test_our_code_reads_the_answers(vector: dict[str, Any]) -> None:
    answer = msgspec.convert(vector["json"], Answer)
    check_answer(answer)
    assert answer_leaf(answer).hex() == vector["leaf"]


def test_our_code_reads_the_events() -> None:
    (vector,) = MESSAGES["events"]
    assert event_leaf(msgspec.convert(vector["json"], EventRecord)).hex() == vector["leaf"]


@pytest.mark.parametrize("vector", vectors("heads"), ids=lambda vector: vector["algorithm"])
def test_our_code_reads_the_heads(vector: dict[str, Any]) -> None:
    head = parse_head(vector["note"])
    assert head.node == vector["node"]
    verify_head(vector["note"], head, PublicKey.parse(vector["public_key"]))


class Keys:
    """The keys of the vectors, as a directory would give them."""

    def signing_key(self, node_id: str, key_id: str, at: object) -> PublicKey:
        key = PublicKey.parse(WIRE["keys"][node_id])
        assert key.key_id == key_id
        return key


def test_our_code_reads_the_exchange_from_the_wire() -> None:
    checker, keys = ProofChecker(), Keys()
    headers = list(WIRE["request"]["headers"].items())
    request = read_request(HttpRequest("POST", "/lienthong/1/message", headers))
    checker.check(request.proof, request.leaf, CONSUMER, keys)
    body = Body.of(WIRE["answer"]["body"].encode())
    answer = read_answer(HttpResponse(200, list(WIRE["answer"]["headers"].items()), body))
    checker.check(answer.proof, answer.leaf, PROVIDER, keys)
    assert answer.message.request_leaf == request.leaf
    acknowledged = reference.wrapped("acknowledged", answer.leaf)
    checker.check(decode_proof(WIRE["acknowledged"]), acknowledged, CONSUMER, keys)


@pytest.mark.parametrize("form", ["full", "erased"])
def test_our_code_judges_the_evidence(form: str) -> None:
    bundles = vectors("evidence")
    verdict = verify_evidence(bundles[form].encode(), bundles["root"].encode())
    assert (verdict.time, verdict.instance) == ("asserted", "VN-TEST")
    assert {"directory", "request", "answer", "acknowledged", "received", "times"} <= set(
        verdict.checks
    )
    assert ("request body" in verdict.checks) is (form == "full")
    other = bundles[form].replace("VN-TEST/GOV/H37/motcua", "VN-TEST/GOV/H38/motcua")
    with pytest.raises(EvidenceRejected):
        verify_evidence(other.encode(), bundles["root"].encode())
