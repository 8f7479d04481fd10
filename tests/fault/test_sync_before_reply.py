"""System calls of two running nodes: the disk has the record before anybody is told of it.

A call writes to both ledgers twice. On each node, between reading a request and writing its
answer, there must be a sync of the database that was complete before that write began.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures.federation import Federation, TestNode
from tests.fixtures.recording_service import RecordingService

_LINE = re.compile(
    r"^(?P<pid>\d+)\s+(?P<time>\d+\.\d+) (?P<resumed><\.\.\. )?(?P<name>\w+)(?P<rest>.*)$"
)
_SYNCS = ("fsync", "fdatasync")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_READS = ("read", "recvfrom", "recvmsg")
_SENDS = ("write", "writev", "sendto", "sendmsg")


class Call(NamedTuple):
    """One system call with the lines of the trace at which it began and ended."""

    name: str
    text: str
    began: int
    ended: int


def calls(trace: str) -> list[Call]:
    """Read strace's output, putting together the calls that others interrupted."""
    found: list[Call] = []
    open_calls: dict[str, tuple[str, str, int]] = {}
    for number, line in enumerate(trace.splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        pid, name, rest = match["pid"], match["name"], match["rest"]
        if match["resumed"]:
            if pid in open_calls:
                begun = open_calls.pop(pid)
                found.append(Call(begun[0], begun[1] + rest, begun[2], number))
        elif rest.endswith("<unfinished ...>"):
            open_calls[pid] = (name, rest, number)
        else:
            found.append(Call(name, rest, number, number))
    return found


class Tracer:
    """strace on a running node, from ``with`` to its end."""

    def __init__(self, strace: str, node: TestNode, file: Path) -> None:
        assert node.process is not None
        self.file = file
        self._process = subprocess.Popen(
            [
                *(strace, "-f", "-ttt", "-y", "-s", "64", "-o", str(file)),
                *("-e", "trace=fsync,fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"),
                *("-p", str(node.process.pid)),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "attached" in line:
                return
        pytest.skip("strace may not attach to a running process here")

    def stop(self) -> list[Call]:
        self._process.terminate()
        self._process.wait(60)
        return calls(self.file.read_text(errors="replace"))


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[TestNode, TestNode]]:
    with RecordingService() as service, Federation(tmp_path_factory.mktemp("f")) as federation:
        # Nothing but the exchange itself may write to the databases while we look.
        quiet = {
            "receipt_interval_seconds": "600",
            "consistency_interval_seconds": "600",
            "directory_refresh_seconds": "600",
        }
        consumer = federation.node("H37", subsystem="motcua", **quiet)
        provider = federation.node("G01", subsystem="dancu", **quiet)
        federation.start()
        provider.command(
            "service", "add", "--subsystem", "dancu", "--code", "dem", "--relay", service.url
        )
        federation.agree(consumer, provider, "dem", "--endpoint", "* /**")
        yield consumer, provider


def is_database(call: Call) -> bool:
    return "node.db" in call.text and call.text.rstrip().endswith("= 0")


def socket_of(call: Call) -> str:
    """The socket on which a message (TLS application data, or HTTP in clear) was read or sent."""
    if r'"\27\3\3' not in call.text and "HTTP/1.1" not in call.text:
        return ""
    match = _SOCKET.search(call.text)
    return match[1] if match else ""


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_the_sync_is_complete_before_the_reply_is_written(
    pair: tuple[TestNode, TestNode], side: str, strace_available: str, tmp_path: Path
) -> None:
    consumer, provider = pair
    service = provider.service_id("dem")
    assert consumer.call("POST", service, "/echo", b"warm").status == 200
    time.sleep(2.5)  # the search index is brought up to date every two seconds
    node = consumer if side == "consumer" else provider
    tracer = Tracer(strace_available, node, tmp_path / "trace")
    assert consumer.call("POST", service, "/echo", b"traced").status == 200
    found = tracer.stop()
    syncs = [each for each in found if each.name in _SYNCS and is_database(each)]
    messages = [each for each in found if socket_of(each)]
    asked = next(each for each in messages if each.name in _READS)
    sent = [each for each in messages if each.name in _SENDS and each.began > asked.ended]
    onward = next(each for each in sent if socket_of(each) != socket_of(asked))
    reply = [each for each in sent if socket_of(each) == socket_of(asked)][-1]
    assert asked.ended < onward.began < reply.began
    # Passed on (to the provider's node, to the service) after a first record is on disk,
    assert any(asked.ended < sync.began and sync.ended < onward.began for sync in syncs)
    # and answered after a second one is.
    assert any(onward.ended < sync.began and sync.ended < reply.began for sync in syncs)
