"""The client edge for SOAP: an envelope becomes a message, an answer becomes what X-Road says.

    if speaks_soap(request): response = await soap.answer(request, view, started)
    if is_wsdl(request.target): response = await soap.wsdl(request, view, started)

The steps between, from the check of the caller to the ledger, are those of every request
(``consumer.py``); a SOAP call has a fixed method and path there, and its fields come from the
envelope. Specification: docs/protocols/0004-soap.md.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple, Protocol

from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    LienthongError,
    SoapAnswerInconsistent,
    UnknownClient,
)
from lienthong.exchange.clients import ClientRegistry
from lienthong.exchange.soap.envelope import Envelope
from lienthong.exchange.soap.execution import read_part
from lienthong.exchange.soap.faults import XML_UTF_8, signed_fault, soap_fault_response
from lienthong.exchange.soap.headers import SoapHeaders, check_answer, read_headers
from lienthong.exchange.soap.metaservices import wsdl_of, wsdl_request
from lienthong.exchange.soap.multipart import SoapPart
from lienthong.exchange.soap.names import (
    METHOD,
    MULTIPART,
    PATH,
    TEXT_XML,
    XOP_XML,
)
from lienthong.exchange.soap.request_hash import request_hash
from lienthong.exchange.wire import Signed
from lienthong.exchange.xroad.faults import Fault
from lienthong.exchange.xroad.headers import XRoadHeaders, purpose_of
from lienthong.exchange.xroad.paths import (
    METASERVICES,
    ServiceTarget,
    query_parameter,
)
from lienthong.identity.identifiers import ServiceId, SubsystemId
from lienthong.transport.messages import Body, Headers
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse

WSDL_PATH = "/wsdl"
_REST_PREFIXES = ("/r1/", "/r2/", "/listClients")
_SOAP_TYPES = (TEXT_XML, MULTIPART, XOP_XML, "application/soap+xml")
_KEPT = frozenset({"content-type", "soapaction", "accept-language"})
_ID_PARAMETERS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")


def speaks_soap(request: HttpRequest) -> bool:
    """Whether a client's request is meant for the SOAP interface: X-Road takes it at any path."""
    if request.method != METHOD or request.target.startswith(_REST_PREFIXES):
        return False
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return kind in _SOAP_TYPES or request.path == PATH


def is_wsdl(target: str) -> bool:
    """Whether a WSDL is asked for by a plain GET, as X-Road allowed until 2020."""
    return target.partition("?")[0] == WSDL_PATH


class Asking(Protocol):
    """The consumer's steps (2) to (8)."""

    async def ask(
        self,
        http: HttpRequest,
        target: ServiceTarget,
        xroad: XRoadHeaders,
        view: DirectoryView,
        started: float,
    ) -> tuple[str, Signed, HttpResponse]: ...


class _Question(NamedTuple):
    """A SOAP request, read."""

    http: HttpRequest
    part: SoapPart
    envelope: Envelope
    said: SoapHeaders


class SoapEdge:
    """Answers SOAP clients of the agency."""

    def __init__(self, asking: Asking, clients: ClientRegistry, spelling: str) -> None:
        self._asking = asking
        self._clients = clients
        self._spelling = spelling

    async def answer(
        self, request: HttpRequest, view: DirectoryView, started: float
    ) -> HttpResponse:
        """Answer one SOAP request. Raises LienthongError, PeerFault: ``fault`` tells of them."""
        question = await self._read(request)
        request_id, answer, response = await self._ask(question, view, started)
        message = answer.message
        if message.outcome != "answered":
            refusal = signed_fault(list(message.headers), response.body)
            return _with_id(self.fault(refusal), request_id)
        headers = _answer_headers(list(message.headers), request_id)
        try:
            await self._check(question, headers, response.body)
        except LienthongError:
            response.body.discard()
            raise
        return HttpResponse(message.status, headers, response.body)

    def fault(self, fault: Fault) -> HttpResponse:
        """The fault as a SOAP client is told of it."""
        return soap_fault_response(fault, self._spelling)

    async def wsdl(self, request: HttpRequest, view: DirectoryView, started: float) -> HttpResponse:
        """Answer ``GET /wsdl?xRoadInstance=…``: asks ``getWsdl`` of the provider.

        A request without X-Road-Client is asked for the first client system that may connect
        as this one does. Raises MissingParameter, UnknownClient, InvalidIdentifier.
        """
        service, version = _wsdl_target(request.query)
        client = self._client(request)
        content = wsdl_request(client, service, version, f"{view.instance}-{uuid.uuid4()}")
        headers = [("content-type", XML_UTF_8)]
        if language := request.header("accept-language"):
            headers.append(("accept-language", language))
        asked = HttpRequest(METHOD, PATH, headers, Body.of(content), request.connection)
        question = await self._read(asked)
        request_id, answer, response = await self._ask(question, view, started)
        message = answer.message
        if message.outcome != "answered":
            return HttpResponse(message.status, list(message.headers), response.body)
        wsdl = wsdl_of(list(message.headers), response.body)
        found = HttpResponse(200, [("content-type", XML_UTF_8)], Body.of(wsdl))
        return _with_id(found, request_id)

    async def _read(self, request: HttpRequest) -> _Question:
        part, envelope = await read_part(request.header("content-type"), request.body)
        return _Question(request, part, envelope, read_headers(envelope))

    async def _ask(
        self, question: _Question, view: DirectoryView, started: float
    ) -> tuple[str, Signed, HttpResponse]:
        http, said = question.http, question.said
        code = said.service.service
        target = ServiceTarget(said.service, PATH, "", code if code in METASERVICES else None)
        purpose = purpose_of(http)
        headers = [pair for pair in http.headers if pair[0] in _KEPT]
        if said.party:
            headers.append(("x-road-represented-party", said.party))
        asked = HttpRequest(METHOD, PATH, headers, http.body, http.connection)
        return await self._asking.ask(asked, target, said.xroad(purpose), view, started)

    async def _check(self, question: _Question, headers: Headers, body: Body) -> None:
        """What X-Road's consumer checks of an answer: its fields, and the request's hash."""
        _, envelope = await read_part(dict(headers).get("content-type"), body)
        if envelope.fault:
            return
        check_answer(question.envelope, envelope)
        found = envelope.fields.get("requestHash")
        if found is None or found.text != request_hash(question.part):
            raise SoapAnswerInconsistent(field="requestHash")

    def _client(self, request: HttpRequest) -> SubsystemId:
        named = request.header("x-road-client")
        if named is not None:
            return SubsystemId.parse(named)
        failure: LienthongError = UnknownClient(client="")
        for system in self._clients.all():
            try:
                self._clients.check(system.subsystem, request.connection)
            except LienthongError as error:
                failure = error
                continue
            return SubsystemId(*system.subsystem.split("/"))
        raise failure


def _wsdl_target(query: str) -> tuple[ServiceId, str]:
    """Raises MissingParameter, InvalidIdentifier, MalformedTarget, AmbiguousParameter."""
    parts = [query_parameter(query, name, required=True) or "" for name in _ID_PARAMETERS]
    version = query_parameter(query, "version") or query_parameter(query, "serviceVersion")
    return ServiceId(*parts), version or ""


def _answer_headers(headers: Headers, request_id: str) -> Headers:
    """X-Road passes the Content-Type only; the request's id is ours."""
    kept = [pair for pair in headers if pair[0] == "content-type"]
    return [*kept, ("soapaction", '""'), ("x-road-request-id", request_id)]


def _with_id(response: HttpResponse, request_id: str) -> HttpResponse:
    response.headers.append(("x-road-request-id", request_id))
    return response
