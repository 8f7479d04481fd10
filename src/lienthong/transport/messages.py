"""What a handler receives and returns: requests, responses and their bodies.

Header names are lower-case; headers keep their order; the text of targets and header values
is latin-1, which maps every byte of the wire to one character and back.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from http import client
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

CHUNK_SIZE_BYTES = 1 << 18

Headers = list[tuple[str, str]]


class Body:
    """The content of a message: in memory, or in a file above a threshold.

    A spooled body's file belongs to whoever runs the exchange of messages: the server
    discards the bodies of request and response once the response has been sent. Whoever needs
    the content for longer calls ``keep_as``.
    """

    __slots__ = ("_data", "_digest", "_owned", "path", "size")

    def __init__(
        self, data: bytes, size: int, path: Path | None, digest: bytes | None, owned: bool
    ) -> None:
        self._data = data
        self.size = size
        self.path = path
        self._digest = digest
        self._owned = owned

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Make a body of bytes in memory."""
        return cls(data, len(data), None, None, False)

    @classmethod
    def spooled(cls, path: Path, size: int, digest: bytes) -> Self:
        """Make a body of a spool file, which ``discard`` deletes; ``digest`` is its SHA-256."""
        return cls(b"", size, path, digest, True)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Make a body of a file that belongs to someone else: ``discard`` leaves it alone."""
        return cls(b"", path.stat().st_size, path, None, False)

    def read(self) -> bytes:
        """Return the whole content; for bodies known to be small."""
        return self._data if self.path is None else self.path.read_bytes()

    def chunks(self, size_bytes: int = CHUNK_SIZE_BYTES) -> Iterator[bytes]:
        """Yield the content piece by piece, so that memory stays bounded."""
        if self.path is None:
            for start in range(0, self.size, size_bytes):
                yield self._data[start : start + size_bytes]
            return
        with self.path.open("rb") as file:
            while piece := file.read(size_bytes):
                yield piece

    def sha256(self) -> bytes:
        """Return the SHA-256 digest of the content; computed once."""
        if self._digest is None:
            if self.path is None:
                self._digest = sha256(self._data).digest()
            else:
                whole = sha256()
                for piece in self.chunks():
                    whole.update(piece)
                self._digest = whole.digest()
        return self._digest

    def sync(self) -> None:
        """Force a spooled body to the disk (blocking); bodies in memory need nothing."""
        if self.path is not None:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def keep_as(self, path: Path) -> None:
        """Give the content a lasting place: move the spool file there, or write it there."""
        if self.path is None:
            path.write_bytes(self._data)
            return
        if self._owned:
            shutil.move(self.path, path)
        else:
            shutil.copyfile(self.path, path)
        self.path = path
        self._owned = False

    def discard(self) -> None:
        """Delete the spool file, if this body still owns one; idempotent."""
        if self._owned and self.path is not None:
            self._owned = False
            self.path.unlink(missing_ok=True)


EMPTY_BODY = Body.of(b"")


class Connection:
    """Who is at the other end of a connection. Compared by identity.

    peer_certificate  DER bytes, or None on plain HTTP or when the peer showed none
    peer_address      ``host:port`` as seen (server) or as dialled (client)
    secure            whether TLS protects it
    """

    __slots__ = ("__weakref__", "peer_address", "peer_certificate", "secure")

    def __init__(
        self,
        peer_certificate: bytes | None = None,
        peer_address: str = "",
        secure: bool = False,
    ) -> None:
        self.peer_certificate = peer_certificate
        self.peer_address = peer_address
        self.secure = secure

    @property
    def facts(self) -> dict[str, str]:
        """Who it was, for the log: the address, and the certificate by its SHA-256."""
        if self.peer_certificate is None:
            return {"peer": self.peer_address}
        return {
            "peer": self.peer_address,
            "certificate": sha256(self.peer_certificate).hexdigest(),
        }


LOCAL = Connection(peer_address="local")


class Request(msgspec.Struct):
    """A request. Its headers are not changed once it is made."""

    method: str
    target: str
    headers: Headers = msgspec.field(default_factory=list)
    body: Body = EMPTY_BODY
    connection: Connection = LOCAL
    _index: dict[str, str] | None = None

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name; of several, the last."""
        if self._index is None:
            self._index = dict(self.headers)
        return self._index.get(name)

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query of the target, still percent-encoded; empty without one."""
        return self.target.partition("?")[2]


class Stream:
    """The content of a response that is still being made: it is sent as it comes, in chunks."""

    __slots__ = ("_ended", "_pieces", "_woken")

    def __init__(self) -> None:
        self._pieces: list[bytes | Body] = []
        self._ended = False
        self._woken: asyncio.Future[None] | None = None

    def put(self, *pieces: bytes | Body) -> None:
        """Add to the content; bodies in files are discarded once they are sent."""
        self._pieces += pieces
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._wake()

    async def take(self) -> list[bytes | Body]:
        """What has come since the last time, waiting for it if need be; empty at the end."""
        if not self._pieces and not self._ended:
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        pieces, self._pieces = self._pieces, []
        return pieces

    def _wake(self) -> None:
        woken, self._woken = self._woken, None
        if woken is not None and not woken.done():
            woken.set_result(None)


class Sink(Protocol):
    """Takes the content of a response while it comes in."""

    connection: Connection | None

    def feed(self, data: bytes) -> asyncio.Future[None] | None:
        """Take a piece; a future means: read no more before it is done. Raises TransportError."""
        ...


class Response(msgspec.Struct):
    """A response. Its headers are not changed once it is made.

    ``stream``, if any, stands in the place of the body.
    """

    status: int
    headers: Headers = msgspec.field(default_factory=list)
    body: Body = EMPTY_BODY
    reason: str = ""
    connection: Connection | None = None
    _index: dict[str, str] | None = None
    stream: Stream | None = None

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name; of several, the last."""
        if self._index is None:
            self._index = dict(self.headers)
        return self._index.get(name)


Handler = Callable[[Request], Awaitable[Response]]


def json_response(
    status: int, value: Any, content_type: str = "application/json; charset=utf-8"
) -> Response:
    """Make a response of a value as JSON."""
    body = Body.of(msgspec.json.encode(value))
    return Response(status, [("content-type", content_type)], body)


def reason_phrase(status: int) -> str:
    """Return the usual phrase of a status, or an empty text."""
    return client.responses.get(status, "")
