"""The golden vector of protocol 0005, read by a second implementation and by our own."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lienthong.node.counters.documents import signed_bytes

VECTOR = json.loads((Path(__file__).parent / "vectors" / "counters.json").read_text("utf-8"))


def test_the_signature_is_over_canonical_json_after_a_line_of_its_own() -> None:
    """Written from docs/protocols/0005-counters.md §2 alone."""
    document = dict(VECTOR["document"])
    signature = base64.b64decode(document.pop("signature"))
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signed = "lienthong-counters-1\n" + canonical
    assert signed == VECTOR["signed"]
    der = base64.b64decode(VECTOR["public_key"].partition(":")[2])
    key = serialization.load_der_public_key(der)
    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(signature, signed.encode())


def test_our_own_reader_takes_it() -> None:
    content = json.dumps(VECTOR["document"]).encode()
    assert signed_bytes(content).decode() == VECTOR["signed"]
