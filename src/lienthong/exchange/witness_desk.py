"""What a node answers as a witness of others, and about its own old heads.

POST /lienthong/1/add-checkpoint     cosign a head, as in C2SP tlog-witness
POST /lienthong/1/heads              compare the heads that two nodes hold of others
GET  /lienthong/1/head-at?epoch=0&size=12    our own head of that size

A witness signs a head when (1) its node signed it with a key that counts today, (2) it does not
contradict what this node has seen of that ledger in its own traffic, (3) it grew out of the head
that this node cosigned last, which is on disk before the next is signed.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec

from lienthong.errors import (
    BodyTooLarge,
    CosignatureInvalid,
    KeyNotValid,
    KeyRevoked,
    LienthongError,
    MessageMalformed,
    RecordNotFound,
    SignatureInvalid,
    UnknownSigningKey,
    WitnessedOther,
)
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.core import Core
from lienthong.exchange.faults import peer_fault_response
from lienthong.identity.keys import SigningKey
from lienthong.ledger.cosignatures import cosign
from lienthong.ledger.heads import LONGEST_HEAD, Head, parse_head, verify_head
from lienthong.ledger.records import place_of
from lienthong.ledger.witness import WitnessBook
from lienthong.ledger.witness_request import LARGEST_REQUEST, parse_witness_request
from lienthong.transport.messages import Body, Request, Response

ADD_CHECKPOINT_PATH = f"{wire.BASE_PATH}/add-checkpoint"
HEADS_PATH = f"{wire.BASE_PATH}/heads"
HEAD_AT_PATH = f"{wire.BASE_PATH}/head-at"
MOST_HEADS = 64  # compared at once; more of them come in the next round
LARGEST_HEADS = MOST_HEADS * LONGEST_HEAD  # bytes of JSON
_STATUS = {SignatureInvalid: 403, UnknownSigningKey: 403, KeyRevoked: 403, KeyNotValid: 403}

Notes = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=LONGEST_HEAD)], ...],
    msgspec.Meta(max_length=MOST_HEADS),
]
decode_notes = msgspec.json.Decoder(Notes).decode

logger = logging.getLogger("lienthong.exchange.witness")


class WitnessDesk:
    """Answers other nodes; ``key`` is the one by which this node signs its own heads."""

    def __init__(self, core: Core, book: WitnessBook, key: SigningKey) -> None:
        self._core = core
        self._book = book
        self._key = key
        self._one_at_a_time = asyncio.Lock()
        self._owner = core.node.rpartition("/")[0]

    async def add_checkpoint(self, caller: str, request: Request) -> Response:
        """Cosign a head, or say why not with the status that C2SP gives it."""
        try:
            return _text(await self._cosigned(request))
        except WitnessedOther as error:
            size = f"{error.facts['size']}\n".encode()
            return Response(409, [("content-type", "text/x.tlog.size")], Body.of(size))
        except LienthongError as error:
            error_id = str(uuid.uuid4())
            log_event(
                logger,
                logging.WARNING,
                "witness.refused",
                error_id=error_id,
                code=error.code,
                asked_by=caller,
                reason=str(error),
            )
            response = peer_fault_response(error, error_id, self._core.settings.language)
            status = _STATUS.get(type(error), response.status)
            return Response(status, response.headers, response.body)

    async def _cosigned(self, request: Request) -> str:
        if request.body.size > LARGEST_REQUEST:
            raise BodyTooLarge(limit_bytes=LARGEST_REQUEST)
        asked = parse_witness_request(request.body.read())
        head = take_head(self._core, asked.note)  # (1), (2)
        if self._core.directory.view.node(head.node).owner == self._owner:
            raise CosignatureInvalid(reason="a witness of its own ledger")
        async with self._one_at_a_time:
            return await asyncio.to_thread(  # (3)
                self._book.cosign, head, asked.note, asked.old_size, asked.path, self._sign
            )

    def _sign(self, head: Head) -> str:
        return cosign(head, self._core.node, self._key.current, self._core.clock.now())

    async def heads(self, caller: str, request: Request) -> Response:
        """Take the heads that another node holds; answer with ours of the same ledgers."""
        if request.body.size > LARGEST_HEADS:
            raise BodyTooLarge(limit_bytes=LARGEST_HEADS)
        notes = read_notes(request.body.read())
        ours = [held for note in notes if (held := self._held(note)) is not None]
        for note in notes:
            try_to_take(self._core, note, caller)
        content = msgspec.json.encode(ours)
        return Response(200, [("content-type", "application/json")], Body.of(content))

    def _held(self, note: str) -> str | None:
        """Our newest head of the same ledger, if it is another."""
        try:
            peer = self._core.peers.latest(parse_head(note).origin)
        except LienthongError:
            return None
        return None if peer is None or peer.note == note else peer.note

    async def head_at(self, caller: str, request: Request) -> Response:
        """Our own head of a size. Raises MessageMalformed, RecordNotFound."""
        try:
            values = dict(parse_qsl(request.query, strict_parsing=True, max_num_fields=2))
            epoch, size = int(values["epoch"]), int(values["size"])
        except (ValueError, KeyError) as error:
            raise MessageMalformed(reason="epoch and size are wanted") from error
        if not 0 <= epoch < 1 << 20 or not 0 < size < 1 << 40:
            raise RecordNotFound(name="head")
        store = self._core.store
        group = await asyncio.to_thread(store.group, place_of(epoch, size - 1))
        return _text(group.head)


def take_head(core: Core, note: str) -> Head:
    """Judge another node's head and remember it.

    Its key must count today: whoever has a stolen key could otherwise accuse its node of a
    second history. Raises HeadMalformed, SignatureInvalid, the directory's errors, LedgerForked.
    """
    head = parse_head(note)
    view = core.directory.view
    view.signing_key(head.node, head.key_id, core.clock.now())
    verify_head(note, head, view.signing_key(head.node, head.key_id, head.time))
    if head.node != core.node:
        core.see_head(head, note)
    return head


def try_to_take(core: Core, note: str, told_by: str) -> None:
    """``take_head``, where a head that is not good is no reason to stop."""
    try:
        take_head(core, note)
    except LienthongError as error:
        log_event(logger, logging.INFO, "heads.not_taken", told_by=told_by, reason=str(error))


def read_notes(content: bytes) -> tuple[str, ...]:
    """Raises MessageMalformed."""
    try:
        return decode_notes(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageMalformed(reason="heads") from error


def _text(text: str) -> Response:
    return Response(200, [("content-type", "text/plain; charset=utf-8")], Body.of(text.encode()))
