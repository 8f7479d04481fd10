"""Which unit became which: the reform of 01/07/2025, and the changes shortly before it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from lienthong.units.maps import Former
from lienthong.units.models import Unit
from lienthong.units.packages import Conversion, NewRow, OldRow


class Edge(NamedTuple):
    """Part or all of ``older`` became part or all of ``younger``."""

    older: Unit
    younger: Unit
    whole: bool
    dominant: bool
    share: float | None


class Target(NamedTuple):
    """A new commune that an old commune went into."""

    commune: str
    largest: bool


class Reform:
    """The reform of 2025 by codes: each old commune's targets, and what follows from them."""

    def __init__(self, old: list[OldRow], new: list[NewRow], conversion: Conversion) -> None:
        codes = {row.key: row.commune_code for row in new}
        self._province_of_new = {row.commune_code: row.province_code for row in new}
        self._rows = old
        self.targets: dict[str, list[Target]] = {}
        for row in old:
            self.targets[row.commune_code or row.district_code] = (
                [Target(codes[conversion.whole[row.key]], True)]
                if row.key in conversion.whole
                else [Target(codes[key], largest) for key, largest in conversion.parts[row.key]]
            )

    def continuing_provinces(self) -> frozenset[str]:
        """Return the codes of provinces that neither gave nor received a commune."""
        moves = {
            (row.province_code, self._province_of_new[target.commune])
            for row in self._rows
            for target in self.targets[row.commune_code or row.district_code]
        }
        touched = {code for move in moves if move[0] != move[1] for code in move}
        return frozenset(before for before, after in moves if before == after) - touched

    def edges(self, old: dict[str, Unit], new: dict[str, Unit]) -> Iterator[Edge]:
        """Yield the edges of all three levels."""
        for code, targets in self.targets.items():
            if len(code) == 5:
                single = len(targets) == 1
                for target in targets:
                    share = 1.0 if single else None
                    younger = new[target.commune]
                    yield Edge(old[code], younger, single, target.largest, share)
        yield from self._district_edges(old, new)
        yield from self._province_edges(old, new)

    def _district_edges(self, old: dict[str, Unit], new: dict[str, Unit]) -> Iterator[Edge]:
        """A district went into communes; shares count its communes, each by its largest part."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self._rows:
            for target in self.targets[row.commune_code or row.district_code]:
                counts[row.district_code][target.commune] += int(target.largest)
        for district, communes in counts.items():
            yield from _by_count(old[district], {new[c]: n for c, n in communes.items()})

    def _province_edges(self, old: dict[str, Unit], new: dict[str, Unit]) -> Iterator[Edge]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self._rows:
            for target in self.targets[row.commune_code or row.district_code]:
                province = self._province_of_new[target.commune]
                counts[row.province_code][province] += int(target.largest)
        for province, provinces in counts.items():
            if old[province] is not new.get(province):
                yield from _by_count(old[province], {new[p]: n for p, n in provinces.items()})


def former_edges(former: list[Former], old: dict[str, Unit]) -> Iterator[Edge]:
    """Yield the edges from units that ended before the last old map."""
    for unit, into in former:
        for position, code in enumerate(into):
            single = len(into) == 1
            yield Edge(unit, old[code], single, position == 0, 1.0 if single else None)


def _by_count(older: Unit, parts: dict[Unit, int]) -> Iterator[Edge]:
    total, most = sum(parts.values()), max(parts.values())
    leads = [unit for unit, number in parts.items() if number == most]
    for younger, number in parts.items():
        dominant = leads == [younger]
        yield Edge(older, younger, len(parts) == 1, dominant, number / total)
