"""Units of time in service levels, in the spellings that ODCS and people use.

seconds_of("d")       # 86400.0
seconds_of("giờ")     # 3600.0
"""

from __future__ import annotations

_SPELLINGS: dict[float, tuple[str, ...]] = {
    0.001: ("ms", "millisecond", "milliseconds"),
    1: ("s", "sec", "second", "seconds", "giây"),
    60: ("m", "min", "minute", "minutes", "phút"),
    3600: ("h", "hr", "hour", "hours", "giờ"),
    86_400: ("d", "day", "days", "ngày"),
    604_800: ("w", "wk", "week", "weeks", "tuần"),
    2_629_800: ("mo", "month", "months", "tháng"),  # a twelfth of a year
    31_557_600: ("y", "yr", "year", "years", "năm"),  # 365.25 days
}
_SECONDS = {name: seconds for seconds, names in _SPELLINGS.items() for name in names}


def seconds_of(unit: str) -> float | None:
    """How many seconds one ``unit`` has; None where it is no unit of time."""
    return _SECONDS.get(unit.strip().casefold())
