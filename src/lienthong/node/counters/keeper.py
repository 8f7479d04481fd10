"""Making the counters of each hour that is over, and giving them to other nodes.

GET /lienthong/1/counters/2026-11-23T10   →   the signed document, or 404 when there is none

Counts come from the ledger once the hour is over and nothing can be added to it any more, so a
crash loses none. Refusals that never came to the ledger are counted in memory and brought to
the database every few seconds: a kill loses those of the last turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from lienthong.errors import RecordNotFound
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.core import Core
from lienthong.identity.keys import SigningKey
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.heads import format_time
from lienthong.node.counters.counts import (
    SIZE_BOUNDS,
    Counting,
    Flow,
    hour_of,
    hours_between,
    start_of,
)
from lienthong.node.counters.documents import Counters, sign_counters
from lienthong.node.counters.store import CounterStore
from lienthong.transport.messages import Body, Request, Response

COUNTERS_PATH = f"{wire.BASE_PATH}/counters/"
SAVE_SECONDS = 15.0  # what a kill may lose of the refusals that are in no ledger
PUBLISH_SECONDS = 10.0  # one small query; an hour is published once
HOUR = timedelta(hours=1)
LONGEST_CATCH_UP = timedelta(days=7)  # after a node was away
KEPT = timedelta(days=400)
GROUPS_AT_ONCE = 200
# Counting an hour must not be felt: between pieces it rests this many times as long.
REST_FACTOR = 4.0
LONGEST_REST_SECONDS = 0.5

logger = logging.getLogger("lienthong.node.counters")


class Refusals:
    """What the edges of this process refused since it was last asked. Event loop only."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, side: str, code: str) -> None:
        self._counts[side, code] += 1

    def take(self) -> dict[tuple[str, str], int]:
        taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, counts: dict[tuple[str, str], int]) -> None:
        self._counts.update(counts)


class CounterKeeper:
    """The counters of one node."""

    def __init__(
        self, core: Core, store: CounterStore, key: Callable[[], SigningKey], refusals: Refusals
    ) -> None:
        self._core = core
        self._store = store
        self._key = key
        self._refusals = refusals
        self._directory_version = 0

    async def save_refusals(self) -> None:
        """Bring to the database what was refused; every process of a node does."""
        counts = self._refusals.take()
        hour = hour_of(self._core.clock.now())
        try:
            await asyncio.to_thread(self._store.add_refusals, hour, counts)
        except BaseException:
            self._refusals.give_back(counts)
            raise

    async def publish(self) -> None:
        """Make the documents of all hours that are over; one process of a node does."""
        self._directory_version = self._core.directory.view.version
        await asyncio.to_thread(self._publish)

    async def answer(self, _peer: str, request: Request) -> Response:
        """Give a document to another node. Raises RecordNotFound."""
        hour = request.path.removeprefix(COUNTERS_PATH)
        document = await asyncio.to_thread(self._store.document, hour[:13])
        if document is None or len(hour) != 13:
            raise RecordNotFound(name=f"counters of {hour[:13]}")
        headers = [("content-type", "application/json; charset=utf-8")]
        return Response(200, headers, Body.of(document))

    def _publish(self) -> None:
        now = self._core.clock.now()
        for hour in self._due(now):
            document = sign_counters(self._count(hour), self._key())
            self._store.put(hour, document)
            log_event(logger, logging.INFO, "counters.published", hour=hour, size=len(document))
        self._store.forget_before(hour_of(now - KEPT))

    def _due(self, now: datetime) -> tuple[str, ...]:
        """Hours that are over, with all that could still come, and have no document."""
        last = hour_of(now - HOUR - self._late)
        newest = self._store.newest()
        earliest = now - LONGEST_CATCH_UP
        first = earliest if newest is None else max(start_of(newest) + HOUR, earliest)
        if newest is None:
            began = self._began()
            if began is None:
                return ()
            first = max(began, earliest)
        return hours_between(hour_of(first), last)

    def _began(self) -> datetime | None:
        """When this ledger's first message was written; before it there is nothing to count."""
        for group in self._core.store.groups(batch_rows=1):
            return group.time
        return None

    @property
    def _late(self) -> timedelta:
        """How long after its time a message may come to the ledger, by anybody's clock."""
        return self._core.remembered + HOUR / 60

    def _count(self, hour: str) -> Counters:
        start = start_of(hour)
        return Counters(
            node=self._core.node,
            hour=hour,
            made=format_time(self._core.clock.now()),
            directory_version=self._directory_version,
            size_bounds=SIZE_BOUNDS,
            flows=self._flows(hour, start - self._late, start + HOUR + self._late),
            refusals=self._store.refusals(hour),
        )

    def _flows(self, hour: str, since: datetime, until: datetime) -> tuple[Flow, ...]:
        counting = Counting(hour)
        begun = time.monotonic()
        for number, group in enumerate(self._core.store.groups(since_ms=milliseconds(since))):
            if group.time > until:
                break
            counting.add(group)
            if number % GROUPS_AT_ONCE == GROUPS_AT_ONCE - 1:
                worked = time.monotonic() - begun
                time.sleep(min(worked * REST_FACTOR, LONGEST_REST_SECONDS))
                begun = time.monotonic()
        return counting.flows()
