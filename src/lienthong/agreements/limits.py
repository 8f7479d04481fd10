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


TOKENS_LAST_SECONDS = 1.0  # a bucket that was emptied long ago is full again by then
SHORTEST_PAUSE_SECONDS = 0.02  # a flood must not become a flood on the database


class Allowance:
    """What this gateway has reserved of one agreement's rate and daily quota.

    Its node's gateways share both (``reservations.py``). Where it is used up a decision asks
    for a reservation, unless the last one said that there is nothing left.
    """

    __slots__ = ("_no_tokens_until", "_tokens", "_tokens_until", "_wanted", "day", "quota_left")

    def __init__(self) -> None:
        self._tokens = 0
        self._tokens_until = 0.0
        self._no_tokens_until = 0.0
        self._wanted = 0  # so much was asked for in vain on ``day``; 0: nothing was
        self.day = 0
        self.quota_left = 0

    def has_token(self, timestamp: float) -> bool:
        return self._tokens > 0 and timestamp < self._tokens_until

    def has_quota(self, day: int, count: int) -> bool:
        return day <= self.day and self.quota_left >= count

    def may_ask_for_token(self, timestamp: float) -> bool:
        return timestamp >= self._no_tokens_until

    def may_ask_for_quota(self, day: int, count: int) -> bool:
        return day > self.day or not self._wanted or count < self._wanted

    def grant_tokens(self, granted: int, timestamp: float, pause_seconds: float) -> None:
        self._tokens, self._tokens_until = granted, timestamp + TOKENS_LAST_SECONDS
        if not granted:
            self._no_tokens_until = timestamp + max(pause_seconds, SHORTEST_PAUSE_SECONDS)

    def grant_quota(self, granted: int, day: int, count: int) -> None:
        if day > self.day:
            self.day, self.quota_left, self._wanted = day, 0, 0
        self.quota_left += granted
        if not granted:
            self._wanted = count

    def take(self, *, token: bool, count: int) -> None:
        if token:
            self._tokens -= 1
        self.quota_left -= count
