"""What an administrator changes on a running node: services and client systems.

Each change is checked, stored, and in force when the call returns; a change that fails leaves
everything as it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from lienthong.contracts.classification import highest
from lienthong.errors import (
    ClientCertificateUnusable,
    InvalidCertificate,
    LienthongError,
    NotFound,
    SubsystemNotHosted,
)
from lienthong.events import log_event
from lienthong.exchange.clients import ConnectionType
from lienthong.exchange.services import Service
from lienthong.identity.certificates import fingerprint, read_chain
from lienthong.node.services import close_service, open_service
from lienthong.node.sharing import SERVICES
from lienthong.node.store import ClientDefinition, ServiceDefinition

if TYPE_CHECKING:
    from lienthong.node.node import Node

AWAY = "nguồn dữ liệu chưa sẵn sàng · the source is not ready"

logger = logging.getLogger("lienthong.node.administration")


class Administration:
    """Services and clients of one node, stored and in force."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._definitions: dict[str, ServiceDefinition] = {}
        self._clients: dict[str, ClientDefinition] = {}
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Open what is stored. A service whose source is away is off until it is back."""
        store = self._node.node_store
        for client in await asyncio.to_thread(store.clients):
            self._clients[client.subsystem] = client
            self._node.clients.put(client.system)
        for definition in await asyncio.to_thread(store.services):
            self._definitions[definition.id] = definition
            self._node.services.put(Service(definition.id, enabled=False, notice=AWAY))
        await self.open_missing()

    async def open_missing(self) -> None:
        """Try again to open the services whose sources were away."""
        async with self._lock:
            for definition in self.services():
                service = self._node.services.get(definition.id)
                if service is None or service.opened:
                    continue
                try:
                    self._node.services.put(await self._open(definition))
                except LienthongError as error:
                    _tell_not_opened(definition, error)

    async def add_service(self, definition: ServiceDefinition) -> Service:
        """Open, store and offer a service; replaces one of the same id.

        Raises SubsystemNotHosted, ContractError, SourceError, InvalidIdentifier leaves.
        """
        self._check_hosted(definition.id.rpartition("/")[0])
        async with self._lock:
            service = await self._open(definition)
            await asyncio.to_thread(self._node.node_store.put_service, definition)
            self._put(definition, service)
        await self._node.gateways.tell(SERVICES)
        return service

    async def add_soap(self, definitions: list[ServiceDefinition]) -> list[ServiceDefinition]:
        """Offer SOAP services; versions that a service of the same id has already stay.

        Raises what ``add_service`` raises.
        """
        added = []
        for definition in definitions:
            former = self._definitions.get(definition.id)
            if former is not None and former.kind == "soap":
                new = {each.version for each in definition.versions}
                kept = tuple(each for each in former.versions if each.version not in new)
                definition = msgspec.structs.replace(definition, soap=(*kept, *definition.versions))
            await self.add_service(definition)
            added.append(definition)
        return added

    async def follow(self) -> None:
        """Take up what another gateway of this node has changed."""
        store = self._node.node_store
        async with self._lock:
            self._follow_clients(await asyncio.to_thread(store.clients))
            stored = {each.id: each for each in await asyncio.to_thread(store.services)}
            for service_id in self._definitions.keys() - stored.keys():
                self._drop(service_id)
            for definition in stored.values():
                if self._definitions.get(definition.id) != definition:
                    self._put(definition, await self._opened_or_away(definition))

    def _follow_clients(self, stored: list[ClientDefinition]) -> None:
        for subsystem in self._clients.keys() - {each.subsystem for each in stored}:
            del self._clients[subsystem]
            self._node.clients.remove(subsystem)
        for client in stored:
            if self._clients.get(client.subsystem) != client:
                self._clients[client.subsystem] = client
                self._node.clients.put(client.system)
                for pem in client.certificates:
                    self._node.listeners.trust_client(pem)

    async def _opened_or_away(self, definition: ServiceDefinition) -> Service:
        try:
            return await self._open(definition)
        except LienthongError as error:
            _tell_not_opened(definition, error)
            return Service(definition.id, enabled=False, notice=AWAY)

    def _drop(self, service_id: str) -> None:
        close_service(self._node.services.get(service_id))
        self._node.services.remove(service_id)
        self._definitions.pop(service_id, None)

    def close(self) -> None:
        """Let go of all sources: the node has stopped."""
        for service in self._node.services.all():
            close_service(service)
            self._node.services.remove(service.id)

    async def remove_service(self, service_id: str) -> None:
        """Raises NotFound."""
        self.definition(service_id)
        async with self._lock:
            await asyncio.to_thread(self._node.node_store.remove_service, service_id)
            self._drop(service_id)
        await self._node.gateways.tell(SERVICES)

    async def enable_service(self, service_id: str, *, enabled: bool, notice: str) -> None:
        """Switch a service on or off; callers of one that is off are told ``notice``."""
        definition = msgspec.structs.replace(
            self.definition(service_id), enabled=enabled, notice=notice
        )
        await self.add_service(definition)

    def definition(self, service_id: str) -> ServiceDefinition:
        """Raises NotFound."""
        definition = self._definitions.get(service_id)
        if definition is None:
            raise NotFound(name=service_id)
        return definition

    def classification(self, definition: ServiceDefinition) -> str:
        """A relay's own class; a contract service's is that of its most closed field."""
        service = self._node.services.get(definition.id)
        if service is None or service.data is None:
            return definition.classification if definition.kind != "contract" else ""
        return highest(field.classification for field in service.data.contract.fields.values())

    def services(self) -> list[ServiceDefinition]:
        return [each for _, each in sorted(self._definitions.items())]

    async def add_client(
        self, subsystem: str, connection: ConnectionType, certificates: tuple[str, ...]
    ) -> ClientDefinition:
        """Let a subsystem's systems call the node. Raises SubsystemNotHosted,
        ClientCertificateUnusable."""
        self._check_hosted(subsystem)
        try:
            prints = tuple(fingerprint(read_chain(pem)[0]) for pem in certificates)
        except InvalidCertificate as error:
            raise ClientCertificateUnusable(subsystem=subsystem) from error
        definition = ClientDefinition(subsystem, connection, certificates, prints)
        async with self._lock:
            await asyncio.to_thread(self._node.node_store.put_client, definition)
            self._clients[subsystem] = definition
            self._node.clients.put(definition.system)
            for pem in certificates:
                self._node.listeners.trust_client(pem)
        await self._node.gateways.tell(SERVICES)
        return definition

    async def remove_client(self, subsystem: str) -> None:
        """Raises NotFound."""
        if subsystem not in self._clients:
            raise NotFound(name=subsystem)
        async with self._lock:
            await asyncio.to_thread(self._node.node_store.remove_client, subsystem)
            del self._clients[subsystem]
            self._node.clients.remove(subsystem)
        await self._node.gateways.tell(SERVICES)

    def clients(self) -> list[ClientDefinition]:
        return [each for _, each in sorted(self._clients.items())]

    def client_certificates(self) -> tuple[str, ...]:
        return tuple(pem for client in self._clients.values() for pem in client.certificates)

    def certificates_by_client(self) -> dict[str, tuple[str, ...]]:
        """The registered certificates (PEM) of each client system."""
        return {name: client.certificates for name, client in self._clients.items()}

    async def _open(self, definition: ServiceDefinition) -> Service:
        node = self._node
        pool = node.relay_pool if definition.verify_tls else node.trusting_pool
        return await asyncio.to_thread(open_service, definition, pool)

    def _put(self, definition: ServiceDefinition, service: Service) -> None:
        former = self._node.services.get(definition.id)
        self._node.services.put(service)
        self._definitions[definition.id] = definition
        if former is not None and former.data is not None:
            # Questions that run now still hold the former source; it goes when they are done.
            loop = asyncio.get_running_loop()
            loop.call_later(definition.timeout_seconds, close_service, former)

    def _check_hosted(self, subsystem: str) -> None:
        if not self._node.identity.hosts(subsystem):
            raise SubsystemNotHosted(subsystem=subsystem, node=self._node.identity.node)


def _tell_not_opened(definition: ServiceDefinition, error: LienthongError) -> None:
    log_event(logger, logging.ERROR, "service.not_opened", id=definition.id, reason=str(error))
