"""Bodies on their way in: collected in memory, and in a file once they are large.

Files are written by threads of their own, so that a slow disk does not stand in the way of
other connections. While a thread writes, the connection is not read: memory stays bounded
by one write per connection, whatever the size of the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from lienthong.errors import SpoolFailed
from lienthong.transport.messages import EMPTY_BODY, Body

SPOOL_SUFFIX = ".spool"
WRITE_SIZE_BYTES = 1 << 20
# A body that arrives in chunks of one byte would cost forty times its size as a list.
MOST_LOOSE_CHUNKS = 64
SPOOL_THREADS = ThreadPoolExecutor(4, thread_name_prefix="spool")


def clear_spool(folder: Path) -> int:
    """Delete what a killed process left in its spool folder; returns how many files."""
    leftovers = list(folder.glob(f"*{SPOOL_SUFFIX}"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


class SpoolFile:
    """One body's file. Methods block and are called by one thread at a time."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._descriptor = -1
        self._path: Path | None = None
        self._digest = sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append ``data``; the first call makes the file. Raises OSError."""
        if self._path is None:
            self._descriptor, name = tempfile.mkstemp(suffix=SPOOL_SUFFIX, dir=self._folder)
            self._path = Path(name)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._digest.update(data)
        self._size += len(data)

    def finish(self) -> Body:
        """Close the file and make a body of it."""
        if self._path is None:
            return EMPTY_BODY
        self._close()
        return Body.spooled(self._path, self._size, self._digest.digest())

    def abandon(self) -> None:
        """Close and delete the file."""
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Intake:
    """Collects the body of the message that a connection is receiving.

    The parser appends to ``chunks`` directly. The connection calls ``spill`` while a body
    arrives, and ``take`` when it is complete.
    """

    __slots__ = ("_file", "_folder", "_threshold_bytes", "_writing", "chunks", "stored_bytes")

    def __init__(self, folder: Path | None, threshold_bytes: int) -> None:
        self.chunks: list[bytes] = []
        self.stored_bytes = 0
        self._folder = folder
        self._threshold_bytes = threshold_bytes
        self._file: SpoolFile | None = None
        self._writing: asyncio.Future[None] | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes received of this body so far."""
        return self.stored_bytes + sum(map(len, self.chunks))

    def spill(self, done: Callable[[asyncio.Future[None]], None]) -> bool:
        """Start to write to the file if enough has come in; ``done`` is called afterwards.

        Returns whether a write is going on, in which case the caller stops reading.
        """
        if self._writing is not None and not self._writing.done():
            return True
        waiting = sum(map(len, self.chunks))
        if waiting <= (self._threshold_bytes if self._file is None else WRITE_SIZE_BYTES):
            if len(self.chunks) > MOST_LOOSE_CHUNKS:
                self.chunks[:] = [b"".join(self.chunks)]
            return False
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.stored_bytes += len(data)
        if self._file is None:
            self._file = SpoolFile(self._folder)
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(SPOOL_THREADS, self._file.write, data)
        self._writing.add_done_callback(done)
        return True

    def take(self) -> Body | Unfinished:
        """Return the complete body and be ready for the next one."""
        chunks = self.chunks
        if not chunks and self._file is None:
            return EMPTY_BODY
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._file is None and len(data) <= self._threshold_bytes:
            return Body(data, len(data), None, None, False)
        return self._unfinished(data)

    def abandon(self) -> None:
        """Drop what was received; deletes the file."""
        self.chunks.clear()
        if self._file is not None:
            self._unfinished(b"").abandon()

    def _unfinished(self, data: bytes) -> Unfinished:
        file = self._file if self._file is not None else SpoolFile(self._folder)
        rest = Unfinished(file, self._writing, data)
        self._file, self._writing, self.stored_bytes = None, None, 0
        return rest


class Unfinished:
    """A large body that is complete but not yet wholly in its file."""

    __slots__ = ("_data", "_file", "_writing")

    def __init__(self, file: SpoolFile, writing: asyncio.Future[None] | None, data: bytes) -> None:
        self._file = file
        self._writing = writing
        self._data = data

    async def finish(self) -> Body:
        """Write the rest. Raises SpoolFailed; the file is gone then."""
        try:
            if self._writing is not None:
                await self._writing
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(SPOOL_THREADS, self._finish)
        except OSError as error:
            self._file.abandon()
            raise SpoolFailed(reason=error.strerror or str(error)) from error

    def abandon(self) -> None:
        """Delete the file, once the write that is going on has ended."""
        if self._writing is not None and not self._writing.done():
            self._writing.add_done_callback(lambda _: self._file.abandon())
        else:
            self._file.abandon()

    def _finish(self) -> Body:
        self._file.write(self._data)
        return self._file.finish()
