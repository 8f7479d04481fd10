"""What the other rooms ask of the maps; every answer is for a given day (law 6).

Days before 01/08/2008 are refused: no map of the 64 provinces is kept. How exact the maps are
for the days since is said by ``reported_count`` and docs/explanation/units.md.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from datetime import date
from functools import cache
from importlib.resources import files

import msgspec

from lienthong.errors import UnitDayUnknown, UnknownUnit
from lienthong.units.atlas import atlas
from lienthong.units.maps import LAST_OLD_DAY
from lienthong.units.models import Count, Level, Roll, Unit
from lienthong.units.names import fold, spelling
from lienthong.units.rolling import roll_unit

EARLIEST_DAY = date(2008, 8, 1)  # Hà Tây joined Hà Nội: 63 provinces since
LONGEST_QUERY = 200  # characters of a name to look for


def units_on(day: date, level: Level | None = None) -> tuple[Unit, ...]:
    """Return the units that existed on ``day``, by code. Raises UnitDayUnknown."""
    _check_day(day)
    return tuple(
        unit for unit in atlas().units() if unit.on(day) and (level is None or unit.level is level)
    )


def find(code: str, day: date) -> Unit:
    """Return the unit that bore ``code`` on ``day``. Raises UnknownUnit, UnitDayUnknown."""
    _check_day(day)
    unit = atlas().at(code, day)
    if unit is None:
        raise UnknownUnit(code=code[:20], day=day.isoformat())
    return unit


def children(unit: Unit, day: date) -> tuple[Unit, ...]:
    """Return the units directly below ``unit`` on ``day``."""
    _check_day(day)
    return tuple(child for child in _children().get(unit.code, ()) if child.on(day))


def roll(code: str, on: date, to: date) -> Roll:
    """Find where the unit that bore ``code`` on day ``on`` lies on the map of day ``to``.

    Forward a district becomes communes, as there are no districts since 01/07/2025. Raises
    UnknownUnit, UnitDayUnknown.
    """
    _check_day(to)
    return roll_unit(atlas(), find(code, on), to)


def roll_forward(code: str, day: date) -> Roll:
    """Find where the unit that bore ``code`` on ``day`` lies on the newest map."""
    return roll(code, day, date.max)


def roll_back(code: str, day: date, to: date = LAST_OLD_DAY) -> Roll:
    """Find of which units of day ``to`` the unit that bears ``code`` on ``day`` is made."""
    return roll(code, day, to)


def search(
    name: str, day: date, level: Level | None = None, within: str | None = None
) -> tuple[Unit, ...]:
    """Find units by their whole name, with or without their kind, with or without diacritics.

    Units spelt exactly so come first. ``within`` is the code of a province or a district.
    """
    _check_day(day)
    wanted = name[:LONGEST_QUERY]
    found = [
        unit
        for unit in _names().get(fold(wanted), ())
        if unit.on(day)
        and (level is None or unit.level is level)
        and (within is None or within in (unit.province, unit.parent))
    ]
    exact = spelling(wanted)
    found.sort(key=lambda unit: (not _spelt(unit, exact), len(unit.code), unit.code))
    return tuple(found)


def reported_count(day: date, level: Level) -> Count | None:
    """Return the number of units that was reported for ``day``, and the reason for it."""
    return next(
        (
            count
            for count in _counts()
            if count.level is level
            and count.valid_from <= day
            and (count.valid_until is None or day <= count.valid_until)
        ),
        None,
    )


def _check_day(day: date) -> None:
    if day < EARLIEST_DAY:
        raise UnitDayUnknown(day=day.isoformat(), earliest=EARLIEST_DAY.isoformat())


def _spelt(unit: Unit, exact: str) -> bool:
    return exact in (spelling(unit.name), spelling(unit.short_name))


@cache
def _children() -> dict[str, tuple[Unit, ...]]:
    groups: dict[str, list[Unit]] = defaultdict(list)
    for unit in atlas().units():
        if unit.parent:
            groups[unit.parent].append(unit)
    return {code: tuple(units) for code, units in groups.items()}


@cache
def _names() -> dict[str, tuple[Unit, ...]]:
    index: dict[str, dict[Unit, None]] = defaultdict(dict)
    for unit in atlas().units():
        index[fold(unit.name)][unit] = None
        index[fold(unit.short_name)][unit] = None
    return {name: tuple(units) for name, units in index.items()}


@cache
def _counts() -> tuple[Count, ...]:
    text = files("lienthong.units").joinpath("data/counts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tuple(tomllib.loads(text)["count"]), tuple[Count, ...])
