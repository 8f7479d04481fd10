"""Management routes of services and client systems."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from lienthong.errors import RequestMalformed
from lienthong.exchange.clients import ConnectionType
from lienthong.node.administration import Administration
from lienthong.node.services import soap_definitions
from lienthong.node.store import ServiceDefinition


class ServiceBody(BaseModel):
    """A service to be added or replaced; see ``lienthong service add --help``."""

    id: str = Field(max_length=600)
    kind: Literal["contract", "relay"]
    contract: str = ""
    source: str = ""
    relay: str = ""
    verify_tls: bool = True
    classification: Literal["public", "internal", "personal", "sensitive"] = "internal"
    openapi: str = ""
    openapi_type: str = ""
    bodies: Literal["full", "metadata", "none"] = "full"
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    enabled: bool = True
    notice: str = Field(default="", max_length=500)


class SoapBody(BaseModel):
    """SOAP services to be added from a WSDL; without ``code`` all of its operations."""

    subsystem: str = Field(max_length=600)
    code: str = Field(default="", max_length=100)
    url: str = Field(min_length=1, max_length=2000)
    wsdl: str = Field(min_length=1)
    verify_tls: bool = True
    classification: Literal["public", "internal", "personal", "sensitive"] = "internal"
    bodies: Literal["full", "metadata", "none"] = "full"
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)


class Switch(BaseModel):
    """On or off, and what callers are told meanwhile."""

    id: str
    enabled: bool
    notice: str = Field(default="", max_length=500)


class Named(BaseModel):
    """Which service or subsystem."""

    id: str


class ClientBody(BaseModel):
    """A client system; ``certificates`` in PEM, wanted for ``mtls``."""

    subsystem: str = Field(max_length=600)
    connection: ConnectionType
    certificates: list[str] = Field(default_factory=list, max_length=20)


def service_routes(administration: Administration) -> APIRouter:
    """Services and clients: list, add, remove, switch."""
    router = APIRouter()

    def shown(definition: ServiceDefinition) -> dict[str, Any]:
        return shown_service(definition, administration.classification(definition))

    @router.get("/services")
    async def services() -> list[dict[str, Any]]:
        return [shown(each) for each in administration.services()]

    @router.post("/services")
    async def add(body: ServiceBody) -> dict[str, Any]:
        wanted = (body.contract and body.source) if body.kind == "contract" else body.relay
        if not wanted:
            raise RequestMalformed(fields="contract + source, or relay")
        definition = ServiceDefinition(**body.model_dump())
        await administration.add_service(definition)
        return shown(definition)

    @router.post("/services/soap")
    async def add_soap(body: SoapBody) -> list[dict[str, Any]]:
        template = ServiceDefinition(
            id=body.subsystem,
            kind="soap",
            verify_tls=body.verify_tls,
            classification=body.classification,
            bodies=body.bodies,
            timeout_seconds=body.timeout_seconds,
        )
        wanted = soap_definitions(template, body.subsystem, body.code, body.url, body.wsdl)
        return [shown(each) for each in await administration.add_soap(wanted)]

    @router.post("/services/remove")
    async def remove(body: Named) -> dict[str, str]:
        await administration.remove_service(body.id)
        return {"removed": body.id}

    @router.post("/services/switch")
    async def switch(body: Switch) -> dict[str, Any]:
        await administration.enable_service(body.id, enabled=body.enabled, notice=body.notice)
        return shown(administration.definition(body.id))

    @router.get("/clients")
    async def clients() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(each) for each in administration.clients()]

    @router.post("/clients")
    async def add_client(body: ClientBody) -> dict[str, Any]:
        if body.connection is ConnectionType.MTLS and not body.certificates:
            raise RequestMalformed(fields="certificates")
        definition = await administration.add_client(
            body.subsystem, body.connection, tuple(body.certificates)
        )
        return dict(msgspec.to_builtins(definition))

    @router.post("/clients/remove")
    async def remove_client(body: Named) -> dict[str, str]:
        await administration.remove_client(body.id)
        return {"removed": body.id}

    return router


def shown_service(definition: ServiceDefinition, classification: str) -> dict[str, Any]:
    """What is shown of a service: never the source's address, which may hold a password."""
    shown: dict[str, Any] = msgspec.to_builtins(definition)
    shown["source"] = definition.source.partition("://")[0]
    shown["contract"] = bool(definition.contract)
    shown["openapi"] = bool(definition.openapi)
    shown["soap"] = [{"version": each.version, "url": each.url} for each in definition.versions]
    shown["classification"] = classification
    return shown
