"""A node's disk is full under load: its clients are told, and it goes on when there is room."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from tests.fixtures.faults.disk import full, small_disk
from tests.fixtures.faults.stage import Stage, under_load, wait_for
from tests.fixtures.federation import Federation

DISK_MIB = 1024
TIMES = 2  # for each node
FULL_SECONDS = 3.0


def fill(stage: Stage, disk: Path) -> float:
    stage.flow(2 * FULL_SECONDS)
    with full(disk):
        # SQLite goes on for a while: its log has some room left.
        wait_for(lambda: not stage.flow(0.5)[-1].succeeded, f"{disk} is never full")
        refused = stage.flow(FULL_SECONDS)
        assert {each.error for each in refused if not each.succeeded} <= {
            "ledger.unavailable",
            "message.in_doubt",
        }
    return time.monotonic()


def test_full_disks_lose_nothing(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "f" / "H37", DISK_MIB) as first,
        small_disk(tmp_path / "f" / "G01", DISK_MIB) as second,
        Federation(tmp_path / "f") as federation,
    ):
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        with under_load(federation, consumer, provider, "disk full") as stage:
            for disk in (first, second) * TIMES:
                stage.fault(partial(fill, stage, disk))
        stage.assert_survived()
