"""The values of this room: a unit, a step between two maps, a reported count."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """Levels of local government; districts ended on 30/06/2025."""

    PROVINCE = "province"
    DISTRICT = "district"
    COMMUNE = "commune"


class Unit(msgspec.Struct, frozen=True, gc=False):
    """One administrative unit in one period of its life.

    A code alone is not a unit: commune 00004 was Trúc Bạch until 30/06/2025 and is Ba Đình
    since. ``valid_from`` None means earlier than the maps reach, ``valid_until`` None means
    still in being; both days belong to the period.
    """

    code: str  # 2 digits: province, 3: district, 5: commune
    level: Level
    name: str  # with its kind: "Phường Ba Đình"
    kind: str  # in lower case: "phường"
    parent: str | None  # code of the district or province above, on the same days
    province: str  # code of its province, on the same days; a province's own code
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def short_name(self) -> str:
        """The name without its kind; kept whole where the rest is a number (``Quận 1``)."""
        rest = self.name[len(self.kind) :].strip()
        return self.name if rest.isdigit() else rest

    def on(self, day: date) -> bool:
        """Tell whether the unit existed on ``day``."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class Step(msgspec.Struct, frozen=True):
    """One unit that an origin rolls to.

    ``whole`` says that the older of the two units lies wholly inside the younger.
    ``dominant`` marks the one result that received the largest part of the origin.
    ``share`` is the part of the origin that came here: 1.0 for all of it, None where no source
    says how a unit was divided. A district's is by number of communes, each counted where its
    largest part went, so that 0.0 stands for a strip of land.
    """

    unit: Unit
    whole: bool
    dominant: bool
    share: float | None


class Roll(msgspec.Struct, frozen=True):
    """Where a unit's territory lies on another day's map."""

    origin: Unit
    day: date
    steps: tuple[Step, ...]

    @property
    def split(self) -> bool:
        """Whether the origin is found in more than one unit."""
        return len(self.steps) > 1

    @property
    def dominant(self) -> Unit | None:
        """The unit to choose when only one can be; None where no source tells which."""
        return next((step.unit for step in self.steps if step.dominant), None)


class Count(msgspec.Struct, frozen=True):
    """How many units of a level were reported in a period, and why that many."""

    level: Level
    number: int
    valid_from: date
    vi: str
    en: str
    valid_until: date | None = None
