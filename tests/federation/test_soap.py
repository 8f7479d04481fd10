"""SOAP through two nodes: a client system, its node, the provider's node, a real SOAP service."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256, sha512
from pathlib import Path
from unicodedata import normalize

import pytest
from lxml import etree

from lienthong.ledger.evidence import verify_evidence
from tests.federation.conftest import Pair
from tests.fixtures.federation import TestNode, raw
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import big_body
from tests.fixtures.soap_calls import envelope, fault_of, multipart, post
from tests.fixtures.soap_service import (
    ENVELOPE,
    FAULT,
    NAMESPACE,
    OPERATIONS,
    XROAD,
    SoapService,
    wsdl_text,
)

MIB = 1024 * 1024
PERSON = "001090000001"


@dataclass(frozen=True)
class Soap:
    """The pair of nodes, with a SOAP service behind the provider."""

    pair: Pair
    service: SoapService

    @property
    def consumer(self) -> TestNode:
        return self.pair.consumer

    def id(self, code: str, version: str = "v1") -> str:
        return f"{self.pair.provider.service_id(code)}/{version}".rstrip("/")

    def envelope(self, code: str, body: str | None = None, **more: str) -> bytes:
        return envelope(self.consumer.client_id, self.id(code), body, **more)

    def meta(self, code: str, body: str) -> bytes:
        return envelope(self.consumer.client_id, self.id(code, ""), body)


@pytest.fixture(scope="module")
def soap(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soap]:
    with SoapService() as service:
        wsdl = tmp_path_factory.mktemp("wsdl") / "ho-tich.wsdl"
        wsdl.write_text(service.wsdl, encoding="utf-8")
        pair.provider.command(
            "service",
            "add",
            *("--subsystem", pair.provider.subsystem, "--soap", service.url, "--wsdl", str(wsdl)),
        )
        for code in OPERATIONS:
            if code != "loi200":
                pair.federation.agree(pair.consumer, pair.provider, code, "--endpoint", "POST /")
        yield Soap(pair, service)


def test_a_question_in_soap_is_answered_with_its_header_and_its_hash(soap: Soap) -> None:
    asked = soap.envelope("traCuu")
    answer = post(soap.consumer, asked)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/xml; charset=utf-8", answer.body.decode()
    assert "x-internal" not in answer.headers
    root = etree.fromstring(answer.body)
    assert root.findtext(f".//{{{NAMESPACE}}}hoTen") == "Nguyễn Thị 7"
    hashes = root.findall(f"{{{ENVELOPE}}}Header/{{{XROAD}}}requestHash")
    assert [each.text for each in hashes] == [b64encode(sha512(asked).digest()).decode()]
    assert hashes[0].get("algorithmId") == "http://www.w3.org/2001/04/xmlenc#sha512"
    assert root.findtext(f".//{{{XROAD}}}userId") == "VN001"


def test_the_service_gets_the_envelope_byte_for_byte_and_two_headers_of_the_client(
    soap: Soap,
) -> None:
    asked = soap.envelope("traCuu")
    sent = {"SOAPAction": '"urn:traCuu"', "X-Mine": "dropped", "Cookie": "a=1"}
    answer = post(soap.consumer, asked, headers=sent)
    seen = soap.service.last
    assert seen.body == asked
    assert seen.path == "/ws/ho-tich"
    assert seen.headers["soapaction"] == '"urn:traCuu"'
    assert seen.headers["content-type"] == "text/xml; charset=utf-8"
    assert seen.headers["x-road-request-id"] == answer.request_id
    assert not {"x-mine", "cookie", "x-road-message-type"} & set(seen.headers)


@pytest.mark.parametrize("xop", [False, True], ids=["swa", "mtom"])
def test_attachments_of_some_megabytes_pass_byte_for_byte_both_ways(soap: Soap, xop: bool) -> None:
    files = (big_body(3 * MIB), b"\r\n--ranh-gioi-khac\r\n" + bytes(range(256)) * 40)
    asked = soap.envelope("guiTep")
    body, kind = multipart(asked, *files, xop=xop)
    answer = post(soap.consumer, body, kind)
    assert answer.status == 200, answer.body[:500]
    assert soap.service.last.body == body
    behind = body[body.index(asked) + len(asked) :]
    assert answer.body.endswith(behind)
    assert sha256(behind).hexdigest().encode() in answer.body
    assert b64encode(sha512(asked).digest()) in answer.body


@pytest.mark.parametrize(("operation", "status"), [("loi", 500), ("loi200", 200)])
def test_a_fault_of_the_service_passes_as_it_is(soap: Soap, operation: str, status: int) -> None:
    if operation == "loi200":
        soap.pair.federation.agree(
            soap.consumer, soap.pair.provider, operation, "--endpoint", "POST /"
        )
    answer = post(soap.consumer, soap.envelope(operation))
    assert (answer.status, answer.body) == (status, FAULT)
    assert "x-road-error" not in answer.headers


def test_an_encoding_that_is_declared_is_kept(soap: Soap) -> None:
    answer = post(soap.consumer, soap.envelope("tiengViet"))
    assert answer.headers["content-type"] == "text/xml; charset=windows-1258"
    root = etree.fromstring(answer.body)
    text = root.findtext(f".//{{{NAMESPACE}}}tiengVietResponse")
    assert normalize("NFC", text) == "đất"


def test_a_hash_that_the_service_made_up_is_replaced(soap: Soap) -> None:
    asked = soap.envelope("giaMao")
    answer = post(soap.consumer, asked)
    found = etree.fromstring(answer.body).findall(f".//{{{XROAD}}}requestHash")
    assert [each.text for each in found] == [b64encode(sha512(asked).digest()).decode()]
    assert b"<!-- </s:Header> -->" in answer.body


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("saiTieuDe", "Server.ServerProxy.ServiceFailed.InconsistentResponse"),
        ("htmlLoi", "Server.ServerProxy.ServiceFailed.InvalidSoap"),
    ],
)
def test_an_answer_against_the_protocol_is_not_handed_over(
    soap: Soap, operation: str, code: str
) -> None:
    answer = post(soap.consumer, soap.envelope(operation))
    assert fault_of(answer)[0] == code


def test_a_refusal_is_a_soap_fault_whose_id_is_in_both_logs(soap: Soap) -> None:
    provider = soap.pair.provider
    other = envelope(provider.client_id, soap.id("traCuu"))
    answer = post(provider, other, headers={"Accept-Language": "en"})
    code, text, error_id = fault_of(answer)
    assert answer.status == 200
    assert code == answer.headers["x-road-error"] == "Server.ServerProxy.AccessDenied"
    assert answer.headers["lienthong-error"] == "agreements.none"
    assert "agreement" in text
    assert provider.logs(error_id)


def test_the_spelling_of_x_road_7_8_is_a_setting(unusual: Pair) -> None:
    answer = post(unusual.consumer, b"<a/>")
    assert fault_of(answer)[0] == "server.clientproxy.invalid_soap"


def test_rest_and_soap_are_not_mixed(soap: Soap) -> None:
    relay = soap.pair.relay
    by_soap = post(soap.consumer, envelope(soap.consumer.client_id, relay))
    assert fault_of(by_soap)[0] == "Server.ServerProxy.ServiceType"
    by_rest = soap.consumer.call(
        "POST",
        soap.pair.provider.service_id("traCuu"),
        "/",
        soap.envelope("traCuu"),
        headers={"Content-Type": "text/xml", "X-Road-Message-Type": "SOAP"},
    )
    assert by_rest.headers["x-road-error"] == "Server.ServerProxy.ServiceType"


def test_another_soap_action_or_operation_is_refused(soap: Soap) -> None:
    before = len(soap.service.received)
    asked = soap.envelope("traCuu")
    answer = post(soap.consumer, asked, headers={"SOAPAction": '"urn:loi"'})
    assert fault_of(answer)[0] == "Server.ServerProxy.InvalidSoapAction"
    answer = post(soap.consumer, soap.envelope("traCuu", "<h:traCuuTatCa/>"))
    assert fault_of(answer)[0] == "Server.ClientProxy.InconsistentHeaders"
    assert len(soap.service.received) == before


def test_services_and_those_that_are_open_are_listed_over_soap_only(soap: Soap) -> None:
    answer = post(soap.consumer, soap.meta("listMethods", "<xrd:listMethods/>"))
    assert answer.status == 200, answer.body
    listed = [each.text for each in etree.fromstring(answer.body).iterfind(".//{*}serviceCode")]
    assert listed[0] == "listMethods"
    assert set(listed[1:]) == set(OPERATIONS)
    provider = soap.pair.provider
    own = envelope(provider.client_id, soap.id("allowedMethods", ""), "<xrd:allowedMethods/>")
    allowed = etree.fromstring(post(provider, own).body)
    assert allowed.findall(f".//{{{XROAD}}}allowedMethodsResponse/*") == []
    rest = soap.consumer.call("GET", soap.pair.provider.service_id("listMethods")).json
    assert not set(OPERATIONS) & {each["service_code"] for each in rest["service"]}


def test_the_wsdl_comes_as_an_attachment_without_the_services_address(soap: Soap) -> None:
    body = "<xrd:getWsdl><xrd:serviceCode>traCuu</xrd:serviceCode></xrd:getWsdl>"
    answer = post(soap.consumer, soap.meta("getWsdl", body))
    assert answer.headers["content-type"].startswith("multipart/related")
    assert b"http://example.org/xroad-endpoint" in answer.body
    assert soap.service.url.encode() not in answer.body
    unknown = post(soap.consumer, soap.meta("getWsdl", body.replace("traCuu", "khongCo")))
    assert fault_of(unknown)[0] == "Server.ServerProxy.UnknownService"


def test_a_plain_get_fetches_the_wsdl(soap: Soap) -> None:
    instance, kind, code, subsystem = soap.pair.provider.client_id.split("/")
    query = f"xRoadInstance={instance}&memberClass={kind}&memberCode={code}"
    query += f"&subsystemCode={subsystem}&serviceCode=traCuu&version=v1"
    answer = soap.consumer.call("GET", f"/wsdl?{query}")
    assert answer.status == 200
    assert etree.fromstring(answer.body).tag.endswith("}definitions")
    assert soap.service.url.encode() not in answer.body
    missing = soap.consumer.call("GET", f"/wsdl?{query.replace('serviceCode', 'x')}")
    assert missing.headers["lienthong-error"] == "xroad.missing_parameter"


def test_a_client_that_treats_the_node_as_a_proxy_is_served(soap: Soap) -> None:
    asked = soap.envelope("traCuu")
    head = (
        "POST http://example.org/xroad-endpoint HTTP/1.1\r\nHost: example.org\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(asked)}\r\nConnection: close\r\n\r\n"
    )
    answer = raw(soap.consumer.client_port, head.encode() + asked)
    assert answer.startswith(b"HTTP/1.1 200")
    assert "Nguyễn Thị 7".encode() in answer


def test_another_version_is_added_beside_the_first(soap: Soap, tmp_path: Path) -> None:
    wsdl = tmp_path / "v2.wsdl"
    wsdl.write_text(wsdl_text(soap.service.url, "v2"), encoding="utf-8")
    provider = soap.pair.provider
    provider.command(
        "service",
        "add",
        *("--subsystem", provider.subsystem, "--code", "traCuu"),
        *("--soap", f"{soap.service.url}/v2", "--wsdl", str(wsdl)),
    )
    for version, path in (("v1", "/ws/ho-tich"), ("v2", "/ws/ho-tich/v2")):
        asked = envelope(soap.consumer.client_id, soap.id("traCuu", version))
        assert post(soap.consumer, asked).status == 200
        assert soap.service.last.path == path
    answer = post(soap.consumer, envelope(soap.consumer.client_id, soap.id("traCuu", "v9")))
    assert fault_of(answer)[0] == "Server.ServerProxy.UnknownService"


def test_evidence_of_a_soap_call_verifies_and_logs_hold_no_personal_key(
    soap: Soap, tmp_path: Path
) -> None:
    asked = soap.envelope("traCuu", f"<h:traCuu><h:so>{PERSON}</h:so></h:traCuu>")
    answer = post(soap.consumer, asked)
    for node in (soap.consumer, soap.pair.provider):
        assert node.logs(answer.request_id)
        assert PERSON not in node.log.read_text(encoding="utf-8")
        file = tmp_path / f"{node.code}.json"
        node.command("evidence", "export", answer.request_id, "--output", str(file))
        bundle = file.read_bytes()
        verdict = verify_evidence(bundle, soap.pair.federation.root.read_bytes())
        assert verdict is not None
        request = json.loads(bundle)["request"]["request"]
        assert (request["method"], request["path"]) == ("POST", "/")
        assert (request["message_id"], request["user"], request["dossier"]) == (
            "m-1",
            "VN001",
            "HS-7",
        )


def test_an_envelope_that_is_not_its_signed_message_is_refused_by_a_signed_answer(
    soap: Soap,
) -> None:
    federation, provider = soap.pair.federation, soap.pair.provider
    node = federation.node("G66", subsystem="gia")
    node.run()
    node.wait()
    federation.agree(node, provider, "traCuu", "--endpoint", "POST /")
    node.stop()
    before = len(soap.service.received)
    mark = (("content-type", "text/xml"), ("x-road-message-type", "SOAP"))
    with HostilePeer(node, provider) as peer:

        def ask(client: str, **fields: str) -> tuple[str, str]:
            body = envelope(client, soap.id("traCuu"))
            said = {"path": "/", "user": "VN001", "dossier": "HS-7", **fields}
            request = peer.request(provider.service_id("traCuu"), body=body, headers=mark, **said)
            answer = peer.ask(peer.sign(request, body)).message
            return answer.outcome, dict(answer.headers).get("lienthong-error", "")

        inconsistent = ("refused", "soap.inconsistent")
        assert ask(soap.consumer.client_id) == inconsistent
        assert ask(node.client_id, user="VN002") == inconsistent
        assert ask(node.client_id, message_id="m-2") == inconsistent
        assert len(soap.service.received) == before
        assert ask(node.client_id) == ("answered", "")
    assert len(soap.service.received) == before + 1
