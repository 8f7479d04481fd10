"""A clock set back revives nothing: no expired right, no old message, no backward head."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lienthong.agreements.limits import DayCount
from lienthong.errors import DirectoryExpired
from lienthong.ledger.clock import Clock
from lienthong.ledger.heads import parse_head
from tests.fixtures.directory_world import World
from tests.fixtures.ledgers import LedgerNode, event

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Turned:
    """A system clock that somebody turns."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_the_nodes_time_never_goes_below_what_it_has_seen() -> None:
    system = Turned(NOON)
    clock = Clock(source=system)
    clock.raise_floor(NOON)
    system.now = NOON - timedelta(days=400)
    assert clock.now() == NOON
    assert clock.behind_seconds == 400 * 86_400
    clock.raise_floor(NOON - timedelta(days=1))  # an older floor lowers nothing
    assert clock.now() == NOON
    system.now = NOON + timedelta(seconds=1)
    assert clock.now() == system.now
    assert clock.behind_seconds == 0


class Counter:
    """A steady counter, and a system clock beside it that can be set."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.set_by = timedelta()

    def system(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000.0) + self.set_by

    def steady(self) -> float:
        return self.seconds


@pytest.mark.parametrize("moved", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_is_moved_while_the_node_runs_is_not_followed(moved: timedelta) -> None:
    machine = Counter()
    clock = Clock(source=machine.system, steady=machine.steady)
    machine.seconds, machine.set_by = 1010.0, moved
    assert clock.now() == NOON + timedelta(seconds=10)
    assert clock.stepped_seconds == pytest.approx(moved.total_seconds())
    machine.seconds, machine.set_by = 1020.0, timedelta()
    assert clock.now() == NOON + timedelta(seconds=20)
    assert clock.stepped_seconds == 0


def test_a_clock_that_is_disciplined_in_small_steps_is_followed() -> None:
    machine = Counter()
    clock = Clock(source=machine.system, steady=machine.steady)
    for _ in range(100):
        machine.seconds += 1
        machine.set_by += timedelta(seconds=0.5)
        assert clock.now() == machine.system()


def test_a_clock_put_forward_is_followed_once_others_have_signed_a_later_time() -> None:
    machine = Counter()  # as after a pause of the whole machine, which no counter saw
    clock = Clock(source=machine.system, steady=machine.steady)
    machine.set_by = timedelta(hours=1)
    assert clock.now() == NOON
    clock.raise_floor(NOON + timedelta(minutes=59))
    assert clock.now() == machine.system()
    assert clock.stepped_seconds == 0


def test_a_restart_under_a_clock_set_back_goes_on_from_the_last_head(tmp_path: Path) -> None:
    system = Turned(NOON)
    node = LedgerNode.at(tmp_path)
    node.clock = Clock(source=system)
    node.record([event(1)])
    system.now = NOON - timedelta(days=30)
    again = LedgerNode.at(tmp_path)
    again.key = node.key
    again.clock = Clock(source=system)  # a new process knows nothing but its ledger
    again.record([event(2)])
    newest = parse_head(again.store.last_head(0))
    assert newest.size == 2
    assert newest.time == again.clock.now() == NOON


def test_an_expired_directory_stays_expired(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    view = mirror.view
    system = Turned(view.expires + timedelta(seconds=1))
    clock = Clock(source=system)
    clock.raise_floor(clock.now())  # as signing a head does
    with pytest.raises(DirectoryExpired):
        view.check_fresh(clock.now())
    system.now = view.published
    with pytest.raises(DirectoryExpired):
        view.check_fresh(clock.now())


def test_the_directorys_own_time_is_a_floor(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    clock = Clock(source=Turned(mirror.view.published - timedelta(days=365)))
    clock.raise_floor(mirror.view.published)
    assert clock.now() == mirror.view.published


def test_a_day_counted_again_gives_no_second_quota() -> None:
    count = DayCount()
    assert count.fits(day=100, count=10, quota=10)
    count.add(10)
    assert not count.fits(day=99, count=1, quota=10)
    assert not count.fits(day=100, count=1, quota=10)
