"""Asking other nodes from the command line, with this node's certificate, whether it runs or not.

async with Outside(state) as outside:
    response = await outside.get("VN/GOV/G02/n1", "/lienthong/1/head")
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.view import DirectoryView
from lienthong.errors import CertificateNotAccepted, NodeNotApproved
from lienthong.exchange.wire import LARGEST_HEAD_BYTES, NODE_HEADER
from lienthong.node.state import StateFolder
from lienthong.transport.client import Address, ConnectionPool, PoolLimits
from lienthong.transport.messages import Connection, Request, Response
from lienthong.transport.tls import client_context

CONNECT_SECONDS = 5.0


class Outside:
    """Mutual TLS to other nodes by the directory's copy in the state folder.

    Raises NodeNotInitialised, DirectoryNotLoaded, NodeNotApproved when it is made.
    """

    def __init__(self, state: StateFolder) -> None:
        self.own = state.read_identity().node
        self.view: DirectoryView = DirectoryMirror(
            state.directory, [], state.root.read_bytes()
        ).view
        if not state.tls_certificate.exists():
            raise NodeNotApproved(node=self.own)
        self._context = client_context(
            state.tls_certificate,
            state.tls_key,
            "\n".join(self.view.authorities),
            check_hostname=False,  # names are checked by the directory
        )
        self._nodes: dict[Address, str] = {}

    async def __aenter__(self) -> Self:
        self._spool = tempfile.TemporaryDirectory(prefix="lienthong-")
        self._pool = ConnectionPool(
            lambda: self._context,
            PoolLimits(head_bytes=LARGEST_HEAD_BYTES),
            connect_timeout_seconds=CONNECT_SECONDS,
            spool_folder=Path(self._spool.name),
            on_connect=self._check,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()
        self._spool.cleanup()

    async def get(self, node: str, target: str, timeout_seconds: float = 20.0) -> Response:
        """Raises UnknownNode, InvalidAddress, CertificateNotAccepted, TransportError leaves."""
        address = Address.parse(self.view.node(node).addresses[0])
        self._nodes[address] = node
        request = Request("GET", target, [(NODE_HEADER, self.own)])
        return await self._pool.send(address, request, timeout_seconds=timeout_seconds)

    def _check(self, address: Address, connection: Connection) -> None:
        node = self._nodes[address]
        if connection.peer_certificate is None:
            raise CertificateNotAccepted(node=node, reason="none was shown")
        self.view.check_certificate(node, connection.peer_certificate, datetime.now(UTC))
