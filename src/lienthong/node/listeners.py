"""The ports of a node: client edge (HTTP, HTTPS), peer edge, operations, management socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lienthong.errors import ConfigurationError, TransportError
from lienthong.exchange.consumer import ConsumerEdge
from lienthong.exchange.faults import peer_fault_response
from lienthong.exchange.peer_edge import PeerEdge
from lienthong.exchange.wire import LARGEST_HEAD_BYTES
from lienthong.exchange.xroad.faults import Fault, Place, fault_response
from lienthong.node.admin_client import short_socket_path
from lienthong.node.connection_store import ConnectionStore
from lienthong.node.health import operations_handler
from lienthong.node.health_checks import health_report
from lienthong.node.inherited import Inherited, inherited_sockets
from lienthong.node.worker import shared_listener
from lienthong.transport.limits import Limits
from lienthong.transport.messages import Connection, Handler, Response
from lienthong.transport.server import Server, serve

if TYPE_CHECKING:
    from lienthong.node.management_server import ManagementServer
    from lienthong.node.node import Node

# Time for requests that are on their way when a node is to hand its sockets to the next process.
HANDOVER_SECONDS = 1.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Listeners:
    """Opens, drains and closes the ports of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._servers: dict[str, Server] = {}
        worker = node.worker
        self._inherited = Inherited(worker.sockets) if worker else inherited_sockets(os.environ)
        # Whether the next process gets our sockets.
        self.hands_over = bool(self._inherited.listening)
        kept = self.hands_over and worker is None
        self._store = ConnectionStore.of(os.environ) if kept else None
        self._management_socket: socket.socket | None = None
        self._management: ManagementServer | None = None

    async def start_operations(self) -> None:
        """Health and metrics come first, so that a node that waits can say for what."""
        node = self._node
        handler = operations_handler(lambda: health_report(node), node.metrics.registry)
        await self._open("operations", node.settings.operations_listen, handler, Limits())

    async def start(self, consumer: ConsumerEdge, peers: PeerEdge) -> None:
        settings = self._node.settings
        limits = Limits(
            body_bytes=settings.request_limit_bytes,
            spool_threshold_bytes=settings.spool_threshold_bytes,
            connections=settings.maximum_connections,
        )
        peer_limits = Limits(
            head_bytes=LARGEST_HEAD_BYTES,
            body_bytes=settings.request_limit_bytes,
            spool_threshold_bytes=settings.spool_threshold_bytes,
            connections=settings.maximum_connections,
        )
        await self._open(
            "peers", settings.peer_listen, peers.handle, peer_limits, self._node.trust.peer_server()
        )
        self._listen_for_management()
        host = settings.client_http_listen.rpartition(":")[0].strip("[]")
        if host and host not in LOOPBACK:
            raise ConfigurationError(
                reason="client_http_listen: HTTP without TLS is for loopback only"
            )
        await self._open("client_http", settings.client_http_listen, consumer.handle, limits)
        await self._take_on_idle_connections()
        if settings.client_https_listen:
            registered = self._node.administration.client_certificates()
            context = self._node.trust.client_listener(registered)
            self.client_context = context
            await self._open(
                "client_https", settings.client_https_listen, consumer.handle, limits, context
            )

    def addresses(self) -> dict[str, str]:
        """Where each port really listens (a port of 0 was chosen by the system)."""
        listen = {
            "operations": self._node.settings.operations_listen,
            "peers": self._node.settings.peer_listen,
            "client_http": self._node.settings.client_http_listen,
            "client_https": self._node.settings.client_https_listen,
        }
        return {
            name: f"{listen[name].rpartition(':')[0]}:{server.port}"
            for name, server in self._servers.items()
        }

    def check_peers(self, predicate: Callable[[Connection], bool]) -> None:
        """Close peers' connections that no longer count."""
        if "peers" in self._servers:
            self._servers["peers"].check_connections(predicate)

    def retire_peers(self) -> None:
        """Let peers' connections end with their next responses: our certificate has changed."""
        if "peers" in self._servers:
            self._servers["peers"].retire_connections()

    def trust_client(self, pem: str) -> None:
        """Accept a newly registered client certificate on the open HTTPS port."""
        context = getattr(self, "client_context", None)
        if context is not None:
            context.load_verify_locations(cadata=pem)

    async def drain(self, seconds: float) -> None:
        """Finish running requests; the operations port stays open until the end."""
        names = [name for name in self._servers if name != "operations"]
        patience = HANDOVER_SECONDS if self.hands_over else 0.0
        keep = {"client_http": self._store.keep} if self._store else {}
        await asyncio.gather(
            *(self._servers.pop(name).drain(seconds, patience, keep.get(name)) for name in names)
        )
        await self._stop_management()

    async def close(self) -> None:
        await self._stop_management()
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    async def _take_on_idle_connections(self) -> None:
        idle = self._inherited.idle
        if idle and "client_http" in self._servers:
            await self._servers["client_http"].adopt(idle)
            idle.clear()
        self._inherited.close_idle()
        if self._store is not None:
            self._store.forget()

    async def _open(
        self, name: str, listen: str, handler: Handler, limits: Limits, tls: object = None
    ) -> None:
        if not listen:
            return
        host, _, port = listen.rpartition(":")
        if not port.isdigit():
            raise ConfigurationError(reason=f"{listen!r} is not HOST:PORT")
        self._servers[name] = await serve(
            handler,
            host.strip("[]") or "0.0.0.0",  # noqa: S104 - the administrator's choice
            int(port),
            tls=tls,  # type: ignore[arg-type]
            limits=limits,
            spool_folder=self._node.state.spool,
            refusal=self._refusals.get(name),
            listening_socket=self._inherited.listening.pop(name, None) or self._shared(listen),
        )

    def _shared(self, listen: str) -> socket.socket | None:
        """A worker's own socket on a port of all workers: the system shares connections out."""
        return None if self._node.worker is None else shared_listener(listen)

    @property
    def _refusals(self) -> dict[str, Callable[[TransportError, str], Response]]:
        """How each port words what is wrong before a request can be read."""
        return {
            "client_http": self._xroad_refusal,
            "client_https": self._xroad_refusal,
            "peers": self._peer_refusal,
        }

    def _peer_refusal(self, error: TransportError, error_id: str) -> Response:
        return peer_fault_response(error, error_id, self._node.settings.language)

    def _xroad_refusal(self, error: TransportError, error_id: str) -> Response:
        fault = Fault.of(error, Place.CLIENT, error_id, self._node.settings.language)
        response = fault_response(fault, None, self._node.settings.error_spelling)
        response.status = error.status
        return response

    def _listen_for_management(self) -> None:
        """Commands may come from now on; they wait in the backlog for ``start_management``."""
        path, worker = self._node.state.admin_socket, self._node.worker
        self._management_socket = (
            _unix_socket(path) if worker is None else join_socket(path, worker.admin)
        )

    async def start_management(self) -> None:
        """Answer commands. Loading the server takes longer than all else: calls go on meanwhile."""
        server = await asyncio.to_thread(_load_management, self._node)
        assert self._management_socket is not None  # since ``start``
        server.start(self._management_socket)
        self._management = server

    async def _stop_management(self) -> None:
        server, self._management = self._management, None
        listening, self._management_socket = self._management_socket, None
        if server is not None:
            await server.stop()
        elif listening is not None:
            listening.close()
        if listening is not None and self._node.worker is None:  # the others go on with it
            self._node.state.admin_socket.unlink(missing_ok=True)


def _load_management(node: Node) -> ManagementServer:
    module = import_module("lienthong.node.management_server")
    server: ManagementServer = module.ManagementServer(node)
    return server


def _unix_socket(path: Path) -> socket.socket:
    """A socket that only its owner may open: the mask is set before the file exists."""
    path.unlink(missing_ok=True)
    return join_socket(path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))


def join_socket(path: Path, listening: socket.socket) -> socket.socket:
    """Listen on a socket that other workers may hold as well: the first that is ready binds it."""
    before = os.umask(0o177)
    try:
        if not listening.getsockname():
            listening.bind(short_socket_path(path))
    finally:
        os.umask(before)
    listening.listen(64)
    listening.setblocking(False)
    return listening
