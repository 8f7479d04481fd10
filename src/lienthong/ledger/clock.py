"""The node's time: the system's clock, but never earlier than what was already signed.

    clock = Clock(steady=since_boot)
    clock.raise_floor(directory_view.generated)

A clock set back would make expired rights valid again and heads run backwards (DESIGN §4). One set
forward by mistake would be worse: heads signed with that time are a floor for ever, and no other
node takes messages from the future. So a clock that is *moved* while the node runs is not
followed: the node counts on by the machine's steady counter, until the system's clock agrees
again, or the node is restarted, or what others signed proves that its count lags behind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from lienthong.events import log_event

EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
# A clock that is disciplined moves by milliseconds at a time; one that jumps by more was set.
LARGEST_STEP_SECONDS = 5.0
# An exchange asks for the time ten times: for so long the answer stands, half the protocol's
# smallest unit, and for so long the two clocks need not be compared.
ANSWER_STANDS_SECONDS = 0.0005
COMPARED_FOR_SECONDS = 0.05


logger = logging.getLogger("lienthong.ledger.clock")

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Seconds on a counter that nobody can set; where the system tells, sleep counts too."""
    return time.clock_gettime(_SINCE_BOOT)


class Clock:
    """Reads UTC; ``now()`` never goes below the floor.

    With ``steady``, a counter of seconds, it does not follow jumps of the system's clock either.
    """

    def __init__(
        self,
        floor: datetime = EPOCH_START,
        source: Callable[[], datetime] | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self._floor = floor
        self._system = time.time if source is None else lambda: source().timestamp()
        self._steady = steady
        self.stepped_seconds = 0.0  # how far the system's clock was moved and is not followed
        self._answered = self._compared = float("-inf")  # the system's time at the last of each
        self._answer = floor
        self._follow()

    def now(self) -> datetime:
        system = self._system()
        if 0.0 <= system - self._answered < ANSWER_STANDS_SECONDS:
            return self._answer
        seconds = system
        if self._steady is not None and not 0.0 <= system - self._compared < COMPARED_FOR_SECONDS:
            seconds = self._counted(system, self._steady())
        current = datetime.fromtimestamp(seconds, UTC)
        self._answered = float("-inf") if self.stepped_seconds else system
        self._answer = current if current > self._floor else self._floor
        return self._answer

    def _counted(self, system: float, tick: float) -> float:
        """The system's time, or our own count as long as the system's has jumped away from it."""
        ahead = system - tick - self._offset
        if -LARGEST_STEP_SECONDS < ahead < LARGEST_STEP_SECONDS:
            self._offset += ahead
            self.stepped_seconds = 0.0
            self._compared = system
            return system
        if not self.stepped_seconds:
            log_event(logger, logging.CRITICAL, "clock.moved", seconds=round(ahead, 1))
        self.stepped_seconds = ahead
        self._compared = float("-inf")
        return tick + self._offset

    def raise_floor(self, moment: datetime) -> None:
        if moment > self._floor:
            if self.stepped_seconds > 0 and moment > self.now():
                self._follow()  # others are ahead of our count: it is the count that is wrong
            self._floor = moment
            self._answered = float("-inf")

    def _follow(self) -> None:
        """Take the system's clock as it is."""
        self._offset = 0.0 if self._steady is None else self._system() - self._steady()
        self.stepped_seconds = 0.0
        self._answered = self._compared = float("-inf")

    @property
    def behind_seconds(self) -> float:
        """How far the system's clock lies below the floor; 0 when it does not."""
        return max(self._floor.timestamp() - self._system(), 0.0)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, by which times are stored."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def from_milliseconds(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)
