"""What ``lienthong directory show`` says: as JSON facts, or as tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rich.table import Column, Table

from lienthong.directory.records import (
    Authorities,
    KeyStatement,
    Member,
    Node,
    Registrar,
    Revocation,
    TimeAuthorities,
    TimeAuthority,
)
from lienthong.directory.repository import Repository
from lienthong.directory.revocation import certificate_fingerprints


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that a directory publishes, sorted."""

    instance: str
    version: int
    members: tuple[Member, ...]
    nodes: tuple[Node, ...]
    registrars: tuple[Registrar, ...]
    time_authorities: tuple[TimeAuthority, ...] = ()

    @classmethod
    def of(cls, repository: Repository) -> Self:
        """Read all records of a directory."""
        records = list(repository.records())
        members = (one for one in records if isinstance(one, Member))
        nodes = (one for one in records if isinstance(one, Node))
        authorities = (one for one in records if isinstance(one, Authorities))
        return cls(
            repository.instance,
            repository.version,
            tuple(sorted(members, key=lambda one: one.id)),
            tuple(sorted(nodes, key=lambda one: one.id)),
            tuple(registrar for one in authorities for registrar in one.statement.registrars),
            next(
                (one.statement.authorities for one in records if isinstance(one, TimeAuthorities)),
                (),
            ),
        )

    def facts(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "instance": self.instance,
            "version": self.version,
            "members": [_member(one) for one in self.members],
            "nodes": [_node(one) for one in self.nodes],
            "registrars": [{"name": one.name, "key": one.key} for one in self.registrars],
            "time_authorities": [_time_authority(one) for one in self.time_authorities],
        }

    def tables(self) -> tuple[Table, Table]:
        """Return it as tables of members and of nodes."""
        title = f"{self.instance}, phiên bản / version {self.version}"
        return _members_table(title, self.members), _nodes_table(self.nodes)


def _member(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "name": member.name,
        "subsystems": [{"code": one.code, "name": one.name} for one in member.subsystems],
        "keys": [_key(one) for one in member.keys],
        "nodes": [one.node for one in member.delegations],
        "revoked": [_revocation(one) for one in member.revocations],
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "owner": node.owner,
        "addresses": list(node.addresses),
        "signing_keys": [_key(one) for one in node.signing_keys],
        "certificates": list(certificate_fingerprints(node)),
        "revoked": [_revocation(one) for one in node.revocations],
    }


def _key(statement: KeyStatement) -> dict[str, Any]:
    until = statement.valid_until
    return {
        "id": statement.public.key_id,
        "from": statement.valid_from.isoformat(),
        "until": until.isoformat() if until else None,
    }


def _time_authority(one: TimeAuthority) -> dict[str, Any]:
    until = one.valid_until
    return {
        "name": one.name,
        "from": one.valid_from.isoformat(),
        "until": until.isoformat() if until else None,
    }


def _revocation(item: Revocation) -> dict[str, Any]:
    return {"kind": item.kind, "id": item.id, "at": item.at.isoformat(), "reason": item.reason}


def _members_table(title: str, members: tuple[Member, ...]) -> Table:
    names = ("Thành viên / Member", "Tên / Name", "Hệ thống / Subsystems", "Nút / Nodes")
    table = Table(*(Column(name, overflow="fold") for name in names), title=title)
    for one in members:
        codes = ", ".join(subsystem.code for subsystem in one.subsystems)
        nodes = ", ".join(delegation.node for delegation in one.delegations)
        table.add_row(_marked(one), one.name, codes, nodes)
    return table


def _nodes_table(nodes: tuple[Node, ...]) -> Table:
    names = ("Nút / Node", "Tên / Name", "Địa chỉ / Addresses", "Khóa ký / Signing keys")
    table = Table(*(Column(name, overflow="fold") for name in names))
    now = datetime.now(UTC)
    for one in nodes:
        held = (item.public.key_id for item in one.signing_keys if item.holds(now))
        keys = [key for key in held if one.revoked("key", key) is None]
        table.add_row(_marked(one), one.name, ", ".join(one.addresses), ", ".join(keys))
    return table


def _marked(record: Member | Node) -> str:
    kind = "member" if isinstance(record, Member) else "node"
    revoked = record.revoked(kind, record.id) is not None
    return f"{record.id} (thu hồi / revoked)" if revoked else record.id
