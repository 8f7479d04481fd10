"""What the metaservices answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from lxml import etree

from lienthong.directory.view import DirectoryView
from lienthong.errors import AmbiguousParameter, MissingParameter, UnknownInstance
from lienthong.exchange.xroad.metaservices import (
    ClientList,
    Endpoint,
    ServiceDescription,
    ServiceType,
    methods_response,
    openapi_response,
    openapi_service_code,
)
from lienthong.identity.identifiers import ServiceId

NAMESPACES = {
    "ns1": "http://x-road.eu/xsd/identifiers",
    "ns2": "http://x-road.eu/xsd/xroad.xsd",
}


@dataclass(frozen=True)
class Subsystem:
    code: str
    name: str


@dataclass(frozen=True)
class Member:
    id: str
    name: str
    subsystems: tuple[Subsystem, ...]


class TwoMembers:
    """A directory of two members, which counts how often it is read."""

    instance = "VN"

    def __init__(self) -> None:
        self.read = 0

    def members(self) -> Iterator[Member]:
        self.read += 1
        yield Member("VN/GOV/G01", "Bộ Công an", (Subsystem("dancu", "Dân cư"),))
        yield Member("VN/GOV/H37", "Lạng Sơn\x00", ())


def a_directory() -> DirectoryView:
    return cast(DirectoryView, TwoMembers())


def test_lists_members_and_subsystems_in_json() -> None:
    response = ClientList().response(a_directory(), "", "application/json")
    member = {"member_class": "GOV", "member_code": "G01", "xroad_instance": "VN"}
    found = json.loads(response.body.read())["member"]
    assert found[:2] == [
        {"id": {**member, "object_type": "MEMBER"}, "name": "Bộ Công an"},
        {
            "id": {**member, "object_type": "SUBSYSTEM", "subsystem_code": "dancu"},
            "name": "Bộ Công an",
            "subsystem_name": "Dân cư",
        },
    ]
    assert len(found) == 3


@pytest.mark.parametrize("accept", [None, "*/*", "text/xml"])
def test_lists_clients_in_xml_unless_json_is_accepted(accept: str | None) -> None:
    response = ClientList().response(a_directory(), "", accept)
    assert response.header("content-type") == "text/xml;charset=utf-8"
    root = etree.fromstring(response.body.read())
    assert root.tag == f"{{{NAMESPACES['ns2']}}}clientList"
    identifiers = root.findall("ns2:member/ns2:id", NAMESPACES)
    types = [node.get(f"{{{NAMESPACES['ns1']}}}objectType") for node in identifiers]
    assert types == ["MEMBER", "SUBSYSTEM", "MEMBER"]
    parts = [etree.QName(child).localname for child in identifiers[1]]
    assert parts == ["xRoadInstance", "memberClass", "memberCode", "subsystemCode"]
    assert root.findtext("ns2:member[2]/ns2:subsystemName", None, NAMESPACES) == "Dân cư"


def test_a_directory_is_rendered_once_and_again_when_it_changes() -> None:
    clients, view = ClientList(), TwoMembers()
    for _ in range(3):
        clients.response(cast(DirectoryView, view), "xRoadInstance=VN", "application/json")
    assert view.read == 1
    clients.response(a_directory(), "", "application/json")
    clients.response(cast(DirectoryView, view), "", "application/json")
    assert view.read == 2


def test_does_not_know_the_clients_of_another_instance() -> None:
    with pytest.raises(UnknownInstance):
        ClientList().response(a_directory(), "xRoadInstance=EE", None)


def test_lists_methods_in_x_roads_words() -> None:
    service = ServiceId("VN", "GOV", "G01", "dancu", "cong-dan")
    described = ServiceDescription(
        service, ServiceType.OPENAPI, (Endpoint("GET", "/records/*"), Endpoint("*", "/**"))
    )
    found: dict[str, Any] = json.loads(methods_response([described]).body.read())
    assert found == {
        "service": [
            {
                "member_class": "GOV",
                "member_code": "G01",
                "object_type": "SERVICE",
                "service_code": "cong-dan",
                "service_type": "OPENAPI",
                "subsystem_code": "dancu",
                "xroad_instance": "VN",
                "endpoint_list": [
                    {"method": "GET", "path": "/records/*"},
                    {"method": "*", "path": "/**"},
                ],
            }
        ]
    }


def test_get_openapi_wants_one_service_code() -> None:
    assert openapi_service_code("serviceCode=cong-dan") == "cong-dan"
    with pytest.raises(MissingParameter):
        openapi_service_code("")
    with pytest.raises(AmbiguousParameter):
        openapi_service_code("serviceCode=a&serviceCode=b")


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        ({"openapi": "3.1.0"}, "application/json"),
        (b' {"openapi": "3.0.0"}', "application/json"),
        (b"openapi: 3.0.0\n", "application/yaml"),
    ],
)
def test_passes_a_description_on(document: dict[str, Any] | bytes, media_type: str) -> None:
    response = openapi_response(document)
    assert response.header("content-type") == f"{media_type};charset=utf-8"
    if isinstance(document, bytes):
        assert response.body.read() == document
