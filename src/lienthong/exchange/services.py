"""The services that this node offers, ready to answer: contract services, relays, SOAP services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from lienthong.errors import ServiceDisabled, UnknownService
from lienthong.exchange.soap.service import SoapService
from lienthong.exchange.xroad.metaservices import Endpoint, ServiceDescription, ServiceType
from lienthong.identity.identifiers import ServiceId
from lienthong.sources.data_service import DataService
from lienthong.sources.relay import Relay

BodyLogging = Literal["full", "metadata", "none"]


@dataclass(frozen=True, slots=True)
class Service:
    """One service. One of ``data``, ``relay``, ``soap`` is set, none before it is opened.

    ``bodies`` says what the ledger keeps: ``full`` the bodies, ``metadata`` everything but
    them, ``none`` in addition no headers, user or query in clear (their commitments stay).
    """

    id: str
    data: DataService | None = None
    relay: Relay | None = None
    soap: SoapService | None = None
    enabled: bool = True
    notice: str = ""
    bodies: BodyLogging = "full"
    classification: str = "internal"
    timeout_seconds: float = 60.0
    openapi: bytes = b""
    openapi_type: str = "application/json"
    endpoints: tuple[Endpoint, ...] = field(default_factory=tuple)

    @property
    def opened(self) -> bool:
        return self.data is not None or self.relay is not None or self.soap is not None

    @property
    def description(self) -> ServiceDescription:
        """What listMethods tells of it."""
        kind = ServiceType.OPENAPI if self.openapi else ServiceType.REST
        return ServiceDescription(ServiceId.parse(self.id), kind, self.endpoints)


class ServiceRegistry:
    """Services by identifier; replaced entry by entry while the node runs."""

    def __init__(self, services: Iterable[Service] = ()) -> None:
        self._services = {service.id: service for service in services}

    def find(self, service_id: str) -> Service:
        """Raises UnknownService, ServiceDisabled."""
        service = self._services.get(service_id)
        if service is None:
            raise UnknownService(service=service_id)
        if not service.enabled:
            raise ServiceDisabled(service=service_id, notice=service.notice)
        return service

    def get(self, service_id: str) -> Service | None:
        return self._services.get(service_id)

    def put(self, service: Service) -> None:
        self._services[service.id] = service

    def remove(self, service_id: str) -> None:
        self._services.pop(service_id, None)

    def of_subsystem(self, subsystem_id: str) -> list[Service]:
        prefix = subsystem_id + "/"
        return [each for id_, each in sorted(self._services.items()) if id_.startswith(prefix)]

    def all(self) -> list[Service]:
        return [each for _, each in sorted(self._services.items())]
