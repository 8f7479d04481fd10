"""When what waits becomes a group: once nothing more arrives, or it is large, or it has waited.

    gathering = Gathering(loop, lambda: len(pending), flush)
    gathering.begin()

A group costs the same whether it holds one entry or a hundred: a signature, a sync, at the other
node a verification and an HTTP exchange. Under load messages arrive in bursts that the event loop
works off one after the other; a group made at the first of them would leave the others to the
next. An entry that is alone waits for an empty turn of the loop, some microseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# Entries: larger groups cost less each, but then both nodes of an exchange wait for one another.
ENOUGH = 48
LONGEST_SECONDS = 0.002  # where something arrives at every turn of the loop
STILL_TURNS = 1  # of the loop in which nothing arrived


class Gathering:
    """Looks once a turn of the event loop at how much waits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: Callable[[], int],
        enough: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._waiting = waiting
        self._enough = enough
        self._under_way = False
        self._seen = self._still = 0
        self._until = 0.0

    def begin(self) -> None:
        """Call ``enough`` when it is time to, unless that is being waited for already."""
        if not self._under_way:
            self._under_way = True
            self._seen = self._still = 0
            self._until = time.monotonic() + LONGEST_SECONDS
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        count = self._waiting()
        self._still = self._still + 1 if count == self._seen else 0
        self._seen = count
        done = count >= ENOUGH or self._still == STILL_TURNS or time.monotonic() > self._until
        if done:
            self._under_way = False
            self._enough()
        else:
            self._loop.call_soon(self._look)
