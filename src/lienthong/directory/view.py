"""One version of the directory, as the exchange reads it: dictionary look-ups, no signatures.

    view = mirror.view
    node, *_ = view.nodes_of("VN/GOV/G01/dancu")
    view.check_delegation("VN/GOV/G01", node, at)
    view.signing_key(node, key_id, at).verify(signature, data)

A view never changes; each version of the directory is a new one. Records are read and their
owner's signature is checked when they are first asked for, as a node talks to some hundred
of 111,000 members. What has been found is kept, so that the next look-up takes under 1 µs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509

from lienthong.directory.records import (
    AUTHORITIES_PATH,
    TIME_AUTHORITIES_PATH,
    Authorities,
    Delegation,
    Member,
    Node,
    Record,
    TimeAuthorities,
    TimeAuthority,
    member_path,
    node_path,
    signers_of,
)
from lienthong.errors import (
    CertificateNotAccepted,
    DirectoryExpired,
    InvalidCertificate,
    InvalidIdentifier,
    KeyNotValid,
    KeyRevoked,
    NotDelegated,
    RecordInvalid,
    UnknownMember,
    UnknownNode,
    UnknownSigningKey,
)
from lienthong.identity.certificates import (
    certificate_key,
    check_chain,
    fingerprint,
    read_chain,
)
from lienthong.identity.identifiers import SubsystemId
from lienthong.identity.keys import PublicKey

Index = Mapping[str, bytes]  # target path → SHA-256 of the record there
ReadRecord = Callable[[str, bytes], Record]  # (path, SHA-256) → the record, checked against it


class Facts(NamedTuple):
    """What the directory's metadata says of this version."""

    instance: str
    version: int  # of the TUF snapshot
    published: datetime  # when the directory signed it last, by its own clock
    expires: datetime  # the earliest date of all its metadata
    offline_expires: datetime = datetime.max.replace(tzinfo=UTC)  # of what rare keys sign


class _SigningKey(NamedTuple):
    key: PublicKey
    valid_from: datetime
    valid_until: datetime
    revoked: datetime


class _Accepted(NamedTuple):
    valid_from: datetime
    valid_until: datetime


_NEVER = datetime.max.replace(tzinfo=UTC)


class DirectoryView:
    """The directory as of one version; see the module's text."""

    def __init__(self, facts: Facts, index: Index, read: ReadRecord) -> None:
        self.instance = facts.instance
        self.version = facts.version
        self.published = facts.published
        self.expires = facts.expires
        self.offline_expires = facts.offline_expires
        self._index = index
        self._read = read
        self._members: dict[str, Member] = {}
        self._nodes: dict[str, Node] = {}
        self._signing: dict[tuple[str, str], _SigningKey] = {}
        self._delegations: dict[tuple[str, str], tuple[tuple[Delegation, datetime], ...]] = {}
        self._nodes_of: dict[str, tuple[tuple[str, Delegation, datetime], ...]] = {}
        self._accepted: dict[tuple[str, bytes], _Accepted] = {}
        record = self._record(AUTHORITIES_PATH)
        if not isinstance(record, Authorities):
            raise RecordInvalid(subject=AUTHORITIES_PATH, reason="missing")
        self.authorities = record.statement.authorities
        self.registrars = record.statement.registrars

    def check_fresh(self, now: datetime) -> None:
        """Raise DirectoryExpired when this version may not be relied on any more."""
        if now >= self.expires:
            raise DirectoryExpired(part=f"version {self.version}", expires=self.expires)

    @property
    def time_authorities(self) -> tuple[TimeAuthority, ...]:
        """Whose time-stamps count, or once counted. Raises RecordInvalid."""
        record = self._record(TIME_AUTHORITIES_PATH)
        return record.statement.authorities if isinstance(record, TimeAuthorities) else ()

    def member(self, member_id: str) -> Member:
        """Return a member's record. Raises UnknownMember, RecordInvalid."""
        return self._members.get(member_id) or self._load_member(member_id)

    def node(self, node_id: str) -> Node:
        """Return a node's record. Raises UnknownNode, RecordInvalid."""
        return self._nodes.get(node_id) or self._load_node(node_id)

    def members(self) -> Iterator[Member]:
        """Read all members, in no order, for lists; a malformed record is left out.

        Owners' signatures are not checked here: use ``member`` before relying on one.
        """
        for path in self._index:
            if path.startswith("members/"):
                try:
                    record = self._record(path)
                except RecordInvalid:
                    continue
                if isinstance(record, Member):
                    yield record

    def nodes(self) -> Iterator[Node]:
        """Read all nodes, as ``members`` does."""
        for path in self._index:
            if path.startswith("nodes/"):
                try:
                    record = self._record(path)
                except RecordInvalid:
                    continue
                if isinstance(record, Node):
                    yield record

    def nodes_of(self, subsystem_id: str, at: datetime | None = None) -> tuple[str, ...]:
        """Return the nodes that speak for a subsystem at ``at`` (now). Raises UnknownMember."""
        candidates = self._nodes_of.get(subsystem_id)
        if candidates is None:
            candidates = self._find_nodes(subsystem_id)
        moment = at or datetime.now(UTC)
        return tuple(
            node
            for node, delegation, revoked in candidates
            if delegation.valid_from <= moment <= delegation.valid_until and moment < revoked
        )

    def check_delegation(self, member_id: str, node_id: str, at: datetime) -> Delegation:
        """Return the member's delegation to the node in force at ``at``.

        Raises NotDelegated, UnknownMember, UnknownNode, RecordInvalid.
        """
        found = self._delegations.get((member_id, node_id))
        if found is None:
            found = self._find_delegations(member_id, node_id)
        for delegation, revoked in found:
            if delegation.valid_from <= at <= delegation.valid_until and at < revoked:
                return delegation
        reason = "not in force at that time, or revoked" if found else "none was given"
        raise NotDelegated(member=member_id, node=node_id, reason=reason)

    def signing_key(self, node_id: str, key_id: str, at: datetime) -> PublicKey:
        """Return the node's key ``key_id`` for signatures made at ``at``.

        Raises UnknownSigningKey, KeyNotValid, KeyRevoked, UnknownNode, RecordInvalid.
        """
        found = self._signing.get((node_id, key_id))
        if found is None:
            found = self._find_signing_key(node_id, key_id)
        if at >= found.revoked:
            raise KeyRevoked(node=node_id, key=key_id, at=found.revoked.isoformat())
        if not found.valid_from <= at <= found.valid_until:
            raise KeyNotValid(node=node_id, key=key_id, at=at.isoformat())
        return found.key

    def check_certificate(self, node_id: str, certificate_der: bytes, at: datetime) -> None:
        """Check that a TLS peer's certificate is the node's, in force and issued by an authority.

        Raises CertificateNotAccepted, UnknownNode, RecordInvalid.
        """
        found = self._accepted.get((node_id, certificate_der))
        if found is None:
            found = self._find_certificate(node_id, certificate_der, at)
        if not found.valid_from <= at < found.valid_until:
            raise CertificateNotAccepted(node=node_id, reason="outside its dates, or revoked")

    # --- first look-ups ---------------------------------------------------------------

    def _record(self, path: str) -> Record | None:
        digest = self._index.get(path)
        return None if digest is None else self._read(path, digest)

    def _load_member(self, member_id: str) -> Member:
        record = self._record(member_path(member_id))
        if not isinstance(record, Member):
            raise UnknownMember(member=member_id)
        keys = [statement.public for statement in record.keys]
        if not signers_of(record, keys):
            raise RecordInvalid(subject=member_id, reason="not signed by its own key")
        self._members[member_id] = record
        return record

    def _load_node(self, node_id: str) -> Node:
        record = self._record(node_path(node_id))
        if not isinstance(record, Node):
            raise UnknownNode(node=node_id)
        keys = [statement.public for statement in self.member(record.owner).keys]
        if not signers_of(record, keys):
            raise RecordInvalid(subject=node_id, reason="not signed by its owner's key")
        self._nodes[node_id] = record
        return record

    def _node_revoked(self, node: Node) -> datetime:
        """Return when the node or its owner was revoked."""
        own = node.revoked("node", node.id) or _NEVER
        return min(own, self.member(node.owner).revoked("member", node.owner) or _NEVER)

    def _find_nodes(self, subsystem_id: str) -> tuple[tuple[str, Delegation, datetime], ...]:
        try:
            subsystem = SubsystemId(*subsystem_id.split("/"))
        except (TypeError, InvalidIdentifier) as error:
            raise UnknownMember(member=subsystem_id) from error
        member = self.member(str(subsystem.member))
        found: list[tuple[str, Delegation, datetime]] = []
        for node_id in dict.fromkeys(delegation.node for delegation in member.delegations):
            found += (
                (node_id, delegation, revoked)
                for delegation, revoked in self._delegations_to_known(member.id, node_id)
                if subsystem.subsystem in delegation.subsystems
            )
        if found:  # names that callers make up must not fill the memory
            self._nodes_of[subsystem_id] = tuple(found)
        return tuple(found)

    def _delegations_to_known(
        self, member_id: str, node_id: str
    ) -> tuple[tuple[Delegation, datetime], ...]:
        try:
            return self._find_delegations(member_id, node_id)
        except (UnknownNode, RecordInvalid):  # one bad node does not stop the others
            return ()

    def _find_delegations(
        self, member_id: str, node_id: str
    ) -> tuple[tuple[Delegation, datetime], ...]:
        member = self.member(member_id)
        revoked = min(
            self._node_revoked(self.node(node_id)),
            member.revoked("member", member_id) or _NEVER,
            member.revoked("delegation", node_id) or _NEVER,
        )
        found = tuple((item, revoked) for item in member.delegations if item.node == node_id)
        if found:
            self._delegations[member_id, node_id] = found
        return found

    def _find_signing_key(self, node_id: str, key_id: str) -> _SigningKey:
        node = self.node(node_id)
        for statement in node.signing_keys:
            if statement.public.key_id == key_id:
                revoked = min(self._node_revoked(node), node.revoked("key", key_id) or _NEVER)
                until = statement.valid_until or _NEVER
                found = _SigningKey(statement.public, statement.valid_from, until, revoked)
                self._signing[node_id, key_id] = found
                return found
        raise UnknownSigningKey(node=node_id, key=key_id[:64])

    def _find_certificate(self, node_id: str, der: bytes, at: datetime) -> _Accepted:
        """Check a certificate for the first time.

        1. The directory lists it for the node.
        2. Its key is one that the node's owner has stated.
        3. It leads to an approved authority at this moment.
        4. It counts from its own first day until its last, its key's, or its revocation.
        """
        node = self.node(node_id)
        print_ = fingerprint(der)
        chain = self._listed_chain(node, print_)
        key = certificate_key(chain[0])
        stated = [item for item in node.statement.tls_keys if item.public == key]
        if not stated:
            raise CertificateNotAccepted(node=node_id, reason="its key is not the owner's")
        try:
            authorities = [read_chain(pem)[0] for pem in self.authorities]
            authority = check_chain(chain, authorities, at)
        except InvalidCertificate as error:
            raise CertificateNotAccepted(node=node_id, reason=error.facts["reason"]) from error
        found = _Accepted(
            max(chain[0].not_valid_before_utc, stated[0].valid_from),
            min(
                *(certificate.not_valid_after_utc for certificate in (*chain, authority)),
                stated[0].valid_until or _NEVER,
                self._node_revoked(node),
                node.revoked("certificate", print_) or _NEVER,
                node.revoked("key", key.key_id) or _NEVER,
            ),
        )
        self._accepted[node_id, der] = found
        return found

    def _listed_chain(self, node: Node, print_: str) -> tuple[x509.Certificate, ...]:
        for pem in node.certificates:
            chain = read_chain(pem)
            if fingerprint(chain[0]) == print_:
                return chain
        raise CertificateNotAccepted(node=node.id, reason="not listed in the directory")
