"""Fetching files of a directory: from a web server, or from a folder.

What is fetched is not believed here; ``trust`` and the hashes in the metadata judge it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from lienthong import __version__
from lienthong.errors import DirectoryMalformed, DirectoryUnreachable

# Bounds of what a hostile server can make a node hold in memory (TUF specification §5.3).
LARGEST_METADATA_BYTES = 8_000_000
LARGEST_BUNDLE_BYTES = 256_000_000  # compressed; a nation's is 32 MB
_TIMEOUT_SECONDS = 20.0  # without any progress
_CHUNK_BYTES = 262_144

# It warns of each attempt; who fetches says in one line what came of all of them.
logging.getLogger("urllib3").setLevel(logging.ERROR)

# Returns the file ``name`` of a site; None when the site does not have it.
# Raises DirectoryUnreachable, DirectoryMalformed (larger than ``limit_bytes``).
Fetch = Callable[[str, int], bytes | None]


def fetch_from(url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> Fetch:
    """Return how to fetch from ``url``: http, https or file."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return folder_fetch(Path(unquote(parts.path)))
    return WebFetch(url, timeout_seconds)


def folder_fetch(folder: Path) -> Fetch:
    """Return how to fetch from a folder, such as a copy carried on a disk."""

    def fetch(name: str, limit_bytes: int) -> bytes | None:
        try:
            data = (folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DirectoryUnreachable(url=folder, reason=type(error).__name__) from error
        if len(data) > limit_bytes:
            raise DirectoryMalformed(part=name, reason=f"over {limit_bytes} bytes")
        return data

    return fetch


class WebFetch:
    """Fetches over HTTP: connections are kept, no redirects, no cookies, proxy from environment."""

    def __init__(self, url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/") + "/"
        self._timeout_seconds = timeout_seconds
        self.fetched_bytes = 0  # on the wire, for the benchmark
        headers = {"User-Agent": f"lienthong/{__version__}", "Accept-Encoding": "gzip"}
        proxy = _proxy_for(self.url)
        self._pool = (
            urllib3.ProxyManager(proxy, headers=headers)
            if proxy
            else urllib3.PoolManager(headers=headers)
        )

    def __call__(self, name: str, limit_bytes: int) -> bytes | None:
        try:
            response = self._pool.request(
                "GET",
                self.url + name,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=1,
                timeout=self._timeout_seconds,
            )
            try:
                if response.status == 404:
                    response.drain_conn()
                    return None
                if response.status != 200:
                    reason = f"HTTP {response.status}"
                    raise DirectoryUnreachable(url=self.url + name, reason=reason)
                return self._read(response, name, limit_bytes)
            finally:
                response.release_conn()
        except zlib.error as error:
            raise DirectoryMalformed(part=name, reason="not gzip") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            reason = type(getattr(error, "reason", None) or error).__name__
            raise DirectoryUnreachable(url=self.url + name, reason=reason) from error

    def _read(
        self, response: urllib3.response.BaseHTTPResponse, name: str, limit_bytes: int
    ) -> bytes:
        """Read and decompress within the limit, whichever of the two a server exaggerates."""
        gzipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
        decoder = zlib.decompressobj(wbits=31) if gzipped else None
        data = bytearray()
        for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
            self.fetched_bytes += len(chunk)
            room = limit_bytes + 1 - len(data)
            data += decoder.decompress(chunk, max(room, 1)) if decoder else chunk
            if len(data) > limit_bytes:
                response.close()
                raise DirectoryMalformed(part=name, reason=f"over {limit_bytes} bytes")
        if decoder and not decoder.eof:
            raise DirectoryUnreachable(url=self.url + name, reason="cut off")
        return bytes(data)


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)
