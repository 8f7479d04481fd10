"""TLS between nodes: both certificates are seen, and strangers are refused."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lienthong.errors import (
    ClosedAfterHandshake,
    TlsConfigurationInvalid,
    TlsFailed,
    TransportError,
)
from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.limits import MIB, Limits
from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.tls import client_context, server_context
from tests.fixtures.transport_talk import HOST, echo, post, read_response, run, serving


class Party:
    """A key with its own self-signed certificate, in files."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.certificate.write_text(self.pem)
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


@pytest.fixture
def provider(tmp_path: Path) -> Party:
    return Party(tmp_path, "provider")


@pytest.fixture
def consumer(tmp_path: Path) -> Party:
    return Party(tmp_path, "consumer")


def node_server(provider: Party, trusted: Party) -> ssl.SSLContext:
    return server_context(provider.certificate, provider.key, trusted.pem, True)


def call(
    server: ssl.SSLContext, client: ssl.SSLContext, seen: list[Request], times: int = 1
) -> Response:
    async def handler(request: Request) -> Response:
        seen.append(request)
        return await echo(request)

    async def main() -> Response:
        async with serving(handler, tls=server) as running:
            pool = ConnectionPool(lambda: client)
            address = Address(HOST, running.port, tls=True)
            request = Request("POST", "/", [], Body.of(b"hello"))
            for _ in range(times):
                response = await pool.send(address, request, timeout_seconds=10)
            assert len(pool.connections) == 1
            pool.close()
            return response

    return run(main())


def test_each_side_sees_the_other_sides_certificate(provider: Party, consumer: Party) -> None:
    seen: list[Request] = []
    client = client_context(consumer.certificate, consumer.key, provider.pem)
    response = call(node_server(provider, consumer), client, seen, times=3)
    assert response.body.read() == b"hello"
    assert response.connection is not None
    assert response.connection.peer_certificate == provider.der
    assert response.connection.secure
    assert seen[0].connection.peer_certificate == consumer.der
    assert seen[0].connection is seen[2].connection


def test_refuses_a_client_without_a_certificate(provider: Party, consumer: Party) -> None:
    seen: list[Request] = []
    with pytest.raises((TlsFailed, ClosedAfterHandshake)):
        call(node_server(provider, consumer), client_context(authorities_pem=provider.pem), seen)
    assert seen == []


def test_refuses_a_client_of_an_unknown_authority(
    provider: Party, consumer: Party, tmp_path: Path
) -> None:
    stranger, seen = Party(tmp_path, "stranger"), list[Request]()
    client = client_context(stranger.certificate, stranger.key, provider.pem)
    with pytest.raises((TlsFailed, ClosedAfterHandshake)):
        call(node_server(provider, consumer), client, seen)
    assert seen == []


def test_refuses_a_server_of_an_unknown_authority(provider: Party, consumer: Party) -> None:
    seen: list[Request] = []
    client = client_context(consumer.certificate, consumer.key, consumer.pem)
    with pytest.raises(TlsFailed) as caught:
        call(node_server(provider, consumer), client, seen)
    assert "self-signed" in str(caught.value) or "self signed" in str(caught.value)
    assert seen == []


def test_checks_the_host_name_only_where_asked_to(provider: Party, consumer: Party) -> None:
    client = client_context(consumer.certificate, consumer.key, provider.pem, check_hostname=True)
    with pytest.raises(TlsFailed):
        call(node_server(provider, consumer), client, [])


def test_refuses_versions_before_tls_1_2(provider: Party, consumer: Party) -> None:
    client = client_context(consumer.certificate, consumer.key, provider.pem)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(TransportError):
        call(node_server(provider, consumer), client, [])


def test_speaks_tls_1_3_and_offers_http_1_1_only(provider: Party, consumer: Party) -> None:
    server = node_server(provider, consumer)
    client = client_context(consumer.certificate, consumer.key, provider.pem)
    found: list[object] = []

    async def main() -> None:
        async with serving(tls=server) as running:
            _, writer = await asyncio.open_connection(
                HOST, running.port, ssl=client, server_hostname="provider"
            )
            tls = writer.get_extra_info("ssl_object")
            found.extend([tls.version(), tls.selected_alpn_protocol(), tls.compression()])
            writer.close()

    run(main())
    assert found == ["TLSv1.3", "http/1.1", None]


def test_says_so_when_http_is_spoken_to_a_tls_port_and_the_reverse(
    provider: Party, consumer: Party
) -> None:
    client = client_context(consumer.certificate, consumer.key, provider.pem)

    async def main() -> None:
        pool = ConnectionPool(lambda: client)
        request = Request("GET", "/")
        async with serving() as plain:
            with pytest.raises(TlsFailed):
                await pool.send(Address(HOST, plain.port, True), request, timeout_seconds=5)
        async with serving(tls=node_server(provider, consumer)) as secure:
            with pytest.raises(TransportError):
                await pool.send(Address(HOST, secure.port, False), request, timeout_seconds=5)
        pool.close()

    run(main())


def test_drops_clients_that_never_finish_the_handshake(provider: Party, consumer: Party) -> None:
    async def main() -> bytes:
        limits = Limits(handshake_seconds=0.1)
        async with serving(tls=node_server(provider, consumer), limits=limits) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            data = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            return data

    assert run(main()) == b""


def test_large_bodies_pass_over_tls(provider: Party, consumer: Party, tmp_path: Path) -> None:
    content = bytes(range(256)) * 32 * 1024
    client = client_context(consumer.certificate, consumer.key, provider.pem)
    spool = tmp_path / "spool"
    spool.mkdir()

    async def main() -> None:
        async with serving(tls=node_server(provider, consumer), spool_folder=spool) as server:
            pool = ConnectionPool(lambda: client, spool_folder=spool)
            address = Address(HOST, server.port, tls=True)
            for _ in range(2):
                request = Request("POST", "/", [], Body.of(content))
                response = await pool.send(address, request, timeout_seconds=30)
                assert response.body.size == 8 * MIB
                assert b"".join(response.body.chunks()) == content
                response.body.discard()
            pool.close()

    run(main())
    assert list(spool.iterdir()) == []


def test_names_the_file_that_cannot_be_used(provider: Party, consumer: Party) -> None:
    with pytest.raises(TlsConfigurationInvalid):
        server_context(provider.certificate, provider.key.with_name("none"))
    with pytest.raises(TlsConfigurationInvalid):
        server_context(provider.certificate, consumer.key)
    with pytest.raises(TlsConfigurationInvalid):
        client_context(authorities_pem="not a certificate")


def test_never_asks_on_the_terminal_for_the_password_of_a_key(
    provider: Party, tmp_path: Path
) -> None:
    key = serialization.load_pem_private_key(provider.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsConfigurationInvalid):
        server_context(provider.certificate, locked)


def test_a_connection_with_tls_is_not_left_to_the_next_process(provider: Party) -> None:
    async def main() -> None:
        left: list[socket.socket] = []
        async with serving(tls=server_context(provider.certificate, provider.key)) as server:
            trusting = client_context()
            trusting.verify_mode = ssl.CERT_NONE
            reader, writer = await asyncio.open_connection(HOST, server.port, ssl=trusting)
            writer.write(post(b"", b""))
            await read_response(reader)
            await server.drain(10, 0.0, left.extend)
            assert await reader.read() == b""
            writer.close()
        assert left == []

    run(main())
