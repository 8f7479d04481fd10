"""What arrives together becomes one group, and nobody waits for company that does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lienthong.ledger import gathering
from lienthong.ledger.gathering import ENOUGH, STILL_TURNS, Gathering


class _Waiting:
    """Counts what waits; ``groups`` are the sizes in which it was taken."""

    def __init__(self) -> None:
        self.count = 0
        self.groups: list[int] = []
        self.gathering = Gathering(asyncio.get_running_loop(), lambda: self.count, self._take)

    def arrive(self) -> None:
        self.count += 1
        self.gathering.begin()

    def _take(self) -> None:
        self.groups.append(self.count)
        self.count = 0


async def _turns(count: int, each: Callable[[], None] = lambda: None) -> None:
    for _ in range(count):
        each()
        await asyncio.sleep(0)


def _run(play: Callable[[_Waiting], object]) -> list[int]:
    async def scene() -> list[int]:
        waiting = _Waiting()
        await play(waiting)  # type: ignore[misc]
        return waiting.groups

    return asyncio.run(scene())


def test_one_alone_is_taken_after_a_few_turns_of_the_loop() -> None:
    async def play(waiting: _Waiting) -> None:
        waiting.arrive()
        await _turns(STILL_TURNS + 2)

    assert _run(play) == [1]


def test_what_arrives_turn_by_turn_is_one_group() -> None:
    async def play(waiting: _Waiting) -> None:
        await _turns(20, waiting.arrive)
        assert waiting.groups == []
        await _turns(STILL_TURNS + 2)

    gathering_seconds, gathering.LONGEST_SECONDS = gathering.LONGEST_SECONDS, 60.0
    try:
        assert _run(play) == [20]
    finally:
        gathering.LONGEST_SECONDS = gathering_seconds


def test_a_large_group_does_not_wait_for_more() -> None:
    async def play(waiting: _Waiting) -> None:
        def many() -> None:
            for _ in range(ENOUGH):
                waiting.arrive()

        await _turns(3, many)

    assert _run(play) == [ENOUGH, ENOUGH, ENOUGH]


def test_arrivals_without_end_do_not_keep_a_group_waiting() -> None:
    async def play(waiting: _Waiting) -> None:
        while not waiting.groups:
            waiting.arrive()
            await asyncio.sleep(0.001)
            waiting.count = min(waiting.count, ENOUGH - 1)

    assert len(_run(play)) == 1
