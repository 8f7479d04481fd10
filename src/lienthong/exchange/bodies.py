"""What the ledger keeps of a body: bytes with the group, or a file of its own when it is large.

A large body's file is on disk (fsync) before its record is signed, so that the record never
names a body that a crash could take away.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lienthong.transport.messages import Body

Kept = tuple[bytes | None, str]
_NOTHING: Kept = (None, "")


class BodyKeeper:
    """The folder of large bodies.

    ``suffix`` tells the files of one gateway from those of others that share the folder: two
    may receive the same request, and only one registers it.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self._folder = folder
        self._suffix = suffix
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def keep(self, body: Body, mode: str, request_id: str, kind: str) -> Kept:
        """Return the bytes to log with the record, or the name of the file that holds them."""
        if mode != "full" or body.size == 0:
            return _NOTHING
        if body.path is None:
            return body.read(), ""
        name = f"{request_id}.{kind}{self._suffix}"
        await asyncio.get_running_loop().run_in_executor(None, self._keep_file, body, name)
        return None, name

    def _keep_file(self, body: Body, name: str) -> None:
        body.keep_as(self._folder / name)
        body.sync()
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def open(self, name: str) -> Body | None:
        """A kept file, unless it was purged."""
        path = self._folder / Path(name).name
        return Body.of_file(path) if path.is_file() else None

    def purge(self, before: datetime) -> int:
        """Delete files last written before that time; returns how many."""
        old = [path for path in self._files() if path.stat().st_mtime < before.timestamp()]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def erase(self, name: str) -> None:
        if name:
            (self._folder / Path(name).name).unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if path.is_file())
