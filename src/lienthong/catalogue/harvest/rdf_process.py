"""The process that reads strangers' RDF (``rdf_reading.py``): started, asked, ended in time.

with RdfProcess() as reader:
    found = reader.read(content, "turtle", base="https://…")
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, Self

import msgspec

from lienthong.catalogue.harvest.fetching import SourceFailed

LONGEST_READING_SECONDS = 120.0
MODULE = "lienthong.catalogue.harvest.rdf_reading"


class RdfProcess:
    """Not for two threads at once."""

    def __init__(self, seconds: float = LONGEST_READING_SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self, content: bytes, form: str, base: str) -> dict[str, Any]:
        """Return what the page holds. Raises SourceFailed."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._seconds, process.kill)
        timer.daemon = True
        timer.start()
        asked = {"form": form, "base": base, "length": len(content)}
        try:
            process.stdin.write(msgspec.json.encode(asked) + b"\n" + content)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):  # killed, or out of memory
            self._end()
            raise SourceFailed("reading it takes too much time or memory")
        found: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        if "reason" in found:
            raise SourceFailed(str(found["reason"]))
        return found

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        process.wait()
