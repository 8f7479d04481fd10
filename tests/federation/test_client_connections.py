"""How an agency's own systems connect: HTTP on loopback, HTTPS, HTTPS with a certificate."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lienthong.identity.certificates import Authority
from lienthong.identity.keys import Algorithm, PrivateKey
from tests.federation.conftest import FATHER, Pair
from tests.fixtures.federation import Answer, attempt

Connect = Callable[["Certificate | None"], Answer]


@dataclass(frozen=True)
class Certificate:
    """A client system's certificate and key, in files."""

    path: Path
    key: Path


def make_certificate(folder: Path, name: str) -> Certificate:
    """One that an authority issued which the node has never heard of."""
    now = datetime.now(UTC)
    key = PrivateKey.generate(Algorithm.P256)
    authority = Authority.create("VN-TEST", 30, now)
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.pem")
    pem = authority.issue(key.public, "VN-TEST/GOV/H37/n1", [name], 30, now)
    made.path.write_text(pem, encoding="ascii")
    key.save(made.key)
    return made


@pytest.fixture
def over_https(unusual: Pair, https_port: int) -> Connect:
    """Ask the provider over the consumer's HTTPS port."""

    def ask(certificate: Certificate | None) -> Answer:
        context = ssl.create_default_context(cafile=unusual.consumer.state / "keys/tls.crt")
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if certificate is not None:
            context.load_cert_chain(certificate.path, certificate.key)
        connection = http.client.HTTPSConnection("127.0.0.1", https_port, context=context)
        try:
            body = json.dumps({"keys": [FATHER], "fields": ["ho_ten"]})
            headers = {"X-Road-Client": unusual.consumer.client_id}
            target = f"/r1/{unusual.citizens}/records:lookup"
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    return ask


@pytest.fixture
def registered(unusual: Pair) -> Iterator[Callable[..., None]]:
    """Register the consumer's system another way; it is as before after the test."""

    def register(connection: str, *certificates: Certificate) -> None:
        files = [word for each in certificates for word in ("--certificate", str(each.path))]
        unusual.consumer.command(
            "client", "add", "--subsystem", "motcua", "--connection", connection, *files
        )

    yield register
    register("http")


def over_http(unusual: Pair) -> Answer:
    body = {"keys": [FATHER], "fields": ["ho_ten"]}
    return unusual.consumer.call("POST", unusual.citizens, "/records:lookup", body)


def test_a_system_of_type_http_may_use_https_as_well(unusual: Pair, over_https: Connect) -> None:
    assert over_http(unusual).status == 200
    assert over_https(None).status == 200


def test_a_system_of_type_https_is_refused_over_http(
    unusual: Pair, over_https: Connect, registered: Callable[..., None]
) -> None:
    registered("https")
    assert over_https(None).status == 200
    refused = over_http(unusual)
    assert refused.headers["lienthong-error"] == "message.client_not_authenticated"
    assert refused.headers["x-road-error"] == "server.clientproxy.ssl_authentication_failed"


def test_a_system_of_type_mtls_shows_its_registered_certificate(
    unusual: Pair, over_https: Connect, registered: Callable[..., None], tmp_path: Path
) -> None:
    own, other = make_certificate(tmp_path, "motcua"), make_certificate(tmp_path, "khac")
    registered("mtls", own)  # the node runs: its port takes the certificate from now on
    assert over_https(own).status == 200
    for refused in (over_https(None), over_http(unusual)):
        assert refused.headers["lienthong-error"] == "message.client_not_authenticated"
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        over_https(other)
    assert over_https(own).status == 200


def test_a_certificate_that_was_replaced_counts_no_more(
    over_https: Connect, registered: Callable[..., None], tmp_path: Path
) -> None:
    old, new = make_certificate(tmp_path, "cu"), make_certificate(tmp_path, "moi")
    registered("mtls", old)
    assert over_https(old).status == 200
    registered("mtls", new)
    assert over_https(new).status == 200
    assert over_https(old).headers["lienthong-error"] == "message.client_not_authenticated"


def test_mtls_without_a_certificate_is_refused_by_the_command(unusual: Pair) -> None:
    state = str(unusual.consumer.state)
    done = attempt("client", "add", state, "--subsystem", "motcua", "--connection", "mtls")
    assert done.returncode != 0
    assert "certificates" in done.stderr
    assert over_http(unusual).status == 200


def test_a_system_that_is_removed_may_not_call(
    unusual: Pair, registered: Callable[..., None]
) -> None:
    unusual.consumer.command("client", "remove", "--subsystem", "motcua")
    assert over_http(unusual).headers["lienthong-error"] == "message.unknown_client"
    registered("http")
    assert over_http(unusual).status == 200


def test_errors_are_spelled_as_x_road_7_8_spells_them_when_so_set(unusual: Pair) -> None:
    def type_of(service: str, body: object = None) -> str:
        answer = unusual.consumer.call("POST", service, "/records:lookup", body)
        assert answer.json["type"] == answer.headers["x-road-error"]
        return str(answer.json["type"])

    assert type_of("VN-TEST/GOV/G99/x/y") == "server.clientproxy.unknown_member"
    refused = type_of(unusual.citizens, {"keys": [FATHER], "fields": ["thu_nhap"]})
    assert refused == "server.serverproxy.access_denied"
