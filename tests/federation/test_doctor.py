"""``lienthong doctor``: each check is seen to pass, and to fail for the real thing."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lienthong.identity.keys import PrivateKey
from lienthong.ledger.database import connect_database, open_database
from lienthong.node.doctor import peers, ports, services, storage, trust
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Finding
from lienthong.node.state import StateFolder
from lienthong.settings import Settings
from lienthong.transport.client import Address
from tests.federation.conftest import FIELDS, Pair, make_pair
from tests.fixtures.federation import TestNode, attempt, eventually
from tests.fixtures.recording_service import RecordingService

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass(frozen=True)
class Clinic:
    """A pair of its own, whose nodes the tests stop and break."""

    pair: Pair

    @property
    def node(self) -> TestNode:
        return self.pair.consumer

    @property
    def other(self) -> TestNode:
        return self.pair.provider

    @property
    def other_id(self) -> str:
        return f"{self.other.member_id}/n1"

    @property
    def context(self) -> Context:
        return Context.of(StateFolder(self.node.state), {})

    def peer(self) -> dict[str, Finding]:
        context = self.context
        assert context.view is not None
        return by_check(peers.peer(context, context.view, self.other_id))


def by_check(findings: Any) -> dict[str, Finding]:
    return {each.check: each for each in findings}


def states(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: each.state.value for name, each in findings.items()}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with RecordingService() as service:
        pair = make_pair(tmp_path_factory.mktemp("f"), service, {}, {})
        with pair.federation:
            assert pair.consumer.call("GET", pair.relay, "/x").status == 200
            yield Clinic(pair)


@contextmanager
def stopped(node: TestNode) -> Iterator[None]:
    node.stop()
    try:
        yield
    finally:
        node.run()
        node.wait()


def doctor(node: TestNode, *options: str, **environment: str) -> tuple[int, dict[str, Any]]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        done = attempt("doctor", str(node.state), "--json", *options)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, json.loads(done.stdout)


def of(found: dict[str, Any], check: str) -> set[str]:
    return {each["state"] for each in found["findings"] if each["check"] == check}


def test_a_node_that_works_is_told_so(clinic: Clinic) -> None:
    def looks_well() -> bool:
        nonlocal code, found, wrong
        code, found = doctor(clinic.other)
        wrong = [each for each in found["findings"] if each["state"] != "ok"]
        # What depends on this machine and not on the node may be scarce here.
        return {each["check"] for each in wrong} <= {"process.files", "disk.space"}

    code, found, wrong = -1, dict[str, Any](), list[Any]()
    # It waits four seconds for a peer; on a busy machine one may take longer, and is asked again.
    assert eventually(looks_well), wrong
    assert code == (1 if wrong else 0)
    looked = {each["check"] for each in found["findings"]}
    assert looked >= {
        *("node.process", "ports", "disk.space", "disk.inodes", "process.files", "keys.files"),
        *("log.file", "directory.fresh", "directory.own", "directory.reach", "keys.signing"),
        *("keys.expiry", "database", "database.schema", "database.write", "ledger"),
        *("ledger.witnesses", "services.source", "agreements", "clock"),
        *("peer.tcp", "peer.certificate", "peer.accepts"),
    }
    assert all(each["found"]["vi"] and each["found"]["en"] for each in found["findings"])


# --- peers ---------------------------------------------------------------------------------


def test_a_peer_is_reached_step_by_step(clinic: Clinic) -> None:
    assert eventually(lambda: set(states(clinic.peer()).values()) == {"ok"})


def test_a_firewall_that_drops_is_told_from_a_port_that_refuses() -> None:
    with socket.socket() as mute:  # a full queue: the kernel drops what asks to connect
        mute.bind(("127.0.0.1", 0))
        mute.listen(0)
        address = Address("127.0.0.1", mute.getsockname()[1], True)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(mute.getsockname())
        found = peers._tcp("n", address)
        for each in waiting:
            each.close()
    assert found.state == "failed"
    assert "mute" in found.found.en


def test_a_name_without_an_address_is_told() -> None:
    address = Address("khong-co.invalid", 5500, True)
    assert peers._dns("n", address).state == "failed"
    assert peers._dns("n", Address("localhost", 5500, True)).state == "ok"


@contextmanager
def impostor(clinic: Clinic, certificate: Path | None) -> Iterator[None]:
    """Something else on the stopped node's port: TLS with that certificate, or no TLS at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        context.load_cert_chain(certificate, certificate)
    with socket.create_server(("127.0.0.1", clinic.other.peer_port)) as port:
        port.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:  # other nodes come by, too
            while not over.is_set():
                try:
                    plain, _ = port.accept()
                    plain.settimeout(10)
                    if certificate is None:
                        plain.sendall(b"SSH-2.0-x\r\n")
                    else:
                        context.wrap_socket(plain, server_side=True).recv(1)
                    plain.close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        over.set()
        thread.join()


def make_certificate(made: Path) -> None:
    """A self-made certificate and its key, in one file."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", "/CN=tu-lam", "-keyout", str(made)),
            *("-out", f"{made}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())


@pytest.fixture(scope="class")
def without_the_other(clinic: Clinic) -> Iterator[None]:
    """Its peer stopped, once for the tests that look at that."""
    with stopped(clinic.other):
        yield


@pytest.mark.usefixtures("without_the_other")
class TestWhileAPeerIsStopped:
    def test_what_is_wrong_says_what_to_do_in_both_languages_and_as_a_table(
        self, clinic: Clinic
    ) -> None:
        code, found = doctor(clinic.node)
        shown = attempt("doctor", str(clinic.node.state), "--problems")
        assert code == shown.returncode == 2
        wrong = [each for each in found["findings"] if each["state"] != "ok"]
        assert all(each["remedy"]["vi"] and each["remedy"]["en"] for each in wrong)
        assert "✗" in shown.stdout and "✓" not in shown.stdout.splitlines()[3]

    def test_a_stopped_peer_refuses_and_nothing_is_said_of_what_lies_behind(
        self, clinic: Clinic
    ) -> None:
        found = clinic.peer()
        assert states(found) == {"peer.tcp": "failed"}
        assert "refuses" in found["peer.tcp"].found.en

    def test_a_certificate_that_the_directory_does_not_list_is_told(
        self, clinic: Clinic, tmp_path: Path
    ) -> None:
        made = tmp_path / "self.pem"
        make_certificate(made)
        with impostor(clinic, made):
            found = clinic.peer()
        assert found["peer.certificate"].state == "failed"
        assert "tu-lam" in found["peer.certificate"].found.en  # it says what was shown

    def test_a_port_without_tls_is_told(self, clinic: Clinic) -> None:
        with impostor(clinic, None):
            found = clinic.peer()
        assert found["peer.tls"].state == "failed"


# --- clocks and dates ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moved", "clock", "fresh"), [("+600s", "failed", "ok"), ("+900d", "failed", "failed")]
)
def test_a_moved_clock_is_told_against_peers_and_directory(
    clinic: Clinic, moved: str, clock: str, fresh: str
) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is missing: apt-get install libfaketime")
    code, found = doctor(clinic.node, LD_PRELOAD=str(FAKETIME), FAKETIME=moved)
    assert code == 2
    assert of(found, "clock") == {clock}
    assert of(found, "directory.fresh") == {fresh}
    if fresh == "failed":
        assert "failed" in of(found, "keys.expiry")


# --- trust ---------------------------------------------------------------------------------


def test_a_directory_that_is_away_is_told(clinic: Clinic) -> None:
    context = clinic.context
    url = context.settings.directory_url
    assert states(by_check(trust.directory_reach(context, url)))["directory.reach"] == "ok"
    clinic.pair.federation.stop_directory()
    try:
        assert states(by_check(trust.directory_reach(context, url))) == {
            "directory.reach": "failed"
        }
    finally:
        clinic.pair.federation.serve_directory()


def test_a_key_that_the_directory_does_not_name_is_told(clinic: Clinic, tmp_path: Path) -> None:
    context = clinic.context
    assert states(by_check(trust.signing_key(context)))["keys.signing"] == "ok"
    key = context.state.signing_key
    kept = key.read_bytes()
    try:
        key.unlink()
        PrivateKey.generate().save(key)
        assert states(by_check(trust.signing_key(context)))["keys.signing"] == "failed"
        key.write_text("not a key")
        assert states(by_check(trust.signing_key(context)))["keys.signing"] == "failed"
    finally:
        key.write_bytes(kept)


def test_a_node_without_a_copy_of_the_directory_is_told(clinic: Clinic, tmp_path: Path) -> None:
    node = clinic.pair.federation.unapproved_node("H99", "moi")
    context = Context.of(StateFolder(node.state), {})
    assert states(by_check(trust.directory_copy(context))) == {"directory.fresh": "failed"}
    assert states(by_check(storage.database(context))) == {"database": "warning"}
    code, found = doctor(node)
    assert code == 2
    assert of(found, "node.process") == {"warning"}


# --- ports ---------------------------------------------------------------------------------


def test_ports_of_a_running_and_of_a_stopped_node(clinic: Clinic) -> None:
    listen = clinic.context.settings.peer_listen
    assert ports.port(clinic.context, "peer_listen", listen).__next__().state == "ok"
    free = next(ports.port(clinic.context, "peer_listen", "127.0.0.1:1"))
    assert free.state == "failed"  # the node runs, and nobody is there
    idle = replace(clinic.context, process=None)
    assert next(ports.port(idle, "peer_listen", listen)).state == "failed"  # somebody has it
    assert next(ports.port(idle, "peer_listen", "127.0.0.1:0")).state == "ok"
    assert next(ports.process(idle)).state == "warning"


# --- database and ledger -------------------------------------------------------------------


def with_database(context: Context, url: str) -> Context:
    return replace(context, settings=Settings({**context.settings.values, "database": url}))


def test_a_database_that_cannot_be_written_is_told(clinic: Clinic, postgresql_url: str) -> None:
    context = with_database(clinic.context, postgresql_url)
    open_database(postgresql_url).dispose()
    assert states(by_check(storage.database(context)))["database.write"] == "ok"
    engine = connect_database(postgresql_url)
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    engine.dispose()
    assert states(by_check(storage.database(context)))["database.write"] == "failed"


def test_a_database_that_is_away_or_of_a_newer_program_is_told(
    clinic: Clinic, postgresql_url: str
) -> None:
    away = with_database(clinic.context, "postgresql://nobody@127.0.0.1:1/x")
    assert states(by_check(storage.database(away))) == {"database": "failed"}
    open_database(postgresql_url).dispose()
    engine = connect_database(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE lienthong_schema SET version_num = '9999'"))
    engine.dispose()
    newer = by_check(storage.database(with_database(clinic.context, postgresql_url)))
    assert newer["database.schema"].state == "failed"


def test_a_ledger_that_was_written_over_is_told(clinic: Clinic) -> None:
    assert states(by_check(storage.database(clinic.context)))["ledger"] == "ok"
    with stopped(clinic.node):
        engine = connect_database(clinic.context.database)
        last = "SELECT max(place) FROM ledger_groups"
        with engine.begin() as connection:
            kept = connection.execute(
                text(f"SELECT root FROM ledger_groups WHERE place = ({last})")
            ).scalar()
            overwrite = f"UPDATE ledger_groups SET root = :root WHERE place = ({last})"
            connection.execute(text(overwrite), {"root": bytes(32)})
        assert states(by_check(storage.database(clinic.context)))["ledger"] == "failed"
        with engine.begin() as connection:
            connection.execute(text(overwrite), {"root": kept})
        engine.dispose()
    assert states(by_check(storage.database(clinic.context)))["ledger"] == "ok"


# --- services and agreements ---------------------------------------------------------------


def test_sources_that_are_away_are_told(clinic: Clinic) -> None:
    context = Context.of(StateFolder(clinic.other.state), {})
    found = {each.subject: each.look for each in services.checks(context)}
    for name in (clinic.pair.citizens, clinic.pair.relay):
        assert states(by_check(found[name]())) == {"services.source": "ok"}
    database = Path(clinic.pair.source.removeprefix("sqlite:///"))
    database.rename(database.with_suffix(".away"))
    try:
        assert states(by_check(found[clinic.pair.citizens]())) == {"services.source": "failed"}
    finally:
        database.with_suffix(".away").rename(database)
    clinic.other.command(
        *("service", "add", "--subsystem", "dancu", "--code", "hong"),
        *("--relay", "http://127.0.0.1:9/x"),
    )
    gone = {each.subject: each.look for each in services.checks(context)}
    assert states(by_check(gone[clinic.other.service_id("hong")]())) == {
        "services.source": "failed"
    }
    clinic.other.command("service", "remove", "--subsystem", "dancu", "--code", "hong")


def test_an_agreement_that_is_about_to_end_is_told(clinic: Clinic) -> None:
    def look() -> Finding:
        found = {each.name: each.look for each in services.checks(clinic.context)}
        return next(iter(found["agreements"]()))

    assert look().state == "ok"
    until = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    proposed = clinic.node.command(
        *("agreement", "propose", "--consumer", clinic.node.client_id),
        *("--service", clinic.pair.citizens, "--purpose", "p3", "--fields", FIELDS),
        *("--legal-basis", "x", "--from", "2026-01-01", "--until", until, "--json"),
    )
    clinic.other.command("agreement", "accept", json.loads(proposed)["id"])
    assert look().state == "warning"


def test_the_command_says_which_state_folder_is_none() -> None:
    done = attempt("doctor", "/nonexistent")
    assert done.returncode == 13
