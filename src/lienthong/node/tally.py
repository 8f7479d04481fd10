"""Counting exchanges in plain numbers; Prometheus' own forms are made when somebody asks.

The library's counters take a lock each; four of them for each exchange cost a fiftieth of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
MOST_SERIES = 2000  # past it, further services are counted together
OTHER = "other"


class _Role:
    """What is summed up for one side of exchanges."""

    __slots__ = ("buckets", "received", "seconds", "sent")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_SECONDS) + 1)
        self.seconds = 0.0
        self.received = 0
        self.sent = 0


class ExchangeTally(Collector):
    """Exchanges by role, service and outcome; their times and bytes by role. Event loop only."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._roles: dict[str, _Role] = {}

    def add(
        self, role: str, service: str, outcome: str, seconds: float, received: int, sent: int
    ) -> None:
        key = (role, service, outcome)
        if key not in self._counts and len(self._counts) >= MOST_SERIES:
            key = (role, OTHER, outcome)
        self._counts[key] = self._counts.get(key, 0) + 1
        sums = self._roles.get(role)
        if sums is None:
            sums = self._roles[role] = _Role()
        sums.buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        sums.seconds += seconds
        sums.received += received
        sums.sent += sent

    def collect(self) -> Iterator[Metric]:
        """The sums in Prometheus' forms."""
        labels = ("role", "service", "outcome")
        exchanges = CounterMetricFamily(
            "lienthong_exchanges", "Exchanges by outcome", labels=labels
        )
        for key, count in self._counts.items():
            exchanges.add_metric(key, count)
        times = HistogramMetricFamily(
            "lienthong_exchange_seconds",
            "Time from a request's arrival to its answer",
            labels=("role",),
        )
        sizes = CounterMetricFamily(
            "lienthong_body_bytes", "Bytes of bodies", labels=("role", "direction")
        )
        for role, sums in self._roles.items():
            times.add_metric((role,), list(_cumulated(sums.buckets)), sums.seconds)
            sizes.add_metric((role, "received"), sums.received)
            sizes.add_metric((role, "sent"), sums.sent)
        yield from (exchanges, times, sizes)


def _cumulated(buckets: list[int]) -> Iterator[tuple[str, float]]:
    """Prometheus' buckets hold all that is not longer than their bound."""
    total = 0
    for bound, count in zip((*map(str, BUCKETS_SECONDS), "+Inf"), buckets, strict=True):
        total += count
        yield bound, total
