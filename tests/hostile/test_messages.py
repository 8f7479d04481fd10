"""Messages, proofs and heads: as they come, and signed again by a member in good standing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from lienthong.exchange.wire import encode_json
from lienthong.ledger.heads import format_time
from lienthong.transport.messages import Body
from lienthong.transport.messages import Response as HttpResponse
from tests.fixtures.hostile_corpus import (
    CUTS,
    TEXTS,
    VALUES,
    Corpus,
    changed,
    changes,
    cut,
    mostly,
)
from tests.fixtures.hostile_edge import US, HostileEdge, Signing, headers_of
from tests.fixtures.hostile_oracle import (
    Unsound,
    base64_of,
    fresh,
    identifier,
    moment,
    must,
    sound_answer,
    sound_proof,
    sound_request,
)
from tests.fixtures.ledgers import QUESTION, REPLY, answer_to, request_of
from tests.spec import message_reference as reference

SALTS = bytes(96)
OURS = "VN/GOV/G01/dancu/cong-dan"
HIS = "VN/GOV/H37/motcua"
HOUR = timedelta(hours=1)
READERS = ("exchange/wire.py", "ledger/messages.py", "ledger/proofs.py", "ledger/heads.py")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileEdge]:
    made = HostileEdge(tmp_path_factory.mktemp("edge"))
    yield made
    made.close()


# --- requests ------------------------------------------------------------------------------

REQUEST_FIELDS = list(msgspec.to_builtins(request_of()))
# Whoever signs, sends and claims; values that a member would like to be believed.
CLAIMS: list[Any] = [
    *[[("client", value)] for value in ("VN/GOV/G66/motcua", "VN/GOV/H37/dancu", "VN/GOV/H37")],
    *[[("client", value)] for value in ("VN-TEST/GOV/H37/motcua", "VN/GOV/H37/../G66", "x")],
    *[[("service", value)] for value in ("VN/GOV/G66/dancu/x", "VN/GOV/G01/dancu", "x/y")],
    *[[("sender", value)] for value in ("VN/GOV/G66/n1", "VN/GOV/G99/n1", "VN/GOV/H99/n1")],
    *[[("receiver", value)] for value in ("VN/GOV/H37/n1", "", f"{US}/", "VN/GOV/G01/n2")],
    *[
        [("request_id", "taken"), ("user", "x")],
        [("version", 2)],
        [("body_bytes", 1)],
        [("body", "0" * 44)],
    ],
    *[[("user", "a\nb")], [("subjects", ["a\nb"])], [("dossier", "a\rb")], [("purpose", "\t")]],
    *[[("headers", [["A", "b"]])], [("headers", [["a", "b\nc"]])], [("time", "now")]],
    *[[("time", "2999-01-01T00:00:00.000Z")], [("time", "1999-01-01T00:00:00.000Z")]],
    *[[("time", "2026-13-01T00:00:00.000Z")], [("time", "2026-01-01T00:00:00Z")], []],
    *[[("user", "đ\u2028")], [("headers", [])], [("subjects", [])], [("query", "a=%0a")]],
]
SIGNINGS = st.builds(
    Signing,
    by=st.sampled_from(["H37"] * 8 + ["G66", "G99", "G01"]),
    index=st.integers(0, 3),
    neighbours=st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    head=st.just({})
    | st.fixed_dictionaries(
        {},
        optional={
            "node": st.sampled_from(["VN/GOV/G66/n1", "VN/GOV/G99/n1", "VN/GOV/H37/n2"]),
            "root": st.binary(min_size=32, max_size=32),
            "key_id": st.sampled_from(["0" * 32, "f" * 32]),
            "directory_version": st.integers(0, 3),
        },
    ),
    proof=st.just({}) | st.dictionaries(st.sampled_from(["index", "size", "path"]), VALUES),
)


def as_read(message: Any) -> Any:
    """What the program read, as plain values of JSON."""
    return json.loads(encode_json(message))


def keys(edge: HostileEdge) -> dict[str, str]:
    """Who may sign today, by node: G99's was revoked."""
    return {f"VN/GOV/{code}/n1": edge.key_text(code) for code in ("G01", "H37", "G66")}


def judge_request(
    edge: HostileEdge, corpus: Corpus, ids: dict[str, bytes], message: str, proof: str, **how: Any
) -> None:
    """Ask the provider's edge; what it takes must be what the oracle allows."""
    body, code = how.get("body", QUESTION), how.get("connection", "H37")
    taken = edge.provider.accepted
    taken.clear()
    headers = headers_of(message, proof)
    corpus.try_(
        lambda: edge.ask(headers, body, edge.connections[code]),
        signed_again=how.get("signed", False),
    )
    for request in taken:
        said = sound_request(message)
        leaf = reference.leaf(said)
        must(said["receiver"] == US and said["sender"] == f"VN/GOV/{code}/n1")
        must(identifier(said["client"], 4)[:3] == ["VN", "GOV", code])
        must(identifier(said["service"], 5)[:3] == ["VN", "GOV", "G01"])
        sound_proof(proof, leaf, said["sender"], keys(edge), edge.now)
        fresh(moment(said["time"]), edge.now)
        must(base64_of(said["body"], 32) == sha256(body).digest())
        must(said["body_bytes"] == len(body))
        must(ids.setdefault(said["request_id"], leaf) == leaf)
        assert as_read(request) == said, "read as it was signed"


def request_json(edge: HostileEdge, number: int, what: Any) -> dict[str, Any]:
    """A request of H37 to us, with changes; ids are new, but for the one that is taken."""
    base = request_of(request_id=f"r-{number}", salts=SALTS, time=edge.time)
    return changed(msgspec.to_builtins(base), what)


def leaf_of(said: dict[str, Any]) -> bytes:
    """The leaf as a signer who checks nothing makes it; of what has no leaf, any hash."""
    try:
        return reference.leaf(said)
    except Exception:
        return bytes(32)


def test_requests_are_refused_or_mean_what_the_specification_says(edge: HostileEdge) -> None:
    corpus = Corpus(
        "request",
        "exchange/provider.py:ProviderEdge._answer:DigestMismatch",
        "exchange/provider.py:ProviderEdge._check_sender",
        "exchange/provider.py:ProviderEdge._members",
        "exchange/wire.py",
        "exchange/core.py:Core._check_age",
        "exchange/once.py",
        "ledger/messages.py",
        elsewhere=[
            "ledger/messages.py:checked_answer_leaf",
            "ledger/messages.py:plain_fields",
        ],
    )
    ids: dict[str, bytes] = {}
    said = request_json(edge, 0, [("request_id", "taken")])
    proof = json.dumps(edge.proof(reference.leaf(said), Signing()))
    judge_request(edge, corpus, ids, json.dumps(said), proof)
    judge_request(edge, corpus, ids, "[" * 200_000, proof)
    corpus.try_(lambda: edge.ask([], b"", edge.connections["H37"]))
    other = request_json(edge, -1, [])
    headers = headers_of(json.dumps(other), proof)
    corpus.try_(
        lambda: edge.ask(headers, QUESTION, edge.connections["H37"], "/lienthong/9/message")
    )
    for claims in CLAIMS:  # each at least once, and nothing else wrong
        fields = request_json(edge, corpus.inputs, claims)
        proof = json.dumps(edge.proof(leaf_of(fields), Signing()))
        judge_request(edge, corpus, ids, json.dumps(fields), proof, signed=True)
    judge_request(edge, corpus, ids, json.dumps(said), " " * 40_000)

    def as_it_comes(one: tuple[str, Any, Any, str]) -> None:
        kind, first, second, code = one
        fields = request_json(edge, corpus.inputs, [])
        message, proof = (
            json.dumps(fields),
            json.dumps(edge.proof(reference.leaf(fields), Signing())),
        )
        if kind == "bytes":
            message = cut(message.encode(), first).decode("latin-1")
        elif kind == "proof":
            proof = cut(proof.encode(), first).decode("latin-1")
        elif kind == "fields":
            message = json.dumps(changed(fields, second))
        else:
            message = kind
        judge_request(edge, corpus, ids, message, proof, connection=code)

    edges = st.sampled_from(["H37"] * 6 + ["G66", "G99"])
    kinds = st.sampled_from(["bytes", "proof", "fields", "fields"]) | TEXTS
    corpus.run(st.tuples(kinds, CUTS, changes(REQUEST_FIELDS), edges), as_it_comes)

    def signed_again(one: tuple[Any, Any, Signing, bytes]) -> None:
        claims, what, how, body = one
        fields = request_json(edge, corpus.inputs, [*claims, *what])
        proof = json.dumps(edge.proof(leaf_of(fields), how))
        judge_request(edge, corpus, ids, json.dumps(fields), proof, body=body, signed=True)

    bodies = st.sampled_from([QUESTION] * 9 + [b"", QUESTION + b" "])
    texts = mostly([], changes(REQUEST_FIELDS, TEXTS))
    corpus.run(
        st.tuples(st.sampled_from(CLAIMS), texts, mostly(Signing(), SIGNINGS), bodies), signed_again
    )
    corpus.close()


# --- proofs and heads ----------------------------------------------------------------------

HEAD_TEXTS = [
    *[("lienthong/", value) for value in ("lienthong//", "Lienthong/", "\nlienthong/", "")],
    *[("VN/GOV", value) for value in ("VN%2fGOV", "VN/GOV/..", "VN", "vn/gov", "VN//GOV")],
    *[("\n1\n", value) for value in ("\n01\n", "\n0\n", "\n-1\n", "\n1 \n", "\n2\n", "\n\n")],
    *[("time ", value) for value in ("time  ", "Time ", "time 1", "", "time 2026-01-01T")],
    *[("directory 1", value) for value in ("directory 01", "directory -1", "directory 1\nx y")],
    *[("key ", value) for value in ("key 0", "KEY ", "", "key \n")],
    *[("=\n", value) for value in ("\n", "==\n", "A=\n", "=\n\n", "=\r\n")],
    *[("/n1/", value) for value in ("/n%31/", "/n1/0", "/n2/", "/%2e%2e/", "/n1 /")],
    *[("-", "-"), ("T", "t"), ("Z\n", "+00:00\n"), ("Z\n", "\n"), (".", ",")],
    *[("T", "T99"), ("time 20", "time 00"), ("directory 1", "directory 7"), ("\n", "\r\n")],
]
HEAD_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "node": st.sampled_from(["VN/GOV/G66/n1", "VN/GOV/G99/n1", "VN/GOV/H37/n2"]),
        "epoch": st.integers(0, 10**9),
        "size": st.integers(1, 10**6),
        "root": st.binary(min_size=32, max_size=32),
        "key_id": st.sampled_from(["0" * 32, "f" * 32]),
        "directory_version": st.integers(0, 3),
    },
)


def test_proofs_and_heads_are_refused_or_prove_what_the_specification_says(
    edge: HostileEdge,
) -> None:
    corpus = Corpus(
        "proof and head",
        "ledger/proofs.py",
        "ledger/heads.py",
        "directory/view.py:DirectoryView.signing_key:KeyRevoked",
        "identity/keys.py:PublicKey.verify:SignatureInvalid",
        "exchange/core.py:Core._check_age",
        elsewhere=[
            "ledger/merkle.py:root_from_path:nothing",  # seen by whoever asked
            "ledger/heads.py:parse_time",  # the form of a head holds that of a time
            "ledger/heads.py:verify_head:SignatureInvalid#1",  # the key was looked up by its id
            "ledger/proofs.py:ProofChecker._checked_head:ProofInvalid#2",  # a head seen before
        ],
    )
    ids: dict[str, bytes] = {}
    judge_request(edge, corpus, ids, json.dumps(request_json(edge, -1, [])), "{}")

    def send(how: Signing, change: Any, signed: bool, code: str = "H37") -> None:
        sender = f"VN/GOV/{code}/n1"
        client = f"VN/GOV/{code}/motcua"
        fields = request_json(edge, corpus.inputs, [("sender", sender), ("client", client)])
        try:
            proof = change(edge.proof(reference.leaf(fields), how))
        except UnicodeEncodeError:
            return
        message = json.dumps(fields)
        judge_request(edge, corpus, ids, message, proof, signed=signed, connection=code)

    def as_it_comes(one: tuple[str, Any, Any, str]) -> None:
        kind, place, what, code = one
        how = Signing(by=code, neighbours=(b"\1" * 32, b"\2" * 32), index=1)

        def change(proof: dict[str, Any]) -> str:
            if kind == "bytes":
                return cut(json.dumps(proof).encode(), place).decode("latin-1")
            if kind == "head":
                proof["head"] = cut(proof["head"].encode(), place).decode("utf-8", "replace")
                return json.dumps(proof)
            return json.dumps(changed(proof, what))

        send(how, change, False, code)

    other = b64encode(bytes(68)).decode()

    def spoilt(proof: dict[str, Any]) -> str:
        """Another signature under the right head and the right name of the key."""
        start, _, line = proof["head"].rpartition(" ")
        return json.dumps({**proof, "head": f"{start} {line[:6]}{other[6:89]}{line[-4:]}"})

    send(Signing(), spoilt, False)
    send(Signing(), lambda proof: json.dumps({**proof, "path": other}), False)
    send(Signing(by="G99"), json.dumps, True, "G99")
    for text in HEAD_TEXTS:
        send(Signing(text=text), json.dumps, True)
    send(Signing(text=(edge.time, "2026-13-01T00:00:00.000Z")), json.dumps, True)
    for hours in (1, -1):
        send(Signing(head={"time": edge.now + hours * HOUR}), json.dumps, True)
    for facts in ({"key_id": "0" * 32}, {"root": bytes(32)}, {"node": "VN/GOV/G66/n1"}):
        send(Signing(head=facts), json.dumps, True)
    kinds = st.sampled_from(["bytes", "head", "fields"])
    fields = changes(["index", "size", "path", "tree", "head"])
    corpus.run(st.tuples(kinds, CUTS, fields, st.sampled_from(["H37", "G66"])), as_it_comes)

    def signed_again(one: tuple[Signing, Any, Any, Any, str]) -> None:
        how, head, text, hours, code = one
        times = {"time": edge.now + hours * HOUR} if hours else {}
        facts = {**how.head, **head, **times}
        send(replace(how, by=code, text=text, head=facts), json.dumps, True, code)

    times = st.sampled_from([0] * 6 + [1, -1, 24, -10_000])
    codes = st.sampled_from(["H37", "H37", "G66", "G99"])
    signings, heads, texts = (
        mostly(Signing(), SIGNINGS),
        mostly({}, HEAD_FIELDS),
        mostly(None, st.sampled_from(HEAD_TEXTS), 1),
    )
    corpus.run(st.tuples(signings, heads, texts, times, codes), signed_again)
    corpus.close()


# --- answers -------------------------------------------------------------------------------

ANSWER_FIELDS = list(msgspec.to_builtins(answer_to(request_of())))
ANSWER_CLAIMS: list[Any] = [
    *[[(name, "another")] for name in ("request_id", "client", "service", "agreement")],
    *[[("sender", value)] for value in ("VN/GOV/G66/n1", US, "VN/GOV/G99/n1", "x")],
    *[[("receiver", value)] for value in ("VN/GOV/G66/n1", "", "VN/GOV/H37/n1")],
    *[[("request_leaf", b64encode(bytes(32)).decode())], [("outcome", "perhaps")]],
    *[[("version", 0)], [("status", 99)], [("status", 10**9)], [("reason", "a\nb")], []],
    *[[("body_bytes", 0)], [("body", b64encode(bytes(32)).decode())], [("time", "now")]],
    *[[("headers", [["a b", ""]])], [("headers", [["a", "\r\n"]])], [("headers", [["a", ""]])]],
    *[[("time", "2999-01-01T00:00:00.000Z")], [("purpose", "khác")], [("reason", "")]],
]


def test_answers_are_refused_or_mean_what_the_specification_says(edge: HostileEdge) -> None:
    """We ask H37's service; H37 answers as it likes, with its own good key."""
    corpus = Corpus(
        "answer",
        "exchange/consumer.py:ConsumerEdge._take_answer:InconsistentAnswer",
        "exchange/consumer.py:ConsumerEdge._take_answer:DigestMismatch",
        "ledger/messages.py:checked_answer_leaf",
        "ledger/proofs.py",
        elsewhere=[
            "exchange/consumer.py:ConsumerEdge._take_answer:InconsistentAnswer#1",  # our own pool
            "exchange/consumer.py:ConsumerEdge._take_answer:InconsistentAnswer#3",  # of one version
            "ledger/proofs.py:ProofChecker._checked_head:ProofInvalid#2",
        ],
    )
    sender = "VN/GOV/H37/n1"
    asked = request_of(
        client="VN/GOV/G01/motcua",
        service="VN/GOV/H37/dancu/x",
        sender=US,
        receiver=sender,
        time=edge.time,
    )
    sent = SimpleNamespace(message=asked, leaf=reference.leaf(msgspec.to_builtins(asked)))
    base = msgspec.to_builtins(answer_to(asked, salts=bytes(48)))

    def judge(fields: Any, proof: str, body: bytes, code: str, signed: bool) -> None:
        message = fields if isinstance(fields, str) else json.dumps(fields)
        headers, connection = headers_of(message, proof), edge.connections[code]
        response = HttpResponse(200, headers, Body.of(body), "", connection)
        taken = corpus.try_(lambda: edge.take(None, sent, response), signed_again=signed)
        if taken is None:
            return
        said = sound_answer(message)
        for name in ("request_id", "client", "service"):
            must(said[name] == getattr(asked, name))
        must(base64_of(said["request_leaf"], 32) == sent.leaf)
        must((said["sender"], said["receiver"], code) == (sender, US, "H37"))
        sound_proof(proof, reference.leaf(said), sender, keys(edge), edge.now)
        must(base64_of(said["body"], 32) == sha256(body).digest())
        must(said["body_bytes"] == len(body))
        assert as_read(taken.message) == said

    for claims in ANSWER_CLAIMS:
        fields = changed(base, claims)
        judge(fields, json.dumps(edge.proof(leaf_of(fields), Signing())), REPLY, "H37", True)
    for facts in ({"root": bytes(32)}, {"node": "VN/GOV/G66/n1"}):
        proof = json.dumps(edge.proof(reference.leaf(base), Signing(head=facts)))
        judge(base, proof, REPLY, "H37", True)
    judge(
        base, json.dumps(edge.proof(bytes(32), Signing(proof={"path": "AAAA"}))), REPLY, "H37", True
    )

    def as_it_comes(one: tuple[str, Any, Any, str]) -> None:
        kind, place, what, code = one
        proof = json.dumps(edge.proof(reference.leaf(base), Signing()))
        message = json.dumps(base)
        if kind == "bytes":
            message = cut(message.encode(), place).decode("latin-1")
        elif kind == "proof":
            proof = cut(proof.encode(), place).decode("latin-1")
        else:
            message = json.dumps(changed(base, what))
        judge(message, proof, REPLY, code, False)

    kinds = st.sampled_from(["bytes", "proof", "fields"])
    codes = st.sampled_from(["H37", "H37", "H37", "G66"])
    corpus.run(st.tuples(kinds, CUTS, changes(ANSWER_FIELDS), codes), as_it_comes)

    def signed_again(one: tuple[Any, Any, Signing, bytes]) -> None:
        claims, what, how, body = one
        fields = changed(base, [*claims, *what])
        judge(fields, json.dumps(edge.proof(leaf_of(fields), how)), body, "H37", True)

    bodies = st.sampled_from([REPLY] * 9 + [b"", REPLY + b" "])
    texts = mostly([], changes(ANSWER_FIELDS, TEXTS))
    corpus.run(
        st.tuples(st.sampled_from(ANSWER_CLAIMS), texts, mostly(Signing(), SIGNINGS), bodies),
        signed_again,
    )
    corpus.close()


def test_the_oracle_takes_what_an_honest_node_says(edge: HostileEdge) -> None:
    """An oracle that refuses everything would agree with everything."""
    said = request_of(salts=SALTS)
    assert sound_request(encode_json(said).decode()) == as_read(said)
    with pytest.raises(Unsound):
        sound_request("{}")
    answer = answer_to(said)
    assert sound_answer(encode_json(answer).decode()) == as_read(answer)
    with pytest.raises(Unsound):
        moment("2026-13-01T00:00:00.000Z")
    assert moment(edge.time) == moment(format_time(edge.now))
