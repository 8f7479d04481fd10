"""The metaservices: which clients, services and descriptions there are (PR-META, PR-MREST).

``listClients`` answers anyone; the other three belong to one provider. Personal data is in none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
from lxml import etree

from lienthong.errors import UnknownInstance
from lienthong.exchange.xroad.paths import query_parameter
from lienthong.exchange.xroad.xml import xml_bytes, xml_text
from lienthong.identity.identifiers import ServiceId
from lienthong.transport.messages import Body, Response

if TYPE_CHECKING:
    from lienthong.directory.view import DirectoryView

_XROAD = "http://x-road.eu/xsd/xroad.xsd"
_IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
_NAMESPACES = {"ns1": _IDENTIFIERS, "ns2": _XROAD}
_TAGS_OF_AN_ID = {
    "xroad_instance": "xRoadInstance",
    "member_class": "memberClass",
    "member_code": "memberCode",
    "subsystem_code": "subsystemCode",
}


class ServiceType(StrEnum):
    """X-Road's two kinds of REST service: with an OpenAPI description, or a bare base path."""

    OPENAPI = "OPENAPI"
    REST = "REST"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method (``*`` for all) and a path pattern (``*`` within, ``**`` across slashes)."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """What ``listMethods`` and ``allowedMethods`` tell of one service."""

    service: ServiceId
    type: ServiceType
    endpoints: tuple[Endpoint, ...] = ()


class ClientList:
    """``listClients``: members and subsystems of the directory.

    A directory of 111,000 agencies makes some 30 MB; the last version is kept in both forms, so
    that asking again costs nothing.
    """

    def __init__(self) -> None:
        self._view: DirectoryView | None = None
        self._rendered: dict[str, bytes] = {}

    def response(self, view: DirectoryView, query: str, accept: str | None) -> Response:
        """Answer ``GET /listClients[?xRoadInstance=VN]``; JSON if accepted, otherwise XML.

        Raises UnknownInstance, MalformedTarget, AmbiguousParameter.
        """
        instance = query_parameter(query, "xRoadInstance")
        if instance is not None and instance != view.instance:
            raise UnknownInstance(instance=instance[:100], known=view.instance)
        if view is not self._view:
            self._view, self._rendered = view, {}
        json = "application/json" in (accept or "").lower()
        media_type = "application/json" if json else "text/xml"
        if media_type not in self._rendered:
            render = _clients_as_json if json else _clients_as_xml
            self._rendered[media_type] = render(_clients(view))
        return _answer(self._rendered[media_type], media_type)


def methods_response(services: Iterable[ServiceDescription]) -> Response:
    """Answer ``listMethods`` with all of a provider's services, or ``allowedMethods`` with those
    that the caller's agreements open; services and endpoints in their given order.
    """
    return _answer(
        msgspec.json.encode({"service": [_method(service) for service in services]}),
        "application/json",
    )


def openapi_service_code(query: str) -> str:
    """Return which service's description ``getOpenAPI?serviceCode=`` asks for.

    Raises MissingParameter, AmbiguousParameter, MalformedTarget.
    """
    return query_parameter(query, "serviceCode", required=True) or ""


def openapi_response(document: dict[str, Any] | bytes, media_type: str = "") -> Response:
    """Answer ``getOpenAPI``: a generated description, or a provider's file as it is."""
    if isinstance(document, dict):
        return _answer(msgspec.json.encode(document), "application/json")
    looks_like_json = document.lstrip()[:1] == b"{"
    guessed = "application/json" if looks_like_json else "application/yaml"
    return _answer(document, media_type or guessed)


def _clients(view: DirectoryView) -> Iterator[dict[str, Any]]:
    for member in view.members():
        instance, member_class, code = str(member.id).split("/")
        parts = {"member_class": member_class, "member_code": code, "xroad_instance": instance}
        yield {"id": {**parts, "object_type": "MEMBER"}, "name": member.name}
        for subsystem in member.subsystems:
            yield {
                "id": {**parts, "object_type": "SUBSYSTEM", "subsystem_code": subsystem.code},
                "name": member.name,
                "subsystem_name": subsystem.name,
            }


def _clients_as_json(clients: Iterator[dict[str, Any]]) -> bytes:
    return msgspec.json.encode({"member": list(clients)})


def _clients_as_xml(clients: Iterator[dict[str, Any]]) -> bytes:
    root = etree.Element(f"{{{_XROAD}}}clientList", nsmap=_NAMESPACES)
    for client in clients:
        member = etree.SubElement(root, f"{{{_XROAD}}}member")
        identifier = etree.SubElement(member, f"{{{_XROAD}}}id")
        identifier.set(f"{{{_IDENTIFIERS}}}objectType", client["id"]["object_type"])
        for key, tag in _TAGS_OF_AN_ID.items():
            if key in client["id"]:
                part = etree.SubElement(identifier, f"{{{_IDENTIFIERS}}}{tag}")
                part.text = xml_text(client["id"][key])
        etree.SubElement(member, f"{{{_XROAD}}}name").text = xml_text(client["name"])
        if "subsystem_name" in client:
            name = etree.SubElement(member, f"{{{_XROAD}}}subsystemName")
            name.text = xml_text(client["subsystem_name"])
    return xml_bytes(root)


def _method(description: ServiceDescription) -> dict[str, Any]:
    service = description.service
    return {
        "member_class": service.member_class,
        "member_code": service.code,
        "object_type": "SERVICE",
        "service_code": service.service,
        "service_type": description.type.value,
        "subsystem_code": service.subsystem,
        "xroad_instance": service.instance,
        "endpoint_list": [
            {"method": endpoint.method, "path": endpoint.path} for endpoint in description.endpoints
        ],
    }


def _answer(content: bytes, media_type: str) -> Response:
    headers = [("content-type", f"{media_type};charset=utf-8")]
    return Response(status=200, headers=headers, body=Body.of(content))
