"""``/health`` and ``/metrics``: what a load balancer and Prometheus ask of a node.

200 when every check passes, 500 with the reasons when one fails, 503 in maintenance, as X-Road's
health-check interface answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest

from lienthong.errors import LienthongError
from lienthong.events import log_event
from lienthong.node.metrics import CONTENT_TYPE
from lienthong.reasons import in_vietnamese
from lienthong.transport.messages import Body, Handler, Request, Response

_logger = logging.getLogger("lienthong.node.health")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a working node needs; ``reason`` says why it fails, or what was seen.

    ``alarm``: somebody has to act, though the node works and a balancer is to go on using it.
    """

    name: str
    ok: bool
    reason: str = ""
    alarm: bool = False

    def facts(self) -> dict[str, Any]:
        """For pages and commands: the reason in the reader's language, whichever it is."""
        return {**self.plain(), **self.in_both_languages()}

    def plain(self) -> dict[str, Any]:
        """As ``/health`` has it."""
        return {"name": self.name, "ok": self.ok, "reason": self.reason, "alarm": self.alarm}

    def in_both_languages(self) -> dict[str, str]:
        return {"reason_vi": in_vietnamese(self.reason), "reason_en": self.reason}


@dataclass(frozen=True, slots=True)
class FailedCheck(Check):
    """A check that an error ended; ``reason`` says it in the node's own language."""

    error: LienthongError = field(default_factory=LienthongError)

    def in_both_languages(self) -> dict[str, str]:
        return {"reason_vi": self.error.message("vi"), "reason_en": self.error.message("en")}


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks at one moment."""

    checks: tuple[Check, ...]
    maintenance: bool = False

    @property
    def status(self) -> int:
        if self.maintenance:
            return 503
        return 200 if all(check.ok for check in self.checks) else 500

    @property
    def word(self) -> str:
        return {200: "ok", 500: "failing", 503: "maintenance"}[self.status]


def operations_handler(report: Callable[[], HealthReport], registry: CollectorRegistry) -> Handler:
    """Return the handler of the operations port; ``report`` must not block."""
    pages: dict[str, Callable[[], Response]] = {
        "/health": lambda: _health(report),
        "/metrics": lambda: _metrics(registry),
    }

    async def handle(request: Request) -> Response:
        page = pages.get(request.target.partition("?")[0])
        if page is None:
            return _answer(404, [], b'{"known":["/health","/metrics"]}')
        if request.method not in {"GET", "HEAD"}:
            return _answer(405, [("allow", "GET, HEAD")], b'{"allowed":["GET","HEAD"]}')
        return page()

    return handle


def _health(report: Callable[[], HealthReport]) -> Response:
    try:
        found = report()
    except Exception as error:  # a check that breaks is a failing node, not a closed connection
        _logger.exception("health.report_failed")
        found = HealthReport((Check("report", ok=False, reason=type(error).__name__),))
    for check in found.checks:
        if not check.ok or check.alarm:
            log_event(
                _logger, logging.WARNING, "health.failing", check=check.name, reason=check.reason
            )
    content = msgspec.json.encode(
        {"status": found.word, "checks": [each.plain() for each in found.checks]}
    )
    return _answer(found.status, [], content)


def _metrics(registry: CollectorRegistry) -> Response:
    return Response(
        status=200,
        headers=[("content-type", CONTENT_TYPE)],
        body=Body.of(generate_latest(registry)),
    )


def _answer(status: int, headers: list[tuple[str, str]], content: bytes) -> Response:
    kept = [("content-type", "application/json"), ("cache-control", "no-store"), *headers]
    return Response(status=status, headers=kept, body=Body.of(content))
