"""Communes of today, in which the fictitious people of the demo live."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from vietnam_provinces import Province, Ward


class Commune(NamedTuple):
    """A commune with its province, as written in an address."""

    code: str
    name: str
    province_code: str  # two digits
    province: str


@cache
def communes() -> tuple[Commune, ...]:
    """All communes in order of their code, so that a seed always means the same people."""
    provinces = {province.code: province.name for province in Province.iter_all()}
    return tuple(
        sorted(
            Commune(
                f"{int(ward.code):05d}",
                ward.name,
                f"{int(ward.province_code):02d}",
                provinces[ward.province_code],
            )
            for ward in Ward.iter_all()
        )
    )
