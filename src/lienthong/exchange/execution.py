"""Deciding and asking: may this client ask this service this, and what does the source say.

    permit = execution.decide(request, http)          # neither raises for what a client did wrong
    outcome = await execution.run(permit, request, http)

The ledger's record stands between the two: nothing is executed before it is on disk, and what
it keeps of a request depends on the decision.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

from lienthong.agreements.book import AgreementBook, Decision, Question
from lienthong.agreements.paths import encode_path, normalise_path
from lienthong.agreements.reservations import Reservations
from lienthong.errors import (
    DescriptionMissing,
    LienthongError,
    ReservationWanted,
    ServiceProtocolMismatch,
)
from lienthong.exchange.answers import Outcome, fault_outcome
from lienthong.exchange.core import Core
from lienthong.exchange.reports import report_refusal
from lienthong.exchange.services import BodyLogging, Service, ServiceRegistry
from lienthong.exchange.soap.execution import SoapExecution, check_protocol, speaks_soap
from lienthong.exchange.xroad.faults import Fault, Place, language_of
from lienthong.exchange.xroad.headers import service_headers
from lienthong.exchange.xroad.metaservices import (
    Endpoint,
    ServiceDescription,
    methods_response,
    openapi_response,
    openapi_service_code,
)
from lienthong.exchange.xroad.paths import (
    ALLOWED_METHODS,
    GET_OPENAPI,
    GET_WSDL,
    METASERVICES,
)
from lienthong.ledger.messages import Request
from lienthong.sources.queries import Query, check_size
from lienthong.transport.messages import Body, Headers, Response
from lienthong.transport.messages import Request as HttpRequest

JSON_HEADERS: Headers = [("content-type", "application/json; charset=utf-8")]

logger = logging.getLogger("lienthong.exchange.execution")


class Permit(NamedTuple):
    """What was decided of a request; ``refusal`` says why it is not executed."""

    bodies: BodyLogging  # of the answer
    label: str  # of metrics: never a name that only a request knows
    refusal: LienthongError | None = None
    service: Service | None = None  # None: a metaservice
    path: str = ""
    decision: Decision | None = None
    query: Query | None = None

    @property
    def request_bodies(self) -> BodyLogging:
        """A body that nobody was allowed to send must not fill the provider's disk."""
        executed = self.refusal is None and self.service is not None
        return "metadata" if self.bodies == "full" and not executed else self.bodies


class Execution:
    """Runs requests whose sender has been verified."""

    def __init__(
        self,
        core: Core,
        services: ServiceRegistry,
        book: AgreementBook,
        threads: Executor,
        reservations: Reservations | None = None,
    ) -> None:
        self._core = core
        self._services = services
        self._book = book
        self._threads = threads
        self.reservations = reservations
        self._soap = SoapExecution(core, services, book)

    def decide(self, request: Request, http: HttpRequest) -> Permit:
        """May this be executed, and what does the ledger keep of it? Counts rate and quota."""
        code = request.service.rpartition("/")[2]
        if code in METASERVICES:
            return Permit(self._core.settings.log_bodies, code)
        service = self._services.get(request.service)
        if service is None:
            permit = Permit(self._core.settings.log_bodies, "unknown")
        else:
            permit = Permit(service.bodies, request.service)
        try:
            return self._permit(permit, request, http)
        except LienthongError as error:
            return permit._replace(refusal=error)
        except Exception:
            logger.exception("decision.failed", extra=_fields(request))
            return permit._replace(refusal=LienthongError())

    def _permit(self, permit: Permit, request: Request, http: HttpRequest) -> Permit:
        service = self._services.find(request.service)
        path = normalise_path(request.path)
        check_protocol(service, request)
        if service.data is None:
            decision = self._check(request, path, None, 1)
            return permit._replace(service=service, path=path, decision=decision)
        query, fault = None, None
        try:
            check_size(http.body.size)
            query = service.data.parse(request.method, path, request.query, http.body.read())
        except LienthongError as error:
            fault = error  # told only to those who may ask at all
        asked = frozenset(service.data.contract.fields) if query is None else query.fields
        count = 1 if query is None else max(len(query.keys), 1)
        decision = self._check(request, path, asked, count)
        return permit._replace(
            refusal=fault, service=service, path=path, decision=decision, query=query
        )

    async def decide_with_reservation(self, request: Request, http: HttpRequest) -> Permit:
        """``decide`` again, with more of a rate or quota that the node's gateways share."""
        permit = self.decide(request, http)
        wanted = permit.refusal
        if not isinstance(wanted, ReservationWanted) or self.reservations is None:
            return permit
        try:
            async with self.reservations.turn(wanted.facts["agreement"]):
                permit = self.decide(request, http)
                wanted = permit.refusal
                if isinstance(wanted, ReservationWanted):
                    await self._reserve(self.reservations, wanted)
                    permit = self.decide(request, http)
        except LienthongError as error:
            return permit._replace(refusal=error)
        return permit

    async def _reserve(self, reservations: Reservations, wanted: ReservationWanted) -> None:
        agreement = self._book.get(wanted.facts["agreement"])
        assert agreement is not None
        await reservations.reserve(agreement, wanted.facts["count"], self._core.clock.now())

    async def run(self, permit: Permit, request: Request, http: HttpRequest) -> Outcome:
        """Execute what was permitted. Every outcome is returned, refusals and faults too."""
        if permit.refusal is not None:
            return self._refusal(request, permit.refusal)
        try:
            if permit.service is None:
                return await self._metaservice(request, http)
            return await self._ask(permit, permit.service, request, http)
        except LienthongError as error:
            return self._refusal(request, error)
        except Exception:
            logger.exception("execution.failed", extra=_fields(request))
            return self._refusal(request, LienthongError())

    async def _ask(
        self, permit: Permit, service: Service, request: Request, http: HttpRequest
    ) -> Outcome:
        decision = permit.decision
        assert decision is not None
        if permit.query is not None:
            assert service.data is not None
            status, content = await asyncio.get_running_loop().run_in_executor(
                self._threads, service.data.answer, permit.query, decision.granted
            )
            return _answered(decision, status, JSON_HEADERS, Body.of(content))
        if service.soap is not None:
            answer = await self._soap.ask(service.soap, service, request, http)
            return _answered(decision, answer.status, answer.headers, answer.body)
        assert service.relay is not None
        response = await service.relay.send(
            request.method,
            encode_path(permit.path) if request.path else "",
            request.query,
            provider_headers(request),
            http.body,
            service.timeout_seconds,
        )
        headers = service_headers(response.headers)
        return _answered(decision, response.status, headers, response.body)

    def _check(
        self, request: Request, path: str, fields: frozenset[str] | None, count: int
    ) -> Decision:
        decision = self._book.decide(
            Question(
                consumer=request.client,
                service=request.service,
                method=request.method,
                path=path,
                purpose=request.purpose or None,
                fields=fields,
                now=self._core.clock.now(),
                count=count,
            )
        )
        if not decision.allowed:
            assert decision.error is not None
            raise decision.error
        return decision

    async def _metaservice(self, request: Request, http: HttpRequest) -> Outcome:
        """listMethods, getOpenAPI and the like: no agreement needed, no personal data."""
        if speaks_soap(request):
            return _metadata(await self._soap.metaservice(request, http))
        subsystem, _, code = request.service.rpartition("/")
        if code == GET_WSDL:
            raise ServiceProtocolMismatch(service=request.service, protocol="SOAP")
        if code == GET_OPENAPI:
            return _metadata(self._openapi(subsystem, request.query))
        services = [
            each
            for each in self._services.of_subsystem(subsystem)
            if each.enabled and each.soap is None
        ]
        if code == ALLOWED_METHODS:
            allowed = (self._allowed(request.client, each) for each in services)
            return _metadata(methods_response([each for each in allowed if each.endpoints]))
        return _metadata(methods_response([each.description for each in services]))

    def _allowed(self, client: str, service: Service) -> ServiceDescription:
        endpoints = self._book.endpoints(client, service.id, self._core.clock.now())
        allowed = tuple([Endpoint(each.method, each.pattern) for each in endpoints])
        return replace(service.description, endpoints=allowed)

    def _openapi(self, subsystem: str, query: str) -> Response:
        code = openapi_service_code(query)
        service = self._services.find(f"{subsystem}/{code}")
        if not service.openapi:
            raise DescriptionMissing(service=service.id)
        return openapi_response(service.openapi, service.openapi_type)

    def _refusal(self, request: Request, error: LienthongError) -> Outcome:
        error_id = report_refusal(
            self._core.observer,
            logger,
            "provider",
            error,
            request_id=request.request_id,
            client=request.client,
            service=request.service,
            sender=request.sender,
            receiver=request.receiver,
        )
        headers = dict(request.headers)
        language = language_of(headers.get("accept-language"), self._core.settings.language)
        fault = Fault.of(error, Place.PROVIDER, error_id, language)
        outcome = "failed" if error.status >= 500 else "refused"
        return fault_outcome(
            fault,
            outcome,
            headers.get("accept"),
            str(error.facts.get("agreement", "")),
        )


def _fields(request: Request) -> dict[str, dict[str, str]]:
    return {"fields": {"request_id": request.request_id}}


def provider_headers(request: Request) -> Headers:
    """What a relayed service sees: the client's headers, and X-Road's as X-Road passes them."""
    headers = list(request.headers)
    for name, value in (
        ("x-road-client", request.client),
        ("x-road-service", request.service),
        ("x-road-id", request.message_id),
        ("x-road-request-id", request.request_id),
        ("x-road-userid", request.user),
        ("x-road-issue", request.dossier),
        ("x-road-represented-party", request.represented_party),
        ("lienthong-purpose", request.purpose),
    ):
        if value:
            headers.append((name, value))
    return headers


def _answered(decision: Decision, status: int, headers: Headers, body: Body) -> Outcome:
    return Outcome(
        "answered",
        status,
        headers,
        body,
        decision.reason,
        decision.agreement_id or "",
        decision.purpose or "",
    )


def _metadata(response: Response) -> Outcome:
    headers = list(response.headers)
    return Outcome("answered", 200, headers, response.body, "exchange.metaservice")
