"""Making TUF metadata: root, targets, hashed bins, snapshot, timestamp.

Every new version is written beside the old one, and counts when the timestamp names it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple, TypeVar

import msgspec
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from lienthong.directory.records import TOP_PATHS
from lienthong.directory.site import TIMESTAMP, Site, metadata_name, target_name
from lienthong.directory.trust import (
    BIN_PREFIX,
    INSTANCE_FIELD,
    ROLE_FIELD,
    TIME_FIELD,
    index_of,
)
from lienthong.errors import DirectoryStateInvalid, InvalidKey
from lienthong.identity.keys import PrivateKey

AnySigned = TypeVar("AnySigned", Root, Timestamp, Snapshot, Targets)
_TOP = ("root", "targets", "snapshot", "timestamp")
_LOG = logging.getLogger("lienthong.directory")


class Periods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long each kind of metadata counts. A day of ``timestamp`` is how long the nation
    works on when the directory is gone."""

    timestamp_hours: float = 24.0
    snapshot_days: float = 7.0
    targets_days: float = 365.0
    root_days: float = 1095.0

    def of(self, role: str) -> timedelta:
        if role == "timestamp":
            return timedelta(hours=self.timestamp_hours)
        days = {"snapshot": self.snapshot_days, "root": self.root_days}
        return timedelta(days=days.get(role, self.targets_days))


class Versions(NamedTuple):
    """Versions of all metadata now published."""

    timestamp: int
    snapshot: int
    others: Mapping[str, int]  # of the top-level targets and the bins

    def of(self, role: str) -> int:
        return self.others[role]


class MetadataSigner:
    """Reads and signs the metadata of one site; ``key`` gives a role's key when needed."""

    def __init__(
        self,
        site: Site,
        instance: str,
        periods: Periods,
        key: Callable[[str], PrivateKey],
        clock: Callable[[], datetime],
    ) -> None:
        self._site = site
        self._instance = instance
        self._periods = periods
        self._key = key
        self._clock = clock
        self._versions: tuple[bytes, Versions] | None = None
        self._indexes: dict[tuple[str, int], dict[str, bytes]] = {}
        self._roles: SuccinctRoles | None = None
        self._fresh: dict[str, CryptoSigner] = {}  # a key that is about to take its place

    def is_empty(self) -> bool:
        return self._site.read(TIMESTAMP) is None

    def create(self, bins: int, top: Mapping[str, bytes]) -> bytes:
        """Make version 1 of everything; returns the root of trust."""
        root = Root(expires=self._expiry("root"), consistent_snapshot=True)
        root.unrecognized_fields[INSTANCE_FIELD] = self._instance
        for role in _TOP:
            root.add_key(self._signer(role).public_key, role)
        bin_key = self._signer("bins").public_key
        roles = SuccinctRoles([bin_key.keyid], 1, bins.bit_length() - 1, BIN_PREFIX)
        delegations = Delegations({bin_key.keyid: bin_key}, succinct_roles=roles)
        targets = Targets(expires=self._expiry("targets"), delegations=delegations)
        changed: dict[str, Targets] = {"targets": targets}
        for role in roles.get_roles():
            changed[role] = Targets(unrecognized_fields={ROLE_FIELD: role})
        files = {metadata_name("root", 1): self._signed("root", root)}
        for path, data in top.items():
            _set_target(targets, path, data, files)
        self._publish(changed, files, Versions(0, 0, dict.fromkeys(changed, 0)))
        return files[metadata_name("root", 1)]

    def publish(self, records: Mapping[str, bytes]) -> None:
        """Publish a new version with these records changed, given by path."""
        versions = self.versions()
        changed: dict[str, Targets] = {}
        files: dict[str, bytes] = {}
        for path, data in records.items():
            role = self.role_of(path)
            if role not in changed:
                changed[role] = self.targets(role)
            _set_target(changed[role], path, data, files)
        self._publish(changed, files, versions)

    def renew(self) -> bool:
        """Sign the timestamp anew, and whatever else is past half of its time.

        Keys of root, targets and bins may be kept offline: what cannot be signed here waits for
        its key, with a warning, and the timestamp is signed all the same. Returns whether there
        is a new snapshot.
        """
        self._renew_root()
        versions = self.versions()
        snapshot = self._read("snapshot", versions.snapshot, Snapshot)
        if not self._due("snapshot", snapshot):
            self._publish_timestamp(versions, snapshot_data=None)
            return False
        roles = {role: self.targets(role) for role in versions.others}
        due = {
            role: item
            for role, item in roles.items()
            if self._due(role, item) and self._is_key_here(role, item)
        }
        self._publish(due, {}, versions)
        return True

    def rotate(self, role: str, key: PrivateKey) -> None:
        """Let ``key`` take the place of a role's key, and sign anew what that role signs.

        1. A new root names it (for the bins: new top-level targets); a new root's key signs
           together with the former one.
        2. What the role signs is signed by it, and counts with the next timestamp.

        May be repeated with the same key after it was cut short. Raises InvalidKey (a key that
        is needed is not here), DirectoryStateInvalid.
        """
        former = self._signer("root") if role == "root" else None
        self._fresh = {role: CryptoSigner(key.cryptography)}
        try:
            self._publish_naming(role, former)
        finally:
            self._fresh = {}

    def _publish_naming(self, role: str, former: CryptoSigner | None) -> None:
        files = {} if role == "bins" else self._root_naming(role, former)
        versions = self.versions()
        if role in ("root", "timestamp"):
            self._site.write_all(files)
            self._publish_timestamp(versions, snapshot_data=None)
            return
        changed: dict[str, Targets] = {}
        if role in ("targets", "bins"):
            changed["targets"] = self.targets("targets")
        if role == "bins":
            changed |= self._bins_naming(changed["targets"], self._fresh[role].public_key)
        self._publish(changed, files, versions)

    def _root_naming(self, role: str, former: CryptoSigner | None) -> dict[str, bytes]:
        """The next root, in which a role has its new key only."""
        root = Metadata[Root].from_bytes(self.root_bytes()).signed
        new = self._fresh[role].public_key
        for key_id in tuple(root.roles[role].keyids):
            if key_id != new.keyid:
                root.revoke_key(key_id, role)
        root.add_key(new, role)
        root.version += 1
        root.expires = self._expiry("root")
        metadata = Metadata(root)
        metadata.sign(self._signer("root"))
        if former is not None:
            metadata.sign(former, append=True)
        return {metadata_name("root", root.version): metadata.to_bytes()}

    def _bins_naming(self, targets: Targets, key: Key) -> dict[str, Targets]:
        """Put the new key of the bins into ``targets``; all bins, to be signed by it."""
        roles = targets.delegations.succinct_roles if targets.delegations else None
        assert roles is not None
        roles = SuccinctRoles([key.keyid], 1, roles.bit_length, BIN_PREFIX)
        targets.delegations = Delegations({key.keyid: key}, succinct_roles=roles)
        return {role: self.targets(role) for role in roles.get_roles()}

    def names(self, role: str, key: PrivateKey) -> bool:
        """Whether what is published says that ``key`` is the role's."""
        key_id = CryptoSigner(key.cryptography).public_key.keyid
        if role == "bins":
            delegations = self.targets("targets").delegations
            assert delegations is not None
            assert delegations.succinct_roles is not None
            return key_id in delegations.succinct_roles.keyids
        return key_id in Metadata[Root].from_bytes(self.root_bytes()).signed.roles[role].keyids

    def versions(self) -> Versions:
        """Return what is published now."""
        data = self._site.read(TIMESTAMP)
        if self._versions is None or self._versions[0] != data:
            self._versions = (data or b"", self._read_versions(data))
        return self._versions[1]

    def _read_versions(self, data: bytes | None) -> Versions:
        if data is None:
            raise DirectoryStateInvalid(path=self._site.folder, reason="no timestamp.json")
        timestamp = self._parsed(data, Timestamp, "timestamp")
        snapshot = self._read("snapshot", timestamp.snapshot_meta.version, Snapshot)
        others = {name.removesuffix(".json"): meta.version for name, meta in snapshot.meta.items()}
        return Versions(timestamp.version, snapshot.version, others)

    def targets(self, role: str) -> Targets:
        """Return the top-level targets or a bin as published now."""
        return self._read(role, self.versions().of(role), Targets)

    def bin_roles(self) -> tuple[str, ...]:
        return tuple(self._succinct().get_roles())

    def role_of(self, path: str) -> str:
        """Return which role holds a path."""
        return "targets" if path in TOP_PATHS else self._succinct().get_role_for_target(path)

    def digest(self, path: str) -> bytes | None:
        """Return the SHA-256 of the record now published at a path."""
        return self.index(self.role_of(path)).get(path)

    def index(self, role: str) -> dict[str, bytes]:
        """Return ``{path: SHA-256}`` of the records that a role holds now."""
        place = (role, self.versions().of(role))
        if place not in self._indexes:
            self._indexes[place] = index_of(self.targets(role))
        return self._indexes[place]

    def root_bytes(self) -> bytes:
        """Return the newest root."""
        return self._site.roots()[-1]

    def _publish(
        self, changed: Mapping[str, Targets], files: dict[str, bytes], versions: Versions
    ) -> None:
        others = dict(versions.others)
        for role, targets in changed.items():
            targets.version = others[role] = versions.of(role) + 1
            targets.expires = self._expiry(role)
            files[metadata_name(role, targets.version)] = self._signed(role, targets)
        meta = {f"{role}.json": MetaFile(version) for role, version in others.items()}
        snapshot = Snapshot(versions.snapshot + 1, expires=self._expiry("snapshot"), meta=meta)
        data = self._signed("snapshot", snapshot)
        files[metadata_name("snapshot", snapshot.version)] = data
        self._site.write_all(files)
        self._publish_timestamp(versions._replace(snapshot=snapshot.version), data)

    def _publish_timestamp(self, versions: Versions, snapshot_data: bytes | None) -> None:
        name = metadata_name("snapshot", versions.snapshot)
        data = snapshot_data or self._site.read(name) or b""
        hashes = {"sha256": sha256(data).hexdigest()}
        timestamp = Timestamp(
            versions.timestamp + 1,
            expires=self._expiry("timestamp"),
            snapshot_meta=MetaFile(versions.snapshot, len(data), hashes),
            unrecognized_fields={TIME_FIELD: self._now().isoformat()},
        )
        self._site.publish(self._signed("timestamp", timestamp), versions.snapshot)

    def _renew_root(self) -> None:
        root = Metadata[Root].from_bytes(self.root_bytes()).signed
        if self._due("root", root) and self._is_key_here("root", root):
            root.version += 1
            root.expires = self._expiry("root")
            name = metadata_name("root", root.version)
            self._site.write_all({name: self._signed("root", root)})

    def _read(self, role: str, version: int, kind: type[AnySigned]) -> AnySigned:
        data = self._site.read(metadata_name(role, version)) or b""
        return self._parsed(data, kind, role)

    def _parsed(self, data: bytes, kind: type[AnySigned], role: str) -> AnySigned:
        try:
            signed = Metadata[AnySigned].from_bytes(data).signed
        except RepositoryError as error:
            raise DirectoryStateInvalid(path=self._site.folder, reason=f"{role} damaged") from error
        assert isinstance(signed, kind)
        return signed

    def _succinct(self) -> SuccinctRoles:
        if self._roles is None:  # how many bins there are is fixed when a directory is made
            delegations = self.targets("targets").delegations
            assert delegations is not None
            self._roles = delegations.succinct_roles
        assert self._roles is not None
        return self._roles

    def _signed(self, role: str, signed: AnySigned) -> bytes:
        metadata = Metadata(signed)
        metadata.sign(self._signer(role))
        return metadata.to_bytes()

    def _signer(self, role: str) -> CryptoSigner:
        name = "bins" if role.startswith(BIN_PREFIX) else role
        fresh = self._fresh.get(name)
        return fresh if fresh is not None else CryptoSigner(self._key(name).cryptography)

    def _is_key_here(self, role: str, signed: Root | Targets) -> bool:
        try:
            self._signer(role)
        except InvalidKey:
            _LOG.warning(
                "directory: the key of %s is not here; sign it anew before %s with"
                " `lienthong directory publish` where the key is",
                role,
                signed.expires.date(),
            )
            return False
        return True

    def _due(self, role: str, signed: Root | Snapshot | Targets) -> bool:
        return signed.expires - self._now() < self._periods.of(role) / 2

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    def _expiry(self, role: str) -> datetime:
        return self._now() + self._periods.of(role)


def _set_target(targets: Targets, path: str, data: bytes, files: dict[str, bytes]) -> None:
    digest = sha256(data).digest()
    targets.targets[path] = TargetFile(len(data), {"sha256": digest.hex()}, path)
    files[target_name(path, digest)] = data
