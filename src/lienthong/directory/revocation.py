"""Revoking members, nodes, keys, certificates and delegations.

A revocation stands in the record of what it concerns, is dated, and is never taken back:
what was signed before it stays provable.
"""

from __future__ import annotations

import msgspec

from lienthong.directory.records import (
    KeyStatement,
    Member,
    Node,
    Revocation,
    member_path,
    node_path,
)
from lienthong.directory.repository import Edit, Repository
from lienthong.errors import NothingToRevoke
from lienthong.identity.certificates import fingerprint, read_chain


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
    return isinstance(record, Node) and print_ in certificate_fingerprints(record)


def certificate_fingerprints(node: Node) -> tuple[str, ...]:
    """Return the SHA-256 of the node's certificates, by which they are revoked."""
    return tuple(fingerprint(read_chain(pem)[0]) for pem in node.certificates)
