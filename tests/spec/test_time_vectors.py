"""The golden vectors of protocol 0006, read by other implementations and by our own."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lienthong.directory.records import TimeAuthority
from lienthong.ledger.cosignatures import parse_cosignature
from lienthong.ledger.heads import format_time, parse_head, parse_time
from lienthong.ledger.merkle import verify_consistency
from lienthong.ledger.peers import contradict
from lienthong.ledger.timestamps import verify_stamp
from lienthong.ledger.witness_request import parse_witness_request
from tests.fixtures.time_authority import openssl_or_skip

VECTORS = json.loads((Path(__file__).parent / "vectors" / "time.json").read_text(encoding="utf-8"))
HEAD = VECTORS["head"]


def test_a_cosignature_by_the_letters_of_c2sp() -> None:
    """With the standard library and ``cryptography`` alone."""
    witness = VECTORS["witness"]
    dash, name, encoded = witness["line"].removesuffix("\n").split(" ")
    data = base64.b64decode(encoded, validate=True)
    der = base64.b64decode(witness["public_key"].removeprefix("ed25519:"))
    key = serialization.load_der_public_key(der)
    assert isinstance(key, ed25519.Ed25519PublicKey)
    named = hashlib.sha256(name.encode() + b"\n\x04" + key.public_bytes_raw()).digest()[:4]
    assert (dash, name, data[:4]) == ("—", witness["name"], named)
    seconds = int.from_bytes(data[4:12], "big")
    body = HEAD[: HEAD.index("\n\n") + 1]
    assert witness["signed"] == f"cosignature/v1\ntime {seconds}\n{body}"
    key.verify(data[12:], witness["signed"].encode())


def test_our_own_reading_of_it() -> None:
    read = parse_cosignature(VECTORS["witness"]["line"])
    assert read.node == VECTORS["witness"]["node"]
    assert read.time == parse_time(VECTORS["witness"]["time"]).replace(microsecond=0)


def test_a_request_to_a_witness_proves_the_growth() -> None:
    request = parse_witness_request(VECTORS["request"].encode())
    head = parse_head(request.note)
    assert request.note == HEAD
    old = bytes.fromhex(VECTORS["old_root"])
    assert verify_consistency(request.old_size, head.size, request.path, old, head.root)


def test_two_heads_that_no_ledger_has() -> None:
    assert contradict(parse_head(HEAD), parse_head(VECTORS["contradicting_head"]))


def test_a_stamp_as_we_judge_it() -> None:
    stamp = VECTORS["stamp"]
    authority = TimeAuthority("TSA", stamp["certificates"], datetime(2026, 1, 1, tzinfo=UTC), None)
    stamped = verify_stamp(base64.b64decode(stamp["response"]), HEAD, [authority])
    assert format_time(stamped.time) == stamp["time"]


def test_a_stamp_as_openssl_judges_it(tmp_path: Path) -> None:
    openssl_or_skip()
    stamp = VECTORS["stamp"]
    at = str(int(parse_time(stamp["time"]).timestamp()))
    (tmp_path / "head").write_text(HEAD, encoding="utf-8")
    (tmp_path / "stamp.tsr").write_bytes(base64.b64decode(stamp["response"]))
    (tmp_path / "root.pem").write_text(stamp["certificates"])
    words = ("-data", "head", "-in", "stamp.tsr", "-CAfile", "root.pem", "-attime", at)
    done = subprocess.run(["openssl", "ts", "-verify", *words], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["head", "contradicting_head"])
def test_heads_are_heads(name: str) -> None:
    assert parse_head(VECTORS[name]).size == 6
