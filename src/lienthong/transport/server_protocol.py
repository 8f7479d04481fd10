"""The server's end of one connection: requests in, responses out, one at a time, in order.

Whatever could be read in two ways is refused and the connection closed (RFC 9112 §11.2).
httptools (llhttp, strict) refuses two lengths, a length beside chunks, folded headers,
spaces before colons, control characters and bad chunks; the rest is refused here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httptools

from lienthong.errors import (
    BodyTooLarge,
    ExpectationFailed,
    HandlerFailed,
    HeadTooLarge,
    HttpMalformed,
    HttpMethodNotSupported,
    HttpVersionNotSupported,
    RequestTooSlow,
    RequestUnsendable,
    SpoolFailed,
    TargetTooLong,
    TooManyConnections,
    TransportError,
)
from lienthong.transport.limits import Limits
from lienthong.transport.messages import EMPTY_BODY, Body, Handler, Request, Response
from lienthong.transport.protocol import HttpProtocol
from lienthong.transport.spool import Intake, Unfinished
from lienthong.transport.wire import METHODS, response_head

log = logging.getLogger(__name__)

IDLE, HEAD, BODY, DEAF = range(4)  # what the connection is reading; deaf: nothing any more
_UNLESS_BODY = frozenset({"upgrade", "connection", "http2-settings"})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Listener:
    """What all connections of one server share. ``now`` and ``date`` are set by its sweep."""

    handler: Handler
    limits: Limits
    refusal: Callable[[TransportError], Response]
    spool_folder: Path | None
    now: float = 0.0
    date: str = ""
    draining: bool = False
    connections: set[ServerProtocol] = field(default_factory=set)


class ServerProtocol(HttpProtocol):
    """See the module. Callbacks named ``on_…`` are the parser's."""

    __slots__ = (
        "_busy",
        "_chunked",
        "_closing",
        "_continue_due",
        "_half_closed",
        "_head_bytes",
        "_listener",
        "_mark_bytes",
        "_parser",
        "_queue",
        "_reading",
        "_reading_paused",
        "_received_bytes",
        "_request",
        "_since",
        "_spilling",
        "_stash",
        "_task",
        "_upgrading",
        "_url",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        limits = listener.limits
        super().__init__(loop, Intake(listener.spool_folder, limits.spool_threshold_bytes))
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._reading = IDLE
        self._since = listener.now
        self._busy = False
        self._closing = False
        self._upgrading = False
        self._chunked = False
        self._continue_due = False
        self._half_closed = False
        self._reading_paused = False
        self._spilling = False
        self._url = b""
        self._stash = b""
        self._head_bytes = self._received_bytes = self._mark_bytes = 0
        self._request: Request | None = None
        self._queue: deque[tuple[Request, Body | Unfinished, bool] | TransportError] = deque()
        self._task: asyncio.Task[None] | None = None

    # --- connection ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        connections = self._listener.connections
        connections.add(self)
        limit = self._listener.limits.connections
        if len(connections) > limit:
            self._write_refusal(TooManyConnections(limit=limit))

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
            self._since = self._listener.now
            self._head_bytes = 0
        chunks_before = len(self._intake.chunks)
        self._received_bytes = len(data)
        if not self._feed(data):
            return
        if self._reading == HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._listener.limits.head_bytes:
                self._refuse(self._head_too_large())
        elif self._reading == BODY:
            self._check_body(len(data), chunks_before)

    def _feed(self, data: bytes) -> bool:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            return self._feed(self._restart_without_upgrade() + data[stop.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, TransportError):
                self._refuse(cause)
            else:
                self._refuse(HttpMalformed(reason=str(error)))
            return False
        return True

    # --- parser ----------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_headers_complete(self) -> None:
        """Check the head. Raises TransportError, which ends the parsing."""
        limits = self._listener.limits
        headers, self._headers = self._headers, []
        index = dict(headers)
        method = METHODS.get(self._parser.get_method())
        target = self._url.decode("latin-1")
        version = self._parser.get_http_version()
        self._url = b""
        received_bytes = self._head_bytes + self._received_bytes  # and perhaps some of the body
        if received_bytes > limits.head_bytes or len(headers) > limits.header_count:
            self._check_size(target, headers)
        if len(target) > limits.target_bytes:
            raise TargetTooLong(limit_bytes=limits.target_bytes)
        if version != "1.1" and version != "1.0":
            raise HttpVersionNotSupported(version=version)
        if method is None:
            raise HttpMethodNotSupported(method=self._parser.get_method().decode("ascii"))
        if "host" not in index and version == "1.1":
            raise HttpMalformed(reason="no Host header")
        if len(index) != len(headers):
            _check_repeated(headers)
        if target[:1] != "/":
            target = _origin_form(target, method)
        self._request = Request(method, target, headers, EMPTY_BODY, self.connection, index)
        self._closing = not self._parser.should_keep_alive()
        self._reading = BODY
        if "upgrade" in index and self._parser.should_upgrade():
            self._upgrading = True
            return
        if "transfer-encoding" in index or "content-length" in index:
            self._expect_body(index, version)

    def _expect_body(self, index: dict[str, str], version: str) -> None:
        limit = self._listener.limits.body_bytes
        encoding = index.get("transfer-encoding")
        self._chunked = encoding is not None
        if encoding is None:
            if int(index["content-length"]) > limit:
                raise BodyTooLarge(limit_bytes=limit)
        elif encoding.lower() != "chunked" or version != "1.1":
            raise HttpMalformed(reason="a Transfer-Encoding other than chunked in HTTP/1.1")
        self._mark_bytes = self._quiet_bytes = 0
        expectation = index.get("expect")
        if expectation is None or version != "1.1":
            return
        if expectation.lower() != "100-continue":
            raise ExpectationFailed(expectation=expectation)
        if self._busy:
            self._continue_due = True
        else:
            self._transport.write(_CONTINUE)

    def on_message_complete(self) -> None:
        """Hand the request to the handler, or to the queue."""
        if self._upgrading or self._request is None:
            return
        if self._headers:
            self._headers.clear()  # trailers: nobody asked for them
        if self._chunked:
            self._check_body_size()
            self._chunked = False
        self._reading = IDLE
        self._continue_due = False
        request, self._request = self._request, None
        body = self._intake.take()
        if self._busy:
            self._queue.append((request, body, self._closing))
            if len(self._queue) > self._listener.limits.pipelined_requests:
                raise HttpMalformed(reason="too many requests sent ahead")
        else:
            self._busy = True
            self._task = self._loop.create_task(self._answer(request, body, self._closing))

    def _check_size(self, target: str, headers: list[tuple[str, str]]) -> None:
        limits = self._listener.limits
        size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
        if size > limits.head_bytes or len(headers) > limits.header_count:
            raise self._head_too_large()

    def _head_too_large(self) -> HeadTooLarge:
        limits = self._listener.limits
        return HeadTooLarge(limit_count=limits.header_count, limit_bytes=limits.head_bytes)

    def _restart_without_upgrade(self) -> bytes:
        """Return the head again without its wish for another protocol.

        A server may ignore the wish (RFC 9110 §7.8), and Java's client sends it with every
        first request; the parser cannot go on after it.
        """
        request, self._request = self._request, None
        if request is None or request.method == "CONNECT":
            return b""
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers if name not in _UNLESS_BODY]
        if "close" in (request.header("connection") or "").lower():
            lines.append("connection: close")
        self._parser = httptools.HttpRequestParser(self)
        self._upgrading = False
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    # --- body ------------------------------------------------------------------------

    def _check_body_size(self) -> None:
        limit = self._listener.limits.body_bytes
        if self._intake.size_bytes > limit:
            raise BodyTooLarge(limit_bytes=limit)

    def _check_body(self, received_bytes: int, chunks_before: int) -> None:
        self._mark_bytes += received_bytes
        try:
            self._check_body_size()
        except BodyTooLarge as error:
            self._refuse(error)
            return
        if self._is_quiet(received_bytes, chunks_before):
            self._refuse(HttpMalformed(reason="too much chunk framing or too many trailers"))
            return
        self._spill()

    def _spill(self) -> None:
        self._spilling = self._intake.spill(self._spilled)
        self._control_reading()

    def _spilled(self, written: asyncio.Future[None]) -> None:
        error = written.exception()
        if self._reading == DEAF:
            return
        self._since = self._listener.now
        self._mark_bytes = self._listener.limits.body_bytes  # our own slowness is not the client's
        if error is not None:
            self._spilling = False
            self._refuse(SpoolFailed(reason=str(error)))
        else:
            self._spill()

    def _control_reading(self) -> None:
        pause = bool(self._stash) or self._spilling
        if pause != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # --- answers ---------------------------------------------------------------------

    async def _answer(self, request: Request, body: Body | Unfinished, closing: bool) -> None:
        response = None
        try:
            request.body = await body.finish() if isinstance(body, Unfinished) else body
            response = await self._listener.handler(request)
            closing = closing or self._half_closed or self._listener.draining
            if not self._transport.is_closing():
                complete = self._write_response(request.method, response, closing)
                if not complete and not await self._send_file(response.body):
                    self._transport.abort()
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
            self._transport.write(_CONTINUE)
        if self._stash:
            data, self._stash = self._stash, b""
            self.data_received(data)
            if self._reading_paused and self._reading != DEAF:
                self._control_reading()

    # --- refusals and ends -----------------------------------------------------------

    def _refuse(self, error: TransportError) -> None:
        """Answer with ``error`` after the requests before it, and read no more."""
        log.info("request refused", extra={"code": error.code, "reason": str(error)})
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
        transport = self._transport
        if transport.is_closing():
            return
        response = self._listener.refusal(error)
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
        return not self._busy and self._reading == IDLE

    def close_if_idle(self) -> None:
        """Close a connection that nobody waits on."""
        if self.is_idle:
            self._close()

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


def _check_repeated(headers: list[tuple[str, str]]) -> None:
    """Refuse headers that may stand only once. Raises HttpMalformed."""
    names = [name for name, _ in headers]
    for name in ("host", "transfer-encoding", "content-length"):
        if names.count(name) > 1:
            raise HttpMalformed(reason=f"{name} stands twice")


def _origin_form(target: str, method: str) -> str:
    """Reduce an absolute target to path and query (RFC 9112 §3.2.2). Raises HttpMalformed."""
    if target == "*" and method == "OPTIONS":
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise HttpMalformed(reason="the target is neither a path nor a URL")
    authority_end = next((i for i, c in enumerate(rest) if c in "/?#"), len(rest))
    path = rest[authority_end:]
    return path if path.startswith("/") else f"/{path}"


def _length_without_body(response: Response) -> str | None:
    """The length that a response without a body may still state (RFC 9110 §8.6)."""
    if response.status == 204:
        return None
    stated = response.header("content-length")
    if not response.body.size and stated is not None and stated.isdecimal():
        return stated
    return str(response.body.size) if response.body.size or response.status != 304 else None
