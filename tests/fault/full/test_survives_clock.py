"""The clock of one node is moved and put right again under load (libfaketime)."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.faults.stage import Stage, module, under_load
from tests.fixtures.federation import Federation, TestNode

WITHIN_SKEW, BEYOND = 40, 900  # seconds; nodes bear 60, and messages live 300
MOVED_SECONDS = 6.0
NOTICED_SECONDS = 1.5  # libfaketime reads its file once a second


def faketime() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is missing: apt-get install faketime")
    return str(found[0])


def with_a_clock(node: TestNode) -> None:
    """Have the node's wall clock follow a file; what counts intervals stays as it is."""
    set_clock(node, 0)
    node.launcher = module("moved_clock")
    node.environment |= {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file(node)),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def clock_file(node: TestNode) -> Path:
    return node.state.with_suffix(".clock")


def set_clock(node: TestNode, offset_seconds: int) -> None:
    file = clock_file(node).with_suffix(".new")
    file.write_text(f"{offset_seconds:+d}\n")
    file.replace(clock_file(node))


def moved(stage: Stage, node: TestNode, offset_seconds: int) -> float:
    set_clock(node, offset_seconds)
    stage.flow(MOVED_SECONDS)
    set_clock(node, 0)
    time.sleep(NOTICED_SECONDS)
    return time.monotonic() - NOTICED_SECONDS


def test_clocks_that_are_moved_and_put_right_lose_nothing(tmp_path: Path) -> None:
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        for node in (consumer, provider):
            with_a_clock(node)
        with under_load(federation, consumer, provider, "clock moved") as stage:
            for node in (consumer, provider):
                for offset in (WITHIN_SKEW, -WITHIN_SKEW, BEYOND, -BEYOND):
                    stage.fault(partial(moved, stage, node, offset))
    stage.assert_survived()
