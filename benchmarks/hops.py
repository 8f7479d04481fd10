"""Two hops between a client and a service, whoever they are: how one side is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks import wrk
from benchmarks.processes import total_processor_seconds

WARM_UP_SECONDS = 1.0  # opens the kept connections and fills the caches of both ends


@dataclass(frozen=True)
class Result:
    """One case on one side: what wrk saw, and the processor time of an exchange on each hop."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: tuple[float, float]
    syncs_per_exchange: float | None = None

    @property
    def cpu_us_per_hop(self) -> float:
        return sum(self.cpu_us) / len(self.cpu_us)


class Side(Protocol):
    """What ``benchmarks/exchange.py`` compares: two hops that answer with a body of a size."""

    def run_case(self, size_bytes: int, connections: int, seconds: float) -> Result:
        """Measure one case, after a warm-up of its own."""
        ...


def measure(
    load: wrk.Load, connections: int, seconds: float, hops: Sequence[Sequence[int]]
) -> Result:
    """Load two hops; ``hops`` holds the process ids of the first and of the second.

    Raises wrk.LoadFailed.
    """
    wrk.run(load, connections=connections, seconds=WARM_UP_SECONDS)
    before = [total_processor_seconds(pids) for pids in hops]
    measured = wrk.run(load, connections=connections, seconds=seconds)
    spent = [total_processor_seconds(pids) - b for pids, b in zip(hops, before, strict=True)]
    first, second = (seconds / measured.requests * 1e6 for seconds in spent)
    return Result(
        measured.requests,
        measured.requests_per_second,
        measured.p50_ms,
        measured.p99_ms,
        (first, second),
    )
