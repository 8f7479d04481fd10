"""Unsigned faults between nodes: the message was not understood or is not authentic.

What a provider refuses after it knows who asks, it refuses in a signed answer; before that it
cannot, and says why in one JSON object ``{"type", "code", "message", "detail"}``.
"""

from __future__ import annotations

import msgspec

from lienthong.errors import InconsistentAnswer, LienthongError
from lienthong.exchange.xroad.faults import Fault, Place
from lienthong.transport.messages import Body, Response

LARGEST_FAULT = 16_384  # bytes of JSON

_decode = msgspec.json.Decoder(Fault).decode


class PeerFault(Exception):
    """A fault that another node reported; it goes to the client as it is. Stays in this room."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.request_id = ""  # of the request that it was the answer to
        self.node = ""


def peer_fault_response(error: LienthongError, error_id: str, language: str) -> Response:
    """The HTTP answer that tells another node of ``error``."""
    fault = Fault.of(error, Place.PROVIDER, error_id, language)
    status = error.status if 400 <= error.status <= 599 else 500
    headers = [("content-type", "application/json; charset=utf-8")]
    return Response(status, headers, Body.of(msgspec.json.encode(fault)))


def read_peer_fault(response: Response) -> PeerFault | InconsistentAnswer:
    """Read such an answer; what is not one becomes an error of our own."""
    if response.body.size > LARGEST_FAULT:
        return InconsistentAnswer(reason="a fault of too many bytes")
    try:
        return PeerFault(_decode(response.body.read()))
    except (msgspec.MsgspecError, UnicodeDecodeError, LienthongError, RecursionError):
        return InconsistentAnswer(reason=f"HTTP status {response.status} from the node")
