"""A node's own copy of the directory: refreshed often, trusted only as far as it proves itself.

    mirror = DirectoryMirror(state / "directory", "https://directory.example.vn", root_bytes)
    mirror.refresh()          # blocking: call it in a thread
    view = mirror.view        # the newest good version

A refresh verifies everything in memory, writes the new files, and last of all the timestamp:
whatever happens, the last good version stays whole on disk, and a node starts from it without
a network. Records that changed without their owner's signature are held back (acceptance).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from lienthong.directory.acceptance import (
    Acceptance,
    Held,
    Index,
    changed_paths,
    encode_held,
    held_name,
    read_held,
)
from lienthong.directory.alarms import Alarm, Alarms
from lienthong.directory.copy import Copy, assemble
from lienthong.directory.download import Source, need
from lienthong.directory.fetch import LARGEST_METADATA_BYTES, Fetch, fetch_from
from lienthong.directory.proof import make_proof
from lienthong.directory.records import Record, parse_record
from lienthong.directory.site import NAME, TIMESTAMP, Site, metadata_name, target_name
from lienthong.directory.trust import LONG_AGO, Trust, named_snapshot
from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    DirectoryError,
    DirectoryInconsistent,
    DirectoryNotLoaded,
    DirectorySignatureInvalid,
    DirectoryUnreachable,
)

_LOG = logging.getLogger("lienthong.directory")
_MOST_PARSED = 8_192  # records kept in memory over versions; a node has some hundred peers
_MOST_ROOTS = 256  # at one refresh; an endless chain of roots would keep a node busy for good


class DirectoryMirror:
    """See the module's text. ``url`` may be several; the first that works is used.

    Raises DirectoryError leaves when ``trusted_root`` itself is not a root of trust.
    """

    def __init__(
        self,
        folder: Path,
        url: str | Sequence[str],
        trusted_root: bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.site = Site(folder)
        self.trusted_root = trusted_root
        self.instance = Trust(trusted_root, LONG_AGO).instance
        self._fetches = [fetch_from(one) for one in ([url] if isinstance(url, str) else url)]
        self._clock = clock
        self._lock = threading.Lock()
        self._alarms = Alarms(self.site)
        self._read_record = lru_cache(_MOST_PARSED)(self._parse_record)
        self._copy: Copy | None = None
        self._on_disk: bytes | None = None  # the timestamp of what this process has taken up
        self._held: Held = {}
        self._view: DirectoryView | None = None
        self._load()
        self._keep_root()

    @property
    def view(self) -> DirectoryView:
        """The newest good version; ``view.check_fresh(now)`` says if it still counts.

        Raises DirectoryNotLoaded before the first successful refresh.
        """
        if self._view is None:
            raise DirectoryNotLoaded()
        return self._view

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What the directory's operator should not have been able to do alone."""
        return self._alarms.all

    def refresh(self, fetch: Fetch | None = None) -> bool:
        """Look for a newer version; returns whether there was one. Blocking.

        ``fetch`` takes the place of the addresses, to take what a peer has. Raises the error
        of the last source tried; the view stays as it was.
        """
        failure: DirectoryError = DirectoryUnreachable(url="", reason="no address")
        with self._lock, self.site.held():
            for source in [fetch] if fetch else self._fetches:
                try:
                    return self._refresh(source)
                except DirectoryError as error:
                    _LOG.warning("directory not refreshed: %s", error)
                    failure = error
        raise failure

    def public_file(self, name: str) -> bytes | None:
        """Return a file that peers may take from here, named as on a directory's site."""
        return self.site.read(name) if NAME.fullmatch(name) else None

    def proof(
        self,
        member_ids: Iterable[str],
        node_ids: Iterable[str],
        version: int | None = None,
        *,
        time_authorities: bool = False,
    ) -> dict[str, Any]:
        """Return what proves the records of these members and nodes as of a version.

        Raises UnknownDirectoryVersion, UnknownMember, UnknownNode, DirectoryNotLoaded.
        """
        newest = self.view.version
        return make_proof(
            self.site,
            self.trusted_root,
            member_ids,
            node_ids,
            version or newest,
            time_authorities=time_authorities,
        )

    # --- from disk --------------------------------------------------------------------

    def _load(self) -> None:
        """Take the last good version from disk, whatever its date."""
        timestamp = self.site.read(TIMESTAMP)
        if timestamp is None:
            return
        try:
            copy = self._assemble_local(timestamp)
            self._adopt(copy, read_held(self.site, copy.facts.version))
            self._on_disk = timestamp
        except DirectoryError as error:
            _LOG.error("the copy of the directory on disk is not used: %s", error)

    def _assemble_local(self, timestamp: bytes) -> Copy:
        """Verify the copy under the newest root, or the one under which it was taken.

        A root with another key may have come when what that key signs had not: without a
        network the copy goes on until its date. A refresh starts from the newest root always.
        """
        newest = Trust(self.trusted_root, LONG_AGO)
        first = newest.root.version
        self._advance_root(newest, lambda name, limit: None)
        failure: DirectoryError | None = None
        for last in range(newest.root.version, first - 1, -1):
            trust = Trust(self.trusted_root, LONG_AGO)
            self._advance_root(trust, lambda name, limit: None, last)
            try:
                trust.offer_timestamp(timestamp)
                return assemble(trust, timestamp, self._read_local)
            except DirectorySignatureInvalid as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def _read_local(self, name: str) -> bytes:
        data = self.site.read(name)
        if data is None:
            raise DirectoryInconsistent(part=name)
        return data

    def _adopt(self, copy: Copy, held: Held) -> None:
        self._view = DirectoryView(copy.facts, Index(copy, held), self._read_record)
        self._copy = copy
        self._held = held

    def _keep_root(self) -> None:
        """Put the root of trust beside the others, as this folder is a site for peers too."""
        version = Trust(self.trusted_root, LONG_AGO).root.version
        name = metadata_name("root", version)
        if self.site.read(name) is None:
            self.site.write_all({name: self.trusted_root})

    def _parse_record(self, path: str, digest: bytes) -> Record:
        return parse_record(path, self.site.record(path, digest), self.instance)

    # --- from a source ----------------------------------------------------------------

    def _refresh(self, fetch: Fetch) -> bool:
        """Take a newer version from one source.

        1. Follow the roots.  2. Take the timestamp: newer than ours, not expired.
        3. Verify snapshot, targets and the bins that changed.  4. Fetch the records that
        changed, by their hashes.  5. Judge changes of keys.  6. Write all, the timestamp last.
        """
        trust = Trust(self.trusted_root, self._now())
        self._advance_root(trust, fetch)
        known = self._recall_timestamp(trust)
        timestamp = need(fetch, TIMESTAMP, LARGEST_METADATA_BYTES)
        if not trust.offer_timestamp(timestamp):
            if self._copy is not None and known == self._on_disk:
                return False
            # The same version; but what is on disk is damaged, or another worker of this node
            # put it there and this one has not taken it up yet.
            timestamp = known or timestamp
        self._recall_snapshot(trust, known)
        source = Source(self.site, fetch, first=self._copy is None)
        copy = assemble(trust, timestamp, source.metadata, self._copy)
        source.take_records(self._missing(copy))
        held, alarms = self._judged(copy)
        self.site.write_all({**source.taken, held_name(copy.facts.version): encode_held(held)})
        self._alarms.add(alarms)
        self.site.publish(timestamp, copy.facts.version)
        self._adopt(copy, held)
        self._on_disk = timestamp
        return True

    def _recall_timestamp(self, trust: Trust) -> bytes | None:
        """Set the floor below which no version is taken, even when the copy is damaged."""
        known = self.site.read(TIMESTAMP)
        if known is not None:
            trust.recall_timestamp(known)
        return known

    def _recall_snapshot(self, trust: Trust, timestamp: bytes | None) -> None:
        version = named_snapshot(timestamp) if timestamp is not None else None
        data = self.site.read(metadata_name("snapshot", version)) if version else None
        if data is not None:
            trust.recall_snapshot(data)

    def _now(self) -> datetime:
        """Return the time, but never one before the directory's: no clock revives the expired."""
        now = self._clock()
        return now if self._copy is None else max(now, self._copy.facts.published)

    def _advance_root(self, trust: Trust, fetch: Fetch, last: int | None = None) -> None:
        for _ in range(_MOST_ROOTS):
            if trust.root.version == last:
                return
            name = metadata_name("root", trust.root.version + 1)
            known = self.site.read(name)
            data = known or fetch(name, LARGEST_METADATA_BYTES)
            if data is None:
                return
            trust.advance_root(data)
            if known is None:
                self.site.write_all({name: data})

    def _missing(self, copy: Copy) -> dict[str, bytes]:
        """Return ``{file name: SHA-256}`` of the records that are not on disk yet."""
        if self._copy is None:
            changes: Iterable[tuple[str, bytes | None]] = (
                (path, copy.digest(path)) for path in copy.paths()
            )
        else:
            changes = changed_paths(self._copy, copy)
        return {
            target_name(path, digest): digest
            for path, digest in changes
            if digest is not None and not self.site.has_record(path, digest)
        }

    def _judged(self, copy: Copy) -> tuple[Held, list[Alarm]]:
        if self._copy is None:
            return {}, []
        acceptance = Acceptance(self._copy, copy, self._held, self._read_record, self._now())
        acceptance.judge()
        return acceptance.held, acceptance.alarms
