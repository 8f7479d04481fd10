"""Heads: what a node signs about its tree, in the C2SP checkpoint and signed-note forms.

    lienthong/VN/GOV/G01/n1/0                     origin: the node and its epoch
    1234                                          leaves (groups) in the tree
    dS3pZ…=                                       root of the tree
    time 2026-11-23T07:00:00.123Z                 the node's own clock
    directory 42                                  version of the directory it worked by
    key 0444473265f2f3451eda8c3fff3cb504          the key that signed

    — lienthong/VN/GOV/G01/n1/0 BERHMm…=          signature over the lines above

The node's identifier is percent-encoded, as a key's name has no blanks and no "+".
See docs/protocols/0001-message.md §5. Further signature lines (witnesses) may follow.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

import msgspec

from lienthong.errors import HeadMalformed, LienthongError, SignatureInvalid
from lienthong.identity.identifiers import NodeId
from lienthong.identity.keys import Algorithm, PublicKey, SigningKey

LONGEST_HEAD = 8192  # characters; a head with a few witnesses has under 2,000
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_HEAD = re.compile(
    r"(?P<text>lienthong/(?P<node>[!-~]{1,600})/(?P<epoch>0|[1-9][0-9]{0,8})\n"
    r"(?P<size>[1-9][0-9]{0,14})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    rf"time (?P<time>{_TIME.pattern})\n"
    r"directory (?P<directory>0|[1-9][0-9]{0,9})\n"
    r"key (?P<key>[0-9a-f]{32})\n)"
    r"\n(?P<signatures>(?:— [!-~]{1,600} [A-Za-z0-9+/]+={0,2}\n){1,16})"
)


class Head(msgspec.Struct, frozen=True):
    """One signed statement of a node: "my tree of this epoch has this size and this root"."""

    node: str
    epoch: int
    size: int
    root: bytes
    time: datetime
    directory_version: int
    key_id: str

    @property
    def origin(self) -> str:
        """Name of the tree: one tree per node and epoch."""
        return origin_of(self.node, self.epoch)

    @property
    def text(self) -> str:
        """The signed lines."""
        return (
            f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
            f"time {format_time(self.time)}\ndirectory {self.directory_version}\n"
            f"key {self.key_id}\n"
        )


def origin_of(node: str, epoch: int) -> str:
    return f"lienthong/{_encoded(node)}/{epoch}"


@lru_cache(maxsize=4096)
def _encoded(node: str) -> str:
    return NodeId(*node.split("/")).encoded


def format_time(moment: datetime) -> str:
    """UTC with milliseconds, the one time form of the protocol: ``2026-11-23T07:00:00.123Z``."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


@lru_cache(maxsize=1024)  # the times of one message are read several times
def parse_time(text: str) -> datetime:
    """Read the form of ``format_time`` and no other. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def note_key_hash(name: str, key: PublicKey) -> bytes:
    """The four bytes by which a signed note names its key (C2SP signed-note).

    Ed25519 has a signature type of its own there; the others go under 0xff and a name.
    """
    if key.algorithm is Algorithm.ED25519:
        material = b"\x01" + key.cryptography.public_bytes_raw()
    else:
        material = b"\xfflienthong/" + key.algorithm.encode() + b"\n" + key.der
    return sha256(name.encode() + b"\n" + material).digest()[:4]


def sign_head(head: Head, key: SigningKey) -> str:
    """Return the note: the head's text and the signature line of its node."""
    signature = note_key_hash(head.origin, key.public) + key.sign(head.text.encode())
    return f"{head.text}\n— {head.origin} {base64.b64encode(signature).decode()}\n"


def parse_head(note: str) -> Head:
    """Read a note without judging its signature. Raises HeadMalformed."""
    found = _HEAD.fullmatch(note) if len(note) <= LONGEST_HEAD else None
    if found is None:
        raise HeadMalformed(reason="not in the form of a head")
    try:
        head = Head(
            node=str(NodeId.parse(found["node"])),
            epoch=int(found["epoch"]),
            size=int(found["size"]),
            root=base64.b64decode(found["root"]),
            time=parse_time(found["time"]),
            directory_version=int(found["directory"]),
            key_id=found["key"],
        )
    except (LienthongError, ValueError) as error:
        raise HeadMalformed(reason="node or time") from error
    if head.text != found["text"]:
        raise HeadMalformed(reason="not written in the canonical way")
    return head


def verify_head(note: str, head: Head, key: PublicKey) -> None:
    """Check that the head's own node signed ``note`` with ``key``.

    Raises SignatureInvalid when no signature line of that node and key verifies.
    """
    if key.key_id != head.key_id:
        raise SignatureInvalid(reason="the head names another key")
    prefix = f"— {head.origin} "
    expected = note_key_hash(head.origin, key)
    for line in note[len(head.text) + 1 :].splitlines():
        signature = _decoded(line.removeprefix(prefix)) if line.startswith(prefix) else b""
        if signature[:4] == expected:
            key.verify(signature[4:], head.text.encode())
            return
    raise SignatureInvalid(reason="no signature of the node under the head")


def _decoded(encoded: str) -> bytes:
    """Base64 in its one canonical form; anything else is no signature."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
    return raw if base64.b64encode(raw).decode() == encoded else b""
