"""``lienthong backup``: one file that holds a node, taken while the node runs.

The database comes first and the bodies after it: a body without its record is harmless, a record
without its body is not. Keys go in only under a passphrase.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import Progress
from sqlalchemy import Engine

from lienthong import __version__
from lienthong.errors import PathUnusable
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.database import connect_database
from lienthong.ledger.heads import format_time
from lienthong.ledger.index_key import read_index_key
from lienthong.node.backup_database import copy_sqlite, dump_postgresql
from lienthong.node.backup_file import CHUNK_BYTES, BackupWriter, writing_backup
from lienthong.node.backup_manifest import Manifest, TableRows, signed
from lienthong.node.progress import progress_bar
from lienthong.node.state import StateFolder
from lienthong.schema.migrations import check_known, versions
from lienthong.settings import load_settings

COPY_PREFIX = ".backup-"  # the copy of an SQLite database while it is put into the file
DIRECTORY_READ_AGAIN = 5  # a refresh of the directory's copy takes a moment


class Taken(NamedTuple):
    """What was written."""

    file: Path
    bytes: int
    members: int
    keys: bool
    schema: str


def back_up(state: StateFolder, output: Path, passphrase: str | None) -> Taken:
    """Write everything of a node to ``output``; its keys only with a passphrase.

    Raises NodeNotInitialised, PathUnusable, PassphraseWanted, LedgerUnavailable, SchemaTooNew,
    IndexKeyWrong.
    """
    identity = state.read_identity()
    settings = load_settings(state.settings, os.environ)
    engine = connect_database(settings.database or f"sqlite:///{state.database}")
    try:
        schema = check_known(engine) or versions()[0]
        index_key = read_index_key(state.index_key, engine)
        made = datetime.now(UTC)
        with writing_backup(output, passphrase) as writer, progress_bar() as bar:
            tables = _add_database(state, engine, schema, writer, bar)
            _add_files(state, writer, bar, keys=passphrase is not None)
            manifest = Manifest(
                node=identity.node,
                program=__version__,
                made=format_time(made),
                made_ms=milliseconds(made),
                database="sqlite" if engine.dialect.name == "sqlite" else "postgresql",
                schema=schema,
                keys=passphrase is not None,
                tables=tuple(tables),
                members=tuple(writer.members),
            )
            writer.finish(signed(manifest, index_key))
    finally:
        engine.dispose()
    return Taken(
        output, output.stat().st_size, len(manifest.members), manifest.keys, manifest.schema
    )


def _add_database(
    state: StateFolder, engine: Engine, schema: str, writer: BackupWriter, bar: Progress
) -> list[TableRows]:
    task = bar.add_task("Cơ sở dữ liệu · database", total=None)

    def report(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    if engine.dialect.name != "sqlite":
        return dump_postgresql(engine, schema, writer, report)
    with _copy(state, Path(str(engine.url.database)), report) as copy:
        writer.add("database/node.db", read_pieces(copy))
    return []


@contextmanager
def _copy(state: StateFolder, database: Path, report: Any) -> Iterator[Path]:
    """A copy within the state folder: it is as secret as the database itself."""
    for left in state.folder.glob(f"{COPY_PREFIX}*"):
        left.unlink(missing_ok=True)
    copy = state.folder / f"{COPY_PREFIX}{secrets.token_hex(8)}.db"
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        copy_sqlite(database, copy, report)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _add_files(state: StateFolder, writer: BackupWriter, bar: Progress, *, keys: bool) -> None:
    directory = _directory_copy(state)
    paths = [path for path in _files(state.folder) if _is_kept(state, path, keys=keys)]
    task = bar.add_task("Tệp · files", total=len(paths) + len(directory))
    for name, content in directory.items():
        writer.add(name, [content])
        bar.advance(task)
    for path in paths:
        try:
            with path.open("rb") as file:
                writer.add(_name(state, path), iter(lambda: file.read(CHUNK_BYTES), b""))
        except FileNotFoundError:
            continue  # a body that was purged meanwhile; nothing of it was written yet
        except OSError as error:
            raise PathUnusable(path=path, reason=str(error.strerror)) from error
        bar.advance(task)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _is_kept(state: StateFolder, path: Path, *, keys: bool) -> bool:
    """What a node needs and cannot make again."""
    if path.is_relative_to(state.keys):
        return keys
    if path.is_relative_to(state.spool) or path.is_relative_to(state.directory):
        return False
    if path.parent != state.folder:
        return True
    return not (
        path.name.startswith((state.database.name, ".")) or path in {state.lock, state.admin_socket}
    )


def _directory_copy(state: StateFolder) -> dict[str, bytes]:
    """The copy of the directory as it was at one moment: the node may be renewing it."""
    before: dict[str, bytes] = {}
    for _ in range(DIRECTORY_READ_AGAIN):
        found = {}
        for path in _files(state.directory):
            try:
                found[_name(state, path)] = path.read_bytes()
            except FileNotFoundError:
                break
        else:
            if found == before:
                return found
        before = found
    raise PathUnusable(path=state.directory, reason="it keeps changing")


def _name(state: StateFolder, path: Path) -> str:
    return f"state/{path.relative_to(state.folder).as_posix()}"


def read_pieces(path: Path) -> Iterator[bytes]:
    """A file's content, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
