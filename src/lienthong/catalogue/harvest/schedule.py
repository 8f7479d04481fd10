"""When a source is harvested next: at its own interval, later and later while it fails.

every_seconds("6h")                       # 21600.0; "0": by hand only
interval(source, settings)
settle(source, run, settings, now)        # writes into source.state
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lienthong.catalogue.harvest.lease import LOST
from lienthong.catalogue.harvest.models import Outcome, Run, Source
from lienthong.errors import OptionInvalid
from lienthong.settings import Settings

SHORTEST_SECONDS = 60.0
LONGEST_SECONDS = 366 * 86_400.0
FIRST_BACK_OFF_SECONDS = 300.0  # after the first failure; doubled with each
LONGEST_BACK_OFF_SECONDS = 86_400.0
STOPPING = "the program is stopping"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EVERY = re.compile(r"([0-9]{1,9})([smhd]?)")


def every_seconds(text: str) -> float:
    """Read ``30m``, ``6h``, ``1d`` or seconds; 0: by hand only. Raises OptionInvalid."""
    found = _EVERY.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
    if seconds and not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise OptionInvalid(option="--every", value=text[:40], wanted="30m, 6h, 1d, 0")
    return seconds


def interval(source: Source, settings: Settings) -> float:
    """Seconds between two runs; 0: by hand only."""
    if source.every_seconds is not None:
        return source.every_seconds
    return float(settings.harvest_every_seconds)


def next_due(source: Source, settings: Settings) -> float | None:
    """The Unix time of its next run; None: by hand only. A new source is due at once."""
    return source.state.due if interval(source, settings) else None


def most_due(sources: Iterable[Source], settings: Settings, now: float) -> Source | None:
    """The source that has waited longest past its time."""
    times = ((next_due(each, settings), each) for each in sources)
    waiting = [(due, each) for due, each in times if due is not None and due <= now]
    return min(waiting, key=lambda pair: (pair[0], pair[1].name))[1] if waiting else None


def settle(source: Source, run: Run, settings: Settings, now: float) -> None:
    """Set when it is due again, by how the run went."""
    state, every = source.state, interval(source, settings)
    if run.reason in (STOPPING, LOST):  # no fault of the source's
        state.due = now
        return
    if run.outcome is not Outcome.BROKEN:
        state.failures, state.due = 0, now + every
        return
    state.failures += 1
    back_off = FIRST_BACK_OFF_SECONDS * 2 ** min(state.failures - 1, 20)
    state.due = now + min(back_off, LONGEST_BACK_OFF_SECONDS)
