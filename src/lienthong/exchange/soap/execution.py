"""The provider's side of a SOAP call: the envelope is held against the message, then passed on.

    soap.check_protocol(service, request)                 # REST and SOAP are not mixed
    answer = await soap.ask(service, request, http)       # status, headers, body for the client

What the decision was made on is the signed message; what the service executes is the envelope.
So they are compared here once more, whatever the consumer's node has checked.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import NamedTuple

from lienthong.agreements.book import AgreementBook
from lienthong.errors import (
    LienthongError,
    ServiceProtocolMismatch,
    SoapAnswerInconsistent,
    SoapAnswerUnusable,
    UnknownService,
)
from lienthong.exchange.core import Core
from lienthong.exchange.services import Service, ServiceRegistry
from lienthong.exchange.soap.envelope import Envelope, read_envelope
from lienthong.exchange.soap.headers import SoapHeaders, check_answer, check_message, read_headers
from lienthong.exchange.soap.metaservices import (
    Listed,
    methods_answer,
    wanted_wsdl,
    wsdl_answer,
)
from lienthong.exchange.soap.multipart import SoapPart, soap_part
from lienthong.exchange.soap.names import METHOD, PATH
from lienthong.exchange.soap.request_hash import replaced, request_hash, with_request_hash
from lienthong.exchange.soap.service import SoapService, SoapVersion, check_action
from lienthong.exchange.xroad.headers import SOAP_MARK
from lienthong.exchange.xroad.paths import ALLOWED_METHODS, GET_WSDL, LIST_METHODS
from lienthong.ledger.messages import Request
from lienthong.transport.messages import Body, Headers, Response
from lienthong.transport.messages import Request as HttpRequest

INLINE_BYTES = 1 << 14  # smaller bodies are read at once: a thread would take longer


class Asked(NamedTuple):
    """A request's envelope, read and found to agree with its message."""

    part: SoapPart
    envelope: Envelope
    said: SoapHeaders


def speaks_soap(request: Request) -> bool:
    """Whether a message carries a SOAP call; one of REST cannot have this header."""
    if request.method != METHOD or request.path != PATH:
        return False
    return SOAP_MARK in request.headers


def check_protocol(service: Service | None, request: Request) -> None:
    """Refuse REST to a SOAP service and the other way round. Raises ServiceProtocolMismatch."""
    offered = service is not None and service.soap is not None
    if offered != speaks_soap(request):
        wanted = "SOAP" if offered else "REST"
        raise ServiceProtocolMismatch(service=request.service, protocol=wanted)


async def read_part(content_type: str | None, body: Body) -> tuple[SoapPart, Envelope]:
    """Find and read the envelope of a body: a large one in a thread. Raises SoapError leaves."""

    def read() -> tuple[SoapPart, Envelope]:
        part = soap_part(content_type, body)
        return part, read_envelope(part)

    if body.path is None and body.size <= INLINE_BYTES:
        return read()
    return await asyncio.to_thread(read)


class SoapExecution:
    """Runs SOAP requests that were decided on."""

    def __init__(self, core: Core, services: ServiceRegistry, book: AgreementBook) -> None:
        self._core = core
        self._services = services
        self._book = book

    async def ask(
        self, soap: SoapService, service: Service, request: Request, http: HttpRequest
    ) -> Response:
        """Pass a request on and return what the service says of it.

        Raises SoapError, SourceError leaves, UnknownService.
        """
        asked = await self._asked(request, http)
        version = soap.version(asked.said.version)
        check_action(version, _header(request, "soapaction"))
        response = await self._send(version, service, request, http)
        try:
            return await self._checked(asked, response)
        except BaseException:
            response.body.discard()
            raise

    async def _asked(self, request: Request, http: HttpRequest) -> Asked:
        part, envelope = await read_part(_header(request, "content-type"), http.body)
        said = read_headers(envelope)
        check_message(said, request, self._core.node)
        return Asked(part, envelope, said)

    async def _send(
        self, version: SoapVersion, service: Service, request: Request, http: HttpRequest
    ) -> Response:
        headers: Headers = [
            (name, value)
            for name, value in request.headers
            if name in ("content-type", "soapaction")
        ]
        headers.append(("x-road-request-id", request.request_id))
        return await version.relay.send(
            METHOD, version.path, "", headers, http.body, service.timeout_seconds
        )

    async def _checked(self, asked: Asked, response: Response) -> Response:
        """The answer with the request's hash; a service's own fault as it is."""
        content_type = response.header("content-type")
        try:
            part, envelope = await read_part(content_type, response.body)
            headers = [("content-type", content_type or "")]
            if envelope.fault:
                return Response(response.status, headers, response.body)
            check_answer(asked.envelope, envelope)
        except SoapAnswerInconsistent:
            raise
        except LienthongError as error:
            raise SoapAnswerUnusable(reason=error) from error
        if response.status != 200:
            raise SoapAnswerUnusable(reason=f"HTTP status {response.status} without a fault")

        def write() -> Body:
            value = request_hash(asked.part)
            content = with_request_hash(part.content, envelope.encoding, value)
            return replaced(response.body, part, content)

        whole = write() if response.body.size <= INLINE_BYTES else await asyncio.to_thread(write)
        return Response(200, headers, whole)

    async def metaservice(self, request: Request, http: HttpRequest) -> Response:
        """listMethods, allowedMethods, getWsdl. Raises SoapError leaves, UnknownService."""
        asked = await self._asked(request, http)
        subsystem, _, code = request.service.rpartition("/")
        value = request_hash(asked.part)
        if code == GET_WSDL:
            wanted = wanted_wsdl(asked.envelope)
            wsdl = self._wsdl(f"{subsystem}/{wanted.code}", wanted.version)
            headers, body = wsdl_answer(asked.envelope, value, wanted, wsdl)
        elif code in (LIST_METHODS, ALLOWED_METHODS):
            client = request.client if code == ALLOWED_METHODS else None
            headers, body = methods_answer(asked.envelope, value, self._listed(subsystem, client))
        else:
            raise ServiceProtocolMismatch(service=request.service, protocol="REST")
        return Response(200, headers, body)

    def _listed(self, subsystem: str, client: str | None) -> list[Listed]:
        """Services of a subsystem; with ``client`` those that its agreements open."""
        now = self._core.clock.now()
        return [
            Listed(each.description.service, version)
            for each in self._services.of_subsystem(subsystem)
            if each.enabled
            and each.soap is not None
            and (client is None or self._opened(client, each.id, now))
            for version in each.soap.versions
        ]

    def _opened(self, client: str, service_id: str, now: datetime) -> bool:
        endpoints = self._book.endpoints(client, service_id, now)
        return any(each.matches(METHOD, PATH) for each in endpoints)

    def _wsdl(self, service_id: str, version: str) -> bytes:
        service = self._services.find(service_id)
        if service.soap is None:
            raise UnknownService(service=service_id)
        versions = service.soap.versions
        if not version and "" not in versions:
            return versions[max(versions)].wsdl  # which one was not said: the newest
        return service.soap.version(version).wsdl


def _header(request: Request, name: str) -> str | None:
    return dict(request.headers).get(name)
