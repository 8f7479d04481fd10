"""Which numbers a rule of quality accepts, and whether one rule accepts more than another.

covers(accepted(Operator.LESS, 10), accepted(Operator.LESS, 5))    # True
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lienthong.contracts.details import Operator


class Interval(NamedTuple):
    """Numbers between two ends, each end in it or not."""

    low: float
    low_in: bool
    high: float
    high_in: bool

    def lies_in(self, other: Interval) -> bool:
        """Whether every number of this interval is one of the other's."""
        above = self.low > other.low or (self.low == other.low and other.low_in >= self.low_in)
        below = self.high < other.high or (
            self.high == other.high and other.high_in >= self.high_in
        )
        return above and below


_END = math.inf


def accepted(operator: Operator | None, bound: Any) -> tuple[Interval, ...] | None:
    """The numbers that a rule accepts; None where its bound is no number."""
    ends = bound if isinstance(bound, tuple) else (bound,)
    if operator is None or not all(type(end) in (int, float) for end in ends):
        return None
    low, high = float(ends[0]), float(ends[-1])
    below, above = Interval(-_END, True, low, False), Interval(high, False, _END, True)
    forms = {
        Operator.MUST_BE: (Interval(low, True, low, True),),
        Operator.MUST_NOT_BE: (below, above),
        Operator.GREATER: (above,),
        Operator.GREATER_OR_EQUAL: (above._replace(low_in=True),),
        Operator.LESS: (below,),
        Operator.LESS_OR_EQUAL: (below._replace(high_in=True),),
        Operator.BETWEEN: (Interval(low, True, high, True),),
        Operator.NOT_BETWEEN: (below, above),
    }
    return forms[operator]


def covers(wide: tuple[Interval, ...], narrow: tuple[Interval, ...]) -> bool:
    """Whether ``wide`` accepts everything that ``narrow`` accepts."""
    return all(any(part.lies_in(whole) for whole in wide) for part in narrow)
