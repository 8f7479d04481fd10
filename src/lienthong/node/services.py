"""Making a service ready to answer from its definition; what it offers to agreements."""

from __future__ import annotations

import json

import msgspec

from lienthong.agreements.models import ContractReference, Kind
from lienthong.agreements.proposals import OfferedService
from lienthong.contracts import load_contract
from lienthong.contracts.openapi_file import read_openapi
from lienthong.contracts.wsdl_file import published_wsdl, read_wsdl
from lienthong.errors import WsdlInvalid
from lienthong.exchange.services import Service
from lienthong.exchange.soap.names import METHOD, PATH
from lienthong.exchange.soap.service import SoapService, SoapVersion
from lienthong.exchange.xroad.metaservices import Endpoint
from lienthong.exchange.xroad.paths import check_service_code
from lienthong.identity.identifiers import ServiceId
from lienthong.node.store import ServiceDefinition, SoapVersionDefinition
from lienthong.sources.data_service import DataService
from lienthong.sources.relay import Relay
from lienthong.sources.source import open_source
from lienthong.transport.client import Transport

ANY_ENDPOINT = (Endpoint("*", "/**"),)
SOAP_ENDPOINT = (Endpoint(METHOD, PATH),)  # what an agreement about a SOAP service opens


def open_service(definition: ServiceDefinition, transport: Transport) -> Service:
    """Open a service: read its contract, connect its source and check it. Blocking.

    Raises ContractError, SourceError, InvalidIdentifier leaves.
    """
    service_id = ServiceId(*definition.id.split("/"))
    check_service_code(service_id.service)
    if definition.kind == "relay":
        return _relay(definition, transport)
    if definition.kind == "soap":
        return _soap(definition, service_id.service, transport)
    contract = load_contract(definition.contract.encode())
    data = DataService(contract, open_source(definition.source, contract))
    return Service(
        id=definition.id,
        data=data,
        enabled=definition.enabled,
        notice=definition.notice,
        bodies=definition.bodies,
        classification="personal",
        timeout_seconds=definition.timeout_seconds,
        openapi=json.dumps(data.openapi(service_id), ensure_ascii=False).encode(),
        endpoints=tuple(Endpoint(each.method, each.pattern) for each in data.endpoints),
    )


def close_service(service: Service | None) -> None:
    if service is not None and service.data is not None:
        service.data.source.close()


def _relay(definition: ServiceDefinition, transport: Transport) -> Service:
    described = read_openapi(definition.openapi) if definition.openapi else ()
    endpoints = tuple(Endpoint(method, path) for method, path in described)
    return Service(
        id=definition.id,
        relay=Relay(definition.relay, transport),
        enabled=definition.enabled,
        notice=definition.notice,
        bodies=definition.bodies,
        classification=definition.classification,
        timeout_seconds=definition.timeout_seconds,
        openapi=definition.openapi.encode(),
        openapi_type=definition.openapi_type,
        endpoints=endpoints or ANY_ENDPOINT,
    )


def _soap(definition: ServiceDefinition, code: str, transport: Transport) -> Service:
    return Service(
        id=definition.id,
        soap=SoapService(
            definition.id,
            {each.version: _soap_version(each, code, transport) for each in definition.versions},
        ),
        enabled=definition.enabled,
        notice=definition.notice,
        bodies=definition.bodies,
        classification=definition.classification,
        timeout_seconds=definition.timeout_seconds,
        endpoints=SOAP_ENDPOINT,
    )


def _soap_version(
    definition: SoapVersionDefinition, code: str, transport: Transport
) -> SoapVersion:
    wanted = (code, definition.version)
    for operation in read_wsdl(definition.wsdl):
        if (operation.code, operation.version) == wanted:
            path = "/" if definition.url.endswith("/") else ""
            relay = Relay(definition.url, transport)
            wsdl = published_wsdl(definition.wsdl)
            return SoapVersion(relay, path, operation.soap_action, wsdl)
    raise WsdlInvalid(reason=f"it has no operation {code} {definition.version}".rstrip())


def soap_definitions(
    template: ServiceDefinition, subsystem: str, code: str, url: str, wsdl: str
) -> list[ServiceDefinition]:
    """A definition for each operation of a WSDL, or for ``code`` alone, with its versions.

    Raises WsdlInvalid, InvalidIdentifier, ReservedServiceCode.
    """
    versions: dict[str, tuple[SoapVersionDefinition, ...]] = {}
    for operation in read_wsdl(wsdl):
        if code in ("", operation.code):
            version = SoapVersionDefinition(operation.version, url, wsdl)
            versions[operation.code] = (*versions.get(operation.code, ()), version)
    if not versions:
        raise WsdlInvalid(reason=f"it has no operation {code}")
    return [
        msgspec.structs.replace(template, id=f"{subsystem}/{name}", soap=found)
        for name, found in versions.items()
    ]


def offered(service: Service | None) -> OfferedService | None:
    """What an agreement about this service may contain."""
    if service is None or not service.opened:
        return None
    if service.data is None:
        return OfferedService(Kind.RELAY)
    contract = service.data.contract
    reference = ContractReference(contract.id, contract.version, contract.digest)
    return OfferedService(Kind.CONTRACT, reference, frozenset(contract.fields))
