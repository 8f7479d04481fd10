"""All that an agency's own systems may ask of their node: X-Road REST, SOAP, and WSDL.

    edge = ClientEdge(core, clients); response = await edge.handle(request)

REST is ``consumer.py`` as it is. What comes in as SOAP is read by ``soap/edge.py``, takes the
same steps to the provider's node, and has its faults told in SOAP.
"""

from __future__ import annotations

import time

from lienthong.directory.view import DirectoryView
from lienthong.errors import NodeDraining
from lienthong.exchange.clients import ClientRegistry
from lienthong.exchange.consumer import Call, ConsumerEdge
from lienthong.exchange.core import Core
from lienthong.exchange.soap.edge import SoapEdge, is_wsdl, speaks_soap
from lienthong.exchange.wire import Signed
from lienthong.exchange.xroad.faults import Fault
from lienthong.exchange.xroad.headers import XRoadHeaders, client_headers
from lienthong.exchange.xroad.paths import ServiceTarget
from lienthong.transport.messages import Request as HttpRequest
from lienthong.transport.messages import Response as HttpResponse


class ClientEdge(ConsumerEdge):
    """The consumer's edge in both of X-Road's protocols."""

    def __init__(self, core: Core, clients: ClientRegistry) -> None:
        super().__init__(core, clients)
        self._soap = SoapEdge(self, clients, core.settings.error_spelling)

    async def _answer(self, request: HttpRequest, started: float) -> HttpResponse:
        if request.target.startswith("/r1/"):
            return await super()._answer(request, started)
        wsdl = request.method == "GET" and is_wsdl(request.target)
        if not wsdl and not speaks_soap(request):
            return await super()._answer(request, started)
        if self._core.draining:
            raise NodeDraining()
        answer = self._soap.wsdl if wsdl else self._soap.answer
        return await answer(request, self._core.view(), started)

    async def ask(
        self,
        http: HttpRequest,
        target: ServiceTarget,
        xroad: XRoadHeaders,
        view: DirectoryView,
        started: float,
    ) -> tuple[str, Signed, HttpResponse]:
        """Steps (2) to (8) for a request that was read elsewhere; also returns its id."""
        self._clients.check(str(xroad.client), http.connection)
        passed = client_headers(http.headers, soap=xroad.soap)
        sent, answer, response = await self._exchange(Call(http, target, xroad, passed, view))
        self._core.observer.exchanged(
            "consumer",
            target.metaservice or self._label(answer.message),
            answer.message.outcome,
            time.perf_counter() - started,
            response.body.size,
            http.body.size,
        )
        return sent.message.request_id, answer, response

    def _fault_response(self, request: HttpRequest, fault: Fault) -> HttpResponse:
        if speaks_soap(request):
            return self._soap.fault(fault)
        return super()._fault_response(request, fault)
