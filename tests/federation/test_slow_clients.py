"""Slow clients at both ports of running nodes: heads and bodies that drip, and drip steadily.

Others are served meanwhile. What is slower than the limits is ended; what is just fast enough
may stay, until there are so many that a full port parts with the slowest.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from lienthong.node.state import StateFolder
from tests.federation.conftest import Pair, make_pair
from tests.fixtures.hostile_peer import HostilePeer
from tests.fixtures.recording_service import RecordingService
from tests.fixtures.slow_clients import SlowClients

CONNECTIONS = 60  # of each port; far fewer than a node's, so that a test can fill them
LONG_SECONDS = 90.0
PAUSE_SECONDS = 0.2
CHUNK = b"7d0\r\n" + b"x" * 2000 + b"\r\n"  # 10 kB/s, twenty times the least rate
Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def slow_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    settings = {"maximum_connections": str(CONNECTIONS)}
    with RecordingService() as service:
        built = make_pair(tmp_path_factory.mktemp("f"), service, settings, settings)
        with built.federation:
            yield built


@pytest.fixture(scope="module")
def ports(slow_pair: Pair) -> tuple[Connect, Connect]:
    """Open connections to the consumer's port for clients, and to the provider's for nodes."""
    client_port, peer_port = slow_pair.consumer.client_port, slow_pair.provider.peer_port
    own = StateFolder(slow_pair.consumer.state)
    context = HostilePeer.tls(own.tls_certificate, own.tls_key)

    def to(port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 60)

    return lambda: to(client_port), lambda: context.wrap_socket(to(peer_port))


def post(pair: Pair, *headers: str) -> bytes:
    first = (f"POST /r1/{pair.relay}/x HTTP/1.1", "Host: n")
    client = f"X-Road-Client: {pair.consumer.client_id}"
    return "".join(f"{line}\r\n" for line in (*first, client, *headers)).encode()


def served(pair: Pair) -> bool:
    return pair.consumer.call("GET", pair.relay, "/slow/0").status == 200


def taken(connect: Connect) -> bool:
    """Whether a newcomer is let in: it is told that there is no such path, not to go away."""
    with connect() as newcomer:
        newcomer.sendall(b"GET /none HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")
        try:
            return b" 503 " not in newcomer.recv(65_536).partition(b"\r\n")[0]
        except ConnectionError:
            return False


def while_they_drip(drips: list[SlowClients], question: Callable[[], bool]) -> bool:
    """Ask while pieces go on: also where an answer takes long, no client becomes slower by it."""
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(question)
        while True:
            for each in drips:
                each.turn()
            if asking.done():
                return asking.result()
            time.sleep(PAUSE_SECONDS)


def test_others_are_served_while_heads_and_bodies_drip(
    slow_pair: Pair, ports: tuple[Connect, Connect]
) -> None:
    head = post(slow_pair, "X-Slow: 1")[:-2]
    counted = post(slow_pair, "Content-Length: 100000", "")
    chunked = post(slow_pair, "Transfer-Encoding: chunked", "Content-Type: text/plain", "")
    begun = time.monotonic()
    with ExitStack() as stack:

        def begin(start: bytes, piece: bytes) -> list[SlowClients]:
            each = [SlowClients(connect, 10, start, piece) for connect in ports]
            return [stack.enter_context(one) for one in each]

        ended, steady = begin(head, b"1") + begin(counted, b"1"), begin(chunked, CHUNK)
        while any(each.open for each in ended):
            assert time.monotonic() - begun < LONG_SECONDS, [each.open for each in ended]
            assert while_they_drip(ended + steady, lambda: served(slow_pair))
            time.sleep(PAUSE_SECONDS)
        assert [each.statuses() for each in ended] == [[408] * 10] * 4
        assert [each.open for each in steady] == [10, 10]
        of_clients, of_peers = (each.finish(b"0\r\n\r\n") for each in steady)
    assert of_clients == [200] * 10
    assert of_peers == [404] * 10  # no path between nodes, but read to its end


def test_ports_full_of_steady_drips_still_take_others(
    slow_pair: Pair, ports: tuple[Connect, Connect]
) -> None:
    chunked = post(slow_pair, "Transfer-Encoding: chunked", "Content-Type: text/plain", "")
    begun = time.monotonic()
    with ExitStack() as stack:
        each = [SlowClients(connect, CONNECTIONS + 5, chunked, CHUNK) for connect in ports]
        drips = [stack.enter_context(one) for one in each]
        in_a_row = 0
        while in_a_row < 5:
            assert time.monotonic() - begun < LONG_SECONDS
            let_in = while_they_drip(drips, lambda: all(map(taken, ports)) and served(slow_pair))
            in_a_row = in_a_row + 1 if let_in else 0
            time.sleep(PAUSE_SECONDS)
        assert all(one.open > CONNECTIONS // 2 for one in drips), "only as many as needed gave way"
    assert served(slow_pair)
