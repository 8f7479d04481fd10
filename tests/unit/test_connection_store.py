"""Idle connections are left with the service manager, or closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lienthong.node.connection_store import IDLE_CLIENTS, ConnectionStore
from tests.fixtures.federation import eventually
from tests.fixtures.socket_keeper import DescriptorStore

MANY = 260  # more than one message carries


@pytest.fixture
def manager() -> Iterator[DescriptorStore]:
    with closing(DescriptorStore()) as started:
        yield started


def pairs(count: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Connections: the clients' ends, and ours."""
    made = [socket.socketpair() for _ in range(count)]
    return [theirs for theirs, _ in made], [ours for _, ours in made]


def is_closed(theirs: socket.socket) -> bool:
    """Whether the other end has been closed; waits for it as long as it takes."""
    theirs.settimeout(60)
    return theirs.recv(1) == b""


def test_connections_stay_open_with_the_manager_until_it_is_told_to_forget_them(
    manager: DescriptorStore,
) -> None:
    theirs, ours = pairs(MANY)
    store = ConnectionStore.of({"NOTIFY_SOCKET": manager.address})
    assert store is not None
    store.keep(ours)
    assert all(each.fileno() == -1 for each in ours)
    descriptors, names = manager.content()
    assert names == [IDLE_CLIENTS] * MANY
    for client, descriptor in zip(theirs, descriptors, strict=True):
        client.sendall(b"x")
        assert os.read(descriptor, 2) == b"x"
    store.forget()
    assert eventually(lambda: manager.content() == ([], []), 60)
    assert all(map(is_closed, theirs))
    for client in theirs:
        client.close()


def test_without_a_manager_there_is_no_store() -> None:
    assert ConnectionStore.of({}) is None


def test_connections_that_no_manager_takes_are_closed_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs, ours = pairs(2)
    store = ConnectionStore.of({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert store is not None
    store.keep(ours)
    store.forget()
    assert all(map(is_closed, theirs))
    assert [record.msg for record in caplog.records] == ["node.connections_not_kept"] * 2
    for client in theirs:
        client.close()
