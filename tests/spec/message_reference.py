"""A second implementation of docs/protocols/0001-message.md, small and slow.

It shares no line with the program: the standard library and ``cryptography`` only. What the
program writes, this must understand; where both would be wrong in the same way, the numbers in
``vectors/`` still are what another language will compare with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

REQUEST_LINES = [
    ("lienthong-request", "version"),
    ("x-road-request-id", "request_id"),
    ("x-road-id", "message_id"),
    ("x-road-client", "client"),
    ("x-road-service", "service"),
    ("x-road-represented-party", "represented_party"),
    ("lienthong-sender", "sender"),
    ("lienthong-receiver", "receiver"),
    ("lienthong-purpose", "purpose"),
    ("lienthong-time", "time"),
]
ANSWER_LINES = [
    ("lienthong-answer", "version"),
    ("x-road-request-id", "request_id"),
    ("lienthong-request-leaf", "request_leaf"),
    ("x-road-client", "client"),
    ("x-road-service", "service"),
    ("lienthong-sender", "sender"),
    ("lienthong-receiver", "receiver"),
    ("lienthong-agreement", "agreement"),
    ("lienthong-purpose", "purpose"),
    ("lienthong-reason", "reason"),
    ("lienthong-outcome", "outcome"),
    ("lienthong-time", "time"),
]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


# --- §3 and §4 -----------------------------------------------------------------------------


def plain_lines(message: dict[str, Any]) -> str:
    names = ANSWER_LINES if "request_leaf" in message else REQUEST_LINES
    values = dict(message)
    if "request_leaf" in message:
        values["request_leaf"] = unbase64(message["request_leaf"]).hex()
    return "".join(f'"{name}": {values[field]}\n' for name, field in names)


def contents(message: dict[str, Any]) -> list[str]:
    headers = "\n".join(f'"{name}": {value}' for name, value in message["headers"])
    body = (
        f'"content-digest": sha-256=:{message["body"]}:\n"content-length": {message["body_bytes"]}'
    )
    if "request_leaf" in message:
        return [f'"@status": {message["status"]}', headers, body]
    line = (
        f'"@method": {message["method"]}\n"@path": {message["path"]}\n"@query": ?{message["query"]}'
    )
    subjects = "\n".join(f'"lienthong-subject": {each}' for each in message["subjects"])
    user, dossier = message["user"], message["dossier"]
    return [line, f'"x-road-userid": {user}', f'"x-road-issue": {dossier}', subjects, headers, body]


def commitments(message: dict[str, Any]) -> list[bytes]:
    salts = unbase64(message["salts"])
    return [
        sha(salts[16 * i : 16 * i + 16], text.encode()) for i, text in enumerate(contents(message))
    ]


def leaf(message: dict[str, Any]) -> bytes:
    return sha(b"\0", plain_lines(message).encode(), *commitments(message))


def wrapped(kind: str, inner: bytes) -> bytes:
    return sha(b"\0", f'"lienthong-{kind}": {inner.hex()}'.encode())


# --- §5 ------------------------------------------------------------------------------------


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha(b"\1", root_of(leaves[:half]), root_of(leaves[half:]))


def root_by_path(leaf_hash: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Follow a path downwards by its definition: RFC 9162 §2.1.3.1, turned round."""
    if size == 1:
        assert path == []
        return leaf_hash
    half = 1
    while half * 2 < size:
        half *= 2
    *rest, last = path
    if index < half:
        return sha(b"\1", root_by_path(leaf_hash, index, half, rest), last)
    return sha(b"\1", last, root_by_path(leaf_hash, index - half, size - half, rest))


def hashes_of(joined: bytes) -> list[bytes]:
    assert len(joined) % 32 == 0
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]


def read_head(note: str) -> dict[str, Any]:
    text, _, signatures = note.partition("\n\n")
    origin, size, root, time, directory, key = text.split("\n")
    assert re.fullmatch(r"[1-9][0-9]*", size)
    return {
        "text": text + "\n",
        "origin": origin,
        "node": "/".join(unquote(part) for part in origin.split("/")[1:-1]),
        "size": int(size),
        "root": unbase64(root),
        "time": time.removeprefix("time "),
        "directory": int(directory.removeprefix("directory ")),
        "key_id": key.removeprefix("key "),
        "signatures": signatures.splitlines(),
    }


def verify_head(note: str, key_text: str) -> dict[str, Any]:
    """Check the node's own signature; ``key_text`` is ``algorithm:base64 of the DER key``."""
    head = read_head(note)
    algorithm, _, encoded = key_text.partition(":")
    der = unbase64(encoded)
    assert head["key_id"] == sha(der).hex()[:32]
    key: Any = serialization.load_der_public_key(der)
    if algorithm == "ed25519":
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        kind = b"\x01" + raw
    else:
        kind = b"\xfflienthong/" + algorithm.encode() + b"\n" + der
    dash, name, signature_text = head["signatures"][0].split(" ")
    assert (dash, name) == ("\u2014", head["origin"])
    signature = unbase64(signature_text)
    assert signature[:4] == sha(name.encode(), b"\n", kind)[:4]
    data = head["text"].encode()
    if algorithm == "ed25519":
        key.verify(signature[4:], data)
    elif algorithm == "ecdsa-p256-sha256":
        key.verify(signature[4:], data, ec.ECDSA(hashes.SHA256()))
    else:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)
        key.verify(signature[4:], data, pss, hashes.SHA512())
    return head


def verify_proof(proof_json: str, wanted: bytes, sender: str, key_text: str) -> dict[str, Any]:
    """§5.4 (a) to (e), without a directory: the key is given."""
    proof = json.loads(proof_json)
    head = verify_head(proof["head"], key_text)
    assert head["node"] == sender
    path = hashes_of(unbase64(proof["path"]))
    group = root_by_path(wanted, proof["index"], proof["size"], path)
    tree = hashes_of(unbase64(proof["tree"]))
    root = root_by_path(sha(b"\0", group), head["size"] - 1, head["size"], tree)
    assert root == head["root"]
    return head


# --- §10 -----------------------------------------------------------------------------------


def consistent(first: int, second: int, path: list[bytes], old: bytes, new: bytes) -> bool:
    """RFC 9162 §2.1.4.2, step by step with its names."""
    if first == second:
        return not path and old == new
    if first & (first - 1) == 0:
        path = [old, *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = sha(b"\1", c, fr), sha(b"\1", c, sr)
            while fn != 0 and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha(b"\1", sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == old and sr == new and sn == 0
