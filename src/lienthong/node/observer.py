"""Turns what the exchange reports into metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lienthong.node.counters.keeper import Refusals
from lienthong.node.metrics import NodeMetrics

if TYPE_CHECKING:
    from lienthong.node.node import Node


def watch(node: Node) -> None:
    """Let the gauges read the node's own state whenever they are asked."""
    metrics, core, trust = node.metrics, node.core, node.trust
    metrics.in_flight.set_function(lambda: core.in_flight)
    metrics.tree_size.set_function(lambda: core.committer.size)
    metrics.records.set_function(lambda: core.committer.entries_committed)
    metrics.groups.set_function(lambda: core.committer.groups_committed)
    metrics.directory_version.set_function(lambda: trust.view.version)
    metrics.directory_expires.set_function(lambda: trust.view.expires.timestamp())


class MetricsObserver:
    """The ``Observer`` of the exchange."""

    def __init__(self, metrics: NodeMetrics, refusals: Refusals) -> None:
        self._metrics = metrics
        self._refusals = refusals

    def exchanged(
        self, role: str, service: str, outcome: str, seconds: float, received: int, sent: int
    ) -> None:
        self._metrics.exchanges.add(role, service, outcome, seconds, received, sent)

    def refused(self, role: str, code: str) -> None:
        self._metrics.refusals.child(role, code).inc()
        self._refusals.add(role, code)
