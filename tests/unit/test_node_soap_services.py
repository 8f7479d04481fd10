"""SOAP services as a node keeps them: made from a WSDL, stored, opened again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lienthong.errors import ReservedServiceCode, WsdlInvalid
from lienthong.ledger.database import open_database
from lienthong.node.services import offered, open_service, soap_definitions
from lienthong.node.store import NodeStore, ServiceDefinition
from lienthong.transport.client import InProcessTransport
from tests.fixtures.soap_service import OPERATIONS, wsdl_text

SUBSYSTEM = "VN/GOV/G15/hotich"
URL = "http://127.0.0.1:9/ws/"
TEMPLATE = ServiceDefinition(id=SUBSYSTEM, kind="soap", classification="personal")


def made(code: str = "", wsdl: str | None = None) -> list[ServiceDefinition]:
    return soap_definitions(TEMPLATE, SUBSYSTEM, code, URL, wsdl or wsdl_text(URL))


def test_every_operation_of_a_wsdl_becomes_a_service() -> None:
    assert [each.id for each in made()] == [f"{SUBSYSTEM}/{name}" for name in OPERATIONS]
    assert [each.id for each in made("loi")] == [f"{SUBSYSTEM}/loi"]
    with pytest.raises(WsdlInvalid):
        made("khongCo")


def test_a_stored_definition_opens_as_it_was(tmp_path: Path) -> None:
    store = NodeStore(open_database(f"sqlite:///{tmp_path / 'node.db'}"))
    (definition,) = made("traCuu")
    store.put_service(definition)
    assert store.services() == [definition]
    service = open_service(store.services()[0], InProcessTransport({}))
    assert service.opened
    assert service.soap is not None
    version = service.soap.version("v1")
    assert (version.soap_action, version.path) == ("urn:traCuu", "/")
    assert [(each.method, each.path) for each in service.endpoints] == [("POST", "/")]
    offer = offered(service)
    assert offer is not None
    assert offer.kind == "relay"


def test_a_definition_without_soap_can_be_read_by_a_release_from_before_it() -> None:
    relay = ServiceDefinition(id=f"{SUBSYSTEM}/x", kind="relay", relay=URL)
    assert "soap" not in msgspec.json.decode(msgspec.json.encode(relay))
    assert relay.versions == ()


def test_an_operation_may_not_take_the_name_of_a_metaservice() -> None:
    (definition,) = made("listMethods", wsdl_text(URL).replace("traCuu", "listMethods"))
    with pytest.raises(ReservedServiceCode):
        open_service(definition, InProcessTransport({}))
