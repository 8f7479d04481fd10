"""Reading the maps from two installed packages, without importing either.

``vietnamadminunits`` (MIT) has both maps and the conversion between them; importing it would
load shapely and numpy for functions that we do not use. ``vietnam-provinces`` (GPL-3.0 or
later, none of whose code runs here) has today's map as the statistics office spells it; it is
no dependency, and its spelling is taken only where somebody has installed it.

Its release for Python 3.11 carries provisional codes for about a hundred communes; those of
2026 and of ``vietnamadminunits`` agree on all. Codes therefore come from one package on every
Python, and the other's spelling is taken only where its codes agree
(docs/explanation/units.md).
"""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from lienthong.errors import UnitDataMissing
from lienthong.units.names import fold

CONVERSION_PACKAGE = "vietnamadminunits"
TODAY_PACKAGE = "vietnam_provinces"


class OldRow(NamedTuple):
    """One commune of the last map with districts; five island districts have no commune."""

    province_code: str
    province: str
    district_code: str
    district: str
    commune_code: str | None
    commune: str | None
    key: str


class NewRow(NamedTuple):
    """One commune of the map since 01/07/2025."""

    province_code: str
    province: str
    commune_code: str
    commune: str
    key: tuple[str, str]


class Conversion(NamedTuple):
    """What the 2025 reform made of the old communes, by the keys of the rows."""

    whole: dict[str, tuple[str, str]]
    parts: dict[str, list[tuple[tuple[str, str], bool]]]  # the flag marks the largest part


class _Part(msgspec.Struct):
    newWardKey: str  # noqa: N815 - the package's own spelling
    isDefaultNewWard: bool  # noqa: N815


class _ConversionFile(msgspec.Struct):
    DICT_PROVINCE_WARD_NO_DIVIDED: dict[str, dict[str, list[str]]]
    DICT_PROVINCE_WARD_DIVIDED: dict[str, dict[str, list[_Part]]]


class _Ward(msgspec.Struct):
    name: str
    code: int


class _Province(msgspec.Struct):
    name: str
    code: int
    wards: list[_Ward]


def read_maps() -> tuple[list[OldRow], list[NewRow]]:
    """Read both maps. Raises UnitDataMissing."""
    path = _folder(CONVERSION_PACKAGE) / "data" / "dataset.db"
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        try:
            old = connection.execute(
                "SELECT provinceCode, province, districtCode, district, wardCode, ward,"
                " provinceKey || '_' || districtKey || '_' || coalesce(wardKey, '')"
                " FROM admin_units_legacy"
            ).fetchall()
            new = connection.execute(
                "SELECT provinceCode, province, wardCode, ward, provinceKey, wardKey"
                " FROM admin_units"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise UnitDataMissing(package=CONVERSION_PACKAGE, reason=str(error)) from error
    return (
        [OldRow(*row) for row in old],
        [NewRow(a, b, c, d, (province, commune)) for a, b, c, d, province, commune in new],
    )


def read_conversion() -> Conversion:
    """Read what became of each old commune. Raises UnitDataMissing."""
    path = _folder(CONVERSION_PACKAGE) / "data" / "converter_2025.json"
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_ConversionFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise UnitDataMissing(package=CONVERSION_PACKAGE, reason=str(error)) from error
    return Conversion(
        whole={
            old: (province, new)
            for province, communes in file.DICT_PROVINCE_WARD_NO_DIVIDED.items()
            for new, olds in communes.items()
            for old in olds
        },
        parts={
            old: [((province, part.newWardKey), part.isDefaultNewWard) for part in parts]
            for province, communes in file.DICT_PROVINCE_WARD_DIVIDED.items()
            for old, parts in communes.items()
        },
    )


def read_spelling(rows: list[NewRow]) -> dict[str, str]:
    """Read the statistics office's spelling of today's communes, by code.

    Empty where ``vietnam-provinces`` is not installed, or where its codes or names do not
    agree with ``rows``: a map made of two different code lists would be a third one.
    """
    try:
        path = _folder(TODAY_PACKAGE) / "data" / "nested-divisions.json"
        provinces = msgspec.json.decode(path.read_bytes(), type=list[_Province])
    except (UnitDataMissing, OSError, msgspec.MsgspecError):
        return {}
    names = {
        f"{ward.code:05}": " ".join(ward.name.split())
        for province in provinces
        for ward in province.wards
    }
    ours = {row.commune_code: row.commune for row in rows}
    agree = names.keys() == ours.keys() and all(
        fold(name) == fold(ours[code]) for code, name in names.items()
    )
    return names if agree else {}


def _folder(package: str) -> Path:
    specification = find_spec(package)
    if specification is None or not specification.submodule_search_locations:
        raise UnitDataMissing(package=package, reason="not installed")
    return Path(specification.submodule_search_locations[0])
