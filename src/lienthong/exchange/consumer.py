"""The client edge: an agency's own system asks through its node (X-Road REST).

The numbers are those of docs/protocols/0001-message.md §6:
(1) read the request; (2) is this system one of ours, connected as agreed; (3) which node
answers for the service; (4) write the message; (5) log and sign it, on disk; (6) send it,
again if the connection breaks — the provider executes it once; (7) verify the answer;
(8) log that it was received; (9) hand it over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    AnswerInDoubt,
    ConnectFailed,
    DigestMismatch,
    InconsistentAnswer,
    LedgerUnavailable,
    LienthongError,
    NodeDraining,
    NodeUnreachable,
    TimedOut,
    TransportError,
    UnknownService,
    WrongSecurityServer,
)
from lienthong.events import log_event
from lienthong.exchange.clients import ClientRegistry
from lienthong.exchange.core import Core
from lienthong.exchange.fairness import FairShares, Turn
from lienthong.exchange.faults import PeerFault, read_peer_fault
from lienthong.exchange.reports import (
    report_answer,
    report_failure,
    report_refusal,
    report_unreachable,
)
from lienthong.exchange.subjects import subjects_of
from lienthong.exchange.versions import PeerVersions
from lienthong.exchange.wire import (
    MESSAGE_PATHS,
    Signed,
    encode_json,
    message_headers,
    read_answer,
)
from lienthong.exchange.xroad.faults import (
    Fault,
    Place,
    Told,
    fault_id,
    fault_response,
    language_of,
    respelled_fault,
)
from lienthong.exchange.xroad.headers import (
    XRoadHeaders,
    client_headers,
    request_headers,
    response_headers,
)
from lienthong.exchange.xroad.metaservices import ClientList
from lienthong.exchange.xroad.paths import (
    LIST_CLIENTS,
    ServiceTarget,
    check_method,
    is_list_clients,
    parse_service_target,
)
from lienthong.exchange.xroad.request_hash import request_hash, request_header_part
from lienthong.ledger.messages import (
    REQUEST_COMMITMENTS,
    Answer,
    Request,
    acknowledged_leaf,
    checked_request_leaf,
    new_request_id,
    new_salts,
)
from lienthong.ledger.records import Entry, EntryKind
from lienthong.transport.messages import Headers
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse

RESEND_PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
QUICK_REFUSAL_SECONDS = 1.0
# The provider's node gives up first, so that its signed word arrives and not our doubt.
ANSWER_MARGIN_SECONDS = 5.0
# Fields of the message of their own: they are committed to apart from the other headers.
_OWN_FIELDS = frozenset(
    {
        "x-road-client",
        "x-road-id",
        "x-road-userid",
        "x-road-issue",
        "x-road-represented-party",
        "x-road-request-id",
        "lienthong-purpose",
    }
)

logger = logging.getLogger("lienthong.exchange.consumer")


class Call(NamedTuple):
    """One request of a client system, read and checked."""

    http: HttpRequest
    target: ServiceTarget
    xroad: XRoadHeaders
    passed: Headers  # what of the client's headers travels on
    view: DirectoryView


class _Sent(NamedTuple):
    """A request that is in the ledger."""

    message: Request
    leaf: bytes
    http: HttpRequest


class ConsumerEdge:
    """Answers the agency's own systems."""

    def __init__(self, core: Core, clients: ClientRegistry) -> None:
        self._core = core
        self._clients = clients
        self._versions = PeerVersions(core)
        self._client_list = ClientList()
        self._shares = FairShares()
        self._answering: set[str] = set()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; every error becomes an X-Road fault with an id in the log."""
        self._core.in_flight += 1
        started = time.perf_counter()
        try:
            return await self._answer(request, started)
        except PeerFault as error:
            fault = error.fault
            log_event(
                logger,
                logging.WARNING,
                "exchange.refused_by_peer",
                error_id=fault.detail,
                code=fault.code,
                request_id=error.request_id,
                receiver=error.node,
            )
            return self._fault_response(request, fault)
        except LienthongError as error:
            return self._refuse(request, error)
        finally:
            self._core.in_flight -= 1

    async def _answer(self, request: HttpRequest, started: float) -> HttpResponse:
        core = self._core
        if core.draining:
            raise NodeDraining()
        view = core.view()
        if is_list_clients(request.target):
            check_method(request.method, LIST_CLIENTS)
            return self._client_list.response(view, request.query, request.header("accept"))
        # (1)
        target = parse_service_target(request.target)
        check_method(request.method, target.metaservice)
        xroad = XRoadHeaders.read(request.headers, view.instance)
        call = Call(request, target, xroad, client_headers(request.headers), view)
        # (2)
        self._clients.check(str(xroad.client), request.connection)
        # (3) – (8)
        sent, answer, response = await self._exchange(call)
        # (9)
        shown = list(answer.message.headers), response.body
        if answer.message.outcome != "answered":
            shown = respelled_fault(*shown, core.settings.error_spelling)
        headers = response_headers(
            shown[0],
            xroad,
            target.service,
            sent.message.request_id,
            await self._request_hash(call, sent.message.request_id),
        )
        core.observer.exchanged(
            "consumer",
            target.metaservice or self._label(answer.message),
            answer.message.outcome,
            time.perf_counter() - started,
            response.body.size,
            request.body.size,
        )
        return HttpResponse(answer.message.status, headers, shown[1])

    def _label(self, answer: Answer) -> str:
        """The service as metrics name it: one that has answered, not whatever was asked for."""
        if answer.outcome == "answered":
            self._answering.add(answer.service)
        return answer.service if answer.service in self._answering else "unknown"

    async def _request_hash(self, call: Call, request_id: str) -> str:
        headers = request_headers(call.passed, call.xroad, request_id)
        part = request_header_part(call.http.method, call.http.target, headers)
        if call.http.body.path is None:
            return request_hash(part, call.http.body)
        return await asyncio.to_thread(request_hash, part, call.http.body)  # up to 1 GiB

    async def _exchange(self, call: Call) -> tuple[_Sent, Signed, HttpResponse]:
        """Steps (3) to (8), when it is the client's turn."""
        turn = await self._shares.begin(str(call.xroad.client))
        try:
            return await self._try_nodes(call, turn)
        finally:
            turn.over()

    async def _try_nodes(self, call: Call, turn: Turn) -> tuple[_Sent, Signed, HttpResponse]:
        """Try the provider's nodes in turn until one could be connected to."""
        failure: LienthongError | None = None
        tried = ""
        for node in self._nodes(call):
            sent = await self._log_request(call, node)
            turn.over()  # what others take to answer is nobody's turn
            try:
                response = await self._send(call, sent, node)
                if response.status == 404 and await self._versions.has_changed(
                    node, sent.message.version
                ):  # that node was upgraded or rolled back; it has not looked at the message
                    sent = await self._log_request(call, node)
                    response = await self._send(call, sent, node)
                answer = await self._take_answer(call, sent, response)
            except ConnectFailed as error:
                report_unreachable(logger, sent.message, error)
                failure, tried = error, sent.message.request_id
                continue
            except (LienthongError, PeerFault) as error:
                report_failure(logger, sent.message, error)
                raise
            told = Told(answer.message.outcome, response.body)
            report_answer(logger, "consumer", sent.message, answer.message, fault_id(told))
            return sent, answer, response
        raise NodeUnreachable(service=str(call.target.service), request_id=tried) from failure

    def _nodes(self, call: Call) -> tuple[str, ...]:
        # (3)
        provider = _owner(str(call.target.service))
        wanted = call.xroad.security_server
        nodes = call.view.nodes_of(provider, self._core.clock.now())
        if not nodes:
            call.view.member(str(call.target.service.provider.member))  # UnknownMember, if so
            raise UnknownService(service=str(call.target.service))
        if wanted is not None:
            nodes = tuple(node for node in nodes if node == str(wanted))
            if not nodes:
                raise WrongSecurityServer(node=str(wanted), service=str(call.target.service))
        return nodes

    async def _log_request(self, call: Call, node: str) -> _Sent:
        # (4)
        core, xroad, http = self._core, call.xroad, call.http
        path = call.target.path
        party = xroad.represented_party
        version = await self._versions.common(node)
        message = Request(
            version=version,
            request_id=new_request_id(),
            message_id=xroad.id,
            client=str(xroad.client),
            service=str(call.target.service),
            sender=core.node,
            receiver=node,
            represented_party=(http.header("x-road-represented-party") or "") if party else "",
            purpose=xroad.purpose or "",
            time=core.now_text(),
            method=http.method,
            path=path,
            query=call.target.query,
            user=xroad.user_id or "",
            dossier=xroad.issue or "",
            subjects=subjects_of(http.method, path, http.body),
            headers=tuple([pair for pair in call.passed if pair[0] not in _OWN_FIELDS]),
            body=http.body.sha256(),
            body_bytes=http.body.size,
            salts=new_salts(REQUEST_COMMITMENTS),
        )
        leaf = checked_request_leaf(message)
        json = encode_json(message)
        # (5)
        body, body_file = await core.bodies.keep(
            http.body, core.settings.log_bodies, message.request_id, "request-sent"
        )
        entry = Entry(EntryKind.REQUEST_SENT, leaf, json, body_file=body_file)
        mode = core.settings.log_bodies
        committed = await core.committer.record(core.kept(entry, mode, message), body)
        headers = message_headers(json, committed.proof_json())
        return _Sent(message, leaf, HttpRequest("POST", MESSAGE_PATHS[version], headers, http.body))

    async def _send(self, call: Call, sent: _Sent, node: str) -> HttpResponse:
        # (6) The same signed message each time: the provider's node knows its id.
        core = self._core
        address = core.address_of(node, call.view)
        patience = core.settings.service_timeout_seconds + ANSWER_MARGIN_SECONDS
        deadline = time.monotonic() + patience
        failure: TransportError | None = None
        for pause in (*RESEND_PAUSES_SECONDS, None):
            began = time.monotonic()
            left = max(deadline - began, 0.1)
            try:
                response = await core.carrier.send(address, sent.http, timeout_seconds=left)
                if response.status == 200 or failure is None:
                    return response
                # An unsigned fault says nothing of what became of the first sending.
                if response.status < 500:
                    break
            except ConnectFailed:
                # Nothing of it was ever sent: another node may be asked. But a gateway that
                # died while it shook hands is tried anew: its node may have others.
                late = time.monotonic() - began > QUICK_REFUSAL_SECONDS
                if failure is None and (late or pause != RESEND_PAUSES_SECONDS[0]):
                    raise
            except TimedOut as error:
                raise AnswerInDoubt(request_id=sent.message.request_id) from error
            except TransportError as error:
                failure = error
                log_event(
                    logger,
                    logging.WARNING,
                    "exchange.sent_again",
                    request_id=sent.message.request_id,
                    reason=str(error),
                )
            if pause is None or time.monotonic() + pause > deadline:
                break
            await asyncio.sleep(pause)
        raise AnswerInDoubt(request_id=sent.message.request_id) from failure

    async def _take_answer(self, call: Call, sent: _Sent, response: HttpResponse) -> Signed:
        # (7)
        core, message, view = self._core, sent.message, self._core.directory.view
        if response.connection is None:
            raise InconsistentAnswer(reason="no connection")
        core.check_peer(response.connection, message.receiver, view)
        if response.status != 200:
            raise read_peer_fault(response)
        signed = read_answer(response)
        answer = signed.message
        said = (answer.request_id, answer.request_leaf, answer.client, answer.service)
        if said != (message.request_id, sent.leaf, message.client, message.service):
            raise InconsistentAnswer(reason="the answer is to another request")
        if answer.version != message.version:
            raise InconsistentAnswer(reason="the answer is of another version")
        if (answer.sender, answer.receiver) != (message.receiver, core.node):
            raise InconsistentAnswer(reason="the answer is between other nodes")
        view.check_delegation(_owner(_owner(message.service)), answer.sender, core.clock.now())
        leaf = signed.leaf
        head = core.checker.check(signed.proof, leaf, answer.sender, view)
        core.accept_head(head, signed.proof.head, view)
        if answer.body_bytes != response.body.size or answer.body != response.body.sha256():
            raise DigestMismatch(request_id=message.request_id)
        # (8)
        body, body_file = await core.bodies.keep(
            response.body, core.settings.log_bodies, message.request_id, "answer-received"
        )
        entry = Entry(
            EntryKind.ANSWER_RECEIVED,
            acknowledged_leaf(leaf),
            signed.json,
            signed.proof_json,
            body_file,
        )
        kept = core.kept(entry, core.settings.log_bodies)
        try:
            committed = await core.committer.record(kept, body)
        except LedgerUnavailable as error:  # it was sent and executed: "nothing was" is untrue
            raise AnswerInDoubt(request_id=message.request_id) from error
        core.receipts.owe(answer.sender, committed, leaf)
        return signed

    def _refuse(self, request: HttpRequest, error: LienthongError) -> HttpResponse:
        whose = {
            name: error.facts[name] for name in ("request_id", "receiver") if name in error.facts
        }
        error_id = report_refusal(self._core.observer, logger, "consumer", error, **whose)
        language = language_of(
            request.header("accept-language"), default=self._core.settings.language
        )
        return self._fault_response(request, Fault.of(error, Place.CONSUMER, error_id, language))

    def _fault_response(self, request: HttpRequest, fault: Fault) -> HttpResponse:
        return fault_response(fault, request.header("accept"), self._core.settings.error_spelling)


def _owner(identifier: str) -> str:
    """A service's subsystem, a subsystem's member: identifiers hold no slash but between parts."""
    return identifier.rpartition("/")[0]
