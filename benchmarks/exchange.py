"""Two nodes against two nginx hops over mutual TLS: the cost of trust in one exchange.

    python -m benchmarks.exchange            the headline case: 1 KB, 128 connections
    python -m benchmarks.exchange --cases    one line a case, the headline last
    python -m benchmarks.exchange --ledger postgresql    both nodes' state in PostgreSQL

``ours`` are two nodes with signatures verified, ledgers durable on both sides, and agreement,
quota and replay checks on; ``theirs`` are two nginx hops with nothing else. One process a hop, the
same service behind both, the same load, in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from benchmarks.form import alternate, median, print_line
from benchmarks.hops import Result, Side
from benchmarks.nginx import NginxHops, find_nginx
from benchmarks.wrk import find_wrk


class Case(NamedTuple):
    """One size of answer under one number of connections."""

    size_bytes: int
    connections: int

    @property
    def name(self) -> str:
        return f"{self.size_bytes // 1024} KB, {self.connections} connections"


HEADLINE = Case(1024, 128)
CASES = (Case(102_400, 64), Case(102_400, 128), Case(1024, 64), HEADLINE)


def compare(
    ours: Side, theirs: Side, case: Case, *, rounds: int, seconds: float, ledger: str = "sqlite"
) -> None:
    """Measure one case on both sides in turn and print its line."""
    found = alternate(
        rounds,
        ours=lambda: ours.run_case(*case, seconds),
        theirs=lambda: theirs.run_case(*case, seconds),
    )
    processor_ratio = _median(found.ours, _cpu) / _median(found.theirs, _cpu)
    print_line(
        benchmark="exchange",
        case=case.name,
        unit="requests/s",
        ours=[result.requests_per_second for result in found.ours],
        theirs=[result.requests_per_second for result in found.theirs],
        theirs_is="two nginx hops over mutual TLS, nothing signed, nothing logged",
        size={"bytes": case.size_bytes, "connections": case.connections, "seconds": seconds},
        ledger=ledger,
        **_figures("", found.ours),
        **_figures("theirs_", found.theirs),
        cpu_ratio=processor_ratio,
        syncs_per_exchange=_median(found.ours, lambda result: result.syncs_per_exchange or 0.0),
    )


def _figures(prefix: str, results: Sequence[Result]) -> dict[str, float]:
    return {
        f"{prefix}p50_ms": _median(results, lambda result: result.p50_ms),
        f"{prefix}p99_ms": _median(results, lambda result: result.p99_ms),
        f"{prefix}cpu_us": _median(results, _cpu),
    }


def _cpu(result: Result) -> float:
    return result.cpu_us_per_hop


def _median(results: Sequence[Result], value: Callable[[Result], float]) -> float:
    return median([value(result) for result in results])


def main(open_ours: Callable[[NginxHops, str], AbstractContextManager[Side]]) -> None:
    """Run the command line; ``open_ours`` starts our side in front of nginx's own service."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", action="store_true", help="all cases, the headline last")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    find_nginx()
    find_wrk()
    length = {"rounds": options.rounds, "seconds": options.seconds}
    with NginxHops() as theirs, open_ours(theirs, options.ledger) as ours:
        for case in CASES if options.cases else (HEADLINE,):
            compare(ours, theirs, case, **length, ledger=options.ledger)


if __name__ == "__main__":
    from benchmarks.nodes import open_nodes

    main(open_nodes)
