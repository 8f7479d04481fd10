"""The client's end of one connection: one request at a time, and its response."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable

import httptools

from lienthong.errors import (
    ClosedAfterHandshake,
    PeerClosed,
    ResponseMalformed,
    ResponseTooLarge,
    SpoolFailed,
    TimedOut,
    TlsFailed,
    TransportError,
)
from lienthong.transport.limits import PoolLimits
from lienthong.transport.messages import EMPTY_BODY, Body, Headers, Response, Sink
from lienthong.transport.protocol import HttpProtocol
from lienthong.transport.spool import Intake, Unfinished

# A connection idle for longer than this is asked whether the peer has closed it meanwhile.
SURELY_FRESH_SECONDS = 1.0
# Each byte of a spooled body that moves buys time: what comes faster than this does not time
# out, and a peer that trickles bytes cannot hold an exchange for longer than they are worth.
LEAST_BODY_BYTES_PER_SECOND = 1 << 18


class ClientProtocol(HttpProtocol):
    """See the module. ``released`` is called once the connection can take the next request,
    ``lost`` once it is gone; callbacks named ``on_…`` are the parser's."""

    __slots__ = (
        "_address",
        "_answer",
        "_body_started",
        "_finishing",
        "_head",
        "_head_bytes",
        "_heard",
        "_limits",
        "_lost",
        "_method",
        "_parser",
        "_reading_paused",
        "_reason",
        "_released",
        "_sending",
        "_sink",
        "_status",
        "_timeout_seconds",
        "_until_close",
        "deadline",
        "failure",
        "idle_since",
        "retired",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: PoolLimits,
        intake: Intake,
        released: Callable[[ClientProtocol], None],
        lost: Callable[[ClientProtocol], None],
    ) -> None:
        super().__init__(loop, intake)
        self._limits = limits
        self._released = released
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._address = ""
        self._method = ""
        self._reason = b""
        self._status = 0
        self._head: tuple[Headers, dict[str, str]] = ([], {})
        self._head_bytes = 0
        self._heard = False  # whether the peer has said anything at all
        self._body_started = False
        self._until_close = False
        self._reading_paused = False
        self._sink: Sink | None = None
        self._sending: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._timeout_seconds = 0.0
        self.deadline = 0.0
        self.idle_since = 0.0
        self.retired = False  # whether it takes no further request
        self.failure: TransportError | None = None  # why the connection is gone

    # --- requests --------------------------------------------------------------------

    async def exchange(
        self,
        method: str,
        head: bytes,
        body: Body,
        deadline: float,
        timeout_seconds: float,
        sink: Sink | None = None,
    ) -> Response:
        """Send a request and wait for its response. Raises TransportError leaves.

        ``sink`` takes the content of a response of status 200, which has no body then.
        """
        self._method = method
        self._sink = sink
        if sink is not None:
            sink.connection = self.connection
        self._moved_bytes = 0
        self._timeout_seconds = timeout_seconds
        self.deadline = deadline
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._answer = answer
        if body.path is None:
            self._write_message(head, body)
        else:
            self._transport.write(head)
            self._sending = self._loop.create_task(self._send_spooled(body))
        try:
            return await answer
        except asyncio.CancelledError:
            self._forsake(answer)
            raise

    def _forsake(self, answer: asyncio.Future[Response]) -> None:
        """Nobody waits any more: end the exchange, unless it has just ended by itself."""
        if self._answer is answer:
            self._answer = None
            self.abort()
        elif answer.done() and not answer.cancelled() and answer.exception() is None:
            answer.result().body.discard()

    async def _send_spooled(self, body: Body) -> None:
        try:
            complete = await self._send_file(body)
        except OSError as error:
            self._fail(SpoolFailed(reason=str(error)))
            return
        self._sending = None
        if not complete:
            self._fail(PeerClosed(address=self._address))

    def is_usable(self, now: float) -> bool:
        """Whether the next request may be sent on it: the peer has not closed it."""
        if self._transport.is_closing():
            return False
        if now - self.idle_since < SURELY_FRESH_SECONDS:
            return True
        descriptor = self._transport.get_extra_info("socket").fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        return not poll.poll(0)  # readable while idle: closed, or unasked-for bytes

    # --- connection ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the peer."""
        super().connection_made(transport)
        self._address = self.connection.peer_address
        self.idle_since = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the running request with an error that says why."""
        silent = self.connection.secure and not self._heard
        self.failure = (ClosedAfterHandshake if silent else PeerClosed)(address=self._address)
        if isinstance(exc, ssl.SSLError):
            self.failure = TlsFailed(address=self._address, reason=exc.reason or str(exc))
        if self._until_close and self._body_started and exc is None:
            self._complete(reusable=False)
        elif self._finishing is None:  # else the response is complete, only not yet in its file
            self._fail(self.failure)
        self._intake.abandon()
        self.resume_writing()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Parse a response; bytes that no request asked for end the connection."""
        if self._answer is None or self._finishing is not None:
            self._transport.abort()
            return
        self._heard = True
        in_body = self._body_started
        chunks_before = len(self._intake.chunks)
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            if not isinstance(cause, TransportError):
                cause = ResponseMalformed(address=self._address, reason=str(error))
            self._fail(cause)
            return
        if self._body_started:
            self._check_body(len(data) if in_body else 0, chunks_before)
        elif self._head_bytes > self._limits.head_bytes and self._answer is not None:
            self._fail(self._too_large(self._limits.head_bytes))

    # --- parser ----------------------------------------------------------------------

    def on_status(self, reason: bytes) -> None:
        """Take a piece of the reason phrase."""
        self._reason += reason

    def on_headers_complete(self) -> None:
        """Check the head. Raises TransportError, which ends the parsing."""
        if self._answer is None:
            raise ResponseMalformed(address=self._address, reason="a second response")
        self._status = self._parser.get_status_code()
        if self._status < 200:
            return
        limits = self._limits
        headers, self._headers = self._headers, []  # what comes after these are trailers
        # What came may hold some of the body too: the head itself is measured only then.
        large = self._head_bytes > limits.head_bytes and _size(headers) > limits.head_bytes
        if large or len(headers) > limits.header_count:
            raise self._too_large(limits.head_bytes)
        index = dict(headers)
        self._head = headers, index
        self._until_close = False
        if "content-length" in index:
            if int(index["content-length"]) > limits.body_bytes and self._method != "HEAD":
                raise self._too_large(limits.body_bytes)
        elif "transfer-encoding" in index:
            chunked = index["transfer-encoding"].lower() == "chunked" and _count(headers) == 1
            # HTTP/1.0 knows no chunks: whoever stands between reads another body (RFC 9112 §6.1).
            if not chunked or self._parser.get_http_version() != "1.1":
                raise ResponseMalformed(address=self._address, reason="Transfer-Encoding")
        else:
            self._until_close = self._status not in (204, 304)
        self._body_started = True
        self._quiet_bytes = 0
        if self._method == "HEAD":
            self._complete(reusable=self._parser.should_keep_alive() and not self._until_close)
            self._parser = httptools.HttpResponseParser(self)  # it would wait for a body

    def on_message_complete(self) -> None:
        """The response is complete."""
        if self._status < 200:  # 100 Continue and the like: the response is still to come
            self._headers = []
            self._reason = b""
            if self._status == 101:
                raise ResponseMalformed(address=self._address, reason="101")
        elif self._answer is not None:
            self._complete(reusable=self._parser.should_keep_alive())

    # --- responses -------------------------------------------------------------------

    def _check_body(self, received_bytes: int, chunks_before: int) -> None:
        if self._intake.size_bytes > self._limits.body_bytes:
            self._fail(self._too_large(self._limits.body_bytes))
        elif self._is_quiet(received_bytes, chunks_before):
            self._fail(ResponseMalformed(address=self._address, reason="chunk framing"))
        elif self._sink is not None and self._status == 200:
            self._pour(self._sink)
        else:
            self._spill()

    def _pour(self, sink: Sink) -> None:
        """Hand over what has come in, and read no more while the sink is busy with it."""
        data = b"".join(self._intake.chunks)
        self._intake.chunks.clear()
        self._moved_bytes += len(data)
        try:
            pause = sink.feed(data)
        except TransportError as error:
            self._fail(error)
            return
        if pause is None:
            self._read_on()
        else:
            self._reading_paused = True
            self._transport.pause_reading()
            pause.add_done_callback(lambda _: self._pour_on(sink))

    def _pour_on(self, sink: Sink) -> None:
        if self._answer is not None:
            self._pour(sink)

    def _read_on(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _spill(self) -> None:
        pause = self._intake.spill(self._spilled)
        if pause != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _spilled(self, written: asyncio.Future[None]) -> None:
        error = written.exception()
        if error is not None:
            self._fail(SpoolFailed(reason=str(error)))
        elif self._answer is not None:
            self._spill()

    def _complete(self, reusable: bool) -> None:
        if self._sink is not None and self._status == 200:
            self._pour(self._sink)
            self._read_on()  # the rest is between the sink and whoever waits for it
            self._sink = None
        headers, index = self._head
        if self._headers:
            self._headers.clear()
        reason, self._reason = self._reason, b""
        self._head_bytes = 0
        self._body_started = False
        self._moved_bytes += self._intake.stored_bytes
        body = self._intake.take()
        response = Response(
            self._status,
            headers,
            EMPTY_BODY if isinstance(body, Unfinished) else body,
            reason.decode("latin-1"),
            self.connection,
            index,
        )
        if isinstance(body, Unfinished):
            self._finishing = self._loop.create_task(self._finish(response, body, reusable))
        else:
            self._deliver(response, reusable)

    async def _finish(self, response: Response, body: Unfinished, reusable: bool) -> None:
        try:
            response.body = await body.finish()
        except TransportError as error:
            self._fail(error)
            return
        self._finishing = None
        self._deliver(response, reusable)

    def _deliver(self, response: Response, reusable: bool) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            response.body.discard()
        else:
            answer.set_result(response)
        reusable = reusable and self._sending is None and not self.retired
        if reusable and not self._transport.is_closing():
            self.idle_since = self._loop.time()
            self._released(self)
        else:
            self.close()

    def _too_large(self, limit_bytes: int) -> ResponseTooLarge:
        return ResponseTooLarge(address=self._address, limit_bytes=limit_bytes)

    def _fail(self, error: TransportError) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.abort()

    # --- ends ------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """End the running request if its time is over, or the connection if idle too long."""
        if self._answer is not None:
            if now > self.deadline and now > self.deadline + self._bought_seconds:
                timeout = round(self._timeout_seconds, 3)
                self._fail(TimedOut(address=self._address, timeout_seconds=timeout))
        elif now - self.idle_since > self._limits.idle_seconds:
            self.close()

    @property
    def _bought_seconds(self) -> float:
        return (self._moved_bytes + self._intake.stored_bytes) / LEAST_BODY_BYTES_PER_SECOND

    def close(self) -> None:
        """Close after what is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def _size(headers: Headers) -> int:
    return sum([len(name) + len(value) for name, value in headers])


def _count(headers: Headers) -> int:
    return sum(name == "transfer-encoding" for name, _ in headers)
