"""The peer edge: another node asks one of our services.

The numbers are those of docs/protocols/0001-message.md §7:
(1) read the message; (2) it is meant for us and comes from the node it names; (3) the sender may
speak for the client, and we for the provider; (4) its proof and the signature under it; (5) its
time; (6) its body; (7) executed at most once; (8) may this client ask this; (9) log that it
was received, on disk; (10) ask the source; (11) log and sign the answer; (12) send it.

Up to (7) the sender is not yet known to be who it says: errors go back unsigned. From (8) on
every outcome, a refusal too, is a signed answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time

import msgspec

from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    AnswerInDoubt,
    DigestMismatch,
    ForeignMessage,
    InvalidIdentifier,
    LienthongError,
    MessageMalformed,
    NodeDraining,
    RequestRegistered,
    ReservationWanted,
)
from lienthong.exchange.answers import AnswerWriter, Outcome
from lienthong.exchange.core import Core
from lienthong.exchange.elsewhere import Elsewhere
from lienthong.exchange.execution import Execution
from lienthong.exchange.fairness import FairShares, Turn
from lienthong.exchange.faults import peer_fault_response
from lienthong.exchange.once import Done, Finished, InDoubt, OnceRegister, Running
from lienthong.exchange.reports import report_answer, report_refusal
from lienthong.exchange.wire import MESSAGE_HEADER, Signed, message_headers, read_request
from lienthong.exchange.xroad.faults import Told, fault_id, language_of
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId
from lienthong.ledger.messages import Request, received_leaf
from lienthong.ledger.records import Entry, EntryKind
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

logger = logging.getLogger("lienthong.exchange.provider")


class ProviderEdge:
    """Answers other nodes."""

    def __init__(
        self,
        core: Core,
        execution: Execution,
        answers: AnswerWriter,
        once: OnceRegister,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._core = core
        self._elsewhere = elsewhere
        self._execution = execution
        self._answers = answers
        self._once = once
        self._shares = FairShares()
        self._parties: dict[tuple[str, str, str], tuple[str, str]] = {}

    async def handle(self, http: HttpRequest) -> HttpResponse:
        """Answer one message; the HTTP status is 200 for every signed answer."""
        self._core.in_flight += 1
        started = time.perf_counter()
        turn: Turn | None = None
        try:
            turn = await self._shares.begin(http.connection.peer_certificate)
            finished = await self._answer(http, turn, started)
            # (12)
            return HttpResponse(
                200, message_headers(finished.message, finished.proof), finished.body
            )
        except LienthongError as error:
            return self._refuse_unsigned(http, error)
        finally:
            if turn is not None:
                turn.over()
            self._core.in_flight -= 1

    async def _answer(self, http: HttpRequest, turn: Turn, started: float) -> Finished:
        core = self._core
        if core.draining:
            raise NodeDraining()
        view = core.view()
        # (1)
        signed = read_request(http)
        request: Request = signed.message
        self._check_sender(request, http, view)  # (2), (3)
        # (4)
        leaf = signed.leaf
        head = core.checker.check(signed.proof, leaf, request.sender, view)
        core.accept_head(head, signed.proof.head, view)
        core.check_time(request.time, "the request")  # (5)
        # (6)
        if request.body_bytes != http.body.size or request.body != http.body.sha256():
            raise DigestMismatch(request_id=request.request_id)
        # (7)
        known = self._once.begin(request.request_id, leaf, core.clock.now())
        if known is None:
            return await self._execute_once(http, signed, leaf, turn, started)
        if isinstance(known, Done):
            return self._recent(request) or await self._answers.again(known.located, request, leaf)
        if isinstance(known, InDoubt):
            return await self._answers.in_doubt(request, leaf)
        return await _same_answer(known, request)

    def _recent(self, request: Request) -> Finished | None:
        return self._once.recent(request.request_id)

    def _check_sender(self, request: Request, http: HttpRequest, view: DirectoryView) -> None:
        core = self._core
        # (2)
        if request.receiver != core.node:
            raise ForeignMessage(reason=f"it is meant for the node {request.receiver[:100]}")
        core.check_peer(http.connection, request.sender, view)
        # (3)
        consumer, provider = self._members(request, view.instance)
        now = core.clock.now()
        view.check_delegation(consumer, request.sender, now)
        view.check_delegation(provider, core.node, now)

    def _members(self, request: Request, instance: str) -> tuple[str, str]:
        """The members on both sides; identifiers of other instances are refused."""
        key = (request.client, request.service, request.sender)
        known = self._parties.get(key)
        if known is None:
            try:
                client = SubsystemId(*request.client.split("/"))
                service = ServiceId(*request.service.split("/"))
                sender = NodeId(*request.sender.split("/"))
            except (InvalidIdentifier, TypeError) as error:
                raise MessageMalformed(reason="identifier of client, service or sender") from error
            if {client.instance, service.instance, sender.instance} != {instance}:
                raise ForeignMessage(reason="it belongs to another instance")
            known = str(client.member), str(service.provider.member)
            if len(self._parties) > 10_000:
                self._parties.clear()
            self._parties[key] = known
        return known

    async def _execute_once(
        self, http: HttpRequest, signed: Signed, leaf: bytes, turn: Turn, started: float
    ) -> Finished:
        core, request = self._core, signed.message
        try:
            permit = self._execution.decide(request, http)  # (8)
            if type(permit.refusal) is ReservationWanted:
                permit = await self._execution.decide_with_reservation(request, http)
            # (9)
            mode = permit.request_bodies
            body, body_file = await core.bodies.keep(
                http.body, mode, request.request_id, "request-received"
            )
            entry = Entry(
                EntryKind.REQUEST_RECEIVED,
                received_leaf(leaf),
                signed.json,
                signed.proof_json,
                body_file,
            )
            await core.committer.record(core.kept(entry, mode, request), body, request.request_id)
        except RequestRegistered:
            self._once.abandon(request.request_id)
            core.bodies.erase(body_file)
            assert self._elsewhere is not None  # only a shared ledger knows of other gateways
            return await self._elsewhere.answer(request, leaf)
        except BaseException:
            self._once.abandon(request.request_id)  # nothing was executed
            raise
        turn.over()  # a slow service is nobody's turn
        try:
            outcome = await self._execution.run(permit, request, http)  # (10)
            finished = await self._finish(request, leaf, outcome, permit.bodies)  # (11)
        except LienthongError as error:  # it was executed, so "nothing was sent" would be untrue
            self._once.doubt(request.request_id)
            raise AnswerInDoubt(request_id=request.request_id) from error
        except BaseException:
            self._once.doubt(request.request_id)
            raise
        report_answer(
            logger, "provider", request, outcome, fault_id(Told(outcome.outcome, outcome.body))
        )
        core.observer.exchanged(
            "provider",
            permit.label,
            outcome.outcome,
            time.perf_counter() - started,
            http.body.size,
            finished.body.size,
        )
        return finished

    async def _finish(self, request: Request, leaf: bytes, outcome: Outcome, mode: str) -> Finished:
        finished, committed = await self._answers.write(request, leaf, outcome, mode)
        self._once.finish(
            request.request_id,
            finished,
            self._answers.located(committed),
            keep=mode != "full",
        )
        return finished

    def _whose(self, http: HttpRequest) -> dict[str, str]:
        """The sender of a refused message, where its connection proves it, for the log."""
        core = self._core
        try:
            said = msgspec.json.decode(http.header(MESSAGE_HEADER) or "", type=_Claims)
            core.check_peer(http.connection, said.sender, core.directory.view)
        except (LienthongError, msgspec.MsgspecError, UnicodeError, RecursionError):
            return {}
        named = {"request_id": said.request_id} if _UUID.fullmatch(said.request_id) else {}
        return {"sender": said.sender, "receiver": core.node, **named}

    def _refuse_unsigned(self, http: HttpRequest, error: LienthongError) -> HttpResponse:
        core = self._core
        error_id = report_refusal(
            core.observer,
            logger,
            "provider",
            error,
            "peer.refused",
            **http.connection.facts,
            **self._whose(http),
        )
        language = language_of(http.header("accept-language"), core.settings.language)
        return peer_fault_response(error, error_id, language)


class _Claims(msgspec.Struct):
    """What a refused message says of itself."""

    sender: str
    request_id: str


async def _same_answer(running: Running, request: Request) -> Finished:
    """Wait for the execution that runs already. Raises AnswerInDoubt when it has no answer."""
    try:
        return await asyncio.shield(running.answer)
    except asyncio.CancelledError:
        if running.answer.cancelled():  # not we: the execution was given up
            raise AnswerInDoubt(request_id=request.request_id) from None
        raise
