"""The units of each map: former ones, the last map with districts, and the map of today."""

from __future__ import annotations

import re
import tomllib
from datetime import date, timedelta
from importlib.resources import files
from typing import Any, NamedTuple

from lienthong.errors import UnitDataMissing
from lienthong.units.models import Level, Unit
from lienthong.units.packages import NewRow, OldRow

REFORM = date(2025, 7, 1)  # 34 provinces instead of 63; communes directly under them
LAST_OLD_DAY = REFORM - timedelta(days=1)

_LEVELS = {2: Level.PROVINCE, 3: Level.DISTRICT, 5: Level.COMMUNE}
_KIND = re.compile("thành phố|thị trấn|đặc khu|thị xã|phường|huyện|tỉnh|quận|xã", re.IGNORECASE)


class Former(NamedTuple):
    """A unit that ended before the last old map, and the codes it went into."""

    unit: Unit
    into: tuple[str, ...]  # the largest part first


def read_former() -> tuple[list[Former], dict[str, date]]:
    """Read the former units, and the first days of the codes that the last old map begins."""
    text = files("lienthong.units").joinpath("data/former_units.toml").read_text(encoding="utf-8")
    document: dict[str, Any] = tomllib.loads(text)
    starts: dict[str, date] = dict(document["made"])
    former = []
    for entry in document["unit"]:
        code, parent, until = entry["code"], entry.get("province"), entry["until"]
        unit = _unit(code, entry["name"], parent, parent or code, None, until)
        former.append(Former(unit, tuple(entry["into"])))
        starts[code] = until + timedelta(days=1)
    return former, starts


def old_map(
    rows: list[OldRow], starts: dict[str, date], continuing: frozenset[str]
) -> dict[str, Unit]:
    """Build the last map with districts, by code; ``continuing`` provinces have no end."""
    units: dict[str, Unit] = {}
    for row in rows:
        province, district = row.province_code, row.district_code
        entries: list[tuple[str | None, str | None, str | None]] = [
            (province, row.province, None),
            (district, row.district, province),
            (row.commune_code, row.commune, district),
        ]
        for code, name, parent in entries:
            if code and name and code not in units:
                end = None if code in continuing else LAST_OLD_DAY
                units[code] = _unit(code, name, parent, province, starts.get(code), end)
    return units


def new_map(
    rows: list[NewRow], spelling: dict[str, str], continuing: dict[str, Unit]
) -> dict[str, Unit]:
    """Build today's map, by code; provinces that the reform left alone are taken as they are."""
    units = dict(continuing)
    for row in rows:
        province, code = row.province_code, row.commune_code
        if province not in units:
            units[province] = _unit(province, row.province, None, province, REFORM, None)
        name = spelling.get(code, row.commune)
        units[code] = _unit(code, name, province, province, REFORM, None)
    return units


def _unit(
    code: str,
    name: str,
    parent: str | None,
    province: str,
    valid_from: date | None,
    valid_until: date | None,
) -> Unit:
    match = _KIND.match(name)
    if match is None:
        raise UnitDataMissing(package="vietnamadminunits", reason=f"kind of {name!r}")
    kind = match[0].lower()
    full = kind.capitalize() + name[len(kind) :]
    return Unit(code, _LEVELS[len(code)], full, kind, parent, province, valid_from, valid_until)
