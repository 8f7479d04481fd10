"""What a backup says of itself, and the proof that the node itself made it."""

from __future__ import annotations

import hmac
from typing import Literal

import msgspec

from lienthong.errors import BackupForged

_PURPOSE = b"lienthong backup manifest"


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the state folder, or one part of the database."""

    name: str
    bytes: int
    sha256: str


class TableRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a PostgreSQL database: its member is ``database/NAME``."""

    name: str
    columns: tuple[str, ...]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last frame of a backup file."""

    node: str
    program: str
    made: str
    made_ms: int
    database: Literal["sqlite", "postgresql"]
    schema: str
    keys: bool
    tables: tuple[TableRows, ...]
    members: tuple[Member, ...]
    mac: str = ""


def signed(manifest: Manifest, index_key: bytes) -> Manifest:
    """The manifest with its MAC. The key of the index is the one that a node never changes."""
    return msgspec.structs.replace(manifest, mac=_mac(manifest, index_key))


def check_mac(manifest: Manifest, index_key: bytes) -> None:
    """Raises BackupForged."""
    if not hmac.compare_digest(manifest.mac.encode(), _mac(manifest, index_key).encode()):
        raise BackupForged(node=manifest.node[:200])


def _mac(manifest: Manifest, index_key: bytes) -> str:
    key = hmac.digest(index_key, _PURPOSE, "sha256")
    content = msgspec.json.encode(msgspec.structs.replace(manifest, mac=""))
    return hmac.digest(key, content, "sha256").hex()
