"""All units of all maps, and the edges that lead from an older unit to a younger one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from itertools import chain
from typing import NamedTuple

from lienthong.units.maps import new_map, old_map, read_former
from lienthong.units.models import Unit
from lienthong.units.packages import read_conversion, read_maps, read_spelling
from lienthong.units.succession import Edge, Reform, former_edges

Edges = dict[Unit, tuple[Edge, ...]]


class Atlas(NamedTuple):
    """Units by code (oldest first), and edges by either end."""

    by_code: dict[str, tuple[Unit, ...]]
    forward: Edges
    backward: Edges

    def units(self) -> Iterator[Unit]:
        """Yield every unit of every map, by code."""
        return chain.from_iterable(self.by_code.values())

    def at(self, code: str, day: date) -> Unit | None:
        """Return the unit that bore ``code`` on ``day``."""
        return next((unit for unit in self.by_code.get(code, ()) if unit.on(day)), None)


@cache
def atlas() -> Atlas:
    """Read the packages, once in a process. Raises UnitDataMissing."""
    old_rows, new_rows = read_maps()
    reform = Reform(old_rows, new_rows, read_conversion())
    continuing = reform.continuing_provinces()
    former, starts = read_former()
    old = old_map(old_rows, starts, continuing)
    new = new_map(new_rows, read_spelling(new_rows), {code: old[code] for code in continuing})
    edges = [*former_edges(former, old), *reform.edges(old, new)]
    return Atlas(
        _periods(chain((entry.unit for entry in former), old.values(), new.values())),
        _grouped((edge.older, edge) for edge in edges),
        _grouped((edge.younger, edge) for edge in edges),
    )


def _periods(units: Iterable[Unit]) -> dict[str, tuple[Unit, ...]]:
    periods: dict[str, dict[Unit, None]] = defaultdict(dict)
    for unit in units:
        periods[unit.code][unit] = None
    return {code: tuple(periods[code]) for code in sorted(periods)}


def _grouped(pairs: Iterable[tuple[Unit, Edge]]) -> Edges:
    groups: dict[Unit, list[Edge]] = defaultdict(list)
    for unit, edge in pairs:
        groups[unit].append(edge)
    return {unit: tuple(edges) for unit, edges in groups.items()}
