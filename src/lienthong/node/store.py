"""What the node's administrator set up: services and client systems, in the node's database."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import Column, Engine, LargeBinary, MetaData, String, Table, delete, insert, select

from lienthong.exchange.clients import ClientSystem, ConnectionType
from lienthong.ledger.database import turn_to_write

metadata = MetaData()

services = Table(
    "node_services",
    metadata,
    Column("id", String(600), primary_key=True),
    Column("definition", LargeBinary, nullable=False),  # JSON of ServiceDefinition
)

clients = Table(
    "node_clients",
    metadata,
    Column("subsystem", String(600), primary_key=True),
    Column("definition", LargeBinary, nullable=False),  # JSON of ClientDefinition
)


class SoapVersionDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a SOAP service: where it is, and its WSDL (the file itself)."""

    version: str
    url: str
    wsdl: str


class ServiceDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service as its administrator described it.

    A contract service has ``contract`` (the ODCS file itself) and ``source`` (its address, a
    secret where it holds a password); a relay has ``relay`` (the base address); a SOAP service
    has its versions in ``soap``, which is left out of the JSON of others: releases
    before it refuse what they do not know, and a node may be rolled back to one.
    """

    id: str
    kind: Literal["contract", "relay", "soap"]
    contract: str = ""
    source: str = ""
    relay: str = ""
    verify_tls: bool = True
    classification: str = "internal"
    openapi: str = ""
    openapi_type: str = ""
    bodies: Literal["full", "metadata", "none"] = "full"
    timeout_seconds: float = 60.0
    enabled: bool = True
    notice: str = ""
    soap: tuple[SoapVersionDefinition, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def versions(self) -> tuple[SoapVersionDefinition, ...]:
        """Versions of a SOAP service; of others none."""
        return self.soap or ()


class ClientDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client system: how it must connect, and the certificates (PEM) that it may show."""

    subsystem: str
    connection: ConnectionType
    certificates: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @property
    def system(self) -> ClientSystem:
        return ClientSystem(self.subsystem, self.connection, frozenset(self.fingerprints))


class NodeStore:
    """Definitions by identifier; writing one replaces the former."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def services(self) -> list[ServiceDefinition]:
        return [msgspec.json.decode(row, type=ServiceDefinition) for row in self._all(services)]

    def put_service(self, definition: ServiceDefinition) -> None:
        self._put(services, services.c.id, definition.id, definition)

    def remove_service(self, service_id: str) -> None:
        self._remove(services, services.c.id, service_id)

    def clients(self) -> list[ClientDefinition]:
        return [msgspec.json.decode(row, type=ClientDefinition) for row in self._all(clients)]

    def put_client(self, definition: ClientDefinition) -> None:
        self._put(clients, clients.c.subsystem, definition.subsystem, definition)

    def remove_client(self, subsystem: str) -> None:
        self._remove(clients, clients.c.subsystem, subsystem)

    def fingerprint(self) -> int:
        """Another one when something was changed, by whomever."""
        return hash((tuple(sorted(self._all(services))), tuple(sorted(self._all(clients)))))

    def _all(self, table: Table) -> list[bytes]:
        with self._engine.connect() as connection:
            return [bytes(row) for row in connection.scalars(select(table.c.definition))]

    def _put(self, table: Table, key: Column[Any], name: str, definition: Any) -> None:
        with turn_to_write(self._engine), self._engine.begin() as connection:
            connection.execute(delete(table).where(key == name))
            connection.execute(
                insert(table).values(
                    {key.name: name, "definition": msgspec.json.encode(definition)}
                )
            )

    def _remove(self, table: Table, key: Column[Any], name: str) -> None:
        with turn_to_write(self._engine), self._engine.begin() as connection:
            connection.execute(delete(table).where(key == name))
