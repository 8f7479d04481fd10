"""Cosignatures of witnesses under a head, in the C2SP form "cosignature/v1" (tlog-cosignature).

    line = cosign(head, "VN/GOV/G15/n1", key, now)
    witnessed = verify_cosignature(line, head, directory_view)      # who, and when by its clock

    — lienthong-witness/VN/GOV/G15/n1 jWbPPwAAAABkGFDL…=

After the four bytes that name the key come eight of POSIX time and the signature over
``cosignature/v1``, ``time <seconds>`` and the head's own lines. A witness says: of all heads of
that origin that I have seen grow out of each other, this is the largest. Ed25519 is as C2SP has
it; nodes with other keys sign the same lines under a key id of our own, as with heads.
Protocol: docs/protocols/0006-time-and-witnesses.md §4.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from lienthong.directory.view import DirectoryView
from lienthong.errors import CosignatureInvalid, LienthongError
from lienthong.identity.identifiers import NodeId
from lienthong.identity.keys import Algorithm, PublicKey, SigningKey
from lienthong.ledger.heads import Head

PREFIX = "lienthong-witness/"
LONGEST_LINE = 2048  # characters; an RSA key of 8,192 bits signs in 1,368 of base64
_LINE = re.compile(
    r"— (?P<name>lienthong-witness/[!-*,-~]{1,600}) (?P<data>[A-Za-z0-9+/]+={0,2})\n"
)
_LATEST = 253_402_300_799  # seconds: the end of the year 9999, beyond which no date can be told


class Cosignature(NamedTuple):
    """A signature line, read and not judged."""

    node: str
    key_hash: bytes
    seconds: int
    signature: bytes

    @property
    def time(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Witnessed(NamedTuple):
    """Who witnessed a head, and when by its own clock."""

    node: str
    time: datetime


@lru_cache(maxsize=4096)
def witness_name(node: str) -> str:
    """Under which name a node cosigns; never that of one of its own trees."""
    return PREFIX + NodeId(*node.split("/")).encoded


def cosignature_key_hash(name: str, key: PublicKey) -> bytes:
    """The four bytes that name the key: type 0x04 is C2SP's for Ed25519, 0xff is for our own."""
    if key.algorithm is Algorithm.ED25519:
        material = b"\x04" + key.cryptography.public_bytes_raw()
    else:
        material = b"\xfflienthong/cosignature/v1/" + key.algorithm.encode() + b"\n" + key.der
    return sha256(name.encode() + b"\n" + material).digest()[:4]


def cosigned_text(head: Head, seconds: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {seconds}\n{head.text}".encode()


def cosign(head: Head, node: str, key: SigningKey, at: datetime) -> str:
    """The signature line of witness ``node``; the caller has judged the head, and stored it."""
    seconds, name = int(at.timestamp()), witness_name(node)
    signature = key.sign(cosigned_text(head, seconds))
    data = cosignature_key_hash(name, key.public) + seconds.to_bytes(8) + signature
    return f"— {name} {base64.b64encode(data).decode()}\n"


def parse_cosignature(line: str) -> Cosignature:
    """Read one line, its line feed included. Raises CosignatureInvalid."""
    found = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
    if found is None:
        raise CosignatureInvalid(reason="not in the form of a cosignature")
    try:
        data = base64.b64decode(found["data"], validate=True)
        node = str(NodeId.parse(found["name"].removeprefix(PREFIX)))
    except (LienthongError, ValueError) as error:
        raise CosignatureInvalid(reason="not in the form of a cosignature") from error
    seconds = int.from_bytes(data[4:12])
    canonical = base64.b64encode(data).decode() == found["data"]
    if len(data) <= 12 or seconds > _LATEST or not canonical or witness_name(node) != found["name"]:
        raise CosignatureInvalid(reason="not in the form of a cosignature")
    return Cosignature(node, data[:4], seconds, data[12:])


def verify_cosignature(line: str, head: Head, directory: DirectoryView) -> Witnessed:
    """Check that a node of the directory cosigned ``head``, with a key in force at that time.

    Raises CosignatureInvalid, and the directory's errors (unknown node, revoked key).
    """
    read = parse_cosignature(line)
    name = witness_name(read.node)
    for statement in directory.node(read.node).signing_keys:
        key = statement.public
        if cosignature_key_hash(name, key) == read.key_hash:
            directory.signing_key(read.node, key.key_id, read.time)
            _verify(key, read, head)
            return Witnessed(read.node, read.time)
    raise CosignatureInvalid(reason=f"{read.node} has no such key")


def _verify(key: PublicKey, read: Cosignature, head: Head) -> None:
    try:
        key.verify(read.signature, cosigned_text(head, read.seconds))
    except LienthongError as error:
        raise CosignatureInvalid(reason=f"{read.node} did not sign this head") from error
