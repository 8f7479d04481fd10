"""Whatever comes over the wire: our errors or a message, never a crash; one text, one message."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lienthong.errors import (
    EvidenceError,
    HeadMalformed,
    LienthongError,
    MessageError,
    MessageMalformed,
    SignatureInvalid,
)
from lienthong.exchange.faults import PeerFault, read_peer_fault
from lienthong.exchange.receipts import check_receipt, decode_parcel
from lienthong.exchange.wire import (
    LARGEST_MESSAGE,
    MESSAGE_HEADER,
    PROOF_HEADER,
    message_headers,
    read_answer,
    read_request,
)
from lienthong.identity.keys import PrivateKey, PublicKey
from lienthong.ledger.erasure import Erased, message_leaf
from lienthong.ledger.evidence import read_bundle, verify_evidence
from lienthong.ledger.heads import Head, format_time, parse_head, parse_time, sign_head, verify_head
from lienthong.ledger.merkle import root_from_path, verify_consistency
from lienthong.ledger.messages import (
    REQUEST_COMMITMENTS,
    Answer,
    Request,
    answer_leaf,
    answer_lines,
    check_answer,
    check_request,
    plain_fields,
    request_contents,
    request_leaf,
    request_lines,
)
from lienthong.ledger.proofs import ProofChecker, decode_proof
from lienthong.ledger.records import Proof, split_hashes
from lienthong.transport.messages import Body
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse
from tests.fixtures.ledgers import NOW, answer_to, request_of

VECTORS = Path(__file__).parent.parent / "spec" / "vectors"
WIRE = json.loads((VECTORS / "wire.json").read_text(encoding="utf-8"))
BUNDLES = json.loads((VECTORS / "evidence.json").read_text(encoding="utf-8"))
NOTE = json.loads((VECTORS / "heads.json").read_text(encoding="utf-8"))[0]
CONSUMER, PROVIDER = WIRE["keys"]
KEY = PrivateKey.generate()
SALTS = bytes(96)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
# Texts that would like to be lines of another message.
HOSTILE = st.text(
    alphabet=st.sampled_from('ab": \n\r\t\0\x1f\x85\u2028\u2029@-/{}')
    | st.characters(codec="utf-8"),
    max_size=30,
) | st.sampled_from(
    [
        '\n"x-road-client": VN/GOV/X/y',
        '\u2028"x-road-client": VN/GOV/X/y',
        '\x85"lienthong-sender": VN/GOV/X/n1',
        '"lienthong-purpose": x',
    ]
)


class Keys:
    """The keys of the vectors."""

    def signing_key(self, node_id: str, key_id: str, at: object) -> PublicKey:
        key = PublicKey.parse(WIRE["keys"][node_id])
        if key.key_id != key_id:
            raise SignatureInvalid(reason="key")
        return key


def http(message: bytes | str, proof: bytes | str) -> HttpRequest:
    headers = [(MESSAGE_HEADER, _value(message)), (PROOF_HEADER, _value(proof))]
    return HttpRequest("POST", "/lienthong/1/message", headers)


def _value(content: bytes | str) -> str:
    """A header as it reaches us: bytes are read as latin-1, as the transport does."""
    return content.decode("latin-1") if isinstance(content, bytes) else content


@given(JSON)
def test_a_message_crosses_the_wire_in_printable_ascii(value: object) -> None:
    (_, text), _ = message_headers(msgspec.json.encode(value), b"{}")
    assert text.isascii()
    assert text.isprintable()
    assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(value))


def mutated(data: Any, content: bytes) -> bytes:
    """``content`` with one byte changed, added or taken away."""
    place = data.draw(st.integers(0, len(content) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    new = data.draw(
        st.sampled_from(
            [
                content[:place] + byte + content[place + 1 :],
                content[:place] + byte + content[place:],
                content[:place] + content[place + 1 :],
            ]
        )
    )
    assume(new != content)
    return bytes(new)


# --- nothing crashes -----------------------------------------------------------------------


@given(st.text(max_size=300), st.text(max_size=300))
def test_headers_of_any_text_are_refused_with_our_errors(message: str, proof: str) -> None:
    for read in (
        lambda: read_request(http(message, proof)),
        lambda: read_answer(HttpResponse(200, http(message, proof).headers)),
    ):
        with pytest.raises(MessageMalformed):
            read()


@given(JSON, JSON)
def test_any_json_is_refused_with_our_errors(message: object, proof: object) -> None:
    content = json.dumps(message).encode(), json.dumps(proof).encode()
    with pytest.raises(MessageMalformed):
        read_request(http(*content))
    with pytest.raises(MessageMalformed):
        read_answer(HttpResponse(200, http(*content).headers))


def test_deep_and_large_json_is_refused() -> None:
    deep = b"[" * 60_000 + b"]" * 60_000
    for content in (deep, b'{"version":' + b"9" * 5000 + b"}", b" " * (LARGEST_MESSAGE + 10)):
        with pytest.raises(MessageMalformed):
            read_request(http(content, content))
        with pytest.raises(EvidenceError):
            read_bundle(content)


@given(st.sampled_from(Request.__struct_fields__), JSON)
def test_any_value_of_any_field_is_read_or_refused(field: str, value: object) -> None:
    message = {**msgspec.to_builtins(request_of()), field: value}
    with contextlib.suppress(MessageError):
        read_request(http(json.dumps(message).encode(), WIRE["request"]["proof"].encode()))


@given(st.sampled_from(Answer.__struct_fields__), JSON)
def test_any_value_of_any_field_of_an_answer_is_read_or_refused(field: str, value: object) -> None:
    message = {**msgspec.to_builtins(answer_to(request_of())), field: value}
    headers = http(json.dumps(message).encode(), WIRE["answer"]["proof"].encode()).headers
    with contextlib.suppress(MessageError):
        read_answer(HttpResponse(200, headers))


@given(st.text(max_size=500) | st.from_regex(r"lienthong/[!-~]+/[0-9]+\n[0-9]+\n", fullmatch=False))
def test_any_text_is_no_head(text: str) -> None:
    with pytest.raises(HeadMalformed):
        parse_head(text)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z"))
def test_a_time_is_read_as_it_is_written_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert format_time(parse_time(text)) == text


@given(st.data())
def test_a_changed_bundle_is_refused_with_our_errors(data: Any) -> None:
    content = BUNDLES["full"].encode()
    with contextlib.suppress(EvidenceError):
        verify_evidence(mutated(data, content), BUNDLES["root"].encode())


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_is_judged_as_evidence_with_our_errors(content: bytes) -> None:
    with pytest.raises(EvidenceError):
        verify_evidence(content, BUNDLES["root"].encode())
    with pytest.raises(LienthongError):
        verify_evidence(BUNDLES["full"].encode(), content)


@given(st.sampled_from(sorted(json.loads(BUNDLES["full"]))), JSON)
def test_any_part_of_a_bundle_may_be_anything(part: str, value: object) -> None:
    bundle = {**json.loads(BUNDLES["full"]), part: value}
    with contextlib.suppress(EvidenceError):
        verify_evidence(json.dumps(bundle).encode(), BUNDLES["root"].encode())


@given(
    st.text(max_size=200) | st.just(WIRE["receipt"]["head"]),
    st.binary(max_size=100),
    st.binary(max_size=100) | st.just(base64.b64decode(WIRE["receipt"]["leaves"])),
    st.lists(st.tuples(st.integers(), st.binary(max_size=40)), max_size=3),
)
def test_receipts_are_taken_or_refused(
    head: str, tree: bytes, leaves: bytes, answers: list[tuple[int, bytes]]
) -> None:
    parcel = [{"head": head, "tree": tree, "leaves": leaves, "answers": answers}]
    try:
        (receipt,) = decode_parcel(msgspec.json.encode(parcel))
    except msgspec.MsgspecError:
        return
    with pytest.raises(LienthongError):
        check_receipt(receipt, CONSUMER, ProofChecker(), Keys())  # type: ignore[arg-type]


@given(JSON | st.binary(max_size=100))
def test_a_fault_of_another_node_is_read_or_replaced(content: object) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fault = read_peer_fault(HttpResponse(503, [], Body.of(body)))
    assert isinstance(fault, (PeerFault, LienthongError))


@given(
    st.integers(-2, 2**70),
    st.integers(-2, 2**70),
    st.binary(max_size=400),
)
def test_paths_of_any_shape_prove_nothing(index: int, size: int, joined: bytes) -> None:
    path = split_hashes(joined)
    root = root_from_path(bytes(32), index, size, path)
    assert root is None or (size >= 1 and len(root) == 32)
    assert not verify_consistency(max(index, 1), size, path, bytes(32), b"\1" * 32)


# --- one text, one message -----------------------------------------------------------------

FIELDS = [
    name for name, value in msgspec.to_builtins(request_of()).items() if isinstance(value, str)
]
FIELDS.remove("body")
FIELDS.remove("salts")
FIELDS.remove("time")
REQUESTS = st.builds(
    lambda texts, subjects, headers: request_of(
        subjects=tuple(subjects), headers=tuple(headers), salts=SALTS, **texts
    ),
    st.dictionaries(st.sampled_from(FIELDS), HOSTILE, max_size=4),
    st.lists(HOSTILE, max_size=3),
    st.lists(
        st.tuples(st.from_regex(r"[a-z-]{1,8}", fullmatch=True) | HOSTILE, HOSTILE), max_size=3
    ),
)


def accepted(request: Request) -> bool:
    try:
        check_request(request)
    except MessageMalformed:
        return False
    return True


@settings(max_examples=300)
@given(REQUESTS, REQUESTS)
def test_no_two_messages_share_their_lines(one: Request, other: Request) -> None:
    assume(one != other and accepted(one) and accepted(other))
    said = (request_lines(one), request_contents(one))
    assert said != (request_lines(other), request_contents(other))
    assert request_leaf(one) != request_leaf(other)


@settings(max_examples=300)
@given(REQUESTS)
def test_what_is_accepted_is_read_back_as_it_was_said(request_: Request) -> None:
    assume(accepted(request_))
    fields = plain_fields(request_lines(request_))
    assert fields["x-road-client"] == request_.client
    assert fields["lienthong-sender"] == request_.sender
    assert fields["lienthong-purpose"] == request_.purpose
    assert fields["x-road-represented-party"] == request_.represented_party
    contents = request_contents(request_)
    assert len(contents[3].split("\n")) == max(len(request_.subjects), 1)


@given(st.sampled_from(["agreement", "purpose", "reason", "request_id", "service"]), HOSTILE)
def test_answers_are_read_back_as_they_were_said(field: str, value: str) -> None:
    answer = answer_to(request_of(), **{field: value})
    try:
        check_answer(answer)
    except MessageMalformed:
        return
    fields = plain_fields(answer_lines(answer))
    assert fields["x-road-service"] == answer.service
    assert fields["lienthong-reason"] == answer.reason


@given(st.text(max_size=200))
def test_plain_lines_are_read_or_refused(lines: str) -> None:
    with pytest.raises(MessageMalformed):
        plain_fields(lines)


# --- any change is seen --------------------------------------------------------------------


@given(st.data())
def test_a_changed_head_is_refused(data: Any) -> None:
    key = PublicKey.parse(NOTE["public_key"])
    try:
        changed = mutated(data, NOTE["note"].encode()).decode()
    except UnicodeDecodeError:
        return
    with pytest.raises((HeadMalformed, SignatureInvalid)):
        verify_head(changed, parse_head(changed), key)


@given(st.data(), st.sampled_from(["request", "answer"]))
def test_a_changed_message_is_refused(data: Any, kind: str) -> None:
    """The bytes may differ in ways that JSON does not count; what is said may not."""
    wire = WIRE[kind]
    changed = mutated(data, wire["message"].encode())
    proof = wire["proof"].encode()
    sender = CONSUMER if kind == "request" else PROVIDER
    try:
        if kind == "request":
            signed = read_request(http(changed, proof))
            same = signed.message == msgspec.json.decode(wire["message"], type=Request)
        else:
            signed = read_answer(HttpResponse(200, http(changed, proof).headers))
            same = signed.message == msgspec.json.decode(wire["message"], type=Answer)
        ProofChecker().check(signed.proof, signed.leaf, sender, Keys())
    except MessageError:
        return
    assert same


@given(st.data())
def test_a_changed_proof_is_refused_or_proves_the_same(data: Any) -> None:
    """Only the place in the group may be told differently: it is not signed (§5.4)."""
    original = decode_proof(WIRE["request"]["proof"])
    leaf = request_leaf(msgspec.json.decode(WIRE["request"]["message"], type=Request))
    try:
        proof = decode_proof(mutated(data, WIRE["request"]["proof"].encode()))
        head = ProofChecker().check(proof, leaf, CONSUMER, Keys())
    except (msgspec.MsgspecError, UnicodeDecodeError, MessageError, SignatureInvalid):
        return
    assert head == parse_head(original.head)
    assert (proof.path, proof.tree, proof.head) == (original.path, original.tree, original.head)


@given(
    st.sampled_from(["node", "epoch", "size", "root", "directory_version", "key_id"]),
    st.integers(1, 1000),
)
def test_a_head_with_another_fact_needs_another_signature(field: str, number: int) -> None:
    head = Head("VN/GOV/G01/n1", 0, 1001, bytes(32), NOW, 1001, KEY.public.key_id)
    note = sign_head(head, KEY)
    values: dict[str, Any] = {
        "node": f"VN/GOV/G01/m{number}",
        "root": number.to_bytes(32, "big"),
        "key_id": f"{number:032x}",
    }
    other = msgspec.structs.replace(head, **{field: values.get(field, number)})
    forged = note.replace(head.text, other.text).replace(head.origin, other.origin)
    assert parse_head(forged) == other
    with pytest.raises(SignatureInvalid):
        verify_head(forged, other, KEY.public)


@given(st.integers(0, 5), st.integers(0, 60))
def test_nothing_kept_can_be_told_differently(which: int, cut: int) -> None:
    """No part of a text can pass as salt, and none of the salt as text."""
    bundle = json.loads(BUNDLES["erased"])
    erased = bundle["request"]["erased"]
    kept = erased["kept"]["user"]
    whole = base64.b64decode(kept["salt"]) + kept["text"].encode()
    assume(cut != 16)
    try:
        text = whole[cut:].decode()
    except UnicodeDecodeError:
        return
    erased["kept"]["user"] = {"salt": base64.b64encode(whole[:cut]).decode(), "text": text}
    with pytest.raises(EvidenceError):
        verify_evidence(json.dumps(bundle).encode(), BUNDLES["root"].encode())


@given(st.binary(max_size=400), st.text(max_size=50))
def test_what_was_kept_of_a_message_has_its_form_or_no_leaf(committed: bytes, lines: str) -> None:
    leaf = message_leaf(Erased(1, lines, committed, {}), REQUEST_COMMITMENTS)
    assert (leaf is not None) == (len(committed) == 192)


def test_answers_and_requests_never_have_the_same_leaf() -> None:
    request = request_of()
    assert request_leaf(request) != answer_leaf(answer_to(request))
    assert isinstance(decode_proof(WIRE["request"]["proof"]), Proof)
