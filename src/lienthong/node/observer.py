"""Turns what the exchange reports into metrics."""

from __future__ import annotations

from lienthong.node.metrics import NodeMetrics


class MetricsObserver:
    """The ``Observer`` of the exchange."""

    def __init__(self, metrics: NodeMetrics) -> None:
        self._metrics = metrics

    def exchanged(
        self, role: str, service: str, outcome: str, seconds: float, received: int, sent: int
    ) -> None:
        metrics = self._metrics
        metrics.exchanges.child(role, service, outcome).inc()
        metrics.exchange_seconds.child(role).observe(seconds)
        metrics.body_bytes.child(role, "received").inc(received)
        metrics.body_bytes.child(role, "sent").inc(sent)

    def refused(self, role: str, code: str) -> None:
        self._metrics.refusals.child(role, code).inc()
