"""Make the golden vectors of docs/protocols/0001 and 0005: tests/spec/vectors/*.json.

    python -m tools.make_vectors            # write them anew
    python -m tools.make_vectors --check    # fail when the program would write others

Everything is fixed: keys, salts, times. Three things cannot be computed again and are kept as they
are as long as they verify: ECDSA and RSA-PSS signatures (they are made with random numbers), the
directory that the evidence leads to (its certificates are), and the time-stamp.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from lienthong.demo.time_authority import TimeAuthority as OpensslAuthority
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.onboarding import approve
from lienthong.directory.records import Subsystem, TimeAuthority
from lienthong.directory.repository import Repository
from lienthong.directory.request import make_request
from lienthong.errors import LienthongError, TimeStampInvalid
from lienthong.exchange.wire import encode_json, message_headers
from lienthong.identity.identifiers import NodeId
from lienthong.identity.keys import Algorithm, PrivateKey, PublicKey
from lienthong.ledger.cosignatures import cosign, cosigned_text, witness_name
from lienthong.ledger.erasure import decode_erased, erased
from lienthong.ledger.evidence import FORMAT, Bundle, Part
from lienthong.ledger.heads import Head, format_time, parse_head, sign_head, verify_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    REQUEST_COMMITMENTS,
    Answer,
    EventRecord,
    Request,
    acknowledged_leaf,
    answer_contents,
    answer_leaf,
    answer_lines,
    commitments,
    event_leaf,
    received_leaf,
    request_contents,
    request_leaf,
    request_lines,
)
from lienthong.ledger.proofs import decode_proof
from lienthong.ledger.records import CommittedGroup, Entry, EntryKind
from lienthong.ledger.timestamps import accept_reply, stamp_query, verify_stamp
from lienthong.ledger.witness_request import WitnessRequest, format_witness_request
from tools.counter_vector import counters
from tools.vector_samples import (
    CONSUMER,
    PROVIDER,
    QUESTION,
    REPLY,
    TIME,
    TIME_TEXT,
    Tree,
    fixed_key,
    fixed_salts,
    sample_answer,
    sample_request,
    seed,
)

FOLDER = Path(__file__).parent.parent / "tests" / "spec" / "vectors"
DIRECTORY_TIME = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)


# --- the files -----------------------------------------------------------------------------


def messages() -> Any:
    """Canonical lines, commitments and leaves of requests and answers."""
    plain = sample_request()
    unusual = sample_request(
        request_id="7d2b1a52-0000-4d2e-9c63-6a3e1f0d7c11",
        message_id="mã số 1",
        method="GET",
        path="/records/001090000001",
        query="fields=ho_ten&x=%20",
        user="",
        dossier="",
        purpose="",
        subjects=(),
        headers=(),
        body=sha256(b"").digest(),
        body_bytes=0,
        represented_party="VN-TEST/GOV/H37.12",
    )
    several = sample_request(subjects=("001090000001", "001090000002"), headers=(("accept", ""),))
    requests = [_request_vector(each) for each in (plain, unusual, several)]
    refused = sample_answer(
        plain, outcome="refused", status=500, agreement="", reason="agreements.none", headers=()
    )
    answers = [_answer_vector(each) for each in (sample_answer(plain), refused)]
    event = EventRecord(
        1,
        "agreement-accept",
        "3d7003f8-d233-4a4b-94dd-eb0fabb224db",
        TIME_TEXT,
        b'{"type":"accept"}',
        fixed_salts("event", 1),
    )
    events = [{"json": msgspec.to_builtins(event), "leaf": event_leaf(event).hex()}]
    return {"requests": requests, "answers": answers, "events": events}


def _request_vector(request: Request) -> dict[str, Any]:
    contents = request_contents(request)
    leaf = request_leaf(request)
    return {
        "json": msgspec.to_builtins(request),
        "plain_lines": request_lines(request),
        "contents": dict(zip(REQUEST_COMMITMENTS, contents, strict=True)),
        "commitments": _hex_list(commitments(contents, request.salts)),
        "leaf": leaf.hex(),
        "received_leaf": received_leaf(leaf).hex(),
    }


def _answer_vector(answer: Answer) -> dict[str, Any]:
    contents = answer_contents(answer)
    leaf = answer_leaf(answer)
    return {
        "json": msgspec.to_builtins(answer),
        "plain_lines": answer_lines(answer),
        "contents": dict(zip(ANSWER_COMMITMENTS, contents, strict=True)),
        "commitments": _hex_list(commitments(contents, answer.salts)),
        "leaf": leaf.hex(),
        "acknowledged_leaf": acknowledged_leaf(leaf).hex(),
    }


def wire() -> Any:
    """A whole exchange over the wire, with groups of several messages on both sides."""
    consumer = Tree(CONSUMER, fixed_key("consumer"))
    provider = Tree(PROVIDER, fixed_key("provider"))
    _fill(consumer, 5)
    _fill(provider, 2)
    request = sample_request()
    answer = sample_answer(request)
    neighbours = [sha256(f"neighbour {i}".encode()).digest() for i in range(6)]
    leaf, reply = request_leaf(request), answer_leaf(answer)
    sent = consumer.commit([*neighbours[:3], leaf, *neighbours[3:]])
    received = provider.commit([received_leaf(leaf), neighbours[0]])
    answered = provider.commit([reply])
    acknowledged = consumer.commit([neighbours[1], acknowledged_leaf(reply)])
    return {
        "keys": {CONSUMER: consumer.key.public.text, PROVIDER: provider.key.public.text},
        "request": _wire_message(request, sent, 3, QUESTION),
        "received": _proof(received, 0),
        "answer": _wire_message(answer, answered, 0, REPLY),
        "acknowledged": _proof(acknowledged, 1),
        "receipt": {
            "head": acknowledged.head,
            "tree": _base64(b"".join(acknowledged.tree_path)),
            "leaves": _base64(b"".join(acknowledged.levels[0])),
            "answers": [[1, _base64(reply)]],
        },
    }


def _wire_message(message: Any, group: CommittedGroup, index: int, body: bytes) -> dict[str, Any]:
    json, proof = encode_json(message), group.proof_json(index)
    return {
        "headers": dict(message_headers(json, proof)),
        "body": body.decode(),
        "message": json.decode(),
        "proof": proof.decode(),
        "group_root": group.levels[-1][0].hex(),
    }


def _fill(tree: Tree, groups: int) -> None:
    for number in range(groups):
        tree.commit([sha256(f"{tree.node} {number}".encode()).digest()])


def heads() -> Any:
    """Heads by each algorithm; the signatures that are random are kept while they verify."""
    secret = int.from_bytes(sha256(b"lienthong vectors: p256").digest()) >> 1
    p256 = PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))
    known = {each["algorithm"]: each for each in _known("heads.json", [])}
    return [
        {"seed": seed("provider").hex(), **_head_vector(fixed_key("provider"), None)},
        _head_vector(p256, known.get(Algorithm.P256)),
        _rsa_head_vector(known.get(Algorithm.RSA_PSS)),
    ]


def _rsa_head_vector(known: dict[str, Any] | None) -> dict[str, Any]:
    """The key is made at random and forgotten: what it signed once stays as it is."""
    if known is not None:
        public = PublicKey.parse(known["public_key"])
        if _verifying(known, _sample_head(public), public):
            return known
    return _head_vector(PrivateKey.generate(Algorithm.RSA_PSS), None)


def _head_vector(key: PrivateKey, known: dict[str, Any] | None) -> dict[str, Any]:
    head = _sample_head(key.public)
    return {
        "algorithm": str(key.public.algorithm),
        "public_key": key.public.text,
        "key_id": key.public.key_id,
        "node": head.node,
        "text": head.text,
        "note": _verifying(known, head, key.public) or sign_head(head, key),
    }


def _sample_head(key: PublicKey) -> Head:
    root = sha256(b"root").digest()
    return Head("VN-TEST/GOV/Huế/n1", 3, 1234, root, TIME, 42, key.key_id)


def _verifying(known: dict[str, Any] | None, head: Head, key: PublicKey) -> str | None:
    try:
        if known is not None and parse_head(known["note"]) == head:
            verify_head(known["note"], head, key)
            return str(known["note"])
    except LienthongError:
        return None
    return None


def trees() -> Any:
    """Roots, and consistency proofs between all sizes up to 9."""
    tree = Tree(PROVIDER, fixed_key("provider"))
    _fill(tree, 9)
    leaves = [sha256(f"{PROVIDER} {number}".encode()).digest() for number in range(9)]
    proofs = [
        {
            "first": first,
            "second": second,
            "path": [each.hex() for each in consistency_path(tree.subtree, first, second)],
        }
        for second in range(1, 10)
        for first in range(1, second + 1)
    ]
    return {
        "group_roots": [leaf.hex() for leaf in leaves],
        "roots": [root.hex() for root in tree.roots],
        "consistency": proofs,
    }


def evidence() -> Any:
    """Bundles that hold, in full and erased; and the root of trust that they are judged by."""
    directory = _known("directory.json", None) or _new_directory()
    version = directory["version"]
    consumer = Tree(CONSUMER, fixed_key("consumer"), version)
    provider = Tree(PROVIDER, fixed_key("provider"), version)
    request = sample_request()
    answer = sample_answer(request)
    leaf, reply = request_leaf(request), answer_leaf(answer)
    full = Bundle(
        format=FORMAT,
        exported_by=CONSUMER,
        exported_at=TIME_TEXT,
        directory=directory["proof"],
        request=Part(decode_proof(consumer.commit([leaf]).proof_json(0)), request=request),
        received=decode_proof(provider.commit([received_leaf(leaf)]).proof_json(0)),
        answer=Part(decode_proof(provider.commit([reply]).proof_json(0)), answer=answer),
        acknowledged=decode_proof(consumer.commit([acknowledged_leaf(reply)]).proof_json(0)),
        request_body=QUESTION,
        answer_body=REPLY,
    )
    without = msgspec.structs.replace(
        full,
        request=_erased_part(full.request, EntryKind.REQUEST_SENT, ("user",)),
        answer=_erased_part(full.answer, EntryKind.ANSWER_SENT, ("line",)),
        request_body=None,
        answer_body=None,
    )
    _write("directory.json", directory)
    return {
        "root": directory["root"],
        "full": msgspec.json.encode(full).decode(),
        "erased": msgspec.json.encode(without).decode(),
    }


def _erased_part(part: Part, kind: EntryKind, keep: tuple[str, ...]) -> Part:
    message = encode_json(part.request or part.answer)
    remaining = decode_erased(erased(Entry(kind, b"", message), keep).message)
    return Part(part.proof, erased=remaining)


def _new_directory() -> dict[str, Any]:
    """A directory of two agencies with the fixed keys, as of a fixed time."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        repository = Repository.init(state / "d", "VN-TEST", 2, clock=lambda: DIRECTORY_TIME)
        for node, system in ((CONSUMER, "motcua"), (PROVIDER, "dancu")):
            approve(repository, _node_request(node, system))
        root = (repository.state / "root.json").read_bytes()
        url = repository.public_folder.as_uri()
        mirror = DirectoryMirror(state / "m", url, root, lambda: DIRECTORY_TIME)
        mirror.refresh()
        members = sorted({"/".join(node.split("/")[:3]) for node in (CONSUMER, PROVIDER)})
        proof = mirror.proof(members, sorted((CONSUMER, PROVIDER)))
        return {"root": root.decode(), "version": mirror.view.version, "proof": proof}


def _node_request(node: str, system: str) -> bytes:
    identifier = NodeId(*node.split("/"))
    return make_request(
        identifier,
        fixed_key(f"member {identifier.owner}"),
        fixed_key("consumer" if node == CONSUMER else "provider"),
        PrivateKey.generate(Algorithm.P256),
        addresses=["https://127.0.0.1:5500"],
        member_name=str(identifier.owner),
        node_name=node,
        subsystems=[Subsystem(system, system)],
        now=DIRECTORY_TIME,
    )


def time() -> Any:
    """A cosignature, a request to a witness, a fork; and a stamp, kept as it was given once."""
    tree = Tree(PROVIDER, fixed_key("provider"))
    _fill(tree, 5)
    note = tree.commit([sha256(b"the sixth").digest()]).head
    head, witness = parse_head(note), fixed_key("consumer")
    path = consistency_path(tree.subtree, 4, 6)
    other = msgspec.structs.replace(head, root=sha256(b"another history").digest())
    return {
        "head": note,
        "witness": {
            "node": CONSUMER,
            "public_key": witness.public.text,
            "name": witness_name(CONSUMER),
            "time": TIME_TEXT,
            "signed": cosigned_text(head, int(TIME.timestamp())).decode(),
            "line": cosign(head, CONSUMER, witness, TIME),
        },
        "request": format_witness_request(WitnessRequest(4, path, note)).decode(),
        "old_root": tree.roots[3].hex(),
        "contradicting_head": sign_head(other, fixed_key("provider")),
        "stamp": _stamp(note),
    }


def _stamp(note: str) -> dict[str, str]:
    """The stamp made before, if it holds; a new one of a new authority otherwise."""
    known: dict[str, str] = _known("time.json", {}).get("stamp", {})
    authority = TimeAuthority("TSA", known.get("certificates", ""), DIRECTORY_TIME, None)
    try:
        verify_stamp(base64.b64decode(known.get("response", "")), note, [authority])
    except TimeStampInvalid:
        return _new_stamp(note)
    return known


def _new_stamp(note: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        authority = OpensslAuthority(Path(folder))
        authority.prepare("Lien Thong test vectors")
        query = stamp_query(note)
        chain = authority.chain.read_text(encoding="ascii")
        trusted = TimeAuthority("TSA", chain, DIRECTORY_TIME, None)
        stamp, stamped = accept_reply(authority.reply(query.request), note, query, [trusted])
        return {
            "certificates": chain,
            "response": _base64(stamp.response),
            "time": format_time(stamped.time),
        }


FILES: dict[str, Callable[[], Any]] = {
    "messages.json": messages,
    "wire.json": wire,
    "heads.json": heads,
    "trees.json": trees,
    "evidence.json": evidence,
    "time.json": time,
    "counters.json": counters,
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    different = [name for name, make in FILES.items() if not _same(name, make(), options.check)]
    for name in different:
        print(f"{FOLDER / name} {'is not what the program makes' if options.check else 'written'}")
    return 1 if options.check and different else 0


def _same(name: str, vectors: Any, check: bool) -> bool:
    content = _content(vectors)
    path = FOLDER / name
    same = path.exists() and path.read_bytes() == content
    if not same and not check:
        path.write_bytes(content)
    return same


def _content(vectors: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(vectors), indent=1) + b"\n"


def _write(name: str, vectors: Any) -> None:
    if not (FOLDER / name).exists():
        (FOLDER / name).write_bytes(_content(vectors))


def _known(name: str, default: Any) -> Any:
    path = FOLDER / name
    return msgspec.json.decode(path.read_bytes()) if path.exists() else default


def _proof(group: CommittedGroup, index: int) -> str:
    return group.proof_json(index).decode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hex_list(joined: bytes) -> list[str]:
    return [joined[i : i + 32].hex() for i in range(0, len(joined), 32)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
