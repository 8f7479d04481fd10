"""Who has lost the directory's trust is refused within one refresh, on open connections too."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from lienthong.directory.onboarding import approve
from lienthong.directory.records import Subsystem
from lienthong.directory.repository import Repository
from lienthong.directory.request import make_request
from lienthong.exchange.wire import MESSAGE_PATH
from lienthong.identity.certificates import Authority
from lienthong.identity.identifiers import NodeId
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder
from tests.fixtures.federation import INSTANCE, Federation, TestNode, run
from tests.fixtures.hostile_peer import HostilePeer, Reply

# What runs out in tests does so after this time. They first have to connect: where a busy machine
# takes longer for that, they try once more with what lasts longer.
ENDS_AFTER = {
    ("G68", "G69", "G70"): timedelta(seconds=24),
    ("G71", "G72", "G73"): timedelta(seconds=120),
}
CODES = ("G61", "G62", "G63", "G64", "G65")
REFRESHED_WITHIN_SECONDS = 180.0  # nodes refresh every second; slow machines take their time


class Trusting:
    """One running provider and some members that talk to it with real keys."""

    def __init__(self, folder: Path, federation: Federation) -> None:
        self.folder = folder
        self.federation = federation
        self.provider = federation.node("G01", subsystem="dancu")
        self.members: dict[str, TestNode] = {}

    def start(self) -> None:
        self.federation.start()
        running = [self.provider]
        self.members = {code: self.federation.node(code, subsystem="ke") for code in CODES}
        self.federation.nodes[:] = running  # only these have processes
        self.wait(lambda: self.version() == directory_version(self.federation))

    def version(self) -> int:
        return int(call(self.provider.state, "GET", "/status")["directory"]["version"])

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + REFRESHED_WITHIN_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def revoke(self, *words: str) -> None:
        """Revoke something and wait until the provider's node has the new directory."""
        directory = str(self.federation.directory)
        done = run("directory", "revoke", directory, *words, "--reason", "thử", "--json")
        self.wait(lambda: self.version() >= int(json.loads(done)["version"]))

    def ask(self, peer: HostilePeer) -> Reply:
        return peer.ask(peer.request(self.provider.service_id("dem")))


def directory_version(federation: Federation) -> int:
    shown = json.loads(run("directory", "show", str(federation.directory), "--json"))
    return int(shown["version"])


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    folder = tmp_path_factory.mktemp("f")
    with Federation(folder) as federation:
        built = Trusting(folder, federation)
        built.start()
        yield built


def authentic(reply: Reply) -> bool:
    """A signed refusal: who asks is known and may not ask this."""
    return reply.status == 200 and reply.message.outcome == "refused"


def is_cut(peer: HostilePeer, trusting: Trusting) -> bool:
    """Whether the node has closed the connection that this peer holds open."""
    try:
        trusting.ask(peer)
    except (OSError, http.client.HTTPException):
        return True
    return False


def peer_of(trusting: Trusting, code: str) -> HostilePeer:
    return HostilePeer(trusting.members[code], trusting.provider)


def test_a_revoked_certificate_is_refused_and_its_open_connection_is_cut(
    trusting: Trusting,
) -> None:
    with peer_of(trusting, "G61") as peer:
        assert authentic(trusting.ask(peer))
        der = ssl.PEM_cert_to_DER_cert(peer.certificate.read_text())
        trusting.revoke("--certificate", sha256(der).hexdigest())
        assert is_cut(peer, trusting)
        assert trusting.ask(peer).fault == "directory.certificate_not_accepted"


def test_a_revoked_node_is_refused_and_its_open_connection_is_cut(trusting: Trusting) -> None:
    with peer_of(trusting, "G62") as peer:
        assert authentic(trusting.ask(peer))
        trusting.revoke("--node", peer.identity.node)
        assert is_cut(peer, trusting)
        assert trusting.ask(peer).fault == "directory.certificate_not_accepted"


def test_a_revoked_member_is_refused_and_its_open_connection_is_cut(trusting: Trusting) -> None:
    with peer_of(trusting, "G63") as peer:
        assert authentic(trusting.ask(peer))
        trusting.revoke("--member", trusting.members["G63"].member_id)
        assert is_cut(peer, trusting)
        assert trusting.ask(peer).fault == "directory.certificate_not_accepted"


def test_a_revoked_signing_key_is_refused_even_with_a_head_dated_back(trusting: Trusting) -> None:
    with peer_of(trusting, "G64") as peer:
        assert authentic(trusting.ask(peer))
        trusting.revoke("--key", peer.key.public.key_id)
        assert trusting.ask(peer).fault == "directory.key_revoked"
        for back in (timedelta(minutes=2), timedelta(minutes=30)):
            request = peer.request(trusting.provider.service_id("dem"))
            wire = peer.sign(request, time=datetime.now(UTC) - back)
            assert peer.ask(wire).fault in {
                "directory.key_revoked",
                "directory.key_not_valid",
                "message.expired",
            }


def test_a_revoked_delegation_is_refused(trusting: Trusting) -> None:
    with peer_of(trusting, "G65") as peer:
        assert authentic(trusting.ask(peer))
        trusting.revoke("--member", trusting.members["G65"].member_id, "--node", peer.identity.node)
        assert trusting.ask(peer).fault == "directory.not_delegated"


def test_an_expired_delegation_is_refused(trusting: Trusting) -> None:
    federation = trusting.federation
    node = federation.unapproved_node("G67", subsystem="ke")
    state = StateFolder(node.state)
    identity = state.read_identity()
    request = make_request(
        NodeId(*identity.node.split("/")),
        PrivateKey.load(state.member_key(node.member_id)),
        PrivateKey.load(state.signing_key),
        PrivateKey.load(state.tls_key),
        addresses=identity.addresses,
        member_name=identity.owner.name,
        node_name=identity.name,
        subsystems=[Subsystem("ke", "Hệ thống ke")],
        now=datetime.now(UTC) - timedelta(seconds=1),
        delegation_days=0,
    )
    state.request.write_bytes(request)
    run("directory", "approve", str(federation.directory), str(state.request))
    trusting.wait(lambda: trusting.version() == directory_version(federation))
    with HostilePeer(node, trusting.provider) as peer:
        assert trusting.ask(peer).fault == "directory.not_delegated"


def test_a_certificate_that_no_authority_issued_does_not_even_connect(trusting: Trusting) -> None:
    key = PrivateKey.generate(Algorithm.P256)
    key.save(trusting.folder / "tu-lam.pem")
    node = f"{trusting.provider.member_id}/n1"
    now = datetime.now(UTC)
    own = Authority.create(INSTANCE, 9, now)
    pem = own.issue(key.public, node, ["127.0.0.1"], 9, now)
    (trusting.folder / "tu-lam.crt").write_text(pem)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        greet(trusting.provider, trusting.folder / "tu-lam.crt", trusting.folder / "tu-lam.pem")


def test_nobody_without_a_certificate_is_heard(trusting: Trusting) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        greet(trusting.provider, None, None)
    connection = http.client.HTTPConnection("127.0.0.1", trusting.provider.peer_port, timeout=60)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.request("GET", "/lienthong/1/head")
        connection.getresponse()


def greet(node: TestNode, certificate: Path | None, key: Path | None) -> int:
    context = HostilePeer.tls(certificate, key)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", node.peer_port, timeout=60, context=context
    )
    try:
        connection.request("POST", MESSAGE_PATH, b"")
        return connection.getresponse().status
    finally:
        connection.close()


def request_of(node: TestNode, signing_key: PrivateKey, now: datetime) -> bytes:
    """The next request of a node that does not run, as if made at ``now``."""
    state = StateFolder(node.state)
    identity = state.read_identity()
    content = make_request(
        NodeId(*identity.node.split("/")),
        PrivateKey.load(state.member_key(node.member_id)),
        signing_key,
        PrivateKey.load(state.tls_key),
        addresses=identity.addresses,
        member_name=identity.owner.name,
        node_name=identity.name,
        subsystems=[Subsystem("ke", "Hệ thống ke")],
        now=now,
        previous=state.request.read_bytes() if state.request.exists() else None,
    )
    state.request.write_bytes(content)
    return content


@dataclass(frozen=True)
class Ending:
    """Open connections that were heard a moment ago, and what runs out on each soon."""

    key: HostilePeer
    certificate: HostilePeer
    idle: HostilePeer


@pytest.fixture(scope="module")
def ending(trusting: Trusting) -> Iterator[Ending]:
    """All three run out at about the same time, so that it is waited for once."""
    for codes, ends_after in ENDS_AFTER.items():
        with ExitStack() as stack:
            peers = [
                stack.enter_context(each) for each in ending_peers(trusting, codes, ends_after)
            ]
            if all(is_heard(peer, trusting) for peer in peers):
                yield Ending(*peers)
                return
    raise AssertionError("nobody was heard in time")


def ending_peers(
    trusting: Trusting, codes: tuple[str, ...], ends_after: timedelta
) -> list[HostilePeer]:
    nodes = [trusting.federation.unapproved_node(code, subsystem="ke") for code in codes]
    key, *certified = nodes
    let_signing_key_end(trusting, key, ends_after)
    repository = Repository.open(trusting.federation.directory)
    for node in certified:
        request, days = StateFolder(node.state).request.read_bytes(), ends_after / timedelta(days=1)
        approve(repository, request, days=days)  # type: ignore[arg-type]
    trusting.wait(lambda: trusting.version() == directory_version(trusting.federation))
    return [HostilePeer(node, trusting.provider) for node in nodes]


def is_heard(peer: HostilePeer, trusting: Trusting) -> bool:
    """Whether this peer still counts."""
    try:
        return authentic(trusting.ask(peer))
    except (OSError, http.client.HTTPException):
        return False


def let_signing_key_end(trusting: Trusting, node: TestNode, ends_after: timedelta) -> None:
    """The node has another key since a while; the overlap in which this one counts is over soon."""
    state = StateFolder(node.state)
    former = PrivateKey.load(state.signing_key)
    state.request.unlink()
    overlap = timedelta(days=7)  # in which a former key still counts
    now = datetime.now(UTC)
    for key, moment in (
        (former, now - overlap - timedelta(days=1)),
        (PrivateKey.generate(), now - overlap + ends_after),
    ):
        request_of(node, key, moment)
        run("directory", "approve", str(trusting.federation.directory), str(state.request))


def test_a_signing_key_whose_time_ends_is_refused_on_an_open_connection(
    trusting: Trusting, ending: Ending
) -> None:
    trusting.wait(lambda: trusting.ask(ending.key).fault == "directory.key_not_valid")


def test_a_certificate_whose_time_ends_is_refused_and_its_open_connection_is_cut(
    trusting: Trusting, ending: Ending
) -> None:
    trusting.wait(lambda: is_cut(ending.certificate, trusting))


def test_an_idle_connection_is_cut_when_its_certificate_ends(ending: Ending) -> None:
    opened = ending.idle._connection
    assert opened is not None
    opened.sock.settimeout(REFRESHED_WITHIN_SECONDS)
    with suppress(ConnectionError, ssl.SSLError):  # how a cut looks from here
        assert opened.sock.recv(1) == b""  # not a word is sent: the node ends it by itself
