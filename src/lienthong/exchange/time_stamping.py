"""Anchoring the node's newest head in time: RFC 3161 time-stamps, every minute.

    stamper = TimeStamper(core, store, transport, plan)
    await stamper.turn()            # the node's leader: stamp what waits
    await stamper.look()            # every gateway: how much waits
    stamper.backlog, stamper.alarming

One stamp on the newest head covers everything below it. When no authority answers rightly,
traffic goes on; the next stamp covers what waited, and until then there is an alarm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from lienthong.directory.records import TimeAuthority
from lienthong.directory.time_authorities import check_time_certificates
from lienthong.errors import InvalidSetting, LienthongError, TimeStampInvalid
from lienthong.events import log_event
from lienthong.exchange.core import Core
from lienthong.ledger.anchors import AnchorStore, Backlog, OwnHead
from lienthong.ledger.clock import EPOCH_START
from lienthong.ledger.evidence_time import LARGEST_CLOCK_DIFFERENCE, check_not_before
from lienthong.ledger.heads import parse_head
from lienthong.ledger.timestamps import LARGEST_STAMP, Stamp, StampedTime, accept_reply, stamp_query
from lienthong.settings import Settings
from lienthong.transport.client import Address, Transport
from lienthong.transport.messages import Body, Request

AUTHORITY_SECONDS = 10.0  # an authority that is slower counts as away: the next one is asked
_HEADERS = [
    ("content-type", "application/timestamp-query"),
    ("accept", "application/timestamp-reply"),
]

logger = logging.getLogger("lienthong.exchange.time_stamping")


@dataclass(frozen=True, slots=True)
class StampingPlan:
    """Which authorities are asked, in turn; what is wanted of them; when to raise an alarm."""

    urls: tuple[str, ...]
    policy: str
    given: tuple[TimeAuthority, ...]  # trusted by a file of the node's own
    alarm_after: timedelta

    @classmethod
    def of(cls, settings: Settings) -> StampingPlan:
        """Raises InvalidSetting."""
        urls = tuple(url.strip() for url in settings.time_stamp_urls.split(",") if url.strip())
        for url in urls:
            try:
                Address.parse(url)
            except LienthongError as error:
                raise InvalidSetting(name="time_stamp_urls", reason=url) from error
        try:
            stamp_query("", settings.time_stamp_policy)
        except ValueError as error:
            reason = settings.time_stamp_policy
            raise InvalidSetting(name="time_stamp_policy", reason=reason) from error
        return cls(
            urls,
            settings.time_stamp_policy,
            given_authorities(settings.time_stamp_certificates),
            timedelta(seconds=settings.time_stamp_alarm_seconds),
        )


def given_authorities(path: str) -> tuple[TimeAuthority, ...]:
    """Authorities that a PEM file names beside the directory's. Raises InvalidSetting."""
    if not path:
        return ()
    try:
        pem = Path(path).read_text(encoding="ascii")
        check_time_certificates(pem)
    except (OSError, ValueError, LienthongError) as error:
        raise InvalidSetting(name="time_stamp_certificates", reason=path) from error
    return (TimeAuthority(Path(path).stem, pem, EPOCH_START, None),)


class TimeStamper:
    """Stamps heads, and knows what waits to be stamped."""

    def __init__(
        self,
        core: Core,
        store: AnchorStore,
        transport: Transport,
        plan: StampingPlan,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._core = core
        self._store = store
        self._transport = transport
        self._plan = plan
        self._on_failure = on_failure
        self.backlog = Backlog()
        self.last_error = ""

    @property
    def configured(self) -> bool:
        return bool(self._plan.urls)

    @property
    def alarming(self) -> bool:
        """Whether something has waited for a stamp for too long."""
        return self.configured and self.backlog.seconds > self._plan.alarm_after.total_seconds()

    async def turn(self) -> None:
        """Stamp the newest head, and the last head of an epoch that was given up unstamped."""
        if not self.configured:
            return
        for head in await asyncio.to_thread(self._store.unstamped):
            if not await self._stamp(head):
                break
        await self.look()
        if self.alarming:
            log_event(
                logger,
                logging.ERROR,
                "time_stamp.backlog",
                groups=self.backlog.groups,
                seconds=round(self.backlog.seconds),
                reason=self.last_error,
            )

    async def look(self) -> None:
        """Learn from the database how much waits; another gateway may be the one that stamps."""
        if self.configured:
            now = self._core.clock.now()
            self.backlog = await asyncio.to_thread(self._store.backlog, now)
            if not self.backlog.groups:
                self.last_error = ""

    async def _stamp(self, head: OwnHead) -> bool:
        """Ask the authorities one after the other until one has stamped ``head``."""
        for url in self._plan.urls:
            try:
                stamp, stamped = await self._ask(url, head)
            except LienthongError as error:
                self._fail(url, error)
                continue
            await asyncio.to_thread(self._store.put_stamp, head, stamp, stamped)
            return True
        return False

    async def _ask(self, url: str, head: OwnHead) -> tuple[Stamp, StampedTime]:
        """One stamp of one authority. Raises TransportError leaves, TimeStampInvalid."""
        query = stamp_query(head.note, self._plan.policy)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = Request("POST", target, _HEADERS, Body.of(query.request))
        response = await self._transport.send(
            Address.parse(url), request, timeout_seconds=AUTHORITY_SECONDS
        )
        if response.status != 200:
            raise TimeStampInvalid(reason=f"HTTP status {response.status}")
        if response.body.size > LARGEST_STAMP:
            raise TimeStampInvalid(reason="too large")
        trusted = (*self._core.directory.view.time_authorities, *self._plan.given)
        answer = response.body.read()
        stamp, stamped = await asyncio.to_thread(accept_reply, answer, head.note, query, trusted)
        check_not_before(parse_head(head.note), stamped)
        if stamped.time - stamped.accuracy > self._core.clock.now() + LARGEST_CLOCK_DIFFERENCE:
            raise TimeStampInvalid(reason="its time is in the future")
        return stamp, stamped

    def _fail(self, url: str, error: LienthongError) -> None:
        self.last_error = str(error)
        self._on_failure()
        address = str(Address.parse(url))
        log_event(
            logger, logging.WARNING, "time_stamp.not_given", authority=address, reason=str(error)
        )
