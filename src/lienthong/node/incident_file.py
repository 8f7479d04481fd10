"""What went wrong, kept in the state folder: bounded files of log lines, found again by an id.

    with IncidentFile.open(state.log, most_bytes=128 << 20) as file:
        file.write([b'{"time":…}\\n'])
    lines_with(state.log, {"3f2b8c1a-…"})

An exchange that was answered stands in the ledger; refusals before the ledger, failures and
warnings stand only in the log, and where that goes is the operator's affair. These lines are
kept here too, so that the id in a client's error is found with one command. Each process of a
node writes files of its own (``incidents-0.jsonl`` …), the first number that is free.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

FILES_KEPT = 4  # of one process; the oldest goes when the newest is full
MOST_PROCESSES = 256
LONGEST_LINE_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20


class IncidentFile:
    """The files of one process. One thread writes."""

    def __init__(self, folder: Path, slot: int, lock: int, most_bytes: int) -> None:
        self._folder = folder
        self._slot = slot
        self._lock = lock
        self._most_bytes = most_bytes // FILES_KEPT
        self._descriptor = -1
        self._size = 0

    @classmethod
    def open(cls, folder: Path, most_bytes: int) -> Self | None:
        """Take the first free number; None when files are off or the folder cannot be used."""
        if most_bytes <= 0:
            return None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            slot, lock = _take_slot(folder)
        except OSError:
            return None  # a node without a place for its log still works; doctor says so
        return cls(folder, slot, lock, most_bytes)

    def write(self, lines: Iterable[bytes]) -> int:
        """Append whole lines; returns how many could not be written."""
        lost = 0
        for line in lines:
            try:
                self._append(line if len(line) <= LONGEST_LINE_BYTES else b"")
            except OSError:  # a full disk must not stop the node, nor its other log
                lost += 1
        return lost

    def close(self) -> None:
        """Idempotent."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(self._path(0), flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size
        if self._size + len(line) > self._most_bytes:
            self._rotate()
            return self._append(line)
        self._size += os.write(self._descriptor, line)
        return None

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        for age in range(FILES_KEPT - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._path(age - 1).replace(self._path(age))

    def _path(self, age: int) -> Path:
        return self._folder / f"incidents-{self._slot}{f'.{age}' if age else ''}.jsonl"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _take_slot(folder: Path) -> tuple[int, int]:
    for slot in range(MOST_PROCESSES):
        lock = os.open(folder / f"incidents-{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return slot, lock
    raise OSError("no free number")


def lines_with(folder: Path, ids: Collection[str], most: int = 1000) -> list[bytes]:
    """All kept lines in which one of ``ids`` stands as a JSON text, in no order; at most ``most``.

    Files are read in pieces: a search must not hold up the node for longer than a piece takes.
    """
    wanted = [f'"{each}"'.encode() for each in ids]
    found: list[bytes] = []
    for path in sorted(folder.glob("incidents-*.jsonl")):
        with suppress(OSError):  # rotated away meanwhile
            for line in _matching(path, wanted):
                found.append(line)
                if len(found) == most:
                    return found
    return found


def _matching(path: Path, wanted: list[bytes]) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            whole, _, rest = (rest + piece).rpartition(b"\n")
            if any(each in whole for each in wanted):
                yield from (line for line in whole.split(b"\n") if _has(line, wanted))


def _has(line: bytes, wanted: list[bytes]) -> bool:
    return any(each in line for each in wanted)
