"""What both ends of HTTP share: parsed headers, flow control, sending of large bodies."""

from __future__ import annotations

import asyncio
from typing import Any

from lienthong.transport.messages import Body, Connection, Headers
from lienthong.transport.spool import SPOOL_THREADS, Intake
from lienthong.transport.wire import learn_name, name_of

SEND_SIZE_BYTES = 1 << 18
JOIN_BELOW_BYTES = 1 << 16  # joining head and body costs less than a second write below this
# Bytes of chunk framing and trailers without a byte of content between them: the parser
# keeps an unfinished trailer in memory.
MOST_QUIET_BYTES = 1 << 16


class HttpProtocol(asyncio.Protocol):
    """One connection. The parser calls ``on_header`` and appends bodies by ``on_body``."""

    __slots__ = (
        "_headers",
        "_intake",
        "_loop",
        "_moved_bytes",
        "_paused_since",
        "_quiet_bytes",
        "_resumed",
        "_transport",
        "connection",
        "on_body",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, intake: Intake) -> None:
        self._loop = loop
        self._transport: Any = None
        self._headers: Headers = []
        self._intake = intake
        self._quiet_bytes = 0
        self._moved_bytes = 0  # of spooled bodies, both ways
        self._resumed: asyncio.Future[None] | None = None
        self._paused_since = 0.0
        self.connection = Connection()
        self.on_body = intake.chunks.append

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport and who is at its other end."""
        self._transport = transport
        ssl_object = transport.get_extra_info("ssl_object")
        peer = transport.get_extra_info("peername")
        self.connection.peer_address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        if ssl_object is not None:
            self.connection.secure = True
            self.connection.peer_certificate = ssl_object.getpeercert(True)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header from the parser."""
        self._headers.append((name_of(name) or learn_name(name), value.rstrip().decode("latin-1")))

    def pause_writing(self) -> None:
        """The peer takes our bytes slower than we write them."""
        self._resumed = self._loop.create_future()
        self._paused_since = self._loop.time()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    async def _drained(self) -> None:
        """Wait until the peer has caught up, or is gone."""
        while self._resumed is not None:
            await asyncio.shield(self._resumed)

    def _write_message(self, head: bytes, body: Body) -> None:
        """Write a head and a body in memory."""
        if not body.size:
            self._transport.write(head)
        elif body.size < JOIN_BELOW_BYTES:
            self._transport.write(head + body.read())
        else:
            self._transport.writelines([head, body.read()])

    async def _send_file(self, body: Body) -> bool:
        """Send a spooled body in bounded memory; returns whether all of it was sent."""
        pieces = body.chunks(SEND_SIZE_BYTES)
        sent_bytes = 0
        while piece := await self._loop.run_in_executor(SPOOL_THREADS, next, pieces, b""):
            sent_bytes += len(piece)
            if self._transport.is_closing() or sent_bytes > body.size:
                return False
            self._transport.write(piece)
            await self._drained()
            self._moved_bytes += len(piece)
        return sent_bytes == body.size and not self._transport.is_closing()

    def _is_quiet(self, received_bytes: int, chunks_before: int) -> bool:
        """Tell whether too much came in without any content (trailer and extension floods)."""
        if len(self._intake.chunks) != chunks_before:
            self._quiet_bytes = 0
        else:
            self._quiet_bytes += received_bytes
        return self._quiet_bytes > MOST_QUIET_BYTES
