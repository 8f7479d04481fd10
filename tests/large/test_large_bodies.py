"""Large bodies pass through two nodes in bounded memory, whole and signed.

``make test`` runs this with 64 MiB; ``make test-large`` with 1 GiB (LARGE_BODY_BYTES).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.federation import Federation, TestNode, attempt, eventually
from tests.fixtures.large_service import PIECE_BYTES, LargeService, digest_of, pieces

MIB = 1 << 20
SIZE_BYTES = int(os.environ.get("LARGE_BODY_BYTES", str(64 * MIB)))
MOST_MEMORY_BYTES = 200 * MIB


@dataclass(frozen=True)
class Stage:
    federation: Federation
    consumer: TestNode
    provider: TestNode

    @property
    def nodes(self) -> tuple[TestNode, TestNode]:
        return self.consumer, self.provider

    def evidence(self, node: TestNode, request_id: str, file: Path) -> dict[str, Any]:
        """What a third party finds in the node's evidence of an exchange."""
        node.command("evidence", "export", request_id, "--output", str(file))
        trust = str(self.federation.root)
        found = attempt("evidence", "verify", "--trust", trust, str(file), "--json")
        verdict: dict[str, Any] = json.loads(found.stdout)
        return verdict

    def exchange(self, method: str, path: str, sent_bytes: int) -> tuple[dict[str, str], str, int]:
        """One call; returns headers, SHA-256 and size of the answer. Nothing is kept in memory."""
        connection = http.client.HTTPConnection("127.0.0.1", self.consumer.client_port, timeout=600)
        headers = {"X-Road-Client": self.consumer.client_id, "Content-Length": str(sent_bytes)}
        body = pieces(sent_bytes) if sent_bytes else None
        target = f"/r1/{self.provider.service_id('tep')}{path}"
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        whole, size = sha256(), 0
        while piece := answer.read(PIECE_BYTES):
            whole.update(piece)
            size += len(piece)
        assert answer.status == 200, piece
        connection.close()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return named, whole.hexdigest(), size


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("large")
    with LargeService() as service, Federation(folder) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="kho")
        federation.start()
        provider.command(
            "service",
            "add",
            *("--subsystem", "kho", "--code", "tep", "--relay", service.url),
        )
        federation.agree(consumer, provider, "tep", "--endpoint", "* /**")
        yield Stage(federation, consumer, provider)


def peak_memory_bytes(node: TestNode) -> int:
    """The most memory that the node's process has had (VmHWM)."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_large_request_arrives_whole(stage: Stage) -> None:
    started = time.monotonic()
    headers, digest, size = stage.exchange("POST", "/take", SIZE_BYTES)
    print(f"request of {SIZE_BYTES >> 20} MiB: {time.monotonic() - started:.1f} s")
    assert size == 64
    assert headers["x-taken"] == digest_of(SIZE_BYTES)
    assert digest == sha256(digest_of(SIZE_BYTES).encode()).hexdigest()


def test_a_large_answer_arrives_whole(stage: Stage) -> None:
    started = time.monotonic()
    _, digest, size = stage.exchange("GET", f"/give/{SIZE_BYTES}", 0)
    print(f"answer of {SIZE_BYTES >> 20} MiB: {time.monotonic() - started:.1f} s")
    assert (size, digest) == (SIZE_BYTES, digest_of(SIZE_BYTES))


def test_large_both_ways_with_signatures_and_digests_intact(stage: Stage, tmp_path: Path) -> None:
    started = time.monotonic()
    headers, digest, size = stage.exchange("POST", f"/both/{SIZE_BYTES}", SIZE_BYTES)
    print(f"{SIZE_BYTES >> 20} MiB both ways: {time.monotonic() - started:.1f} s")
    expected = digest_of(SIZE_BYTES)
    assert headers["x-taken"] == expected
    assert (size, digest) == (SIZE_BYTES, expected)
    request_id = headers["x-road-request-id"]
    for node in stage.nodes:
        verdict = stage.evidence(node, request_id, tmp_path / f"{node.code}.json")
        assert verdict["verdict"] == "valid"
        kept = sorted((node.state / "bodies").glob(f"{request_id}.*"))
        assert len(kept) == 2  # moved there from the spool: one copy of each body
        assert [file_digest(each) for each in kept] == [expected, expected]
    spools = [node.state / "spool" for node in stage.nodes]
    assert eventually(lambda: not any(list(spool.iterdir()) for spool in spools))


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_node_answers_others_while_large_bodies_pass(stage: Stage) -> None:
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(stage.exchange, "POST", f"/both/{SIZE_BYTES}", SIZE_BYTES)
        times = []
        while not large.done():
            started = time.monotonic()
            _, _, size = stage.exchange("GET", "/give/10", 0)
            times.append(time.monotonic() - started)
            assert size == 10
        large.result()
    print(f"small calls meanwhile: {len(times)}, the slowest {max(times):.2f} s")
    assert len(times) > 1


def test_memory_stays_bounded(stage: Stage) -> None:
    for node in stage.nodes:
        peak = peak_memory_bytes(node)
        print(f"{node.code}: at most {peak / MIB:.0f} MiB")
        assert peak < MOST_MEMORY_BYTES
