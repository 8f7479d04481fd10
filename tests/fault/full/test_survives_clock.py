"""The clock of one node is moved and put right again under load (libfaketime)."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.faults.moved_clock import FaketimeMissing, MovedClock
from tests.fixtures.faults.stage import Stage, under_load
from tests.fixtures.federation import Federation

WITHIN_SKEW, BEYOND = 40, 900  # seconds; nodes bear 60, and messages live 300
MOVED_SECONDS = 6.0
NOTICED_SECONDS = 1.5  # libfaketime reads its file once a second


def moved(stage: Stage, clock: MovedClock, offset_seconds: int) -> float:
    clock.set(offset_seconds)
    stage.flow(MOVED_SECONDS)
    clock.set(0)
    time.sleep(NOTICED_SECONDS)
    return time.monotonic() - NOTICED_SECONDS


@pytest.mark.parametrize("offsets", [(WITHIN_SKEW, -WITHIN_SKEW), (BEYOND, -BEYOND)])
def test_clocks_that_are_moved_and_put_right_lose_nothing(
    tmp_path: Path, offsets: tuple[int, ...]
) -> None:
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        try:
            clocks = [MovedClock.of(node) for node in (consumer, provider)]
        except FaketimeMissing as error:
            pytest.skip(str(error))
        name = f"clock moved by {offsets[0]} s"
        with under_load(federation, consumer, provider, name) as stage:
            for clock in clocks:
                for offset in offsets:
                    stage.fault(partial(moved, stage, clock, offset))
    for node in (consumer, provider):
        assert "clock.moved" in node.log.read_text(encoding="utf-8")
    stage.assert_survived()
