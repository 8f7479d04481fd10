"""Ports for tests: none is handed out twice while it may be in use."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.fixtures.ports import BLOCK, free_ports

ASKING = "from tests.fixtures.ports import free_ports; input(); print(*free_ports(50)); input()"


def test_ports_come_one_after_another_and_not_again() -> None:
    handed = [free_ports(3) for _ in range(BLOCK)]
    assert all(ports == list(range(ports[0], ports[0] + 3)) for ports in handed)
    assert len({port for ports in handed for port in ports}) == 3 * BLOCK


def test_a_port_in_use_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0] + 1)) as taken:
        assert taken.getsockname()[1] not in free_ports(3)


def test_two_processes_have_different_ones() -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASKING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [set(process.stdout.readline().split()) for process in asking if process.stdout]
    for process in asking:
        process.communicate("\n")
    assert [len(ports) for ports in told] == [50, 50, 50]
    assert len(set.union(*told)) == 150
