"""The management API answers whatever comes as its own description says: schemathesis asks it."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lienthong.node.admin_client import call, short_socket_path
from lienthong.node.state import StateFolder
from tests.fixtures.federation import Federation, TestNode
from tests.fixtures.hostile_corpus import INPUTS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
QUESTIONS = max(INPUTS // 40, 5)  # of each operation


@contextmanager
def on_a_port(path: Path) -> Iterator[int]:
    """Carry bytes between a loopback port and a Unix socket: schemathesis speaks TCP only."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                node = socket.socket(socket.AF_UNIX)
                node.connect(short_socket_path(path))
                for pair in ((client, node), (node, client)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    folder = tmp_path_factory.mktemp("n")
    with Federation(folder) as federation:
        made = federation.node("H37", subsystem="motcua")
        federation.start()
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def test_every_operation_answers_as_it_says_it_will(node: TestNode) -> None:
    with on_a_port(StateFolder(node.state).admin_socket) as port:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) > 15
        asked = 0
        for operation in operations:

            @settings(
                max_examples=QUESTIONS,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy())
            def ask(case: schemathesis.Case) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(checks=CHECKS, timeout=60)

            ask()
        assert asked >= len(operations)
        print(f"\nmanagement API: {asked} questions to {len(operations)} operations")
    status = call(node.state, "GET", "/status")
    assert status["node"].endswith("/GOV/H37/n1"), "it runs on"
