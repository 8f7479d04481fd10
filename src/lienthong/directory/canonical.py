"""Canonical JSON of statements, and the signatures over it.

Compact UTF-8 of strings, integers below 2**53, null, arrays and objects, each value written as
RFC 8785 (JCS) writes it. The members of an object stand in the order in which its struct names
them, not sorted as in JCS: docs/protocols/0002-directory.md §2 lists them. What is signed is
``lienthong-directory-1`` + LF + the canonical statement, so that a signature made here fits
nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from lienthong.errors import SignatureInvalid
from lienthong.identity.keys import PublicKey, SigningKey

DOMAIN = b"lienthong-directory-1\n"
LARGEST_INTEGER = 2**53 - 1  # what every JSON reader keeps exact (RFC 7493 §2.2)


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature over a statement: the key's id and the base64 of the signature."""

    key_id: str
    value: str


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a struct made of the types above."""
    return msgspec.json.encode(value, order="deterministic")


def sign(statement: bytes, keys: Iterable[SigningKey]) -> tuple[Signature, ...]:
    """Return the signatures of ``keys`` over a canonical statement."""
    data = DOMAIN + statement
    return tuple(
        Signature(key.public.key_id, base64.b64encode(key.sign(data)).decode()) for key in keys
    )


def signed_by(
    statement: bytes, signatures: Iterable[Signature], keys: Iterable[PublicKey]
) -> frozenset[str]:
    """Return the ids of those ``keys`` whose signature over the canonical statement is right."""
    by_id = {signature.key_id: signature for signature in signatures}
    return frozenset(key.key_id for key in keys if _is_right(statement, by_id.get(key.key_id), key))


def _is_right(statement: bytes, signature: Signature | None, key: PublicKey) -> bool:
    if signature is None:
        return False
    try:
        key.verify(base64.b64decode(signature.value, validate=True), DOMAIN + statement)
    except (ValueError, SignatureInvalid):
        return False
    return True
