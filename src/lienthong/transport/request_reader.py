"""Reading requests: what the parser finds, checked and put together.

Whatever could be read in two ways is refused and the connection closed (RFC 9112 §11.2).
httptools (llhttp, strict) refuses two lengths, a length beside chunks, folded headers,
spaces before colons, control characters and bad chunks; the rest is refused here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools

from lienthong.errors import (
    BodyTooLarge,
    ExpectationFailed,
    HeadTooLarge,
    HttpMalformed,
    HttpMethodNotSupported,
    HttpVersionNotSupported,
    SpoolFailed,
    TargetTooLong,
    TransportError,
)
from lienthong.transport.limits import Limits
from lienthong.transport.messages import EMPTY_BODY, Body, Handler, Request, Response
from lienthong.transport.protocol import HttpProtocol
from lienthong.transport.spool import Intake, Unfinished
from lienthong.transport.wire import METHODS

IDLE, HEAD, BODY, DEAF = range(4)  # what the connection is reading; deaf: nothing any more
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNLESS_BODY = frozenset({"upgrade", "connection", "http2-settings"})


@dataclass(slots=True)
class Listener:
    """What all connections of one server share. ``now`` and ``date`` are set by its sweep."""

    handler: Handler
    limits: Limits
    refusal: Callable[[TransportError, str], Response]
    spool_folder: Path | None
    now: float = 0.0
    date: str = ""
    draining: bool = False
    connections: set[Any] = field(default_factory=set)


class RequestReader(HttpProtocol):
    """The reading half of a server's connection. Callbacks named ``on_…`` are the parser's."""

    __slots__ = (
        "_begun",
        "_busy",
        "_chunked",
        "_closing",
        "_continue_due",
        "_first_byte",
        "_head_bytes",
        "_listener",
        "_mark_bytes",
        "_parser",
        "_reading",
        "_reading_paused",
        "_received_bytes",
        "_request",
        "_since",
        "_spilling",
        "_stash",
        "_upgrading",
        "_url",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        limits = listener.limits
        super().__init__(loop, Intake(listener.spool_folder, limits.spool_threshold_bytes))
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._reading = IDLE
        self._begun = False  # whether the parser holds a part of a request
        self._since = listener.now  # when the present kind of reading began
        self._first_byte = listener.now  # when the first byte of the present request came
        self._busy = False  # whether a request is being answered
        self._closing = False
        self._upgrading = False
        self._chunked = False
        self._continue_due = False
        self._reading_paused = False
        self._spilling = False
        self._url = b""
        self._stash = b""  # what came in while a request was being answered
        self._head_bytes = self._received_bytes = self._mark_bytes = 0
        self._request: Request | None = None

    def _accept(self, request: Request, body: Body | Unfinished, closing: bool) -> None:
        """A request is complete: for the other half."""

    def _refuse(self, error: TransportError) -> None:
        """A request must be refused: for the other half."""

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

    def on_message_begin(self) -> None:
        """Note the first byte of a request; it may stand behind the end of another one."""
        self._begun = True

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
            self._transport.write(CONTINUE)

    def on_message_complete(self) -> None:
        """Hand the request to the handler, or to the queue."""
        if self._upgrading or self._request is None:
            return
        self._begun = False
        if self._headers:
            self._headers.clear()  # trailers: nobody asked for them
        if self._chunked:
            self._check_body_size()
            self._chunked = False
        self._reading = IDLE
        self._continue_due = False
        request, self._request = self._request, None
        body = self._intake.take()
        self._accept(request, body, self._closing)

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
