"""Asking another node, as the node that we are, for what is no message.

    response = await ask_node(core, "VN/GOV/G01/n1", "GET", wire.HEAD_PATH)

The one way to do it: receipts, heads, agreements, the directory's copy, traces and versions go
this way. Messages go by ``carrier.py``.
"""

from __future__ import annotations

from lienthong.directory.view import DirectoryView
from lienthong.exchange import wire
from lienthong.exchange.core import Core
from lienthong.transport.messages import Body, Headers, Request, Response

PATIENCE_SECONDS = 20.0


async def ask_node(
    core: Core,
    node: str,
    method: str,
    target: str,
    content: bytes = b"",
    *,
    content_type: str = "",
    timeout_seconds: float = PATIENCE_SECONDS,
    view: DirectoryView | None = None,
) -> Response:
    """Ask and check that it was that node which answered; the answer may be a refusal.

    Without ``view`` an expired directory serves as well: some questions are asked to get a newer.
    Raises TransportError, ForeignMessage, CertificateNotAccepted, UnknownNode.
    """
    view = view or core.directory.view
    headers: Headers = [(wire.NODE_HEADER, core.node)]
    if content_type:
        headers.append(("content-type", content_type))
    address = core.address_of(node, view)
    request = Request(method, target, headers, Body.of(content))
    response = await core.transport.send(address, request, timeout_seconds=timeout_seconds)
    if response.connection is not None:
        core.check_peer(response.connection, node, view)
    return response
