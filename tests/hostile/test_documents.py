"""Agreements, directory records and metadata, receipts and evidence: signed again and again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from lienthong.agreements.documents import envelope_bytes
from lienthong.agreements.models import Act, Agreement, Party, Statement, whole_second
from lienthong.agreements.proposals import draft
from lienthong.agreements.verification import verify_envelope
from lienthong.directory.canonical import sign
from lienthong.directory.records import encode_record, parse_record, record_path
from lienthong.directory.request import parse_request
from lienthong.directory.succession import check_succession
from lienthong.errors import MessageMalformed
from lienthong.exchange.receipts import check_receipt, decode_parcel
from lienthong.ledger.evidence import FORMAT, verify_evidence
from lienthong.ledger.proofs import ProofChecker
from tests.fixtures.agreement_parties import proposal
from tests.fixtures.hostile_corpus import CUTS, TEXTS, VALUES, Corpus, changed, changes, cut, mostly
from tests.fixtures.hostile_edge import US, HostileEdge, Signing
from tests.fixtures.hostile_oracle import (
    base64_of,
    identifier,
    must,
    sound_answer,
    sound_request,
)
from tests.fixtures.ledgers import QUESTION, REPLY, answer_to, request_of
from tests.spec import message_reference as reference

HIM = "VN/GOV/H37/n1"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileEdge]:
    made = HostileEdge(tmp_path_factory.mktemp("edge"))
    yield made
    made.close()


def sorted_json(value: Any) -> bytes:
    """RFC 8785, for values without floating numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain_json(value: Any) -> bytes:
    """Records are written in the order of their fields, in one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def encodable(value: Any) -> bool:
    try:
        sorted_json(value)
    except UnicodeEncodeError:
        return False
    return True


# --- agreements ----------------------------------------------------------------------------


def test_agreements_are_refused_or_signed_by_both_sides_nodes(edge: HostileEdge) -> None:
    corpus = Corpus(
        "agreement document",
        "agreements/documents.py",
        "agreements/verification.py",
        elsewhere=["agreements/verification.py:_refusal"],  # makes the error
    )
    now = edge.now
    view = edge.mirror.view
    document = json.loads(sorted_json(msgspec.to_builtins(draft(proposal(), Party.CONSUMER))))
    code = {"consumer": "H37", "provider": "G01"}
    key_of = {f"VN/GOV/{each}/n1": edge.agencies[each].signing_key for each in edge.agencies}

    def statement(said: Any, act: str, party: str, facts: Any, signer: str) -> dict[str, Any]:
        key = edge.agencies[signer].signing_key
        base = {
            "type": "lienthong-agreement-statement-1",
            "agreement": said.get("id"),
            "digest": sha256(sorted_json(said)).hexdigest(),
            "act": act,
            "party": party,
            "node": f"VN/GOV/{code[party]}/n1",
            "key_id": key.public.key_id,
            "algorithm": "ed25519",
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reason": "",
        }
        base = changed(base, facts)
        signature = key.sign(b"lienthong-agreement-statement-1\n" + sorted_json(base))
        return {**base, "signature": base64.b64encode(signature).decode()}

    def judge(content: bytes, again: bool) -> None:
        found = corpus.try_(lambda: verify_envelope(content, view, now), signed_again=again)
        if found is None:
            return
        said = json.loads(content)
        must(set(said) <= {"type", "document", "statements"})
        terms = said["document"]
        digest = sha256(sorted_json(json.loads(found.document.canonical))).hexdigest()
        assert json.loads(found.document.canonical)["consumer"] == terms["consumer"]
        sides: set[tuple[str, str]] = set()
        for each in said["statements"]:
            must((each["agreement"], each["digest"]) == (terms["id"], digest))
            must((each["party"], each["act"]) not in sides)
            sides.add((each["party"], each["act"]))
            proposer = terms["proposed_by"]
            must(
                (each["party"] == proposer) == (each["act"] == "propose")
                or each["act"] == "withdraw"
            )
            subsystem = terms["consumer"] if each["party"] == "consumer" else terms["service"]
            must(each["node"].split("/")[:3] == subsystem.split("/")[:3])
            must(datetime.fromisoformat(each["time"]) <= now + timedelta(seconds=60))
            must(each["node"] != "VN/GOV/G99/n1")
            unsigned = {
                "reason": "",
                "type": "lienthong-agreement-statement-1",
                **{name: value for name, value in each.items() if name != "signature"},
            }
            data = b"lienthong-agreement-statement-1\n" + sorted_json(unsigned)
            key_of[each["node"]].public.verify(base64.b64decode(each["signature"]), data)
        must(("propose", terms["proposed_by"]) in {(act, party) for party, act in sides})

    def envelope(said: Any, *statements: Any) -> bytes:
        kind = "lienthong-agreement-envelope-1"
        return sorted_json({"type": kind, "document": said, "statements": statements})

    proposed = statement(document, "propose", "consumer", [], "H37")
    accepted = statement(document, "accept", "provider", [], "G01")
    good = envelope(document, proposed, accepted)
    judge(good, True)
    judge(b" " * (1 << 20) + good, False)
    judge(envelope(document, proposed, proposed), True)
    judge(envelope(document, accepted), True)
    for facts, signer in (
        ([("act", "accept")], "H37"),
        ([("agreement", "0" * 36)], "H37"),
        ([("time", "2999-01-01T00:00:00Z")], "H37"),
        (
            [("node", "VN/GOV/G66/n1"), ("key_id", edge.agencies["G66"].signing_key.public.key_id)],
            "G66",
        ),
        ([("algorithm", "ecdsa-p256-sha256")], "H37"),
        ([("key_id", "f" * 32)], "H37"),
        ([("node", "VN/GOV/%2e/n1")], "H37"),
    ):
        judge(envelope(document, statement(document, "propose", "consumer", facts, signer)), True)
    for facts in ([("id", "x")], [("valid_until", "x")], [("consumer", "a/b")], [("more", 1)]):
        said = changed(document, facts)
        judge(envelope(said, statement(said, "propose", "consumer", [], "H37")), True)
    # The member's delegation to its node is revoked: from then on the node says nothing for it.
    gone = {**document, "consumer": "VN/GOV/G55/motcua", "id": document["id"]}
    key = edge.agencies["G55"].signing_key.public.key_id
    facts = [("node", "VN/GOV/G55/n1"), ("key_id", key), ("time", "2020-01-01T00:00:00Z")]
    judge(envelope(gone, statement(gone, "propose", "consumer", facts[:2], "G55")), True)
    just_before = (now - timedelta(minutes=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    facts[2] = ("time", just_before)
    judge(envelope(gone, statement(gone, "propose", "consumer", facts, "G55")), True)

    def as_it_comes(one: Any) -> None:
        kind, place, what = one
        if kind == "bytes":
            judge(cut(good, place), False)
        elif kind == "document" and encodable(changed({}, what)):
            judge(envelope(changed(document, what), proposed, accepted), False)
        elif encodable(changed({}, what)):
            judge(envelope(document, changed(proposed, what), accepted), False)
        else:
            judge(str(place).encode(), False)

    fields = [*document, *proposed]
    kinds = st.sampled_from(["bytes", "document", "statement"])
    corpus.run(st.tuples(kinds, CUTS, changes(fields)), as_it_comes)

    def signed_again(one: Any) -> None:
        terms, facts, act, party, signer, twice = one
        said = changed(document, terms)
        if not encodable(said) or not encodable(changed({}, facts)):
            said, facts = document, []
        new = statement(said, act, party, facts, signer)
        own = statement(said, "propose", "consumer", [], "H37")
        judge(envelope(said, own, new, *[new] * twice), True)

    corpus.run(
        st.tuples(
            mostly([], changes(document)),
            mostly([], changes(proposed)),
            st.sampled_from([each.value for each in Act]),
            st.sampled_from(["consumer", "provider"]),
            st.sampled_from(["H37", "G01", "G01", "G66", "G99"]),
            st.sampled_from([0, 0, 0, 1]),
        ),
        signed_again,
    )
    assert envelope_bytes(Agreement(draft(proposal(), Party.CONSUMER), ()))  # what is written
    assert Statement.__struct_fields__[-1] == "signature"
    assert whole_second(now).microsecond == 0
    corpus.close()


# --- directory records ---------------------------------------------------------------------


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copy


def test_records_are_refused_or_follow_by_their_owners_signature(edge: HostileEdge) -> None:
    """Whoever signs: a record takes another's place only by the owner's own key."""
    corpus = Corpus(
        "directory record",
        "directory/records.py:parse_record",
        "directory/records.py:decode",
        "directory/records.py:check_record",
        "directory/records.py:_check_member",
        "directory/records.py:_check_node",
        "directory/records.py:_check_instance",
        "directory/succession.py:check_succession:KeyChangeRefused",
        "directory/succession.py:check_succession:StatementStale",
        "directory/succession.py:_check_keys_kept",
        elsewhere=[
            "directory/succession.py:check_succession:nothing",
            # A record of another kind has another path.
            "directory/succession.py:check_succession:KeyChangeRefused#1",
        ],
    )
    view = edge.mirror.view
    member, node = view.member("VN/GOV/H37"), view.node(HIM)
    records = {"member": member, "node": node}
    owner_key = edge.agencies["H37"].member_key

    def judge(kind: str, content: bytes, again: bool) -> None:
        old = records[kind]
        path = record_path(old)

        def read() -> Any:
            new = parse_record(path, content, "VN")
            check_succession(old, new, member if kind == "node" else None, ())
            return new

        new = corpus.try_(read, signed_again=again)
        if new is None:
            return
        said = json.loads(content)
        assert plain_json(said) == content, "one way of writing only"
        assert said["statement"]["id"] == old.id
        if said["statement"] != json.loads(encode_record(old))["statement"]:
            assert said["statement"]["serial"] > old.statement.serial
            data = plain_json(said["statement"])
            right = {each.value for each in sign(data, [owner_key])}
            assert right & {each["value"] for each in said["signatures"]}

    def signed(kind: str, statement: Any, by: str) -> bytes:
        said = json.loads(encode_record(records[kind]))
        key = edge.agencies[by].member_key
        said["statement"] = statement
        said["signatures"] = [
            msgspec.to_builtins(each) for each in sign(plain_json(statement), [key])
        ]
        return plain_json(said)

    statements = {
        kind: json.loads(encode_record(each))["statement"] for kind, each in records.items()
    }
    for kind in records:
        base = {**statements[kind], "serial": 99}
        judge(kind, encode_record(records[kind]), True)
        judge(kind, b" " + encode_record(records[kind]), False)
        judge(kind, b"{}" + b" " * 40_000_000, False)
        judge(kind, encode_record(records["node" if kind == "member" else "member"]), False)
        judge(kind, signed(kind, base, "H37"), True)
        judge(kind, signed(kind, {**base, "serial": 1}, "H37"), True)
        judge(kind, signed(kind, {**base, "name": "khác"}, "G66"), True)
        for path in _places(base):
            for value in ([], "x", "VN-TEST/GOV/H37", "VN-TEST/GOV/H37/n1", "https://h:1/x"):
                judge(kind, signed(kind, _with(base, path, value), "H37"), True)
            for value in ("http://h:1", "VN/GOV/G66", "VN/GOV/G66/n1"):
                judge(kind, signed(kind, _with(base, path, value), "H37"), True)
        for name in ("subsystems", "keys", "signing_keys", "tls_keys", "delegations"):
            if name in base:
                judge(kind, signed(kind, {**base, name: base[name] * 2}, "H37"), True)
                judge(kind, signed(kind, {**base, name: base[name][:1]}, "H37"), True)
        other = json.loads(encode_record(view.member("VN/GOV/G66")))["statement"]
        if kind == "member":
            judge(kind, signed(kind, {**base, "keys": other["keys"]}, "H37"), True)

    def as_it_comes(one: Any) -> None:
        kind, place, value, how = one
        content = encode_record(records[kind])
        if how == "bytes":
            judge(kind, cut(content, place), False)
            return
        said = json.loads(content)
        paths = list(_places(said))
        said = _with(said, paths[place[0] % len(paths)], value)
        judge(kind, plain_json(said) if encodable(said) else content[:-1], False)

    kinds = st.sampled_from(["member", "node"])
    hows = st.sampled_from(["bytes", "value"])
    corpus.run(st.tuples(kinds, CUTS, VALUES, hows), as_it_comes)

    def signed_again(one: Any) -> None:
        kind, number, value, by, serial = one
        base = {**statements[kind], "serial": serial}
        paths = list(_places(base))
        base = _with(base, paths[number % len(paths)], value)
        judge(kind, signed(kind, base, by) if encodable(base) else b"", True)

    signers = st.sampled_from(["H37", "H37", "G66", "G01"])
    values = TEXTS | VALUES | st.sampled_from(["2030-01-01T00:00:00Z", "https://a:1", "node"])
    serials = st.sampled_from([2, 3, 99, 1, 0])
    corpus.run(st.tuples(kinds, st.integers(0, 500), values, signers, serials), signed_again)
    corpus.close()


def test_request_files_are_refused_or_read(edge: HostileEdge) -> None:
    corpus = Corpus("directory request", "directory/request.py:_parse")
    good = edge.agencies["H37"].request()
    said = json.loads(good)
    paths = list(_places(said))
    judge = corpus.try_
    judge(lambda: parse_request(good + b" " * 33_554_432))
    judge(lambda: parse_request(good), signed_again=True)
    corpus.run(st.tuples(CUTS), lambda one: judge(lambda: parse_request(cut(good, one[0]))))

    def near(one: Any) -> None:
        number, value = one
        changed_ = _with(said, paths[number % len(paths)], value)
        content = json.dumps(changed_).encode()
        found = judge(lambda: parse_request(content), signed_again=True)
        assert found is None or found.node.statement.id == changed_["node"]["statement"]["id"]

    corpus.run(st.tuples(st.integers(0, 999), VALUES), near)
    corpus.close()


# --- receipts ------------------------------------------------------------------------------


def test_receipts_are_refused_or_acknowledge_our_answers(edge: HostileEdge) -> None:
    corpus = Corpus("receipt", "exchange/receipts.py:check_receipt")
    view, answers = edge.mirror.view, [sha256(bytes([number])).digest() for number in range(3)]

    def judge(content: bytes, again: bool) -> None:
        def read() -> Any:
            try:
                (receipt,) = decode_parcel(content)
            except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
                raise MessageMalformed(reason="receipts") from error
            check_receipt(receipt, HIM, ProofChecker(), view)
            return receipt

        if corpus.try_(read, signed_again=again) is None:
            return
        (said,) = json.loads(content)
        leaves = reference.hashes_of(base64.b64decode(said["leaves"]))
        must(said["answers"])
        for index, answer in said["answers"]:
            must(index >= 0)
            must(leaves[index] == reference.wrapped("acknowledged", base64_of(answer, 32)))
        head = reference.verify_head(said["head"], edge.key_text("H37"))
        must(head["node"] == HIM)
        tree = reference.hashes_of(base64.b64decode(said["tree"]))
        group = reference.sha(b"\0", reference.root_of(leaves))
        root = reference.root_by_path(group, head["size"] - 1, head["size"], tree)
        must(root == head["root"])

    def receipt(how: Signing, facts: Any) -> bytes:
        leaves = [reference.wrapped("acknowledged", each) for each in answers] + list(
            how.neighbours
        )
        note = edge.head_note(reference.sha(b"\0", reference.root_of(leaves)), how)
        base = {
            "head": note,
            "tree": "",
            "leaves": base64.b64encode(b"".join(leaves)).decode(),
            "answers": [[n, base64.b64encode(each).decode()] for n, each in enumerate(answers)],
        }
        return json.dumps([changed(base, facts)]).encode()

    good = receipt(Signing(), [])
    first = base64.b64encode(answers[0]).decode()
    for facts in (
        *([], [("leaves", base64.b64encode(bytes(33)).decode())], [("answers", [[9, first]])]),
        *([("answers", [[1, first]])], [("answers", [[-1, first]])], [("answers", [])]),
        *([("tree", base64.b64encode(bytes(32)).decode())], [("answers", [[0, first]] * 2)]),
    ):
        judge(receipt(Signing(), facts), True)
    corpus.run(st.tuples(CUTS), lambda one: judge(cut(good, one[0]), False))

    def signed_again(one: Any) -> None:
        facts, by, root, neighbours, answer = one
        head = {} if root is None else {"root": root}
        what = [*facts, *([] if answer is None else [("answers", [[answer, first]])])]
        judge(receipt(Signing(by=by, head=head, neighbours=neighbours), what), True)

    hashes = st.binary(min_size=32, max_size=32)
    corpus.run(
        st.tuples(
            mostly([], changes(["head", "tree", "leaves", "answers"])),
            st.sampled_from(["H37", "H37", "H37", "G66", "G99"]),
            mostly(None, hashes),
            st.lists(hashes, max_size=3).map(tuple),
            mostly(None, st.integers(-2, 5)),
        ),
        signed_again,
    )
    corpus.close()


# --- evidence ------------------------------------------------------------------------------


def test_evidence_is_rejected_or_proves_one_exchange(edge: HostileEdge) -> None:
    corpus = Corpus(
        "evidence bundle",
        "ledger/evidence.py",
        elsewhere=[
            "ledger/evidence.py:_contents",
            "ledger/evidence.py:_time",  # a message whose time has another form was refused
            "ledger/evidence.py:_leaf_and_fields:EvidenceRejected",
        ],
    )
    root = edge.world.root
    directory = edge.mirror.proof(["VN/GOV/H37", "VN/GOV/G01"], [HIM, US])
    keys = {HIM: edge.key_text("H37"), US: edge.key_text("G01")}
    request = json.loads(msgspec.json.encode(request_of(salts=bytes(96), time=edge.time)))

    def bundle(asks: Any, says: Any, by: Signing, facts: Any) -> dict[str, Any]:
        asked = changed(request, asks)
        try:
            leaf = reference.leaf(asked)
        except Exception:
            leaf = bytes(32)
        plain = answer_to(request_of(), salts=bytes(48), request_leaf=leaf, time=edge.time)
        said = changed(json.loads(msgspec.json.encode(plain)), says)
        try:
            answered = reference.leaf(said)
        except Exception:
            answered = bytes(32)
        return changed(
            {
                "format": FORMAT,
                "exported_by": HIM,
                "exported_at": edge.time,
                "directory": directory,
                "request": {"proof": edge.proof(leaf, Signing()), "request": asked},
                "answer": {"proof": edge.proof(answered, by), "answer": said},
                "request_body": base64.b64encode(QUESTION).decode(),
                "answer_body": base64.b64encode(REPLY).decode(),
            },
            facts,
        )

    def judge(value: Any, again: bool) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        verdict = corpus.try_(lambda: verify_evidence(content, root), signed_again=again)
        if verdict is None:
            return
        said = json.loads(content)
        asked = sound_request(json.dumps(said["request"]["request"]))
        answered = sound_answer(json.dumps(said["answer"]["answer"]))
        leaf = reference.leaf(asked)
        for part, of, sender in (("request", leaf, HIM), ("answer", reference.leaf(answered), US)):
            proof = json.dumps(said[part]["proof"])
            reference.verify_proof(proof, of, sender, keys[sender])
        must((asked["sender"], asked["receiver"]) == (HIM, US))
        must((answered["sender"], answered["receiver"]) == (US, HIM))
        must(base64_of(answered["request_leaf"], 32) == leaf)
        for name in ("request_id", "client", "service"):
            must(asked[name] == answered[name])
        must(identifier(asked["client"], 4)[:3] == ["VN", "GOV", "H37"])
        must(identifier(asked["service"], 5)[:3] == ["VN", "GOV", "G01"])
        for body, message in (("request_body", asked), ("answer_body", answered)):
            if said.get(body) is not None:
                content = base64.b64decode(said[body])
                must(base64_of(message["body"], 32) == sha256(content).digest())
                must(message["body_bytes"] == len(content))
        assert verdict.request["x-road-client"] == asked["client"]
        assert verdict.answer["lienthong-outcome"] == answered["outcome"]

    ours = Signing(by="G01")
    good = bundle([], [], ours, [])
    judge(good, True)
    judge(b" " * (80 << 20), False)
    other = base64.b64encode(bytes(32)).decode()
    hour = (edge.now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for asks, says, facts in (
        ([("client", "VN-TEST/GOV/H37/motcua")], [], []),
        ([("client", "x")], [("client", "x")], []),
        ([("request_id", "x")], [], []),
        ([], [("request_leaf", other)], []),
        ([], [("receiver", "VN/GOV/G66/n1")], []),
        ([], [("time", hour)], []),
        ([], [("time", "now")], []),
        ([], [], [("request_body", other)]),
        ([], [], [("format", "x")]),
        ([], [], [("request", {"proof": good["request"]["proof"]})]),
    ):
        judge(bundle(asks, says, ours, facts), True)
    judge(bundle([], [], Signing(by="G01", head={"directory_version": 10**6}), []), True)
    packed = json.dumps(good).encode()
    small = json.dumps({**good, "directory": {}}).encode()

    def as_it_comes(one: Any) -> None:
        kind, place, what, part = one
        if kind == "bytes":
            judge(cut(packed, place), False)
        elif kind == "small":
            judge(cut(small, place), False)
        elif kind == "part":
            judge({**good, part: changed(good[part], what)}, False)
        else:
            judge(changed(good, what), False)

    names = [*good, *good["request"], "erased", "received", "acknowledged"]
    kinds = st.sampled_from(["bytes", "small", "part", "whole"])
    parts = st.sampled_from(["request", "answer", "directory"])
    corpus.run(st.tuples(kinds, CUTS, changes(names), parts), as_it_comes)

    def signed_again(one: Any) -> None:
        asks, says, by, facts = one
        judge(bundle(asks, says, by, facts), True)

    answer_fields = list(good["answer"]["answer"])
    signings = st.builds(Signing, by=st.sampled_from(["G01", "G66", "H37"]))
    corpus.run(
        st.tuples(
            mostly([], changes(request, TEXTS)),
            mostly([], changes(answer_fields, TEXTS)),
            mostly(ours, signings),
            mostly([], changes(["request_body", "answer_body", "exported_by"])),
        ),
        signed_again,
    )
    corpus.close()
