"""Agency codes of both generations: ``000.00.25.G14`` and ``G14.25``.

    code = AgencyCode.parse("000.00.25.G14")
    code.level, code.parent, str(code.to_new())          # 2, 000.00.00.G14, "G14.25"

Old (QCVN 102:2016/BTTTT): four groups of 3, 2 and 2 digits and a letter with two digits; the
right-most is level 1 and levels grow leftwards, zeros where there is no level. New (Quyết định
20/2020/QĐ-TTg, in force since 15/09/2020): at most 35 characters ``0-9 A-Z .``, groups parted by
dots, level 1 first.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Self

import msgspec

from lienthong.errors import InvalidAgencyCode, NoOldAgencyCode

LONGEST_CODE = 35  # characters; Quyết định 20/2020/QĐ-TTg
NEW_SINCE = date(2020, 9, 15)

_OLD = re.compile(r"([0-9]{3})\.([0-9]{2})\.([0-9]{2})\.([A-Z][0-9]{2})")
_NEW = re.compile(r"[0-9A-Z]+(?:\.[0-9A-Z]+)*")
_LEVEL_1 = re.compile(r"[A-Z][0-9]{2}")
_OLD_WIDTHS = (2, 2, 3)  # digits of levels 2, 3 and 4


class Generation(StrEnum):
    """The two forms of agency codes."""

    OLD = "old"
    NEW = "new"


class Agency(msgspec.Struct, frozen=True):
    """The bearer of a level-1 code, and what became of it."""

    code: str
    name: str
    province: str | None = None  # code on the map of 63 provinces
    valid_until: date | None = None
    into: str | None = None  # code of the body that took over
    into_name: str | None = None  # its name, where its code is not known


class AgencyCode(msgspec.Struct, frozen=True):
    """A code taken apart: ``groups`` are its levels, level 1 first, without filling zeros."""

    generation: Generation
    groups: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a code of either generation. Raises InvalidAgencyCode."""
        if len(text) > LONGEST_CODE:
            raise _invalid(text, f"over {LONGEST_CODE} characters")
        if old := _OLD.fullmatch(text):
            return cls(Generation.OLD, _levels_of_old(text, old))
        if not _NEW.fullmatch(text):
            raise _invalid(text, "groups of 0-9 and A-Z parted by dots are wanted")
        return cls(Generation.NEW, tuple(text.split(".")))

    def __str__(self) -> str:
        if self.generation is Generation.NEW:
            return ".".join(self.groups)
        lower = [
            self.groups[level] if level < len(self.groups) else "0" * width
            for level, width in enumerate(_OLD_WIDTHS, start=1)
        ]
        return ".".join([*reversed(lower), self.groups[0]])

    @property
    def level(self) -> int:
        """1 for a ministry or province, 2 for what stands directly below it, and so on."""
        return len(self.groups)

    @property
    def parent(self) -> AgencyCode | None:
        """The code of the body above; None at level 1."""
        return AgencyCode(self.generation, self.groups[:-1]) if self.level > 1 else None

    @property
    def state_body(self) -> bool:
        """Whether level 1 is a letter and two digits; enterprises use other schemes."""
        return _LEVEL_1.fullmatch(self.groups[0]) is not None

    @property
    def agency(self) -> Agency | None:
        """The bearer of the level-1 code; None where the list does not have it."""
        return agencies().get(self.groups[0])

    def within(self, other: AgencyCode) -> bool:
        """Tell whether this is ``other`` or a body below it, across generations."""
        return self.groups[: other.level] == other.groups

    def to_new(self) -> AgencyCode:
        """Write the code in the new form: the same levels, level 1 first."""
        return AgencyCode(Generation.NEW, self.groups)

    def to_old(self) -> AgencyCode:
        """Write the code in the old form. Raises NoOldAgencyCode."""
        if not self.state_body:
            raise NoOldAgencyCode(agency=str(self), reason="level 1 is no letter and two digits")
        if self.level > 1 + len(_OLD_WIDTHS):
            raise NoOldAgencyCode(agency=str(self), reason="more than four levels")
        for group, width in zip(self.groups[1:], _OLD_WIDTHS, strict=False):
            if len(group) != width or not group.isdigit() or not int(group):
                raise NoOldAgencyCode(agency=str(self), reason=f"group {group}: {width} digits")
        return AgencyCode(Generation.OLD, self.groups)


@cache
def agencies() -> dict[str, Agency]:
    """Return the bearers of level-1 codes, by code."""
    text = files("lienthong.units").joinpath("data/agency_level1.toml").read_text(encoding="utf-8")
    listed = msgspec.convert(tomllib.loads(text)["agency"], list[Agency])
    return {agency.code: agency for agency in listed}


def _levels_of_old(text: str, match: re.Match[str]) -> tuple[str, ...]:
    level4, level3, level2, level1 = match.groups()
    groups = [level1, level2, level3, level4]
    while len(groups) > 1 and not int(groups[-1]):
        groups.pop()
    if any(not int(group) for group in groups[1:]):
        raise _invalid(text, "a level is missing between two others")
    return tuple(groups)


def _invalid(text: str, reason: str) -> InvalidAgencyCode:
    return InvalidAgencyCode(agency=text[:LONGEST_CODE], reason=reason)
