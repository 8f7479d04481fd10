"""Administrative units and agency codes, as they were on any day.

    from lienthong.units import Level, find, roll_forward, units_on
    len(units_on(date(2025, 6, 30), Level.PROVINCE))             # 63
    roll_forward("02", date(2024, 1, 1)).dominant.name           # Tỉnh Tuyên Quang

Open ``service.py`` first.
"""

from lienthong.units.agencies import Agency, AgencyCode, Generation, agencies
from lienthong.units.models import Count, Level, Roll, Step, Unit
from lienthong.units.names import fold
from lienthong.units.service import (
    children,
    find,
    reported_count,
    roll,
    roll_back,
    roll_forward,
    search,
    units_on,
)

__all__ = [
    "Agency",
    "AgencyCode",
    "Count",
    "Generation",
    "Level",
    "Roll",
    "Step",
    "Unit",
    "agencies",
    "children",
    "find",
    "fold",
    "reported_count",
    "roll",
    "roll_back",
    "roll_forward",
    "search",
    "units_on",
]
