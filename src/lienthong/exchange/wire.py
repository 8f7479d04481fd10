"""How a message travels between nodes: one HTTP request, the body as it is.

    POST /lienthong/1/message
    lienthong-message: {…}     the JSON of ledger.messages.Request, in ASCII
    lienthong-proof: {…}       the JSON of ledger.records.Proof, in ASCII

The answer comes back in the same two headers with the struct ``Answer``; an HTTP status other
than 200 carries an unsigned fault instead: the message was not understood or not authentic.
Specification: docs/protocols/0001-message.md §2.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from lienthong.errors import MessageMalformed
from lienthong.ledger.messages import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSIONS,
    Answer,
    Request,
    checked_answer_leaf,
    checked_request_leaf,
)
from lienthong.ledger.proofs import LARGEST_PROOF, decode_proof
from lienthong.ledger.records import Proof
from lienthong.transport.messages import Headers
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse

BASE_PATH = f"/lienthong/{PROTOCOL_VERSION}"
MESSAGE_PATH = f"{BASE_PATH}/message"
CONVOY_PATH = f"{BASE_PATH}/messages"
# Each version of the protocol has its own path for messages, and for several of them.
MESSAGE_PATHS = {version: f"/lienthong/{version}/message" for version in PROTOCOL_VERSIONS}
CONVOY_PATHS = frozenset(f"{path}s" for path in MESSAGE_PATHS.values())
VERSIONS_PATH = "/lienthong/versions"
AGREEMENTS_PATH = f"{BASE_PATH}/agreements"
RECEIPTS_PATH = f"{BASE_PATH}/receipts"
HELD_PATH = f"{BASE_PATH}/held"
HEAD_PATH = f"{BASE_PATH}/head"
CONSISTENCY_PATH = f"{BASE_PATH}/consistency"
DIRECTORY_PATH = f"{BASE_PATH}/directory"

MESSAGE_HEADER = "lienthong-message"
PROOF_HEADER = "lienthong-proof"
NODE_HEADER = "lienthong-node"  # who calls, where no message says it; the certificate proves it
LARGEST_MESSAGE = 131_072  # bytes of JSON; a look-up of 1,000 citizens has about 20,000
LARGEST_HEAD_BYTES = 262_144  # of HTTP headers on the peer edge: a message and its proof

_BEYOND_ASCII = re.compile(r"[^\x20-\x7e]")

encode_json = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(Request).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


class Signed(NamedTuple):
    """A message as it came: what it says, its own bytes, its sender's proof, its leaf."""

    message: Any
    json: bytes
    proof: Proof
    proof_json: bytes
    leaf: bytes


def message_headers(message: bytes, proof: bytes) -> Headers:
    """The headers that carry a message; both arguments are JSON."""
    return [(MESSAGE_HEADER, _in_ascii(message)), (PROOF_HEADER, _in_ascii(proof))]


def _in_ascii(json: bytes) -> str:
    """The same JSON value in printable ASCII; nearly all messages are so as they are."""
    text = json.decode()
    if text.isascii() and "\x7f" not in text:  # JSON as we write it escapes all below a space
        return text
    return _BEYOND_ASCII.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """A character as JSON escapes it: in UTF-16 units (RFC 8259 §7)."""
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def read_request(request: HttpRequest) -> Signed:
    """Read a request of another node; nothing is verified but its form.

    Raises MessageMalformed, HeadMalformed.
    """
    json = _header(request.header(MESSAGE_HEADER), LARGEST_MESSAGE)
    proof = _header(request.header(PROOF_HEADER), LARGEST_PROOF)
    message = _decoded(_decode_request, json)
    leaf = checked_request_leaf(message)
    if request.target != MESSAGE_PATHS[message.version]:
        raise MessageMalformed(reason="a message of another version than its path")
    return Signed(message, json, _decoded(decode_proof, proof), proof, leaf)


def read_answer(response: HttpResponse) -> Signed:
    """Read an answer of another node; nothing is verified but its form.

    Raises MessageMalformed, HeadMalformed.
    """
    json = _header(response.header(MESSAGE_HEADER), LARGEST_MESSAGE)
    proof = _header(response.header(PROOF_HEADER), LARGEST_PROOF)
    message = _decoded(_decode_answer, json)
    leaf = checked_answer_leaf(message)
    return Signed(message, json, _decoded(decode_proof, proof), proof, leaf)


def _header(value: str | None, limit: int) -> bytes:
    if value is None:
        raise MessageMalformed(reason="a header of the protocol is missing")
    if len(value) > limit:
        raise MessageMalformed(reason="a header of the protocol is too long")
    try:
        return value.encode("ascii")
    except UnicodeEncodeError as error:
        raise MessageMalformed(reason="a header of the protocol is not ASCII") from error


def _decoded(decode: Any, json: bytes) -> Any:
    try:
        return decode(json)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageMalformed(reason=str(error)[:200]) from error
