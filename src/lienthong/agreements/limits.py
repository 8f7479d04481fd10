"""How fast and how much: the token bucket and the day's count of one agreement.

Both take the time from the caller, and never run backwards: a clock set back gives nothing.
"""

from __future__ import annotations

from lienthong.agreements.models import Rate

_DAY_SECONDS = 86_400
# Vietnam has kept UTC+7 since 1975 and has no summer time; a day begins at its midnight.
_VIETNAM_OFFSET_SECONDS = 7 * 3600


def vietnam_day(timestamp: float) -> int:
    """Return the number of the calendar day in Vietnam; day 0 is 1970-01-01."""
    return int(timestamp + _VIETNAM_OFFSET_SECONDS) // _DAY_SECONDS


class TokenBucket:
    """Lets ``rate.burst`` requests through at once and ``rate.per_second`` in the long run."""

    __slots__ = ("_burst", "_last", "_per_second", "_tokens")

    def __init__(self, rate: Rate) -> None:
        self._per_second = rate.per_second
        self._burst = float(rate.burst)
        self._tokens = self._burst
        self._last = 0.0

    def ready(self, timestamp: float) -> bool:
        """Say whether one request may pass now; ``take`` lets it pass."""
        elapsed = timestamp - self._last
        if elapsed > 0.0:
            self._last = timestamp
            self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
        return self._tokens >= 1.0

    def take(self) -> None:
        self._tokens -= 1.0


class DayCount:
    """What was asked under one agreement in the latest day seen."""

    __slots__ = ("changed", "day", "used")

    def __init__(self, day: int = 0, used: int = 0) -> None:
        self.day = day
        self.used = used
        self.changed = False

    def fits(self, day: int, count: int, quota: int) -> bool:
        """Say whether ``count`` more stay within the quota of ``day``."""
        if day > self.day:
            self.day, self.used = day, 0
        return self.used + count <= quota

    def add(self, count: int) -> None:
        self.used += count
        self.changed = True
