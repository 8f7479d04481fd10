"""Communes of today, in which the fictitious people of the demo live."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import NamedTuple

from lienthong.units.models import Level
from lienthong.units.service import units_on

TODAY = date(2026, 1, 1)  # a fixed day: ages must not depend on when the demo is run


class Commune(NamedTuple):
    """A commune with its province, as written in an address."""

    code: str
    name: str
    province_code: str  # two digits
    province: str


@cache
def communes() -> tuple[Commune, ...]:
    """All communes in order of their code, so that a seed always means the same people."""
    provinces = {unit.code: unit.name for unit in units_on(TODAY, Level.PROVINCE)}
    return tuple(
        Commune(unit.code, unit.name, unit.province, provinces[unit.province])
        for unit in units_on(TODAY, Level.COMMUNE)
    )
