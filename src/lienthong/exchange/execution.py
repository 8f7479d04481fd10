"""Deciding and asking: may this client ask this service this, and what does the source say.

outcome = await execution.run(request, http)     # never raises for what a client did wrong
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import Executor
from dataclasses import replace

from lienthong.agreements.book import AgreementBook, Decision, Question
from lienthong.agreements.paths import encode_path, normalise_path
from lienthong.errors import LienthongError, RecordNotFound
from lienthong.events import log_event
from lienthong.exchange.answers import Outcome, fault_outcome
from lienthong.exchange.core import Core
from lienthong.exchange.services import Service, ServiceRegistry
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
    METASERVICES,
)
from lienthong.ledger.messages import Request
from lienthong.transport.messages import Body, Headers, Response
from lienthong.transport.messages import Request as HttpRequest

JSON_HEADERS: Headers = [("content-type", "application/json; charset=utf-8")]

logger = logging.getLogger("lienthong.exchange.execution")


class Execution:
    """Runs requests whose sender has been verified."""

    def __init__(
        self, core: Core, services: ServiceRegistry, book: AgreementBook, threads: Executor
    ) -> None:
        self._core = core
        self._services = services
        self._book = book
        self._threads = threads

    def logging_of(self, service_id: str) -> str:
        """What the ledger keeps of this service's bodies."""
        service = self._services.get(service_id)
        return self._core.settings.log_bodies if service is None else service.bodies

    async def run(self, request: Request, http: HttpRequest) -> Outcome:
        """Decide and execute. Every outcome is returned, refusals and faults too."""
        try:
            if request.service.rpartition("/")[2] in METASERVICES:
                return self._metaservice(request)
            return await self._service(request, http)
        except LienthongError as error:
            return self._refusal(request, error)
        except Exception:
            logger.exception("execution.failed", extra={"fields": {"id": request.request_id}})
            return self._refusal(request, LienthongError())

    async def _service(self, request: Request, http: HttpRequest) -> Outcome:
        service = self._services.find(request.service)
        path = normalise_path(request.path)
        if service.data is not None:
            return await self._ask_data(service, request, path, http.body)
        decision = self._decide(request, path, None, 1)
        assert service.relay is not None
        response = await service.relay.send(
            request.method,
            encode_path(path) if request.path else "",
            request.query,
            provider_headers(request),
            http.body,
            service.timeout_seconds,
        )
        headers = service_headers(response.headers)
        return _answered(decision, response.status, headers, response.body)

    async def _ask_data(self, service: Service, request: Request, path: str, body: Body) -> Outcome:
        data = service.data
        assert data is not None
        query, fault = None, None
        try:
            query = data.parse(request.method, path, request.query, body.read())
        except LienthongError as error:
            fault = error  # told only to those who may ask at all
        asked = frozenset(data.contract.fields) if query is None else query.fields
        count = 1 if query is None else max(len(query.keys), 1)
        decision = self._decide(request, path, asked, count)
        if fault is not None or query is None:
            raise fault or RecordNotFound(name=request.path)
        loop = asyncio.get_running_loop()
        status, content = await loop.run_in_executor(
            self._threads, data.answer, query, decision.granted
        )
        return _answered(decision, status, JSON_HEADERS, Body.of(content))

    def _decide(
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

    def _metaservice(self, request: Request) -> Outcome:
        """listMethods, allowedMethods, getOpenAPI: no agreement needed, no personal data."""
        subsystem, _, code = request.service.rpartition("/")
        if code == GET_OPENAPI:
            return _metadata(self._openapi(subsystem, request.query))
        services = [each for each in self._services.of_subsystem(subsystem) if each.enabled]
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
            raise RecordNotFound(name=f"{GET_OPENAPI} {code}")
        return openapi_response(service.openapi, service.openapi_type)

    def _refusal(self, request: Request, error: LienthongError) -> Outcome:
        error_id = str(uuid.uuid4())
        log_event(
            logger,
            logging.WARNING,
            "exchange.refused",
            request_id=request.request_id,
            error_id=error_id,
            client=request.client,
            service=request.service,
            code=error.code,
            reason=str(error),
        )
        self._core.observer.refused("provider", error.code)
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
