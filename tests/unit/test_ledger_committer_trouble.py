"""Group commit on disks and databases that fail: refused, or known to be in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event as listen_to
from sqlalchemy import text

from lienthong.errors import LedgerUnavailable
from lienthong.ledger.committer import EXIT_WRITE_IN_DOUBT
from lienthong.ledger.records import Entry, Step
from lienthong.ledger.rows import WriteInDoubt
from lienthong.ledger.store import LedgerStore
from tests.fixtures.ledgers import LedgerNode, check, event, request_of, request_sent


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerNode:
    """A node's ledger on each kind of database."""
    if request.param == "sqlite":
        return LedgerNode.at(tmp_path)
    return LedgerNode(request.getfixturevalue("postgresql_url"))


# --- failures -----------------------------------------------------------------------------


def refused_and_unchanged(node: LedgerNode, entries: list[Entry], bodies: list[bytes]) -> None:
    size = node.store.size(0)
    with pytest.raises(LedgerUnavailable):
        node.record(entries, bodies)
    assert node.store.size(0) == size
    assert node.doubts == []


def test_a_full_database_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    node.record([event()])
    limit = [0]

    @listen_to.listens_for(node.engine, "checkout")
    def limit_pages(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0] or 1 << 30}")  # type: ignore[attr-defined]

    with node.engine.connect() as connection:
        limit[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 2
    node.store.close()
    body = bytes(200_000)
    refused_and_unchanged(node, [request_sent(request_of(body))], [body])
    limit[0] = 0
    node.store.close()
    node.record([request_sent(request_of(body))], [body])
    assert check(node) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; an ordinary user cannot make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        # The same limit by another means: a size limit on the files of this process.
        import resource
        import signal

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
        yield folder
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        return
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    node = LedgerNode.at(small_disk)
    acknowledged = 0
    with pytest.raises(LedgerUnavailable):
        for number in range(200):
            body = number.to_bytes(4, "big") * 5000
            node.record([request_sent(request_of(body))], [body])
            acknowledged += 1
    assert 0 < acknowledged < 200
    assert node.doubts == []
    assert node.store.size(0) == acknowledged
    reopened = LedgerNode(node.url, key=node.key)
    assert check(reopened) == acknowledged


def test_a_database_that_is_away_refuses_and_comes_back(postgresql_url: str) -> None:
    node = LedgerNode(postgresql_url)
    node.record([event(1)])
    with node.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_groups RENAME TO away"))
        connection.execute(text("ALTER TABLE ledger_epochs RENAME TO away_too"))
    with pytest.raises(LedgerUnavailable):
        node.store.size(0)
    with node.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO ledger_groups"))
        connection.execute(text("ALTER TABLE away_too RENAME TO ledger_epochs"))
    node.record([event(2)])
    assert check(node) == 2


def test_a_session_that_the_server_ended_is_opened_anew(postgresql_url: str) -> None:
    node = LedgerNode(postgresql_url)

    async def run() -> None:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())
        await committer.record(event(1))
        with node.engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )
        with pytest.raises(LedgerUnavailable):
            await committer.record(event(2))
        await committer.record(event(3))
        await committer.close()

    asyncio.run(run())
    assert check(node) == 2


class FailingDisk(LedgerStore):
    """The store of a disk whose sync fails: nobody knows what it holds."""

    def append(self, step: Step) -> None:
        super().append(step)
        raise WriteInDoubt("disk I/O error")


def test_a_write_in_doubt_is_reported_before_anybody_gets_an_answer(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    node.store = FailingDisk(node.engine)
    with pytest.raises(LedgerUnavailable):
        node.record([event()])
    assert [str(doubt) for doubt in node.doubts] == ["disk I/O error"]


def test_a_write_in_doubt_ends_the_process(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from tests.unit.test_ledger_committer_trouble import FailingDisk
from tests.fixtures.ledgers import LedgerNode, event
from lienthong.ledger.committer import Committer

node = LedgerNode(sys.argv[1])
node.store = FailingDisk(node.engine)

async def run():
    committer = Committer(node.store, node.name, node.key, node.clock, lambda: 1)
    committer.start(asyncio.get_running_loop())
    await committer.record(event())
    print("answered")

asyncio.run(run())
"""
    url = f"sqlite:///{tmp_path}/node.db"
    done = subprocess.run(
        [sys.executable, "-c", program, url],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == EXIT_WRITE_IN_DOUBT
    assert "answered" not in done.stdout


# --- a commit whose reply was lost ---------------------------------------------------------


class CuttingProxy:
    """Passes bytes on to PostgreSQL; cuts the connection once COMMIT was sent, before its reply."""

    def __init__(self, host: str, port: int, *, pass_commit_on: bool) -> None:
        import socket

        self._target = (host, port)
        self._pass_commit_on = pass_commit_on
        self.armed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        import socket

        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            outer = socket.create_connection(self._target)
            threading.Thread(target=self._up, args=(inner, outer), daemon=True).start()
            threading.Thread(target=self._down, args=(outer, inner), daemon=True).start()

    def _up(self, inner: object, outer: object) -> None:
        import socket

        assert isinstance(inner, socket.socket)
        assert isinstance(outer, socket.socket)
        while data := _receive(inner):
            if self.armed.is_set() and b"COMMIT" in data:
                self.armed.clear()
                inner.settimeout(0.2)
                while rest := _receive(inner):  # the end of the same pipeline
                    data += rest
                inner.shutdown(socket.SHUT_RDWR)
                if self._pass_commit_on:
                    outer.sendall(data)
                    outer.settimeout(30)
                    reply = _receive(outer)  # that the node never sees
                    while reply and b"COMMIT" not in reply:
                        reply += _receive(outer)
                break
            outer.sendall(data)
        with contextlib.suppress(OSError):
            outer.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _down(outer: object, inner: object) -> None:
        import socket

        assert isinstance(inner, socket.socket)
        assert isinstance(outer, socket.socket)
        while data := _receive(outer):
            try:
                inner.sendall(data)
            except OSError:
                return
        inner.close()

    def close(self) -> None:
        self._listener.close()


def _receive(stream: object) -> bytes:
    try:
        data: bytes = stream.recv(65536)  # type: ignore[attr-defined]
    except OSError:
        return b""
    return data


@pytest.mark.parametrize("took_place", [True, False])
def test_the_node_finds_out_what_became_of_a_commit_whose_reply_was_lost(
    postgresql_url: str, took_place: bool
) -> None:
    from sqlalchemy import make_url

    direct = make_url(postgresql_url)
    assert direct.host is not None
    assert direct.port is not None
    proxy = CuttingProxy(direct.host, direct.port, pass_commit_on=took_place)
    through = direct.set(host="127.0.0.1", port=proxy.port, query={"sslmode": "disable"})
    node = LedgerNode(through.render_as_string(hide_password=False))

    async def run() -> None:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())
        await committer.record(event(1))
        proxy.armed.set()
        if took_place:
            assert (await committer.record(event(2))).place == 1
        else:
            with pytest.raises(LedgerUnavailable):
                await committer.record(event(2))
        await committer.record(event(3))
        await committer.close()

    asyncio.run(run())
    assert node.doubts == []
    assert check(node) == (3 if took_place else 2)
    node.engine.dispose()
    proxy.close()
