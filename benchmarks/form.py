"""The one form in which benchmarks speak (one JSON line; ratio = ours ÷ theirs).

    rounds = alternate(5, ours=run_ours, theirs=run_theirs)
    print_line(benchmark="exchange", case="1 KB", unit="requests/s", theirs_is="nginx",
               ours=[…], theirs=[…], size={"connections": 128}, p50_ms=…)

A throughput wants a high ratio, a time a low one.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

PEER_MISSING = 3

Result = TypeVar("Result")


@dataclass(frozen=True)
class Rounds(Generic[Result]):
    """What both sides showed, round by round; they took turns, so a busy spell hits both."""

    ours: tuple[Result, ...]
    theirs: tuple[Result, ...]


def alternate(
    count: int, *, ours: Callable[[], Result], theirs: Callable[[], Result]
) -> Rounds[Result]:
    """Run theirs and ours in turn, ``count`` times each; who begins changes every round."""
    results: tuple[list[Result], list[Result]] = ([], [])
    for number in range(count):
        for side in (0, 1) if number % 2 else (1, 0):
            results[side].append((ours, theirs)[side]())
    return Rounds(tuple(results[0]), tuple(results[1]))


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """Return (largest - smallest) ÷ median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def line(
    *,
    benchmark: str,
    case: str,
    unit: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    theirs_is: str,
    size: Mapping[str, Any],
    **further: Any,
) -> str:
    """Return the JSON line of one case; ``ours`` and ``theirs`` hold one value a round."""
    ours_median, theirs_median = median(ours), median(theirs)
    return json.dumps(
        {
            "benchmark": benchmark,
            "case": case,
            "unit": unit,
            "ours": significant(ours_median),
            "theirs": significant(theirs_median),
            "theirs_is": theirs_is,
            "ratio": significant(ours_median / theirs_median) if theirs_median else None,
            "rounds": len(ours),
            "spread": significant(max(spread(ours), spread(theirs))),
            "size": dict(size),
            "machine": machine(),
            **{name: _rounded(value) for name, value in further.items()},
        },
        ensure_ascii=False,
    )


def print_line(**fields: Any) -> None:
    """Print the JSON line of one case; fields as for ``line``."""
    print(line(**fields), flush=True)


def significant(value: float, digits: int = 4) -> float:
    """Round to significant digits: a benchmark knows no more."""
    return float(f"{value:.{digits}g}")


def _rounded(value: Any) -> Any:
    return significant(value) if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it was before anyone asked it anything."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": significant(_memory_bytes() / 2**30, 3),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": significant(os.getloadavg()[0], 3),
    }


def _cpu_model() -> str:
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peer_missing(what: str, how: str) -> NoReturn:
    """Say on stderr which peer is missing and how to install it, and exit with 3."""
    print(f"{what} is missing. Install it: {how}", file=sys.stderr)
    raise SystemExit(PEER_MISSING)
