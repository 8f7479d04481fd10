"""Everything that other nodes may ask of this one, by path.

POST /lienthong/1/message       a request of one of their clients          → provider.py
POST /lienthong/1/messages      several of them in one                      → provider.py
POST /lienthong/1/agreements    an agreement or a statement about one      → agreements
POST /lienthong/1/receipts      acknowledgements of answers that we gave
GET  /lienthong/versions        the versions of the protocol that we speak
GET  /lienthong/1/head          our newest head
GET  /lienthong/1/held          the caller's own newest head that we hold
GET  /lienthong/1/consistency?epoch=0&first=5&second=9    that our ledger only grew
GET  /lienthong/1/directory/…   our copy of the directory (it proves itself)

What other rooms answer is added by ``offer``.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec

from lienthong.errors import (
    BodyTooLarge,
    HandlerFailed,
    LienthongError,
    MessageMalformed,
    RecordNotFound,
    UnknownPath,
)
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.convoy import (
    CONTENT_TYPE,
    LARGEST_CONVOY,
    LARGEST_MESSAGE_AND_BODY,
    answer_frame,
    read_requests,
)
from lienthong.exchange.core import Core
from lienthong.exchange.faults import peer_fault_response
from lienthong.exchange.provider import ProviderEdge
from lienthong.exchange.receipts import LARGEST_PARCEL, check_receipt, decode_parcel
from lienthong.exchange.versions import Spoken
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.messages import PROTOCOL_VERSIONS
from lienthong.ledger.receipt_store import ReceiptStore
from lienthong.transport.messages import Body, Handler, Request, Response, Stream

LARGEST_AGREEMENT = 1_048_576  # bytes

Receiver = Callable[[str, bytes], Awaitable[bytes]]
Offer = Callable[[str, Request], Awaitable[Response]]  # (the calling node, its request)

_MESSAGE_PATHS = frozenset(wire.MESSAGE_PATHS.values())

logger = logging.getLogger("lienthong.exchange.peer")


class PeerEdge:
    """Routes what other nodes ask."""

    def __init__(
        self,
        core: Core,
        provider: ProviderEdge,
        receipts: ReceiptStore,
        receive_agreement: Receiver,
        directory_files: Handler,
    ) -> None:
        self._core = core
        self._provider = provider
        self._receipts = receipts
        self._receive_agreement = receive_agreement
        self._directory_files = directory_files
        self._offers: dict[tuple[str, str], Offer] = {}
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", wire.AGREEMENTS_PATH): self._agreements,
            ("POST", wire.RECEIPTS_PATH): self._take_receipts,
            ("GET", wire.HEAD_PATH): self._head,
            ("GET", wire.HELD_PATH): self._held,
            ("GET", wire.CONSISTENCY_PATH): self._consistency,
            ("GET", wire.VERSIONS_PATH): self._versions,
        }

    def offer(self, method: str, path: str, answer: Offer) -> None:
        """Answer a further path, and all below it when it ends in "/", to nodes that prove
        who they are."""
        self._offers[method, path] = answer

    async def handle(self, request: Request) -> Response:
        if request.target in _MESSAGE_PATHS and request.method == "POST":
            return await self._provider.handle(request)
        try:
            if request.target in wire.CONVOY_PATHS and request.method == "POST":
                return self._convoy(request)
            return await self._other(request)
        except LienthongError as error:
            error_id = str(uuid.uuid4())
            log_event(
                logger,
                logging.WARNING,
                "peer.refused",
                error_id=error_id,
                code=error.code,
                reason=str(error),
                **request.connection.facts,
            )
            return peer_fault_response(error, error_id, self._core.settings.language)

    async def _other(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is not None:
            return await route(request)
        if request.path.startswith(wire.DIRECTORY_PATH + "/"):
            target = request.target.removeprefix(wire.DIRECTORY_PATH)
            return await self._directory_files(Request(request.method, target, request.headers))
        path = request.path
        offer = self._offers.get((request.method, path)) or self._offers.get(
            (request.method, path[: path.rfind("/") + 1])
        )
        if offer is not None:
            return await offer(self._peer(request), request)
        raise UnknownPath(path=request.path[:100])

    def _convoy(self, request: Request) -> Response:
        """Several messages in one: each is answered as if it had come alone."""
        if request.body.size > LARGEST_CONVOY + LARGEST_MESSAGE_AND_BODY:
            raise BodyTooLarge(limit_bytes=LARGEST_CONVOY)
        messages = read_requests(
            request.body.read(), request.connection, request.target.removesuffix("s")
        )
        stream = Stream()
        tasks = {
            asyncio.create_task(self._answer_into(stream, place, message))
            for place, message in enumerate(messages)
        }

        def done(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not tasks:
                stream.end()

        for task in tuple(tasks):
            task.add_done_callback(done)
        if not tasks:
            stream.end()
        return Response(200, [("content-type", CONTENT_TYPE)], stream=stream)

    async def _answer_into(self, stream: Stream, place: int, message: Request) -> None:
        try:
            response = await self._provider.handle(message)
        except Exception:  # as the server would answer for a handler that raised
            error_id = str(uuid.uuid4())
            logger.exception("peer.failed", extra={"fields": {"error_id": error_id}})
            language = self._core.settings.language
            response = peer_fault_response(HandlerFailed(), error_id, language)
        head, file = answer_frame(place, response)
        stream.put(head) if file is None else stream.put(head, file)

    def _peer(self, request: Request) -> str:
        """The node at the other end, as it says and its certificate proves.

        Raises ForeignMessage, CertificateNotAccepted, UnknownNode.
        """
        node = request.header(wire.NODE_HEADER) or ""
        self._core.check_peer(request.connection, node, self._core.directory.view)
        return node

    async def _agreements(self, request: Request) -> Response:
        if request.body.size > LARGEST_AGREEMENT:
            raise BodyTooLarge(limit_bytes=LARGEST_AGREEMENT)
        reply = await self._receive_agreement(self._peer(request), request.body.read())
        return _json(reply)

    async def _take_receipts(self, request: Request) -> Response:
        if request.body.size > LARGEST_PARCEL:
            raise BodyTooLarge(limit_bytes=LARGEST_PARCEL)
        sender, core = self._peer(request), self._core
        try:
            parcel = decode_parcel(request.body.read())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MessageMalformed(reason="receipts") from error
        view = core.directory.view
        for receipt in parcel:
            head = check_receipt(receipt, sender, core.checker, view)
            view.signing_key(sender, head.key_id, core.clock.now())  # see Core.check_live
            core.see_head(head, receipt.head)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._receipts.put, parcel, core.clock.now())
        taken = sum(len(receipt.answers) for receipt in parcel)
        return _json(msgspec.json.encode({"taken": taken}))

    async def _head(self, request: Request) -> Response:
        self._peer(request)
        return _note(self._core.committer.head_note)

    async def _versions(self, request: Request) -> Response:
        self._peer(request)
        return _json(msgspec.json.encode(Spoken(PROTOCOL_VERSIONS)))

    async def _held(self, request: Request) -> Response:
        return _note(self._core.peers.newest_of(self._peer(request)))

    async def _consistency(self, request: Request) -> Response:
        self._peer(request)
        epoch, first, second = _numbers(request.query)
        store = self._core.store
        loop = asyncio.get_running_loop()
        size = await loop.run_in_executor(None, store.size, epoch)
        if not 0 < first <= second <= size:
            raise RecordNotFound(name=f"tree of {second} groups in epoch {epoch}")

        def prove() -> list[bytes]:
            return consistency_path(lambda level, i: store.subtree(epoch, level, i), first, second)

        return _json(msgspec.json.encode(await loop.run_in_executor(None, prove)))


def _numbers(query: str) -> tuple[int, int, int]:
    try:
        values = dict(parse_qsl(query, strict_parsing=True, max_num_fields=3))
        epoch, first, second = (int(values[name]) for name in ("epoch", "first", "second"))
    except (ValueError, KeyError) as error:
        raise MessageMalformed(reason="epoch, first and second are wanted") from error
    if not 0 <= epoch < 1 << 20 or not 0 <= first <= second < 1 << 40:
        raise MessageMalformed(reason="epoch, first or second out of range")
    return epoch, first, second


def _note(note: str) -> Response:
    if not note:
        raise RecordNotFound(name="head")
    return Response(200, [("content-type", "text/plain; charset=utf-8")], Body.of(note.encode()))


def _json(content: bytes) -> Response:
    return Response(200, [("content-type", "application/json; charset=utf-8")], Body.of(content))
