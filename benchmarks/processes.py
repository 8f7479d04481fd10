"""Processor time of running processes, from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12  # fields 14 and 15 of proc(5), counted behind the command's name


def processor_seconds(pid: int) -> float:
    """Return user and system time of one process, all its threads, in steps of a tick (10 ms)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = text.rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_SECOND


def total_processor_seconds(pids: Iterable[int]) -> float:
    """Return the sum over several processes."""
    return sum(processor_seconds(pid) for pid in pids)


def children(pid: int) -> tuple[int, ...]:
    """Return the direct children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return tuple(int(child) for child in text.split())
