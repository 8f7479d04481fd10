"""An HTTP/1.1 server on a handler.

server = await serve(handler, "127.0.0.1", 0, spool_folder=folder)
server.port
await server.drain(30)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from pathlib import Path

from lienthong.errors import ListenFailed, TransportError
from lienthong.transport.limits import Limits
from lienthong.transport.messages import Connection, Handler, Response, json_response
from lienthong.transport.request_reader import Listener
from lienthong.transport.server_protocol import ServerProtocol

__all__ = ["Handler", "Limits", "Server", "serve"]

TLS_SHUTDOWN_SECONDS = 2.0
Keep = Callable[[list[socket.socket]], None]


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    spool_folder: Path | None = None,
    refusal: Callable[[TransportError, str], Response] | None = None,
    listening_socket: socket.socket | None = None,
) -> Server:
    """Listen and answer; port 0 takes a free one. Raises ListenFailed.

    ``listening_socket`` is one that listens already; then ``host`` and ``port`` are for the log.

    ``refusal`` makes the response to requests that never reach the handler (malformed, too
    large) and to those whose handler fails, from the error and its id in the log; by default
    problem+json (RFC 9457).
    ``spool_folder`` takes bodies above ``limits.spool_threshold_bytes``; None: the system's
    folder for temporary files.
    """
    loop = asyncio.get_running_loop()
    listener = Listener(handler, limits, refusal or problem, spool_folder)
    try:
        place: dict[str, object] = {"host": host, "port": port}
        if listening_socket is not None:
            place = {"sock": listening_socket}
        listening = await loop.create_server(  # type: ignore[call-overload]
            lambda: ServerProtocol(loop, listener),
            **place,
            ssl=tls,
            backlog=1024,
            ssl_handshake_timeout=limits.handshake_seconds if tls else None,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if tls else None,
        )
    except (OSError, OverflowError) as error:
        raise ListenFailed(address=f"{host}:{port}", reason=str(error)) from error
    return Server(loop, listening, listener)


def problem(error: TransportError, error_id: str) -> Response:
    """Say an error as problem+json (RFC 9457)."""
    document = {
        "type": f"urn:lienthong:error:{error.code}",
        "title": error.message("vi"),
        "status": error.status,
        "code": error.code,
        "instance": f"urn:uuid:{error_id}",
        "detail": error.message("en"),
    }
    return json_response(error.status, document, "application/problem+json")


class Server:
    """A running server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: asyncio.Server,
        listener: Listener,
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._listener = listener
        name = listening.sockets[0].getsockname()
        self.port: int = name[1] if isinstance(name, tuple) else 0  # 0: a Unix socket
        self._timer: asyncio.TimerHandle | None = None
        self._sweep()

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections."""
        return tuple(protocol.connection for protocol in self._listener.connections)

    def check_connections(self, predicate: Callable[[Connection], bool]) -> int:
        """Cut the connections for which ``predicate`` is false; returns how many."""
        failing = [p for p in self._listener.connections if not predicate(p.connection)]
        for protocol in failing:
            protocol.abort()
        return len(failing)

    def retire_connections(self) -> None:
        """Let each open connection end with its next response, which says so to the client.

        Nothing is lost on the way, unlike with a connection that is closed while idle.
        """
        for protocol in self._listener.connections:
            protocol.retired = True

    async def adopt(self, connections: Iterable[socket.socket]) -> None:
        """Take on connections that ``drain`` of another process has left open."""
        for each in connections:
            try:
                await self._loop.connect_accepted_socket(
                    lambda: ServerProtocol(self._loop, self._listener), each
                )
            except OSError:  # its client is gone
                each.close()

    async def drain(
        self, seconds: float, patience_seconds: float = 0.0, keep: Keep | None = None
    ) -> None:
        """Take no more connections, answer the running requests, then close.

        For ``patience_seconds`` connections without a request stay open: a request that is on
        its way is answered, and the answer tells the client to connect again. ``keep`` is given
        those that can go on elsewhere (``adopt``), as soon as no request is in them.
        """
        self._listening.close()
        self._listener.draining = True
        patient = self._loop.time() + patience_seconds
        deadline = self._loop.time() + max(seconds, patience_seconds)
        while (now := self._loop.time()) < deadline:
            if keep is not None:
                self._leave_open(keep)
            if now >= patient:
                if not self._listener.connections:
                    break
                for protocol in tuple(self._listener.connections):
                    protocol.close_if_idle()
            await asyncio.sleep(0.02)
        self.close()

    def _leave_open(self, keep: Keep) -> None:
        left = [protocol.leave_open() for protocol in tuple(self._listener.connections)]
        found = [each for each in left if each is not None]
        if found:
            keep(found)

    def close(self) -> None:
        """Close at once; running handlers go on, their responses are dropped. Idempotent."""
        self._listening.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for protocol in tuple(self._listener.connections):
            protocol.abort()

    def _sweep(self) -> None:
        """Look at all timers: one timer for the server costs less than one per request."""
        listener = self._listener
        listener.now = self._loop.time()
        listener.date = f"date: {formatdate(time.time(), usegmt=True)}\r\n"
        for protocol in tuple(listener.connections):
            with contextlib.suppress(RuntimeError):  # a transport that closes meanwhile
                protocol.sweep(listener.now)
        self._timer = self._loop.call_later(listener.limits.sweep_seconds, self._sweep)
