"""The folder in which a directory lies: at its publisher and, alike, in every node's mirror.

    metadata/<version>.<role>.json      root, snapshot, targets, bins-…: written once, never changed
    metadata/timestamp.json             the only file that changes; written last
    metadata/history/<snapshot>.json    the last timestamp of each snapshot, for proofs as of then
    targets/<path with SHA-256>.json    records, by content
    bundle.gz                           all records in one file, for a first copy

Any web server can publish it, and a node's mirror is such a site itself, from which peers take
what is newer. Files of a later version do no harm before timestamp.json names them: so a
crash at any point leaves the old version whole.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from lienthong.errors import DirectoryInconsistent, DirectoryStateInvalid

TIMESTAMP = "metadata/timestamp.json"
BUNDLE = "bundle.gz"
LOCK = ".lock"
# What a site may be asked for; a name from outside never reaches the disk unless it fits.
NAME = re.compile(
    r"metadata/([0-9]{1,10}\.(root|snapshot|targets|bins-[0-9a-f]{1,8})|timestamp"
    r"|history/[0-9]{1,10})\.json"
    r"|targets/((members|nodes)/[0-9a-f]{2}/)?[0-9a-f]{64}\.[0-9a-z]{1,40}\.json|bundle\.gz"
)
_MANY_FILES = 64  # from here on one sync of everything is cheaper than one per file


def metadata_name(role: str, version: int) -> str:
    """Return the name of a versioned metadata file."""
    return f"metadata/{version}.{role}.json"


def history_name(snapshot_version: int) -> str:
    """Return the name of the archived timestamp of a snapshot."""
    return f"metadata/history/{snapshot_version}.json"


def target_name(path: str, digest: bytes) -> str:
    """Return the name of a record's file (TUF specification §6.2, consistent snapshots)."""
    folder, slash, name = path.rpartition("/")
    return f"targets/{folder}{slash}{digest.hex()}.{name}"


class Site:
    """Reads and writes the files of one directory folder, durably."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let one process at a time change the folder: a node's workers share their copy.

        Raises DirectoryStateInvalid (no rights).
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DirectoryStateInvalid(path=self.folder, reason=reason) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None when it is missing."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def record(self, path: str, digest: bytes) -> bytes:
        """Return a record's bytes, checked. Raises DirectoryInconsistent (missing or damaged)."""
        data = self.read(target_name(path, digest))
        if data is None or sha256(data).digest() != digest:
            raise DirectoryInconsistent(part=path)
        return data

    def has_record(self, path: str, digest: bytes) -> bool:
        return (self.folder / target_name(path, digest)).exists()

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Write files and make them durable, all before this returns.

        Raises DirectoryStateInvalid (disk full, no rights); what is there already stays whole.
        """
        try:
            self._write_all(files)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DirectoryStateInvalid(path=self.folder, reason=reason) from error

    def _write_all(self, files: Mapping[str, bytes]) -> None:
        one_by_one = len(files) <= _MANY_FILES
        folders = {(self.folder / name).parent for name in files}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            _write(self.folder / name, data, sync=one_by_one)
        if one_by_one:
            _sync_folders({self.folder, *folders})
        else:
            os.sync()

    def publish(self, timestamp: bytes, snapshot_version: int) -> None:
        """Make everything written before it count, in one atomic step."""
        self.write_all({history_name(snapshot_version): timestamp})
        self.write_all({TIMESTAMP: timestamp})

    def snapshot_versions(self) -> list[int]:
        """Return the versions for which a proof can be made."""
        folder = self.folder / "metadata" / "history"
        return sorted(int(file.stem) for file in folder.glob("*.json") if file.stem.isdigit())

    def roots(self) -> list[bytes]:
        """Return all roots from version 1 (or the first that is here) on, without a gap."""
        folder = self.folder / "metadata"
        versions = sorted(int(file.name.split(".")[0]) for file in folder.glob("[0-9]*.root.json"))
        found = [self.read(metadata_name("root", version)) for version in versions]
        return [data for data in found if data is not None]


def _write(path: Path, data: bytes, sync: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
