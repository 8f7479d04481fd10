"""What a node counts, for Prometheus.

    metrics = NodeMetrics()
    metrics.exchanges.add("provider", "VN/GOV/G01/dancu/cong-dan", "answered", 0.002, 80, 900)
    metrics.in_flight.inc()

Labels are never taken from a request as it came: a service enters a label once it is known to
the directory, a refusal by its error code. Personal keys and paths are in no label.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)

from lienthong.node.tally import ExchangeTally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A family with more children than this costs more memory and scraping than it tells.
MOST_CHILDREN = 2000
_OTHER = "other"

_Metric = TypeVar("_Metric", Counter, Gauge)


class Family(Generic[_Metric]):
    """A metric with labels whose children are looked up in a plain dictionary.

    The library's own ``labels()`` takes 1.2 µs, this takes 0.1; past ``MOST_CHILDREN`` further
    label values are counted together as ``other``.
    """

    __slots__ = ("_children", "_metric", "_other")

    def __init__(self, metric: _Metric, label_count: int) -> None:
        self._metric: _Metric = metric
        self._children: dict[tuple[str, ...], _Metric] = {}
        self._other = (_OTHER,) * label_count

    def child(self, *labels: str) -> _Metric:
        """Return the child for these label values."""
        found = self._children.get(labels)
        return found if found is not None else self._make(labels)

    def _make(self, labels: tuple[str, ...]) -> _Metric:
        if len(self._children) >= MOST_CHILDREN:
            labels = self._other
        made: _Metric = self._metric.labels(*labels)
        self._children[labels] = made
        return made


class NodeMetrics:
    """All metrics of one node, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series nobody reads
        self.registry = CollectorRegistry()
        self.exchanges = ExchangeTally()
        self.registry.register(self.exchanges)
        self.refusals = self._counters(
            "lienthong_refusals", "Refused requests by error code", ("role", "code")
        )
        self.in_flight = self._gauge("lienthong_in_flight", "Requests being worked on")
        self.log_lines_dropped = self._gauge(
            "lienthong_log_lines_dropped", "Log lines lost because the reader was too slow"
        )
        self._add_ledger_metrics()
        self._add_anchor_metrics()
        self._add_directory_metrics()
        ProcessCollector(registry=self.registry)

    def _add_ledger_metrics(self) -> None:
        self.tree_size = self._gauge("lienthong_ledger_tree_size", "Groups in the ledger's tree")
        self.records = self._gauge(
            "lienthong_ledger_records_since_start",
            "Records that this process brought to disk; over the groups: records to a sync",
        )
        self.groups = self._gauge(
            "lienthong_ledger_groups_since_start", "Groups that this process brought to disk"
        )
        self.forked_ledgers = self._gauge(
            "lienthong_ledger_forks", "Ledgers of other nodes that have shown two histories"
        )

    def _add_anchor_metrics(self) -> None:
        self.time_stamp_backlog_groups = self._gauge(
            "lienthong_time_stamp_backlog_groups", "Groups that no time-stamp covers yet"
        )
        self.time_stamp_backlog_seconds = self._gauge(
            "lienthong_time_stamp_backlog_seconds",
            "How long the oldest of them has waited; 0 when none waits or none is wanted",
        )
        self.time_stamp_failures = Counter(
            "lienthong_time_stamp_failures",
            "Answers of time-stamping authorities that were missing or not good",
            registry=self.registry,
        )
        self.witnesses = self._gauge(
            "lienthong_witnesses", "Nodes that signed a head of this one in the last 10 minutes"
        )

    def _add_directory_metrics(self) -> None:
        self.directory_version = self._gauge(
            "lienthong_directory_version", "Version of the directory in use"
        )
        self.directory_expires = self._gauge(
            "lienthong_directory_expires_timestamp_seconds", "When the directory in use expires"
        )
        self.directory_failures = Counter(
            "lienthong_directory_refresh_failures",
            "Refreshes of the directory that failed",
            registry=self.registry,
        )

    def _counters(self, name: str, text: str, labels: tuple[str, ...]) -> Family[Counter]:
        return Family(Counter(name, text, labels, registry=self.registry), len(labels))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)
