"""Carries agreements to other nodes, over the same mutual TLS as messages."""

from __future__ import annotations

from lienthong.errors import AgreementNotDelivered
from lienthong.exchange import wire
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.exchange.faults import PeerFault, read_peer_fault

TIMEOUT_SECONDS = 10.0


class NodeLink:
    """The ``PeerLink`` of agreements."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def deliver(self, node_id: str, document: bytes) -> bytes:
        """Bring an envelope to a node. Raises TransportError, DirectoryError leaves,
        AgreementNotDelivered (the node refused it)."""
        core = self._core
        view = core.view()
        response = await ask_node(
            core,
            node_id,
            "POST",
            wire.AGREEMENTS_PATH,
            document,
            content_type="application/json",
            timeout_seconds=TIMEOUT_SECONDS,
            view=view,
        )
        if response.status != 200:
            fault = read_peer_fault(response)
            reason = fault.fault.message if isinstance(fault, PeerFault) else str(fault)
            raise AgreementNotDelivered(node=node_id, reason=reason)
        return response.body.read()
