"""``lienthong restore``: a node back from one file, whole or not at all.

(1) every checksum of the file; (2) this program knows its version; (3) nothing is overwritten;
(4) the node's own key confirms the manifest; (5) everything is put beside its place, and the
ledger verified whole; (6) it takes its place. Until (6) nothing that a node would look at exists.

The database is marked as restored: at its start the node asks its peers what it lost, and begins
a new epoch (``exchange/restoration.py``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lienthong.errors import (
    BackupDamaged,
    LedgerCorrupt,
    LienthongError,
    OtherDatabaseWanted,
    RestoreTargetTaken,
    SchemaTooNew,
)
from lienthong.given_paths import read_given, telling
from lienthong.ledger.database import open_database
from lienthong.ledger.index_key import read_index_key
from lienthong.ledger.restored import mark_restored
from lienthong.node.backup_database import (
    TableLoader,
    begin_restoring,
    give_up_restoring,
    restoring_url,
    take_place,
)
from lienthong.node.backup_file import BackupReader, sync_folder
from lienthong.node.backup_manifest import Manifest, check_mac
from lienthong.node.initialise import settings_text
from lienthong.node.ledger_check import verify_stored
from lienthong.node.progress import progress_bar
from lienthong.node.state import StateFolder
from lienthong.schema.migrations import newest, versions
from lienthong.settings import load_settings

PROGRESS_UNIT = 1 << 20  # the bar counts MiB


class Restored(NamedTuple):
    """What came back."""

    node: str
    made: str
    groups: int
    records: int
    head: str


def restore(
    file: Path,
    folder: Path,
    passphrase: str | None = None,
    keys: Path | None = None,
    database_url: str | None = None,
) -> Restored:
    """Bring back the node of a backup into ``folder``, which must not exist or be empty.

    ``keys``: its folder of keys, for a backup without them. ``database_url``: another database
    than the node's settings name. Raises NotABackup, BackupLocked, BackupCut, BackupDamaged,
    BackupForged, SchemaTooNew, RestoreTargetTaken, OtherDatabaseWanted, LedgerCorrupt, …
    """
    manifest = check_backup(file, passphrase)  # (1)
    _check_target(folder)  # (3)
    with _beside(folder) as draft:
        state = StateFolder(draft)
        _bring_keys(state, file, passphrase, manifest, keys)  # (4)
        url = _chosen_database(state, file, passphrase, manifest, database_url)
        with _database_of(url) as working_url:
            _extract(file, passphrase, manifest, state, working_url)  # (5)
            report = _verified(state, working_url or f"sqlite:///{state.database}", manifest)
            if url:
                take_place(url)  # (6)
        _sync(draft)
        with telling(folder):
            draft.rename(folder)
            sync_folder(folder.parent)
    return Restored(
        manifest.node, manifest.made, report["groups"], report["records"], report["head"]
    )


def check_backup(file: Path, passphrase: str | None) -> Manifest:
    """Read a backup from beginning to end and check all of it; write nothing.

    Raises NotABackup, BackupLocked, BackupCut, BackupDamaged, SchemaTooNew, PathUnusable.
    """
    reader = BackupReader(file, passphrase)
    for _ in _members(reader, "Kiểm tra bản sao lưu · checking the backup"):
        pass
    manifest = reader.manifest
    assert manifest is not None  # the last frame, or an error
    if manifest.schema not in versions():  # (2)
        raise SchemaTooNew(found=manifest.schema[:50], known=newest())
    return manifest


def _members(reader: BackupReader, words: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The members, with a bar that follows the reading."""
    with progress_bar() as bar:
        task = bar.add_task(words, total=max(reader.size // PROGRESS_UNIT, 1))
        for name, chunks in reader.members():
            yield name, _following(chunks, lambda: reader.position, bar, task)


def _following(chunks: Iterator[bytes], position: Any, bar: Any, task: Any) -> Iterator[bytes]:
    for chunk in chunks:
        bar.update(task, completed=position() // PROGRESS_UNIT)
        yield chunk


def _check_target(folder: Path) -> None:
    with telling(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RestoreTargetTaken(target=folder)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder next to the one wanted, gone again unless it took its place."""
    draft = folder.absolute().with_name(f".{folder.name}.restoring")
    with telling(draft):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _database_of(url: str) -> Iterator[str]:
    """Where a PostgreSQL database is filled; nothing is left in it when that fails."""
    if not url:
        yield ""
        return
    begin_restoring(url)
    try:
        yield restoring_url(url)
    except BaseException:
        with suppress(LienthongError):
            give_up_restoring(url)
        raise


def _bring_keys(
    state: StateFolder,
    file: Path,
    passphrase: str | None,
    manifest: Manifest,
    keys: Path | None,
) -> None:
    state.keys.mkdir(mode=0o700)
    if keys is not None:
        for path in sorted(keys.iterdir()) if keys.is_dir() else []:
            if path.is_file():
                _write(state.keys / path.name, iter([read_given(path)]))
    elif manifest.keys:
        _take(file, passphrase, state, "state/keys/")
    with telling(state.index_key):
        index_key = state.index_key.read_bytes()
    check_mac(manifest, index_key)


def _chosen_database(
    state: StateFolder,
    file: Path,
    passphrase: str | None,
    manifest: Manifest,
    database_url: str | None,
) -> str:
    """The address of the PostgreSQL database to fill; empty for SQLite. Raises
    OtherDatabaseWanted."""
    _take(file, passphrase, state, "state/node.toml")
    if database_url is not None:
        text = settings_text(state.settings, {"database": database_url})
        state.write(state.settings, (text or "").encode())
    url = load_settings(state.settings, os.environ).database
    if bool(url and not url.startswith("sqlite")) != (manifest.database == "postgresql"):
        raise OtherDatabaseWanted(wanted=manifest.database)
    return "" if manifest.database == "sqlite" else url


def _take(file: Path, passphrase: str | None, state: StateFolder, prefix: str) -> None:
    """Write the files of the state folder whose names begin so."""
    for name, chunks in BackupReader(file, passphrase).members():
        if name.startswith(prefix):
            _write(state.folder / name.removeprefix("state/"), chunks)


def _extract(
    file: Path, passphrase: str | None, manifest: Manifest, state: StateFolder, url: str
) -> None:
    tables = {f"database/{table.name}": table for table in manifest.tables}
    loader = TableLoader(url, manifest.schema) if url else None
    try:
        reader = BackupReader(file, passphrase)
        for name, chunks in _members(reader, "Khôi phục · restoring"):
            target = state.folder / name.removeprefix("state/")
            if name == "database/node.db" and loader is None:
                _write(state.database, chunks)
            elif name in tables and loader is not None:
                loader.load(tables[name], chunks)
            elif name.startswith("database/"):
                raise BackupDamaged(reason=f"unknown part {name[:100]}")
            elif not target.exists():  # keys and settings are there already
                _write(target, chunks)
        if loader is not None:
            loader.commit()
    finally:
        if loader is not None:
            loader.close()
    state.create()


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    with telling(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


def _verified(state: StateFolder, url: str, manifest: Manifest) -> dict[str, Any]:
    """Check the whole ledger where it lies now. Raises LedgerCorrupt, IndexKeyWrong."""
    if state.read_identity().node != manifest.node:
        raise BackupDamaged(reason="the manifest names another node")
    engine = open_database(url)
    try:
        read_index_key(state.index_key, engine)
        report = verify_stored(engine, state)
        if not report["good"]:
            raise LedgerCorrupt(reason=report["problems"][0])
        mark_restored(engine, manifest.made_ms)
    finally:
        engine.dispose()
    return report


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
