"""A SOAP client that others wrote, ``pyxroad`` on ``zeep``, calls through two nodes unchanged.

It fetches ``GET /wsdl?…`` from the node, finds the public address in it, and sends its request
there through the node, as through a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import zeep
from XRoad import XClient

from tests.federation.conftest import Pair
from tests.fixtures.federation import TestNode
from tests.fixtures.soap_service import SoapService


@pytest.fixture(scope="module")
def service(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoapService]:
    with SoapService() as running:
        wsdl = tmp_path_factory.mktemp("wsdl") / "ho-tich.wsdl"
        wsdl.write_text(running.wsdl, encoding="utf-8")
        for code in ("traCuu", "loi"):
            pair.provider.command(
                "service",
                "add",
                *("--subsystem", pair.provider.subsystem, "--code", code),
                *("--soap", running.url, "--wsdl", str(wsdl)),
            )
        yield running


def client_of(pair: Pair, code: str, node: TestNode | None = None) -> XClient:
    """The client as its users make it; only proxies of this machine's environment are ignored."""
    node = node or pair.consumer
    session = requests.Session()
    session.trust_env = False
    return XClient(
        f"http://127.0.0.1:{node.client_port}",
        node.client_id,
        f"{pair.provider.service_id(code)}/v1",
        transport=zeep.Transport(session=session),
    )


def test_pyxroad_calls_a_soap_service_through_two_nodes(pair: Pair, service: SoapService) -> None:
    pair.federation.agree(pair.consumer, pair.provider, "traCuu", "--endpoint", "POST /")
    client = client_of(pair, "traCuu")
    assert client.wsdl.location.startswith(f"http://127.0.0.1:{pair.consumer.client_port}/wsdl?")
    answer = client.request(so="12", xroad_id="ma-cua-toi")
    assert answer["body"]["hoTen"] == "Nguyễn Thị 12"
    assert answer["header"]["id"] == "ma-cua-toi"
    assert service.last.path == "/ws/ho-tich"
    assert service.last.headers["soapaction"] == '"urn:traCuu"'


def test_pyxroad_reads_a_refusal_as_the_fault_that_it_is(pair: Pair, service: SoapService) -> None:
    client = client_of(pair, "loi", pair.provider)  # which has no agreement with itself
    before = len(service.received)
    with pytest.raises(zeep.exceptions.Fault) as found:
        client.service["loi"](so="1")
    assert found.value.code == "Server.ServerProxy.AccessDenied"
    assert len(service.received) == before


def test_pyxroad_reads_a_fault_of_the_service(pair: Pair, service: SoapService) -> None:
    pair.federation.agree(pair.consumer, pair.provider, "loi", "--endpoint", "POST /")
    with pytest.raises(zeep.exceptions.Fault) as found:
        client_of(pair, "loi").service["loi"](so="1")
    assert (found.value.code, found.value.message) == ("s:Server", "sổ đang khóa")


@pytest.mark.usefixtures("service")
def test_pyxroad_is_told_when_there_is_no_wsdl(pair: Pair) -> None:
    with pytest.raises(requests.HTTPError):
        client_of(pair, "khongCo")
