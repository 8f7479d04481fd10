"""The directory is away under load: first within its expiry, then past it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.fixtures.faults.stage import Stage, under_load
from tests.fixtures.federation import Federation

EXPIRY_HOURS = 0.006  # 21.6 s; the nodes refresh every second
WITHIN_SECONDS = 8.0
PAST_SECONDS = 30.0


def test_a_directory_that_is_away_stops_traffic_only_past_its_expiry(tmp_path: Path) -> None:
    with Federation(tmp_path, "--timestamp-hours", str(EXPIRY_HOURS)) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        name = "directory away past refresh"
        with under_load(federation, consumer, provider, name) as stage:
            for _ in range(2):
                stage.fault(lambda: within_expiry(federation, stage))
        stage.assert_survived()
        assert stage.case.succeeded == stage.case.calls


def test_a_directory_past_its_expiry_is_believed_no_longer_until_it_is_back(
    tmp_path: Path,
) -> None:
    with Federation(tmp_path, "--timestamp-hours", str(EXPIRY_HOURS)) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        name = "directory away past expiry"
        with under_load(federation, consumer, provider, name) as stage:
            for _ in range(2):
                stage.fault(lambda: past_expiry(federation, stage))
        stage.assert_survived()
        assert "directory.expired" in stage.case.errors


def within_expiry(federation: Federation, stage: Stage) -> float:
    federation.stop_directory()
    assert all(each.succeeded for each in stage.flow(WITHIN_SECONDS))
    federation.serve_directory()
    return time.monotonic()


def past_expiry(federation: Federation, stage: Stage) -> float:
    federation.stop_directory()
    assert not stage.flow(PAST_SECONDS)[-1].succeeded
    federation.serve_directory()
    return time.monotonic()
