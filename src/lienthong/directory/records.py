"""Records of the directory: members, nodes, authorities. One small JSON file each.

A member's or node's record is a *statement* signed by its owner's key, and beside it what only
the directory adds: certificates and revocations. The directory can therefore neither invent
a key nor change an address. Layout and rules: docs/protocols/0002-directory.md §3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from lienthong.directory.canonical import (
    LARGEST_INTEGER,
    Signature,
    canonical,
    signed_by,
)
from lienthong.errors import InvalidIdentifier, InvalidKey, RecordInvalid, WrongInstance
from lienthong.identity.identifiers import MemberId, NodeId, SubsystemId
from lienthong.identity.keys import PublicKey

Moment = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=500)]
Serial = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
LARGEST_RECORD_BYTES = 1_048_576  # a record is about 1 kB; a larger one is an attack on memory
AUTHORITIES_PATH = "authorities.json"
TIME_AUTHORITIES_PATH = "timeauthorities.json"  # a name that older mirrors can carry
# What the offline targets key says; the online key of the bins may not.
TOP_PATHS = frozenset({AUTHORITIES_PATH, TIME_AUTHORITIES_PATH})
_DATES = {"valid_from": "from", "valid_until": "until"}


@lru_cache(maxsize=65_536)
def public_key(text: str) -> PublicKey:
    """Parse a key's text once: nodes of one country share few thousand keys. Raises InvalidKey."""
    return PublicKey.parse(text)


class Subsystem(Struct, frozen=True, forbid_unknown_fields=True):
    """One information system of a member."""

    code: str
    name: Name


class KeyStatement(Struct, frozen=True, forbid_unknown_fields=True, rename=_DATES):
    """A key and the time in which it counts; never deleted, ``until`` may only be drawn in."""

    key: str
    valid_from: Moment
    valid_until: Moment | None

    @property
    def public(self) -> PublicKey:
        return public_key(self.key)

    def holds(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_until is None or at <= self.valid_until)


class Delegation(Struct, frozen=True, forbid_unknown_fields=True, rename=_DATES):
    """A member lets a node speak for some of its subsystems; signed as part of its statement."""

    node: str
    subsystems: tuple[str, ...]
    valid_from: Moment
    valid_until: Moment

    def holds(self, at: datetime) -> bool:
        return self.valid_from <= at <= self.valid_until


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """Something of this record counts no more from ``at`` on. Never taken back."""

    kind: Literal["member", "node", "key", "certificate", "delegation"]
    id: str
    at: Moment
    reason: Annotated[str, Meta(max_length=500)]


class MemberStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """What a member says of itself."""

    type: Literal["member"]
    id: str
    name: Name
    serial: Serial
    issued: Moment
    subsystems: tuple[Subsystem, ...]
    keys: Annotated[tuple[KeyStatement, ...], Meta(min_length=1)]
    delegations: tuple[Delegation, ...]


class NodeStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """What a node's owner says of the node."""

    type: Literal["node"]
    id: str
    owner: str
    name: Name
    serial: Serial
    issued: Moment
    addresses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    signing_keys: Annotated[tuple[KeyStatement, ...], Meta(min_length=1)]
    tls_keys: Annotated[tuple[KeyStatement, ...], Meta(min_length=1)]


class Registrar(Struct, frozen=True, forbid_unknown_fields=True):
    """Someone who may, with a second registrar, vouch for a member whose key is lost."""

    name: Name
    key: str


class AuthoritiesStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose certificates count, and who are the registrars."""

    type: Literal["authorities"]
    instance: str
    serial: Serial
    issued: Moment
    authorities: tuple[str, ...]
    registrars: tuple[Registrar, ...]


class TimeAuthority(Struct, frozen=True, forbid_unknown_fields=True, rename=_DATES):
    """Whose time-stamps (RFC 3161) count, and for which time; never deleted.

    ``certificates``: PEM, the last one self-signed. A first one that is no authority's is the
    only one that may sign; otherwise each that they issue for time-stamping may.
    """

    name: Name
    certificates: str
    valid_from: Moment
    valid_until: Moment | None

    def holds(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_until is None or at <= self.valid_until)


class TimeAuthoritiesStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """All time-stamping authorities that ever counted."""

    type: Literal["time-authorities"]
    instance: str
    serial: Serial
    issued: Moment
    authorities: Annotated[tuple[TimeAuthority, ...], Meta(min_length=1, max_length=100)]


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """A member's record."""

    statement: MemberStatement
    signatures: tuple[Signature, ...]
    revocations: tuple[Revocation, ...]

    @property
    def id(self) -> str:
        return self.statement.id

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def subsystems(self) -> tuple[Subsystem, ...]:
        return self.statement.subsystems

    @property
    def keys(self) -> tuple[KeyStatement, ...]:
        return self.statement.keys

    @property
    def delegations(self) -> tuple[Delegation, ...]:
        return self.statement.delegations

    def revoked(self, kind: str, identifier: str) -> datetime | None:
        return _revoked(self.revocations, kind, identifier)


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A node's record; ``certificates`` are PEM chains, leaf first."""

    statement: NodeStatement
    signatures: tuple[Signature, ...]
    certificates: tuple[str, ...]
    revocations: tuple[Revocation, ...]

    @property
    def id(self) -> str:
        return self.statement.id

    @property
    def owner(self) -> str:
        return self.statement.owner

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.statement.addresses

    @property
    def signing_keys(self) -> tuple[KeyStatement, ...]:
        return self.statement.signing_keys

    def revoked(self, kind: str, identifier: str) -> datetime | None:
        return _revoked(self.revocations, kind, identifier)


class Authorities(Struct, frozen=True, forbid_unknown_fields=True):
    """The record of authorities and registrars, signed by the offline targets key as well."""

    statement: AuthoritiesStatement
    signatures: tuple[Signature, ...]


class TimeAuthorities(Struct, frozen=True, forbid_unknown_fields=True):
    """The record of time-stamping authorities; a directory that names none has none."""

    statement: TimeAuthoritiesStatement
    signatures: tuple[Signature, ...]


Record = Member | Node | Authorities | TimeAuthorities
AnyRecord = TypeVar("AnyRecord", Member, Node, Authorities, TimeAuthorities)


def member_path(member_id: str) -> str:
    """Return the target path of a member's record: by hash, as names outgrow file systems."""
    return _hashed_path("members", member_id)


def node_path(node_id: str) -> str:
    """Return the target path of a node's record."""
    return _hashed_path("nodes", node_id)


def _hashed_path(folder: str, identifier: str) -> str:
    name = sha256(identifier.encode()).hexdigest()[:32]
    return f"{folder}/{name[:2]}/{name}.json"


def record_path(record: Record) -> str:
    """Return the one path at which ``record`` may stand."""
    if isinstance(record, Member):
        return member_path(record.id)
    if isinstance(record, Node):
        return node_path(record.id)
    return AUTHORITIES_PATH if isinstance(record, Authorities) else TIME_AUTHORITIES_PATH


def record_subject(record: Record) -> str:
    """Return what a record is about: an identifier, or the word for one of the top records."""
    if isinstance(record, Member | Node):
        return record.id
    return record.statement.type


def parse_record(path: str, data: bytes, instance: str) -> Record:
    """Read the record at ``path``; its owner's signature is checked elsewhere.

    Raises RecordInvalid, WrongInstance.
    """
    record: Record
    if path.startswith("members/"):
        record = decode(data, Member, path)
    elif path == AUTHORITIES_PATH:
        record = decode(data, Authorities, path)
    elif path == TIME_AUTHORITIES_PATH:
        record = decode(data, TimeAuthorities, path)
    else:
        record = decode(data, Node, path)
    check_record(record, instance)
    if record_path(record) != path:
        raise RecordInvalid(subject=path, reason="stands at the path of another")
    return record


def decode(data: bytes, kind: type[AnyRecord], subject: str) -> AnyRecord:
    """Read a record whose bytes are canonical: so no name occurs twice. Raises RecordInvalid."""
    if len(data) > LARGEST_RECORD_BYTES:
        raise RecordInvalid(subject=subject, reason="too large")
    try:
        record = msgspec.json.decode(data, type=kind)
    except (ValueError, OverflowError, RecursionError) as error:
        raise RecordInvalid(subject=subject, reason=str(error)[:200]) from error
    if encode_record(record) != data:
        raise RecordInvalid(subject=subject, reason="not canonical JSON")
    return record


def check_record(record: Record, instance: str) -> None:
    """Check the identifiers, keys and addresses in it. Raises RecordInvalid, WrongInstance."""
    subject = record.id if isinstance(record, Member | Node) else record_path(record)
    try:
        if isinstance(record, Authorities):
            _check_authorities(record.statement, instance)
        elif isinstance(record, TimeAuthorities):
            _check_time_authorities(record.statement, instance)
        elif isinstance(record, Member):
            _check_member(record.statement, instance)
        else:
            _check_node(record.statement, instance)
    except (InvalidIdentifier, InvalidKey, ValueError) as error:
        raise RecordInvalid(subject=subject, reason=str(error)[:200]) from error


def _check_authorities(statement: AuthoritiesStatement, instance: str) -> None:
    _check_instance(statement.instance, AUTHORITIES_PATH, instance)
    for registrar in statement.registrars:
        public_key(registrar.key)


def _check_time_authorities(statement: TimeAuthoritiesStatement, instance: str) -> None:
    _check_instance(statement.instance, TIME_AUTHORITIES_PATH, instance)
    _check_unique([authority.name for authority in statement.authorities], "name twice")


def _check_member(statement: MemberStatement, instance: str) -> None:
    member = MemberId.parse(statement.id)
    _check_instance(member.instance, statement.id, instance)
    codes = [subsystem.code for subsystem in statement.subsystems]
    for code in codes:
        SubsystemId(member.instance, member.member_class, member.code, code)
    _check_unique(codes, "subsystem twice")
    for delegation in statement.delegations:
        _check_instance(NodeId.parse(delegation.node).instance, delegation.node, instance)
        if not set(delegation.subsystems) <= set(codes):
            raise ValueError("delegates a subsystem that it does not have")
    _check_keys(statement.keys)


def _check_node(statement: NodeStatement, instance: str) -> None:
    node = NodeId.parse(statement.id)
    _check_instance(node.instance, statement.id, instance)
    if str(node.owner) != statement.owner:
        raise ValueError("owner is not the one that the identifier names")
    for address in statement.addresses:
        _check_address(address)
    _check_keys(statement.signing_keys)
    _check_keys(statement.tls_keys)


def _check_keys(statements: Iterable[KeyStatement]) -> None:
    keys = [public_key(statement.key).key_id for statement in statements]
    _check_unique(keys, "key twice")


def _check_unique(values: list[str], reason: str) -> None:
    if len(set(values)) != len(values):
        raise ValueError(reason)


def _check_instance(found: str, subject: str, instance: str) -> None:
    if found != instance:
        raise WrongInstance(subject=subject, instance=instance)


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or parts.port is None or len(address) > 300:
        raise ValueError("address is not https://host:port")
    if address.removeprefix("https://") != parts.netloc or "@" in parts.netloc:
        raise ValueError("address has more than host and port")


def statement_bytes(record: Record) -> bytes:
    """Return the canonical statement, which the signatures cover."""
    return canonical(record.statement)


def signers_of(record: Record, keys: Iterable[PublicKey]) -> frozenset[str]:
    """Return the ids of those ``keys`` that have signed the record's statement."""
    return signed_by(statement_bytes(record), record.signatures, keys)


def encode_record(record: Record) -> bytes:
    """Return the record as the canonical bytes of its file."""
    return canonical(record)


def _revoked(revocations: Iterable[Revocation], kind: str, identifier: str) -> datetime | None:
    times = [item.at for item in revocations if item.kind == kind and item.id == identifier]
    return min(times, default=None)
