"""Which records of a new version a mirror takes over, and which old ones it holds on to.

A record that changed without its owner's signature is *held*: its old content stays in force
on this node, an alarm is raised, and the rest of the new version goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from lienthong.directory.alarms import Alarm
from lienthong.directory.copy import Copy
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    TIME_AUTHORITIES_PATH,
    TOP_PATHS,
    Authorities,
    Member,
    Node,
    Record,
    Registrar,
    member_path,
    record_subject,
)
from lienthong.directory.site import Site
from lienthong.directory.succession import check_succession
from lienthong.directory.view import ReadRecord
from lienthong.errors import DirectoryInconsistent, KeyChangeRefused, RecordInvalid, WrongInstance

_TOP_CHANGES = {
    AUTHORITIES_PATH: "authorities or registrars changed",
    TIME_AUTHORITIES_PATH: "time-stamping authorities changed",
}

Held = Mapping[str, bytes]  # path → SHA-256 of the content that stays in force


def held_name(snapshot_version: int) -> str:
    """Return the file of what is held at a version; written before that version counts."""
    return f"held/{snapshot_version}.json"


def encode_held(held: Held) -> bytes:
    """Return the content of that file."""
    return msgspec.json.encode({path: digest.hex() for path, digest in held.items()})


def read_held(site: Site, snapshot_version: int) -> Held:
    """Read what is held at a version. Raises DirectoryInconsistent (missing or damaged)."""
    name = held_name(snapshot_version)
    try:
        kept = msgspec.json.decode(site.read(name) or b"", type=dict[str, str])
        return {path: bytes.fromhex(digest) for path, digest in kept.items()}
    except (ValueError, msgspec.DecodeError) as error:
        raise DirectoryInconsistent(part=name) from error


class Index(Mapping[str, bytes]):
    """Paths and digests in force: those of the copy, save what is held."""

    def __init__(self, copy: Copy, held: Held) -> None:
        self._copy = copy
        self._held = held

    def __getitem__(self, path: str) -> bytes:
        digest = effective(self._copy, self._held, path)
        if digest is None:
            raise KeyError(path)
        return digest

    def __iter__(self) -> Iterator[str]:
        yield from self._copy.paths()
        yield from (path for path in self._held if self._copy.digest(path) is None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def effective(copy: Copy, held: Held, path: str) -> bytes | None:
    """Return the SHA-256 of the record in force at a path."""
    return held.get(path) or copy.digest(path)


def changed_paths(old: Copy, new: Copy) -> Iterator[tuple[str, bytes | None]]:
    """Yield ``(path, new SHA-256)`` of all that ``new`` adds, changes or drops."""
    for role in ("", *new.bins):
        before, after = _index(old, role), _index(new, role)
        if before is not after:
            for path in before.keys() | after.keys():
                if before.get(path) != after.get(path):
                    yield path, after.get(path)


def _index(copy: Copy, role: str) -> Mapping[str, bytes]:
    if not role:
        return copy.top
    return copy.bins[role].index if role in copy.bins else {}


class Acceptance:
    """Judges the changes from one version to the next; results in ``held`` and ``alarms``."""

    def __init__(self, old: Copy, new: Copy, held: Held, read: ReadRecord, at: datetime) -> None:
        self.held = dict(held)
        self.alarms: list[Alarm] = []
        self._old = old
        self._new = new
        self._read = read
        self._at = at
        self._registrars = self._old_registrars()

    def judge(self) -> None:
        """Go through all changes: authorities and members before the nodes that they own."""
        for path, digest in sorted(changed_paths(self._old, self._new), key=_order):
            before = self.held.get(path) or self._old.digest(path)
            if before is not None and before != digest:
                self._judge(path, before, digest)
            elif before is not None:
                self.held.pop(path, None)  # the directory went back to what is in force
            elif path == TIME_AUTHORITIES_PATH:
                self._alarm("authorities_changed", "time-authorities", _TOP_CHANGES[path])

    def _judge(self, path: str, before: bytes, digest: bytes | None) -> None:
        old = self._read(path, before)
        subject = record_subject(old)
        if digest is None:
            self._hold(path, before, "record_removed", subject, "the record is gone")
            return
        try:
            new = self._read(path, digest)
            by_registrars = check_succession(old, new, self._owner(old), self._registrars)
        except (RecordInvalid, WrongInstance, KeyChangeRefused) as error:
            self._hold(path, before, "change_refused", subject, error.facts.get("reason", "?"))
            return
        self.held.pop(path, None)
        if path in TOP_PATHS:
            self._alarm("authorities_changed", subject, _TOP_CHANGES[path])
        elif by_registrars:
            self._alarm("registrars_acted", subject, "signed by registrars, not by the old key")

    def _hold(self, path: str, before: bytes, kind: str, subject: str, detail: str) -> None:
        self.held[path] = before
        self._alarm(kind, subject, detail)

    def _alarm(self, kind: str, subject: str, detail: str) -> None:
        self.alarms.append(Alarm(self._at, kind, subject, detail))

    def _owner(self, record: Record) -> Member | None:
        if not isinstance(record, Node):
            return None
        path = member_path(record.owner)
        digest = effective(self._new, self.held, path)
        owner = None if digest is None else self._read(path, digest)
        return owner if isinstance(owner, Member) else None

    def _old_registrars(self) -> tuple[Registrar, ...]:
        digest = effective(self._old, self.held, AUTHORITIES_PATH)
        record = None if digest is None else self._read(AUTHORITIES_PATH, digest)
        return record.statement.registrars if isinstance(record, Authorities) else ()


def _order(change: tuple[str, bytes | None]) -> tuple[bool, str]:
    return change[0].startswith("nodes/"), change[0]
