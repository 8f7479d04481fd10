"""The request file that a node sends to the directory's operator, and the making of it.

It holds the statements of the node and of its members, each signed by the member's key; the
node's statement is also signed by the node's signing key, and the certificate request by the
TLS key: so every key proves that somebody holds it. Nothing in it is secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from lienthong.directory.canonical import Signature, canonical, sign
from lienthong.directory.records import (
    Delegation,
    KeyStatement,
    MemberStatement,
    NodeStatement,
    Subsystem,
)
from lienthong.errors import RequestInvalid
from lienthong.identity.certificates import certificate_request
from lienthong.identity.identifiers import MemberId, NodeId
from lienthong.identity.keys import PrivateKey, PublicKey, SigningKey

LARGEST_REQUEST_BYTES = 33_554_432  # a node that hosts ten thousand members sends ten megabytes
DELEGATION_DAYS = 3650
_CLOCK_TOLERANCE = timedelta(minutes=5)  # rights begin earlier, for nodes whose clock is behind
_ROTATION_OVERLAP = timedelta(days=7)  # a node's old keys still count while it changes over


class SignedMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's statement with its signatures; a member may make it offline."""

    statement: MemberStatement
    signatures: tuple[Signature, ...]


class SignedNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node's statement, signed by its owner and by the node's signing key."""

    statement: NodeStatement
    signatures: tuple[Signature, ...]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole request file. ``certificate`` is a PEM chain of an approved authority, if any."""

    type: Literal["request"]
    format: Literal[1]
    members: tuple[SignedMember, ...]
    node: SignedNode
    certificate_request: str
    certificate: str | None


class InForce(msgspec.Struct, frozen=True):
    """What the directory holds now of a node and its members: new statements carry on from it."""

    members: Mapping[str, SignedMember] = {}
    node: SignedNode | None = None


NOTHING_IN_FORCE = InForce()
Parsed = TypeVar("Parsed", Request, SignedMember)
Signed = TypeVar("Signed", SignedMember, SignedNode)


def parse_request(data: bytes) -> Request:
    """Read a request file; nothing is believed yet. Raises RequestInvalid."""
    return _parse(data, Request)


def parse_member(data: bytes) -> SignedMember:
    """Read a member's signed statement. Raises RequestInvalid."""
    return _parse(data, SignedMember)


def make_member(
    member: MemberId,
    name: str,
    key: SigningKey,
    subsystems: Iterable[Subsystem],
    node: NodeId,
    now: datetime,
    *,
    delegation_days: int = DELEGATION_DAYS,
    previous: bytes | None = None,
    in_force: SignedMember | None = None,
    old_key: SigningKey | None = None,
) -> bytes:
    """Sign a member's statement that delegates ``subsystems`` to ``node``.

    ``previous`` is the statement written last, here; ``in_force`` the one in the directory,
    which another node of the member may have brought there. Other nodes' delegations, their
    subsystems and all key statements are carried over; the statement is returned unchanged
    when nothing differs. When ``key`` is new, ``old_key`` has to sign too, or two registrars
    (``countersign``). Raises RequestInvalid.
    """
    last = parse_member(previous) if previous else None
    before = _basis(last, in_force, str(node))
    old = before.statement if before else None
    moment = _whole_seconds(now)
    listed = tuple(subsystems)
    delegation = Delegation(
        str(node),
        tuple(subsystem.code for subsystem in listed),
        moment - _CLOCK_TOLERANCE,
        moment + timedelta(days=delegation_days),
    )
    statement = MemberStatement(
        "member",
        str(member),
        name,
        _next_serial(last, in_force),
        moment,
        _subsystems(old, listed, str(node)),
        _keys(old.keys if old else (), [key.public], moment, timedelta()),
        _delegations(old.delegations if old else (), delegation, moment),
    )
    if before and old and _same(statement, old):
        return _written(before)
    keys = [key, old_key] if old_key else [key]
    return _written(SignedMember(statement, sign(canonical(statement), keys)))


def make_request(
    node: NodeId,
    member_key: SigningKey,
    signing_key: SigningKey,
    tls_key: PrivateKey,
    *,
    addresses: Sequence[str],
    member_name: str,
    node_name: str,
    subsystems: Iterable[Subsystem],
    now: datetime,
    delegation_days: int = DELEGATION_DAYS,
    hosted: Iterable[bytes] = (),
    previous: bytes | None = None,
    in_force: InForce = NOTHING_IN_FORCE,
    old_member_key: SigningKey | None = None,
    certificate: str | None = None,
) -> bytes:
    """Make the request file of a node for its owner and for ``hosted`` members' statements.

    ``previous`` is the last request file: it is returned unchanged when nothing differs, and
    otherwise carried on from, with serials one higher; so is what is ``in_force``, when it is
    newer. Keys that are not given any more are ended (a node's after a week's overlap).
    Raises RequestInvalid.
    """
    before = parse_request(previous) if previous else None
    known = {one.statement.id: one for one in before.members} if before else {}
    known = {name: _newer(one, in_force.members.get(name)) for name, one in known.items()}
    owner_before = _last_of(before, str(node.owner))
    owner = make_member(
        node.owner,
        member_name,
        member_key,
        subsystems,
        node,
        now,
        delegation_days=delegation_days,
        previous=_written(owner_before) if owner_before else None,
        in_force=in_force.members.get(str(node.owner)),
        old_key=old_member_key,
    )
    known |= {str(node.owner): parse_member(owner)}
    known |= {one.statement.id: one for one in map(parse_member, hosted)}
    last = before.node if before else None
    last = _newer(last, in_force.node) if last else in_force.node
    signed = _signed_node(node, node_name, addresses, member_key, signing_key, tls_key, now, last)
    names = [urlsplit(address).hostname or "" for address in addresses]
    csr = certificate_request(tls_key, str(node), names)
    if before and before.node == signed:
        csr = before.certificate_request
    request = Request("request", 1, tuple(known.values()), signed, csr, certificate)
    return previous if previous and request == before else _written(request)


def countersign(request: bytes, registrar: SigningKey) -> bytes:
    """Add a registrar's signature to all statements of members in a request.

    Two registrars together stand in for a lost member key. Raises RequestInvalid.
    """
    parsed = parse_request(request)
    members = tuple(
        SignedMember(
            member.statement,
            (*member.signatures, *sign(canonical(member.statement), [registrar])),
        )
        for member in parsed.members
    )
    return _written(msgspec.structs.replace(parsed, members=members))


def _signed_node(
    node: NodeId,
    name: str,
    addresses: Sequence[str],
    member_key: SigningKey,
    signing_key: SigningKey,
    tls_key: PrivateKey,
    now: datetime,
    before: SignedNode | None,
) -> SignedNode:
    old = before.statement if before else None
    moment = _whole_seconds(now)
    statement = NodeStatement(
        "node",
        str(node),
        str(node.owner),
        name,
        old.serial + 1 if old else 1,
        moment,
        tuple(addresses),
        _keys(old.signing_keys if old else (), [signing_key.public], moment, _ROTATION_OVERLAP),
        _keys(old.tls_keys if old else (), [tls_key.public], moment, _ROTATION_OVERLAP),
    )
    signers = [member_key, signing_key]
    if before and old and _same(statement, old) and _has_signed(before, member_key):
        return before
    return SignedNode(statement, sign(canonical(statement), signers))


def _basis(
    last: SignedMember | None, in_force: SignedMember | None, node: str
) -> SignedMember | None:
    """What the next statement carries on from: ours, unless the directory knows what it lacks."""
    if last is None or in_force is None:
        return last or in_force
    ours, theirs = last.statement, in_force.statement
    if ours.serial <= theirs.serial:
        return in_force
    elsewhere = {item for item in theirs.delegations if item.node != node}
    whole = elsewhere <= set(ours.delegations) and _texts(theirs.keys) <= _texts(ours.keys)
    return last if whole else in_force


def _next_serial(*known: SignedMember | None) -> int:
    return 1 + max((one.statement.serial for one in known if one is not None), default=0)


def _subsystems(
    old: MemberStatement | None, wanted: Iterable[Subsystem], node: str
) -> tuple[Subsystem, ...]:
    """The subsystems wanted, and those for which other nodes speak."""
    named = {each.code: each for each in wanted}
    delegations = old.delegations if old else ()
    elsewhere = {code for item in delegations if item.node != node for code in item.subsystems}
    kept = [
        named.pop(each.code, each)
        for each in (old.subsystems if old else ())
        if each.code in named or each.code in elsewhere
    ]
    return (*kept, *named.values())


def _newer(ours: Signed, in_force: Signed | None) -> Signed:
    if in_force is None or in_force.statement.serial < ours.statement.serial:
        return ours
    return in_force


def _last_of(request: Request | None, member: str) -> SignedMember | None:
    members = request.members if request else ()
    return next((one for one in members if one.statement.id == member), None)


def _texts(statements: Iterable[KeyStatement]) -> set[str]:
    return {item.key for item in statements}


def _keys(
    before: Iterable[KeyStatement],
    current: Sequence[PublicKey],
    now: datetime,
    overlap: timedelta,
) -> tuple[KeyStatement, ...]:
    """Carry key statements over: none is dropped, those not current any more are ended."""
    texts = {key.text for key in current}
    known = {item.key for item in before}
    end = now + overlap
    kept = tuple(
        item
        if item.key in texts or (item.valid_until is not None and item.valid_until <= end)
        else msgspec.structs.replace(item, valid_until=end)
        for item in before
    )
    added = (key for key in current if key.text not in known)
    return kept + tuple(KeyStatement(key.text, now - _CLOCK_TOLERANCE, None) for key in added)


def _delegations(
    before: Iterable[Delegation], wanted: Delegation, now: datetime
) -> tuple[Delegation, ...]:
    others = tuple(item for item in before if item.node != wanted.node)
    same = [
        item
        for item in before
        if item.node == wanted.node
        and item.subsystems == wanted.subsystems
        and item.valid_until - now > (wanted.valid_until - now) / 2
    ]
    return (*others, same[0] if same else wanted)


def _has_signed(node: SignedNode, key: SigningKey) -> bool:
    return any(item.key_id == key.public.key_id for item in node.signatures)


def _same(new: MemberStatement | NodeStatement, old: MemberStatement | NodeStatement) -> bool:
    return msgspec.structs.replace(new, serial=old.serial, issued=old.issued) == old


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _written(value: Request | SignedMember) -> bytes:
    return msgspec.json.format(canonical(value), indent=2) + b"\n"


def _parse(data: bytes, kind: type[Parsed]) -> Parsed:
    if len(data) > LARGEST_REQUEST_BYTES:
        raise RequestInvalid(reason=f"over {LARGEST_REQUEST_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise RequestInvalid(reason=str(error)[:200]) from error
