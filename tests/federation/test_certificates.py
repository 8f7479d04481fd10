"""A certificate of a real authority, brought while the node runs."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from lienthong.identity.certificates import Authority, request_key
from tests.fixtures.federation import INSTANCE, Federation, TestNode, eventually, run
from tests.fixtures.ports import free_ports


def new_certificate(node: TestNode, authority: Authority) -> str:
    """What an authority makes of the certificate request in ``request.json``."""
    request = json.loads((node.state / "request.json").read_bytes())
    key = request_key(request["certificate_request"])
    name = f"{node.member_id}/n1"
    return authority.issue(key, name, ["127.0.0.1"], 900, datetime.now(UTC))


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=60)


def test_all_ports_show_the_certificate_of_a_new_authority_without_a_restart(
    tmp_path: Path,
) -> None:
    https = free_ports(1)[0]
    authority = Authority.create(INSTANCE, 900, datetime.now(UTC))
    (tmp_path / "authority.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    with Federation(tmp_path) as federation:
        node = federation.node("G01", "dancu", client_https_listen=f"127.0.0.1:{https}")
        federation.start()
        before = shown(https)
        pem = new_certificate(node, authority)
        (tmp_path / "chain.pem").write_text(pem, encoding="ascii")
        run("directory", "authority", "add", str(federation.directory), f"{tmp_path}/authority.pem")
        node.command("node", "request", "--certificate", str(tmp_path / "chain.pem"))
        run("directory", "approve", str(federation.directory), str(node.state / "request.json"))
        assert before.strip() != pem.strip()
        assert eventually(lambda: shown(https).strip() == pem.strip())
        assert eventually(lambda: shown(node.peer_port).strip() == pem.strip())
