"""Approving a node's request: the one step between a request file and a working node.

It may be repeated: a request approved before changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from lienthong.directory.authorities import authorities_of
from lienthong.directory.records import (
    Authorities,
    KeyStatement,
    Member,
    Node,
    NodeStatement,
    check_record,
    member_path,
    node_path,
    signers_of,
    statement_bytes,
)
from lienthong.directory.repository import Edit, Repository
from lienthong.directory.request import Request, SignedMember, parse_request
from lienthong.directory.succession import check_succession
from lienthong.errors import InvalidCertificate, RequestInvalid, StatementStale
from lienthong.identity.certificates import (
    certificate_key,
    check_chain,
    fingerprint,
    read_chain,
    request_key,
)
from lienthong.identity.keys import PublicKey

RENEW_BEFORE = timedelta(days=30)  # a certificate with less left is issued anew on approval


@dataclass(frozen=True, slots=True)
class Approval:
    """The result of ``approve``."""

    node: str
    members: tuple[str, ...]
    changed: bool
    version: int


def approve(repository: Repository, request: bytes, days: int = 365) -> Approval:
    """Check a request and publish its members and node, with a certificate of ``days``.

    1. The request is well formed and of this instance.
    2. Each member's statement is signed by a key of its own, and may follow the one in force.
    3. The node's statement is signed by its owner's key and by the node's own signing key.
    4. The certificate request proves the TLS key; it gets a certificate of the development
       authority, or the request brings one of an approved authority.

    Raises RequestInvalid, RecordInvalid, WrongInstance, KeyChangeRefused, StatementStale,
    InvalidCertificate.
    """
    parsed = parse_request(request)
    with repository.edit() as edit:
        for member in parsed.members:
            _approve_member(edit, member, repository.instance, parsed.node.statement)
        _approve_node(edit, parsed, repository, days)
    node = parsed.node.statement.id
    members = tuple(member.statement.id for member in parsed.members)
    return Approval(node, members, bool(edit.changed), repository.version)


def _approve_member(edit: Edit, signed: SignedMember, instance: str, node: NodeStatement) -> None:
    old = edit.get(member_path(signed.statement.id))
    revocations = old.revocations if isinstance(old, Member) else ()
    new = Member(signed.statement, signed.signatures, revocations)
    check_record(new, instance)
    if isinstance(old, Member) and new.statement.serial < old.statement.serial:
        # A host sends a member's older statement along; the newer one stays.
        if new.id == node.owner and not _delegated(new, node) <= _delegated(old, node):
            raise StatementStale(
                subject=new.id,
                offered=new.statement.serial,
                known=old.statement.serial,
                reason="serial is not higher",
            )
        return
    if not signers_of(new, _in_force(new.keys, new.statement.issued)):
        raise RequestInvalid(reason=f"{new.id} has not signed its statement")
    if old is None:
        edit.put(new)
    elif statement_bytes(old) != statement_bytes(new):
        check_succession(old, new, None, authorities_of(edit).statement.registrars)
        edit.put(new)


def _delegated(member: Member, node: NodeStatement) -> set[str]:
    return {code for item in member.delegations if item.node == node.id for code in item.subsystems}


def _approve_node(edit: Edit, request: Request, repository: Repository, days: int) -> None:
    statement = request.node.statement
    old = edit.get(node_path(statement.id))
    kept = old if isinstance(old, Node) else None
    new = Node(
        statement,
        request.node.signatures,
        kept.certificates if kept else (),
        kept.revocations if kept else (),
    )
    check_record(new, repository.instance)
    owner = edit.get(member_path(new.owner))
    if not isinstance(owner, Member):
        raise RequestInvalid(reason=f"the owner {new.owner} is not in the request")
    if not signers_of(new, _in_force(owner.keys, statement.issued)):
        raise RequestInvalid(reason=f"{new.owner} has not signed the node's statement")
    if not signers_of(new, _in_force(new.signing_keys, statement.issued)):
        raise RequestInvalid(reason="the node's signing key has not signed its statement")
    if kept is not None:
        if statement_bytes(kept) == statement_bytes(new):
            new = kept
        else:
            check_succession(kept, new, owner, authorities_of(edit).statement.registrars)
    edit.put(_with_certificate(new, request, edit, repository, days))


def _in_force(statements: Iterable[KeyStatement], at: datetime) -> list[PublicKey]:
    return [statement.public for statement in statements if statement.holds(at)]


def _with_certificate(
    node: Node, request: Request, edit: Edit, repository: Repository, days: int
) -> Node:
    """Add the certificate that the node needs, and drop those that are over."""
    now = repository.clock()
    key = request_key(request.certificate_request)
    if key not in _in_force(node.statement.tls_keys, now):
        raise RequestInvalid(reason="the certificate request is for another TLS key")
    if node.revoked("key", key.key_id) is not None:
        raise RequestInvalid(reason="the TLS key is revoked")
    chains = {pem: read_chain(pem) for pem in node.certificates}
    valid = [pem for pem, chain in chains.items() if chain[0].not_valid_after_utc > now]
    if request.certificate is not None:
        pem = request.certificate
        _check_brought(pem, key, authorities_of(edit), now)
    elif (fitting := _fitting(node, [chains[one][0] for one in valid], key, now)) is not None:
        pem = next(one for one in valid if chains[one][0] == fitting)
    else:
        pem = repository.authority.issue(key, node.id, _hosts(node), days, now)
    return msgspec.structs.replace(node, certificates=tuple(dict.fromkeys((*valid, pem))))


def _fitting(
    node: Node, certificates: list[x509.Certificate], key: PublicKey, now: datetime
) -> x509.Certificate | None:
    """Return a certificate that need not be issued anew."""
    for certificate in certificates:
        revoked = node.revoked("certificate", fingerprint(certificate))
        left = certificate.not_valid_after_utc - now
        if revoked is None and left > RENEW_BEFORE and certificate_key(certificate) == key:
            return certificate
    return None


def _check_brought(pem: str, key: PublicKey, authorities: Authorities, now: datetime) -> None:
    chain = read_chain(pem)
    if certificate_key(chain[0]) != key:
        raise InvalidCertificate(name="chain", reason="it is for another key than the node's")
    trusted = [read_chain(one)[0] for one in authorities.statement.authorities]
    check_chain(chain, trusted, now)


def _hosts(node: Node) -> list[str]:
    return [urlsplit(address).hostname or "" for address in node.addresses]
