"""Kill -9 of either node under load, at every point of an exchange: nothing is lost or repeated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.faults.crash_points import CONSUMER_POINTS, PROVIDER_POINTS
from tests.fixtures.faults.record import FULL
from tests.fixtures.faults.stage import killable, under_load
from tests.fixtures.federation import Federation

POINTS = {"H37": CONSUMER_POINTS, "G01": PROVIDER_POINTS}
NAMES = {"H37": "consumer", "G01": "provider"}
SHORT = {"H37": ("log", "reply"), "G01": ("sign", "execute")}
# Each round has ledgers of its own: a verdict reads them from their beginning while the load goes
# on, so that the next one has more to read.
ROUNDS = 4
HALVES = 2  # of the points, in a round each


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rounds = [(code, number + 1) for code in POINTS for number in range(ROUNDS * HALVES)]
    metafunc.parametrize(("code", "number"), rounds if FULL else [("both", 0)])


def test_kills_at_every_point_lose_nothing_and_repeat_nothing(
    tmp_path: Path, code: str, number: int
) -> None:
    name = f"kill -9 of the {NAMES[code]}, round {number}" if FULL else "kill -9"
    plan = list(_half(code, number) if FULL else _short())
    with Federation(tmp_path) as federation:
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node("G01", subsystem="dancu")
        nodes = {node.code: node for node in (consumer, provider)}
        with under_load(federation, consumer, provider, name, launcher=killable) as stage:
            for each, point in plan:
                stage.fault(partial(stage.kill_at, point, nodes[each]))
            if FULL:
                stage.fault(partial(stage.kill, nodes[code]))
    stage.assert_survived()
    assert stage.case.kills == len(plan) + FULL
    assert stage.case.kills_in_flight * 2 >= stage.case.kills


def _half(code: str, number: int) -> Iterator[tuple[str, str]]:
    return ((code, point) for point in POINTS[code][number % HALVES :: HALVES])


def _short() -> Iterator[tuple[str, str]]:
    return ((code, point) for code, points in SHORT.items() for point in points)
