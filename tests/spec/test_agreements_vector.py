"""The golden vector of docs/protocols/0003-agreements.md: what another program must produce."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from lienthong.agreements.documents import parse_document, parse_statement
from lienthong.identity.keys import PrivateKey, PublicKey

FILE = Path(__file__).parents[1] / "fixtures" / "agreement_vector.json"


@pytest.fixture(scope="module")
def vector() -> dict[str, str]:
    content: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def test_the_document_has_the_canonical_form_and_digest_of_the_vector(
    vector: dict[str, str],
) -> None:
    text = vector["document_canonical"].encode()
    document = parse_document(text)
    assert document.canonical == text
    assert document.digest == hashlib.sha256(text).hexdigest() == vector["document_sha256"]


def test_the_statement_signs_the_text_of_the_vector(vector: dict[str, str]) -> None:
    statement = parse_statement(vector["statement_canonical"].encode())
    assert statement.canonical == vector["statement_canonical"].encode()
    assert statement.signed_bytes == vector["signed_text"].encode()
    assert statement.digest == vector["document_sha256"]


def test_the_signature_is_that_of_the_vectors_key(vector: dict[str, str]) -> None:
    statement = parse_statement(vector["statement_canonical"].encode())
    signed = vector["signed_text"].encode()
    seed = bytes.fromhex(vector["seed_hex"])
    key = PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    assert key.public == PublicKey.parse(vector["public_key"])
    assert key.sign(signed) == statement.signature
    key.public.verify(statement.signature, signed)
