"""Days of birth, told by the values of a column whose name does not tell.

    births_among("c_07", ["15/03/1990", …])      # "98% …, từ 1931 đến 2019, cả ngày nghỉ", or None

Any day of the past looks like a day of birth by itself. What tells is the whole: people are of all
ages, so the days spread over decades and reach far back; and they are born on Saturdays and Sundays
too, whereas offices issue, register and sign on working days. Columns whose names speak of another
day (issued, registered, founded) are never taken for days of birth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime

FEWEST_DAYS = 20  # fewer have no spread to speak of
OLDEST_YEAR = 1900
_SHARE_OF_DAYS = 0.9
_SPREAD_YEARS = 25  # between the first and the last tenth of the days
_OLD_YEARS, _SHARE_OF_OLD = 45, 0.1
_SHARE_OF_DAYS_OFF = 0.12  # two sevenths by chance; a few of a hundred in offices
_MOST_OF_ONE_DAY = 0.2  # 1 January stands for many whose day is not known, no day for most
_FORMS = (
    (re.compile(r"\d\d/\d\d/\d{4}"), "%d/%m/%Y"),
    (re.compile(r"\d\d-\d\d-\d{4}"), "%d-%m-%Y"),
    (re.compile(r"\d\d\.\d\d\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
    (re.compile(r"\d{12}"), "%Y%m%d%H%M"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"), "%Y-%m-%d"),
)
_YEAR = re.compile(r"(?:(?:0[1-9]|1[0-2])[/-])?(\d{4})", re.ASCII)
_OTHER_DAYS = re.compile(
    r"(?:^|_)(?:cap|cap_nhat|cap_lai|cap_phep|het|han|hieu_luc|tao|sua|ky|ban_hanh|dang_ky|thanh_lap|khai"
    r"|nop|nhan|tra|vao|ra|bat_dau|ket_thuc|thuc_hien|kham|nhap_vien|xuat_vien|mat|tu_vong|chet|ket_hon"
    r"|issued?|expir\w*|created|updated|modified|signed|registered|founded|valid|start|end|due|death"
    r"|admission|inserted|deleted)(?:_|$)"
)


def day_of(text: str) -> date | None:
    """The day that a text writes, in one of the forms in use; None for anything else."""
    plain = text.strip()
    for pattern, form in _FORMS:
        if plain.isascii() and pattern.fullmatch(plain):
            written = plain[:10] if form == "%Y-%m-%d" else plain
            try:
                return datetime.strptime(written, form).date()  # noqa: DTZ007 - a day has no zone
            except ValueError:
                return None
    return None


def may_be_birth(text: str) -> bool:
    """Whether a text may say when somebody was born: a day, a month or a year that has come."""
    day = day_of(text)
    if day is not None:
        return _is_plausible(day)
    year = _YEAR.fullmatch(text.strip())
    return year is not None and OLDEST_YEAR <= int(year[1]) <= _today().year


def births_among(name: str, texts: Sequence[str]) -> str | None:
    """Say what speaks for days of birth, or None. ``name`` is folded: ``ngay_cap``."""
    if _OTHER_DAYS.search(name):
        return None
    days = sorted(day for day in map(day_of, texts) if day is not None and _is_plausible(day))
    if len(days) < max(FEWEST_DAYS, _SHARE_OF_DAYS * len(texts)):
        return None
    if not (_spread_over_ages(days) and _on_all_weekdays(days)):
        return None
    share = len(days) / len(texts)
    years = f"từ {days[0].year} đến {days[-1].year}"
    return f"{share:.0%} giá trị mẫu là ngày, {years} như tuổi của người, có cả ngày nghỉ"


def _is_plausible(day: date) -> bool:
    return day.year >= OLDEST_YEAR and day <= _today()


def _today() -> date:
    return date.today()  # noqa: DTZ011 - a day more or less does not matter


def _spread_over_ages(days: Sequence[date]) -> bool:
    tenth = len(days) // 10
    spread = days[-1 - tenth].year - days[tenth].year
    old = sum(_today().year - day.year >= _OLD_YEARS for day in days)
    return spread >= _SPREAD_YEARS and old >= _SHARE_OF_OLD * len(days)


def _on_all_weekdays(days: Sequence[date]) -> bool:
    commonest = max(map(days.count, set(days)))
    off = sum(day.weekday() >= 5 for day in days)
    return off >= _SHARE_OF_DAYS_OFF * len(days) and commonest <= _MOST_OF_ONE_DAY * len(days)
