"""What the directory's operator decides: approve, revoke, authorities, registrars.

Every step may be repeated: a request approved before changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from lienthong.directory.canonical import sign
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    Authorities,
    KeyStatement,
    Member,
    Node,
    Record,
    Registrar,
    Revocation,
    check_record,
    member_path,
    node_path,
    public_key,
    signers_of,
    statement_bytes,
)
from lienthong.directory.repository import Edit, Repository
from lienthong.directory.request import Request, SignedMember, parse_request
from lienthong.directory.succession import check_succession
from lienthong.errors import InvalidCertificate, NothingToRevoke, RequestInvalid
from lienthong.identity.certificates import (
    certificate_key,
    check_chain,
    fingerprint,
    read_chain,
    request_key,
)
from lienthong.identity.keys import PrivateKey, PublicKey

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

    Raises RequestInvalid, RecordInvalid, WrongInstance, KeyChangeRefused, InvalidCertificate.
    """
    parsed = parse_request(request)
    with repository.edit() as edit:
        for member in parsed.members:
            _approve_member(edit, member, repository.instance)
        _approve_node(edit, parsed, repository, days)
    node = parsed.node.statement.id
    members = tuple(member.statement.id for member in parsed.members)
    return Approval(node, members, bool(edit.changed), repository.version)


def _approve_member(edit: Edit, signed: SignedMember, instance: str) -> None:
    old = edit.get(member_path(signed.statement.id))
    revocations = old.revocations if isinstance(old, Member) else ()
    new = Member(signed.statement, signed.signatures, revocations)
    check_record(new, instance)
    if old is not None and new.statement.serial < old.statement.serial:
        return  # a host sends a member's older statement along; the newer one stays
    if not signers_of(new, _in_force(new.keys, new.statement.issued)):
        raise RequestInvalid(reason=f"{new.id} has not signed its statement")
    if old is None:
        edit.put(new)
    elif statement_bytes(old) != statement_bytes(new):
        check_succession(old, new, None, _authorities(edit).statement.registrars)
        edit.put(new)


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
            check_succession(kept, new, owner, _authorities(edit).statement.registrars)
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
    chains = {pem: read_chain(pem) for pem in node.certificates}
    valid = [pem for pem, chain in chains.items() if chain[0].not_valid_after_utc > now]
    if request.certificate is not None:
        pem = request.certificate
        _check_brought(pem, key, _authorities(edit), now)
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


def _authorities(edit: Edit) -> Authorities:
    record = edit.get(AUTHORITIES_PATH)
    assert isinstance(record, Authorities)
    return record


# --- revocation ----------------------------------------------------------------------


def revoke(repository: Repository, kind: str, identifier: str, reason: str) -> int:
    """Revoke a node, member, key (by id), certificate (by SHA-256) or delegation from now on.

    A delegation is named ``<member> <node>``. Returns the version that says so; what is
    revoked already stays as it is. Raises NothingToRevoke.
    """
    now = repository.clock().replace(microsecond=0)
    with repository.edit() as edit:
        found = False
        for record in _concerned(repository, edit, kind, identifier):
            found = True
            name = identifier.split(" ")[-1] if kind == "delegation" else identifier
            if record.revoked(kind, name) is None:
                item = msgspec.convert(
                    {"kind": kind, "id": name, "at": now, "reason": reason[:500]}, Revocation
                )
                revocations = (*record.revocations, item)
                edit.put(msgspec.structs.replace(record, revocations=revocations))
        if not found:
            raise NothingToRevoke(kind=kind, id=identifier)
    return repository.version


def _concerned(
    repository: Repository, edit: Edit, kind: str, identifier: str
) -> list[Member | Node]:
    direct = {"member": member_path, "node": node_path}
    if kind in direct:
        record = edit.get(direct[kind](identifier))
        return [record] if isinstance(record, Member | Node) else []
    if kind == "delegation":
        member, _, node = identifier.partition(" ")
        record = edit.get(member_path(member))
        fits = isinstance(record, Member) and any(one.node == node for one in record.delegations)
        return [record] if isinstance(record, Member) and fits else []
    holds = _holds_key if kind == "key" else _holds_certificate
    return [
        record
        for record in repository.records()
        if isinstance(record, Member | Node) and holds(record, identifier)
    ]


def _holds_key(record: Member | Node, key_id: str) -> bool:
    statements: tuple[KeyStatement, ...] = (
        record.keys
        if isinstance(record, Member)
        else record.signing_keys + record.statement.tls_keys
    )
    return any(statement.public.key_id == key_id for statement in statements)


def _holds_certificate(record: Member | Node, print_: str) -> bool:
    if isinstance(record, Member):
        return False
    return any(fingerprint(read_chain(pem)[0]) == print_ for pem in record.certificates)


# --- authorities and registrars ------------------------------------------------------


def add_authority(repository: Repository, pem: str) -> int:
    """Approve a certificate authority. Raises InvalidCertificate."""
    certificate = read_chain(pem)[0]
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        is_authority = constraints.value.ca
    except (ValueError, x509.ExtensionNotFound):
        is_authority = False
    if not is_authority:
        raise InvalidCertificate(name="authority", reason="it may not issue certificates")

    def change(record: Authorities) -> Authorities:
        known = record.statement.authorities
        if any(read_chain(one)[0] == certificate for one in known):
            return record
        return _changed(record, authorities=(*known, pem))

    return _change_authorities(repository, change)


def add_registrar(
    repository: Repository, name: str, key: str, signed_with: Iterable[PrivateKey] = ()
) -> int:
    """Name a registrar; from the third on, two known ones have to sign. Raises InvalidKey."""
    public_key(key)

    def change(record: Authorities) -> Authorities:
        known = record.statement.registrars
        if any(registrar.key == key for registrar in known):
            return record
        new = _changed(record, registrars=(*known, Registrar(name, key)))
        return msgspec.structs.replace(new, signatures=sign(statement_bytes(new), signed_with))

    return _change_authorities(repository, change)


def _changed(record: Authorities, **fields: object) -> Authorities:
    serial = record.statement.serial + 1
    statement = msgspec.structs.replace(record.statement, serial=serial, **fields)
    return Authorities(statement, ())


def _change_authorities(
    repository: Repository, change: Callable[[Authorities], Authorities]
) -> int:
    with repository.edit() as edit:
        old = _authorities(edit)
        new: Record = change(old)
        check_succession(old, new, None, old.statement.registrars)
        edit.put(new)
    return repository.version
