"""The node's time: the system's clock, but never earlier than what was already signed.

    clock = Clock(floor=last_head.time)
    clock.raise_floor(directory_view.generated)

A clock set back would make expired rights valid again and heads run backwards (DESIGN §4).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Reads UTC; ``now()`` never goes below the floor."""

    def __init__(
        self,
        floor: datetime = EPOCH_START,
        source: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 - no state
    ) -> None:
        self._floor = floor
        self._source = source

    def now(self) -> datetime:
        current = self._source()
        return current if current > self._floor else self._floor

    def raise_floor(self, moment: datetime) -> None:
        if moment > self._floor:
            self._floor = moment

    @property
    def behind_seconds(self) -> float:
        """How far the system's clock lies below the floor; 0 when it does not."""
        return max((self._floor - self._source()).total_seconds(), 0.0)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, by which times are stored."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def from_milliseconds(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)
