"""A folder of static files, read only: what the directory's own web server serves.

Nothing outside the folder is reachable: no ``..``, no hidden files, no symbolic link that
leads out.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import os
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from lienthong.transport.messages import Body, Handler, Headers, Request, Response

LARGEST_CACHED_BYTES = 1 << 20
MOST_CACHED_FILES = 512
SMALLEST_COMPRESSED_BYTES = 256
COMPRESSIBLE = ("application/json", "text/", "application/xml", "image/svg+xml")


class _Version(NamedTuple):
    """A file as it was at one moment: it is read again once any of these changes."""

    path: str
    inode: int
    size_bytes: int
    modified_ns: int


class _Entry(NamedTuple):
    etag: str
    content_type: str
    plain: Body
    compressed: Body | None


def static_files(folder: Path) -> Handler:
    """Return a handler that serves ``folder``."""
    return _StaticFiles(folder)


class _StaticFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._cache: OrderedDict[_Version, _Entry] = OrderedDict()

    async def __call__(self, request: Request) -> Response:
        """Answer GET and HEAD."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, [("allow", "GET, HEAD")])
        path = await asyncio.to_thread(self._find, request.path)
        if path is None:
            return _text(404, "not found")
        try:
            entry = await asyncio.to_thread(self._entry, path)
        except OSError:  # removed or made unreadable meanwhile
            return _text(404, "not found")
        return _response(request, entry)

    def _find(self, target: str) -> Path | None:
        """Return the file that a target names, or None if there is none to be served."""
        try:
            name = unquote_to_bytes(target).decode("utf-8")
        except UnicodeDecodeError:
            return None
        parts = name.split("/")[1:]
        if not parts or any(not _is_safe(part) for part in parts):
            return None
        try:
            path = self._folder.joinpath(*parts).resolve(strict=True)
            return path if path.is_relative_to(self._folder) and path.is_file() else None
        except (OSError, ValueError, RuntimeError):
            return None

    def _entry(self, path: Path) -> _Entry:
        state = path.stat()
        version = _Version(str(path), state.st_ino, state.st_size, state.st_mtime_ns)
        entry = self._cache.pop(version, None)
        if entry is None:
            entry = _load(path, state)
        self._cache[version] = entry
        while len(self._cache) > MOST_CACHED_FILES:
            self._cache.popitem(last=False)
        return entry


def _is_safe(part: str) -> bool:
    return bool(part) and part[0] != "." and "\\" not in part and "\0" not in part


def _load(path: Path, state: os.stat_result) -> _Entry:
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if state.st_size > LARGEST_CACHED_BYTES:
        etag = f'"{state.st_ino:x}-{state.st_size:x}-{state.st_mtime_ns:x}"'
        return _Entry(etag, content_type, Body.of_file(path), None)
    content = path.read_bytes()
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    return _Entry(etag, content_type, Body.of(content), _compress(content, content_type))


def _compress(content: bytes, content_type: str) -> Body | None:
    if len(content) < SMALLEST_COMPRESSED_BYTES or not content_type.startswith(COMPRESSIBLE):
        return None
    return Body.of(gzip.compress(content, mtime=0))


def _response(request: Request, entry: _Entry) -> Response:
    headers: Headers = [("etag", entry.etag), ("cache-control", "no-cache")]
    if entry.compressed is not None:
        headers.append(("vary", "accept-encoding"))
    if _names(request.header("if-none-match"), entry.etag):
        return Response(304, headers)
    headers += [("content-type", entry.content_type), ("x-content-type-options", "nosniff")]
    if entry.compressed is not None and _accepts_gzip(request.header("accept-encoding")):
        return Response(200, [*headers, ("content-encoding", "gzip")], entry.compressed)
    return Response(200, headers, entry.plain)


def _names(condition: str | None, etag: str) -> bool:
    if condition is None:
        return False
    listed = [one.strip().removeprefix("W/") for one in condition.split(",")]
    return "*" in listed or etag in listed


def _accepts_gzip(accepted: str | None) -> bool:
    for one in (accepted or "").lower().split(","):
        coding, _, quality = one.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _text(status: int, text: str) -> Response:
    return Response(
        status, [("content-type", "text/plain; charset=utf-8")], Body.of(f"{text}\n".encode())
    )
