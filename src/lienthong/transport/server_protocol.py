"""The server's end of one connection: requests in, responses out, one at a time, in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections import deque
from operator import itemgetter

from lienthong.errors import (
    HandlerFailed,
    HttpMalformed,
    RequestTooSlow,
    RequestUnsendable,
    TooManyConnections,
    TransportError,
)
from lienthong.events import log_event
from lienthong.transport.messages import Body, Request, Response, Stream
from lienthong.transport.request_reader import (
    BODY,
    CONTINUE,
    DEAF,
    HEAD,
    IDLE,
    Listener,
    RequestReader,
)
from lienthong.transport.spool import Unfinished
from lienthong.transport.wire import CHUNKED, response_head

log = logging.getLogger(__name__)


class ServerProtocol(RequestReader):
    """The answering half of a server's connection."""

    __slots__ = ("_half_closed", "_queue", "_task", "retired")

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        super().__init__(loop, listener)
        self._half_closed = False
        self.retired = False  # whether its next response is its last
        self._queue: deque[tuple[Request, Body | Unfinished, bool] | TransportError] = deque()
        self._task: asyncio.Task[None] | None = None

    # --- connection ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; where there are too many, one must give way."""
        super().connection_made(transport)
        connections = self._listener.connections
        connections.add(self)
        limit = self._listener.limits.connections
        if len(connections) > limit and not self._make_room():
            self._write_refusal(TooManyConnections(limit=limit))

    def _make_room(self) -> bool:
        """Cut whoever sends least; returns whether there was anybody so slow.

        A steady drip is never too slow for the timers; many of them would keep all others out.
        """
        speeds = [(each.speed(), each) for each in self._listener.connections]
        slow = [(speed, each) for speed, each in speeds if speed is not None]
        if not slow:
            return False
        min(slow, key=itemgetter(0))[1].abort()
        return True

    def speed(self) -> float | None:
        """Bytes a second of the request being read; None when it is nobody's to give way.

        None: answered right now, refused, cut already, or not here for ``header_seconds`` yet.
        """
        limits = self._listener.limits
        idle = self._reading == IDLE
        seconds = self._listener.now - (self._since if idle else self._first_byte)
        if self._busy or self._spilling or self._reading == DEAF or self._transport.is_closing():
            return None
        if seconds <= limits.header_seconds:
            return None
        return 0.0 if idle else (self._head_bytes + self._intake.size_bytes) / seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; a running handler goes on, its response is dropped."""
        self._listener.connections.discard(self)
        self._reading = DEAF
        self._intake.abandon()
        while self._queue:
            self._drop(self._queue.popleft())
        self.resume_writing()

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for an answer (plain HTTP only)."""
        self._half_closed = True
        return self._busy and not self.connection.secure

    def data_received(self, data: bytes) -> None:
        """Parse what came in, unless a request is being answered: then keep it for later."""
        if self._reading == DEAF:
            return
        if self._busy:
            self._stash += data
            self._control_reading()
            return
        if self._reading == IDLE:
            self._reading = HEAD
            self._since = self._first_byte = self._listener.now
            self._head_bytes = 0
        in_body = self._reading == BODY
        chunks_before = len(self._intake.chunks)
        self._received_bytes = len(data)
        if not self._feed(data):
            return
        if self._reading == HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._listener.limits.head_bytes:
                self._refuse(self._head_too_large())
        elif self._reading == BODY:
            # Where the head ended in these bytes, most of them were the head's.
            self._check_body(len(data) if in_body else self._intake.size_bytes, chunks_before)

    def _accept(self, request: Request, body: Body | Unfinished, closing: bool) -> None:
        """Hand a request to the handler, or to the queue. Raises HttpMalformed."""
        if not self._busy:
            self._busy = True
            self._task = self._loop.create_task(self._answer(request, body, closing))
            return
        self._queue.append((request, body, closing))
        if len(self._queue) > self._listener.limits.pipelined_requests:
            raise HttpMalformed(reason="too many requests sent ahead")

    # --- answers ---------------------------------------------------------------------

    async def _answer(self, request: Request, body: Body | Unfinished, closing: bool) -> None:
        response = None
        try:
            request.body = await body.finish() if isinstance(body, Unfinished) else body
            response = await self._listener.handler(request)
            closing = closing or self._half_closed or self._listener.draining or self.retired
            if response.stream is not None:
                await self._write_stream(response, response.stream, closing)
                self._finish(closing or self._half_closed)
            elif not self._transport.is_closing():
                if not self._write_response(request.method, response, closing):
                    await self._write_file(response.body)
                if self._resumed is not None:
                    await self._drained()
                self._finish(closing or self._half_closed)
        except Exception as error:
            self._write_failure(error)
        finally:
            if request.body.path is not None:
                request.body.discard()
            if response is not None and response.body.path is not None:
                response.body.discard()

    def _write_response(self, method: str, response: Response, closing: bool) -> bool:
        """Write the head and, if it is in memory, the body; returns whether that was all."""
        status, headers, body = response.status, response.headers, response.body
        without_body = method == "HEAD" or status == 304 or status == 204
        length = _length_without_body(response) if without_body else str(body.size)
        head = response_head(status, response.reason, headers, length, closing, self._listener.date)
        if without_body:
            self._transport.write(head)
        elif body.path is None:
            self._write_message(head, body)
        else:
            self._transport.write(head)
            return False
        return True

    async def _write_stream(self, response: Response, stream: Stream, closing: bool) -> None:
        """Send a response as its content comes, in chunks (RFC 9112 §7.1), in bounded memory."""
        date, headers = self._listener.date, response.headers
        out = response_head(response.status, response.reason, headers, CHUNKED, closing, date)
        while pieces := await stream.take():
            for piece in pieces:
                if isinstance(piece, bytes):
                    out += b"%x\r\n%b\r\n" % (len(piece), piece)
                    continue
                self._transport.write(out + b"%x\r\n" % piece.size)
                await self._write_file(piece)
                piece.discard()
                out = b"\r\n"
            self._transport.write(out)
            out = b""
            if self._resumed is not None:
                await self._drained()
        self._transport.write(out + b"0\r\n\r\n")

    async def _write_file(self, body: Body) -> None:
        """Send a body from its file, or cut the connection: its head is already out."""
        try:
            complete = await self._send_file(body)
        except OSError as error:
            log.error("response body cannot be read", exc_info=error)
            complete = False
        if not complete:
            self._transport.abort()

    def _write_failure(self, error: Exception) -> None:
        """Answer for a handler that raised; what it raised is for the log only."""
        if isinstance(error, TransportError) and not isinstance(error, RequestUnsendable):
            self._write_refusal(error)
        else:
            log.error("request handler failed", exc_info=error)
            self._write_refusal(HandlerFailed())

    def _finish(self, closing: bool) -> None:
        if closing:
            self._close()
        else:
            self._next()

    def _next(self) -> None:
        """Turn to the next request, or to what came in meanwhile."""
        if self._queue:
            entry = self._queue.popleft()
            if isinstance(entry, TransportError):
                self._write_refusal(entry)
            else:
                self._task = self._loop.create_task(self._answer(*entry))
            return
        self._busy = False
        self._since = self._listener.now
        if self._continue_due:
            self._continue_due = False
            self._transport.write(CONTINUE)
        if self._stash:
            data, self._stash = self._stash, b""
            self.data_received(data)
            if self._reading_paused and self._reading != DEAF:
                self._control_reading()

    # --- refusals and ends -----------------------------------------------------------

    def _refuse(self, error: TransportError) -> None:
        """Answer with ``error`` after the requests before it, and read no more."""
        self._reading = DEAF
        self._stash = b""
        self._intake.abandon()
        if self._busy:
            self._queue.append(error)
        else:
            self._write_refusal(error)

    def _write_refusal(self, error: TransportError) -> None:
        self._reading = DEAF
        self._busy = False
        self._since = self._listener.now
        error_id = str(uuid.uuid4())
        log_event(
            log,
            logging.WARNING,
            "http.refused",
            error_id=error_id,
            code=error.code,
            reason=str(error),
            **self.connection.facts,
        )
        transport = self._transport
        if transport.is_closing():
            return
        response = self._listener.refusal(error, error_id)
        size = str(response.body.size)
        head = response_head(response.status, "", response.headers, size, True, self._listener.date)
        transport.write(head + response.body.read())
        # A connection closed with unread bytes is reset, and the refusal is lost on the way:
        # go on reading, into the void, for ``linger_seconds``.
        self._stash, self._spilling = b"", False
        self._control_reading()
        if transport.can_write_eof():
            transport.write_eof()

    def _close(self) -> None:
        self._reading = DEAF
        self._busy = False
        self._since = self._listener.now
        self._transport.close()

    def _drop(self, entry: tuple[Request, Body | Unfinished, bool] | TransportError) -> None:
        if isinstance(entry, TransportError):
            return
        body = entry[1]
        if isinstance(body, Unfinished):
            body.abandon()
        else:
            body.discard()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return not self._busy and self._reading == IDLE and not self._begun

    def close_if_idle(self) -> None:
        """Close a connection that nobody waits on."""
        if self.is_idle:
            self._close()

    def leave_open(self) -> socket.socket | None:
        """Let go of a connection that nobody waits on, without closing it.

        What the client has sent and nobody has read stays in it, for whoever takes it on. None if
        there is a request or the rest of an answer in it; also with TLS, whose state is in here.
        """
        transport = self._transport
        if not self.is_idle or self.connection.secure or transport.get_write_buffer_size():
            return None
        left = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._reading = DEAF
        transport.abort()  # closes this process's descriptor, not the connection
        return left

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """Look at the timers of this connection."""
        limits = self._listener.limits
        age = now - self._since
        if self._resumed is not None and now - self._paused_since > limits.write_stall_seconds:
            self._transport.abort()
        elif self._busy or self._spilling:
            return
        elif self._reading == IDLE and age > limits.idle_seconds:
            self._close()
        elif self._reading == HEAD and age > limits.header_seconds:
            self._refuse(RequestTooSlow())
        elif self._reading == BODY and age > limits.body_window_seconds:
            self._check_progress(now, age)
        elif self._reading == DEAF and age > limits.linger_seconds:
            self._transport.abort()

    def _check_progress(self, now: float, age: float) -> None:
        if self._mark_bytes < age * self._listener.limits.body_bytes_per_second:
            self._refuse(RequestTooSlow())
        self._since, self._mark_bytes = now, 0


def _length_without_body(response: Response) -> str | None:
    """The length that a response without a body may still state (RFC 9110 §8.6)."""
    if response.status == 204:
        return None
    stated = response.header("content-length")
    if not response.body.size and stated is not None and stated.isdecimal():
        return stated
    return str(response.body.size) if response.body.size or response.status != 304 else None
