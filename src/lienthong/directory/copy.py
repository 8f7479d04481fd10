"""One verified version of the directory's metadata, from a disk, a network or a proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Delegations, Targets

from lienthong.directory.records import TOP_PATHS as _TOP
from lienthong.directory.site import metadata_name
from lienthong.directory.trust import Trust, index_of
from lienthong.directory.view import Facts

Read = Callable[[str], bytes]  # the file of that name; raises one of our errors


@dataclass(frozen=True, slots=True)
class Bin:
    """What one bin says: which records stand at which path."""

    version: int
    expires: datetime
    index: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Copy:
    """All of one version: ``top`` is what the offline targets key says, ``bins`` the rest."""

    facts: Facts
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    delegations: Delegations | None
    top: dict[str, bytes]
    bins: Mapping[str, Bin]
    bin_of: Callable[[str], str]

    def digest(self, path: str) -> bytes | None:
        """Return the SHA-256 that the directory gives for a path."""
        if path in _TOP:
            return self.top.get(path)
        entry = self.bins.get(self.bin_of(path))
        return entry.index.get(path) if entry else None

    def paths(self) -> Iterator[str]:
        yield from self.top
        for entry in self.bins.values():
            yield from entry.index


def assemble(
    trust: Trust,
    timestamp: bytes,
    read: Read,
    known: Copy | None = None,
    only: Iterable[str] | None = None,
) -> Copy:
    """Verify the version that the trusted timestamp names, in TUF's order.

    Bins that ``known`` has in the same version are taken from there; a proof reads the bins
    of ``only`` some paths. Raises the DirectoryError of the first check that fails.
    """
    snapshot = read(metadata_name("snapshot", trust.timestamp.snapshot_meta.version))
    trust.offer_snapshot(snapshot)
    targets = read(metadata_name("targets", trust.targets_version()))
    trust.offer_targets(targets)
    # While the keys of the bins are the same, a bin verified before needs no second look.
    delegations = trust.targets.delegations
    same = known.bins if known is not None and known.delegations == delegations else {}
    bins: dict[str, Bin] = {}
    roles = None if only is None else {trust.bin_of(path) for path in only if path not in _TOP}
    for role, version in trust.bin_versions().items():
        if roles is None or role in roles:
            entry = same.get(role)
            if entry is None or entry.version != version:
                metadata = trust.offer_bin(role, read(metadata_name(role, version)))
                entry = Bin(version, metadata.expires, _records_of(trust, role, metadata))
            bins[role] = entry
    top = {path: digest for path, digest in index_of(trust.targets).items() if path in _TOP}
    expires = min(trust.expires(), *(entry.expires for entry in bins.values()))
    offline = min(trust.root.expires, trust.targets.expires)
    facts = Facts(trust.instance, trust.snapshot.version, trust.published(), expires, offline)
    return Copy(facts, timestamp, snapshot, targets, delegations, top, bins, trust.bin_of)


def _records_of(trust: Trust, role: str, metadata: Targets) -> dict[str, bytes]:
    """Return a bin's index without what another role must say."""
    return {
        path: digest
        for path, digest in index_of(metadata).items()
        if path not in _TOP and trust.bin_of(path) == role
    }
