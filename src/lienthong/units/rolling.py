"""Rolling a unit from one day's map to another's, along the edges between them."""

from __future__ import annotations

from datetime import date

from lienthong.units.atlas import Atlas
from lienthong.units.models import Roll, Step, Unit


def roll_unit(atlas: Atlas, origin: Unit, day: date) -> Roll:
    """Find the units of ``day`` in which the territory of ``origin`` lies."""
    steps = [Step(origin, whole=True, dominant=True, share=1.0)]
    while any(not step.unit.on(day) for step in steps):
        steps = _merged(
            [after for step in steps for after in _advance(atlas, step, day, step.unit == origin)]
        )
    return Roll(origin, day, tuple(sorted(steps, key=lambda step: step.unit.code)))


def _advance(atlas: Atlas, step: Step, day: date, first: bool) -> list[Step]:
    """Move one step along its edges towards ``day``; a unit of that day stays."""
    unit = step.unit
    if unit.on(day):
        return [step]
    if unit.valid_until and unit.valid_until < day:
        return _forward(atlas, step, first)
    return _backward(atlas, step)


def _forward(atlas: Atlas, step: Step, first: bool) -> list[Step]:
    """Follow the edges to younger units.

    Where a unit was divided that already was only a part of the origin, or that held more than
    the origin, no source says which of its pieces is the origin's largest, or how large.
    """
    edges = atlas.forward.get(step.unit, ())
    all_of_it = step.share == 1.0 and len(atlas.backward.get(step.unit, ())) == 1
    known = first or all_of_it or len(edges) == 1
    return [
        Step(
            edge.younger,
            whole=step.whole and edge.whole,
            dominant=known and step.dominant and edge.dominant,
            share=_product(step.share, edge.share) if known else None,
        )
        for edge in edges
    ]


def _backward(atlas: Atlas, step: Step) -> list[Step]:
    """Follow the edges to older units, of the same level where there are any.

    No source says how much of a unit each older one brought; a single one brought all.
    """
    edges = atlas.backward.get(step.unit, ())
    same_level = [edge for edge in edges if edge.older.level is step.unit.level]
    chosen = same_level or edges
    single = len(chosen) == 1
    return [
        Step(
            edge.older,
            whole=step.whole and edge.whole,
            dominant=single and step.dominant,
            share=step.share if single else None,
        )
        for edge in chosen
    ]


def _product(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first * second


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _merged(steps: list[Step]) -> list[Step]:
    """Join the ways that lead to one unit."""
    merged: dict[Unit, Step] = {}
    for step in steps:
        other = merged.setdefault(step.unit, step)
        if other is not step:
            merged[step.unit] = Step(
                step.unit,
                whole=step.whole and other.whole,
                dominant=step.dominant or other.dominant,
                share=_sum(step.share, other.share),
            )
    return list(merged.values())
