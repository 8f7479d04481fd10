"""Sending requests: one method, over the wire or within the process.

    pool = ConnectionPool(lambda: tls_context, connect_timeout_seconds=10)
    address = Address.parse("https://10.0.0.5:5500")
    response = await pool.send(address, request, timeout_seconds=60)

A request is never sent twice: a kept-alive connection that the peer has closed is not used,
and once a byte is written, a failure is the caller's to judge. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from lienthong.errors import (
    ConnectFailed,
    InvalidAddress,
    PoolExhausted,
    TimedOut,
    TlsFailed,
)
from lienthong.transport.client_protocol import ClientProtocol
from lienthong.transport.limits import PoolLimits
from lienthong.transport.messages import Connection, Handler, Request, Response, Sink
from lienthong.transport.spool import Intake
from lienthong.transport.wire import request_head

__all__ = ["Address", "ConnectionPool", "InProcessTransport", "PoolLimits", "Transport"]

TLS_SHUTDOWN_SECONDS = 2.0
CheckConnection = Callable[["Address", Connection], None]


class Address(NamedTuple):
    """Where to connect. ``server_name`` is sent in TLS (SNI); None: the host."""

    host: str
    port: int
    tls: bool
    server_name: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``http(s)://host[:port]`` (a path is ignored). Raises InvalidAddress."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidAddress(address=url) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise InvalidAddress(address=url)
        tls = parts.scheme == "https"
        return cls(parts.hostname, port if port is not None else 443 if tls else 80, tls)

    @property
    def authority(self) -> str:
        """Host and port as the Host header wants them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"


class Transport(Protocol):
    """Whatever can carry a request to an address and bring the response."""

    async def send(self, address: Address, request: Request, *, timeout_seconds: float) -> Response:
        """Raises TransportError leaves."""
        ...


class _Lane:
    """The connections to one address."""

    __slots__ = ("authority", "idle", "open_count", "opening_count", "waiting")

    def __init__(self, address: Address) -> None:
        self.authority = address.authority
        self.idle: list[ClientProtocol] = []
        self.open_count = 0
        self.opening_count = 0  # of those
        self.waiting: deque[asyncio.Future[ClientProtocol | None]] = deque()


class ConnectionPool:
    """Kept-alive connections, the most recently used first.

    ``tls_context`` is asked at each new connection, so that a renewed certificate is used.
    ``on_connect`` sees each new connection before a request is sent on it, and refuses it by
    raising an error of ours, which reaches the sender.
    """

    def __init__(
        self,
        tls_context: Callable[[], ssl.SSLContext] | None = None,
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - frozen
        connect_timeout_seconds: float = 10.0,
        spool_folder: Path | None = None,
        on_connect: CheckConnection | None = None,
    ) -> None:
        self._tls_context = tls_context
        self._limits = limits
        self._connect_timeout_seconds = connect_timeout_seconds
        self._spool_folder = spool_folder
        self._on_connect = on_connect
        self._lanes: dict[Address, _Lane] = {}
        self._protocols: dict[ClientProtocol, Address] = {}
        self._opening = 0
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, address: Address, request: Request, *, timeout_seconds: float) -> Response:
        """Send a request. ``timeout_seconds`` covers waiting, connecting and the response.

        Raises ConnectFailed, TlsFailed, PeerClosed, TimedOut, ResponseMalformed,
        ResponseTooLarge, PoolExhausted, RequestUnsendable, SpoolFailed.
        """
        return await self._send(address, request, None, timeout_seconds)

    async def stream(
        self, address: Address, request: Request, sink: Sink, *, timeout_seconds: float
    ) -> Response:
        """Send a request and give the content of its response to ``sink`` while it comes in.

        A response of another status than 200 comes back whole. Raises as ``send`` does.
        """
        return await self._send(address, request, sink, timeout_seconds)

    async def _send(
        self, address: Address, request: Request, sink: Sink | None, timeout_seconds: float
    ) -> Response:
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline = now + timeout_seconds
        lane = self._lanes.get(address) or self._new_lane(address)
        body = request.body
        head = request_head(
            request.method, request.target, lane.authority, request.headers, body.size
        )
        while lane.idle:
            protocol = lane.idle.pop()
            if protocol.is_usable(now):
                break
            protocol.abort()
        else:
            protocol = await self._obtain(loop, lane, address, deadline, timeout_seconds)
        return await protocol.exchange(request.method, head, body, deadline, timeout_seconds, sink)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections."""
        return tuple(protocol.connection for protocol in self._protocols)

    def check_connections(self, predicate: Callable[[Connection], bool]) -> int:
        """Cut the connections for which ``predicate`` is false; returns how many."""
        failing = [p for p in self._protocols if not predicate(p.connection)]
        for protocol in failing:
            protocol.abort()
        return len(failing)

    def retire_connections(self) -> None:
        """Let all connections end with what they carry now: our certificate has changed."""
        for protocol in tuple(self._protocols):
            protocol.retired = True
            if protocol in self._lanes[self._protocols[protocol]].idle:
                protocol.abort()

    def close_address(self, address: Address) -> None:
        """Cut all connections to an address; running requests end with PeerClosed."""
        for protocol, at in tuple(self._protocols.items()):
            if at == address:
                protocol.abort()

    def close(self) -> None:
        """Cut all connections. The pool can be used again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for protocol in tuple(self._protocols):
            protocol.abort()

    # --- obtaining a connection ------------------------------------------------------

    def _new_lane(self, address: Address) -> _Lane:
        lane = self._lanes[address] = _Lane(address)
        return lane

    async def _obtain(
        self,
        loop: asyncio.AbstractEventLoop,
        lane: _Lane,
        address: Address,
        deadline: float,
        timeout_seconds: float,
    ) -> ClientProtocol:
        until = deadline
        while True:
            full = lane.open_count >= self._limits.connections_per_address
            # Once there is room, waiting for one's turn to connect is a part of connecting.
            latest = loop.time() + self._connect_timeout_seconds
            until = deadline if full else min(until, latest)
            if not full and lane.opening_count < self._limits.opening_per_address:
                break
            try:
                protocol = await self._wait(loop, lane, until)
            except TimeoutError as error:
                late = TimedOut(address=address, timeout_seconds=timeout_seconds)
                raise (late if full else _connect_error(address, error)) from error
            if protocol is not None and protocol.is_usable(loop.time()):
                return protocol
        self._make_room(lane)
        return await self._open(loop, lane, address, until)

    async def _wait(
        self, loop: asyncio.AbstractEventLoop, lane: _Lane, until: float
    ) -> ClientProtocol | None:
        """Wait in line for a connection that is free, or for room for another (None)."""
        waiter: asyncio.Future[ClientProtocol | None] = loop.create_future()
        lane.waiting.append(waiter)
        try:
            async with asyncio.timeout_at(until):
                return await waiter
        except BaseException:
            self._give_up(lane, waiter)
            raise

    def _give_up(self, lane: _Lane, waiter: asyncio.Future[ClientProtocol | None]) -> None:
        """Stop waiting; pass on what was handed over in the same moment."""
        if waiter.done() and not waiter.cancelled():
            protocol = waiter.result()
            if protocol is None:
                self._wake(lane)
            else:
                self._hand_over(lane, protocol)
        elif waiter in lane.waiting:
            lane.waiting.remove(waiter)

    def _make_room(self, lane: _Lane) -> None:
        """Keep below the limit of all connections. Raises PoolExhausted."""
        if len(self._protocols) + self._opening < self._limits.connections:
            return
        idle = [lane.idle[0] for lane in self._lanes.values() if lane.idle]
        if not idle:
            self._wake(lane)  # the next in line is not to wait for a turn that was not taken
            raise PoolExhausted(limit=self._limits.connections)
        oldest = min(idle, key=lambda protocol: protocol.idle_since)
        self._lanes[self._protocols[oldest]].idle.remove(oldest)
        oldest.abort()

    async def _open(
        self, loop: asyncio.AbstractEventLoop, lane: _Lane, address: Address, until: float
    ) -> ClientProtocol:
        limits = self._limits
        lane.open_count += 1
        lane.opening_count += 1
        self._opening += 1
        try:
            context = self._tls_context() if address.tls and self._tls_context else address.tls
            async with asyncio.timeout_at(until):
                _, protocol = await loop.create_connection(
                    lambda: ClientProtocol(
                        loop,
                        limits,
                        Intake(self._spool_folder, limits.spool_threshold_bytes),
                        lambda protocol: self._hand_over(lane, protocol),
                        lambda protocol: self._forget(lane, protocol),
                    ),
                    address.host,
                    address.port,
                    ssl=context or None,
                    server_hostname=(address.server_name or address.host) if context else None,
                    # A node that restarts answers when its next process is up: asyncio's own limit
                    # of 60 s must not undercut the setting.
                    ssl_handshake_timeout=self._connect_timeout_seconds if context else None,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if context else None,
                )
        except BaseException as error:
            lane.open_count -= 1
            raise _connect_error(address, error) from error
        finally:
            self._opening -= 1
            lane.opening_count -= 1
            if lane.open_count < limits.connections_per_address:
                self._wake(lane)
        if protocol.failure is not None:  # lost between the handshake and now
            lane.open_count -= 1
            self._wake(lane)
            raise protocol.failure
        self._protocols[protocol] = address
        if self._on_connect is not None:
            try:
                self._on_connect(address, protocol.connection)
            except BaseException:
                protocol.abort()
                raise
        if self._timer is None:
            self._sweep()
        return protocol

    # --- connections coming back -----------------------------------------------------

    def _hand_over(self, lane: _Lane, protocol: ClientProtocol) -> None:
        """Give a free connection to whoever waits longest, or keep it."""
        while lane.waiting:
            waiter = lane.waiting.popleft()
            if not waiter.done():
                waiter.set_result(protocol)
                return
        lane.idle.append(protocol)

    def _forget(self, lane: _Lane, protocol: ClientProtocol) -> None:
        """A connection is gone: somebody else may open one."""
        if self._protocols.pop(protocol, None) is None:
            return
        if protocol in lane.idle:
            lane.idle.remove(protocol)
        lane.open_count -= 1
        self._wake(lane)

    def _wake(self, lane: _Lane) -> None:
        while lane.waiting:
            waiter = lane.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _sweep(self) -> None:
        """Look at all timers: one timer for the pool costs less than one per request."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for protocol in tuple(self._protocols):
            protocol.sweep(now)
        self._timer = (
            loop.call_later(self._limits.sweep_seconds, self._sweep) if self._protocols else None
        )


def _connect_error(address: Address, error: BaseException) -> BaseException:
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return TlsFailed(address=address, reason=reason)
    if isinstance(error, TimeoutError):
        return ConnectFailed(address=address, reason="timed out")
    if isinstance(error, (OSError, UnicodeError)):
        return ConnectFailed(address=address, reason=getattr(error, "strerror", "") or str(error))
    return error


class InProcessTransport:
    """Carries requests to handlers of the same process: for tests and the management pages.

    ``client_certificate`` is what handlers see of the sender, ``server_certificates`` what
    the sender sees of them (DER).
    """

    def __init__(
        self,
        handlers: Mapping[Address, Handler],
        client_certificate: bytes | None = None,
        server_certificates: Mapping[Address, bytes] | None = None,
    ) -> None:
        self._handlers = handlers
        self._client_certificate = client_certificate
        self._server_certificates = server_certificates or {}

    async def send(self, address: Address, request: Request, *, timeout_seconds: float) -> Response:
        """Call the handler. Raises ConnectFailed, TimedOut."""
        handler = self._handlers.get(address)
        if handler is None:
            raise ConnectFailed(address=address, reason="no handler")
        caller = Connection(self._client_certificate, "in-process:0", address.tls)
        received = Request(
            request.method, request.target, list(request.headers), request.body, caller
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await handler(received)
        except TimeoutError as error:
            raise TimedOut(address=address, timeout_seconds=timeout_seconds) from error
        certificate = self._server_certificates.get(address)
        connection = Connection(certificate, address.authority, address.tls)
        return Response(
            response.status, response.headers, response.body, response.reason, connection
        )
