"""``/health`` and ``/metrics`` of a node with several workers, put together from theirs.

The machine is healthy while one worker is: the others are told of in the checks. Every series
of a worker bears the label ``worker``; a sum over it is the node's figure on this machine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from lienthong.node.admin_client import short_socket_path
from lienthong.node.metrics import CONTENT_TYPE
from lienthong.transport.messages import Body, Request, Response

ANSWER_SECONDS = 3.0
LONGEST_REPORT = 8 * 1024 * 1024
_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")


class Reporting(Protocol):
    """A worker that can be asked at a Unix socket."""

    number: int
    operations: Path
    starts: int


class WorkerReports:
    """Asks the workers and answers for all of them."""

    def __init__(self, workers: Sequence[Reporting]) -> None:
        self._workers = workers

    async def handle(self, request: Request) -> Response:
        """The handler of the operations port."""
        pages: dict[str, Callable[[], Any]] = {"/health": self.health, "/metrics": self.metrics}
        page = pages.get(request.target.partition("?")[0])
        if page is None:
            return _answer(404, b'{"known":["/health","/metrics"]}')
        if request.method not in {"GET", "HEAD"}:
            return _answer(405, b'{"allowed":["GET","HEAD"]}', [("allow", "GET, HEAD")])
        found: Response = await page()
        return found

    async def any_ready(self) -> bool:
        return any(status == 200 for status, _ in await self._ask_all("/health"))

    async def health(self) -> Response:
        """200 while a worker works; 503 in maintenance; 500 when none works."""
        answers = await self._ask_all("/health")
        statuses = [status for status, _ in answers]
        status = 200 if 200 in statuses else 503 if 503 in statuses else 500
        word = {200: "ok", 500: "failing", 503: "maintenance"}[status]
        checks = [
            check
            for worker, (code, content) in zip(self._workers, answers, strict=True)
            for check in _checks(worker.number, code, content)
        ]
        return _answer(status, msgspec.json.encode({"status": word, "checks": checks}))

    async def metrics(self) -> Response:
        answers = await self._ask_all("/metrics")
        pages = {
            worker.number: content.decode("utf-8", "replace")
            for worker, (status, content) in zip(self._workers, answers, strict=True)
            if status == 200
        }
        starts = {worker.number: worker.starts for worker in self._workers}
        text = merged(pages) + _own(starts, len(pages))
        return Response(200, [("content-type", CONTENT_TYPE)], Body.of(text.encode()))

    async def _ask_all(self, path: str) -> list[tuple[int, bytes]]:
        asked = (_get(worker.operations, path) for worker in self._workers)
        return list(await asyncio.gather(*asked))


def merged(pages: dict[int, str]) -> str:
    """Pages in Prometheus' text form as one: a family once, each series with its worker."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for number, page in pages.items():
        family = ""
        for line in page.splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                seen = heads.setdefault(family, [])
                if line not in seen:
                    seen.append(line)
            elif (found := _SAMPLE.match(line)) is not None:
                name, labels, value = found.groups()
                inner = f'{labels},worker="{number}"' if labels else f'worker="{number}"'
                samples.setdefault(family, []).append(f"{name}{{{inner}}} {value}")
    return "".join(
        "\n".join([*lines, *samples.get(family, ())]) + "\n" for family, lines in heads.items()
    )


def _own(starts: dict[int, int], ready: int) -> str:
    """What only the supervisor knows."""
    lines = [
        "# HELP lienthong_workers_answering Workers that answer",
        "# TYPE lienthong_workers_answering gauge",
        f"lienthong_workers_answering {ready}",
        "# HELP lienthong_worker_starts_total Starts of each worker's process",
        "# TYPE lienthong_worker_starts_total counter",
        *(f'lienthong_worker_starts_total{{worker="{n}"}} {count}' for n, count in starts.items()),
    ]
    return "\n".join(lines) + "\n"


def _checks(number: int, status: int, content: bytes) -> list[dict[str, object]]:
    try:
        found = msgspec.json.decode(content)["checks"]
        return [{**each, "name": f"worker {number}: {each['name']}"} for each in found]
    except (msgspec.MsgspecError, KeyError, TypeError):
        reason = "does not answer" if not status else f"HTTP status {status}"
        return [{"name": f"worker {number}", "ok": False, "reason": reason}]


async def _get(path: Path, target: str) -> tuple[int, bytes]:
    """Status and content; 0 when the worker does not answer."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(
                short_socket_path(path), limit=LONGEST_REPORT
            )
            writer.write(
                f"GET {target} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), await reader.read(LONGEST_REPORT)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return 0, b""
    finally:
        if writer is not None:
            writer.close()


def _answer(status: int, content: bytes, headers: list[tuple[str, str]] | None = None) -> Response:
    kept = [("content-type", "application/json"), ("cache-control", "no-store"), *(headers or [])]
    return Response(status=status, headers=kept, body=Body.of(content))
