"""The gateways of one node: which are alive, which one leads, what they tell each other.

    gateways = gateways_of(engine, take_news, each_turn)
    await gateways.start()
    gateways.leading                       # see leader.py
    await gateways.tell("services")        # returns when the others have taken it in
    await gateways.alive(number)           # whether a gateway that had this number is still there

A node on SQLite is one process (``LoneGateway``). On PostgreSQL each gateway keeps one session
that holds an advisory lock under its number: the server frees it when the process dies, and
nothing has to be cleaned up. News travels by NOTIFY; who missed some looks at everything again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Protocol

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from lienthong.events import log_event
from lienthong.ledger.database import GATEWAY_KEEPALIVES

TURN_SECONDS = 2.0
RECONNECT_SECONDS = 1.0
START_PAUSE_SECONDS = 0.2
# A leader that has not reached the server for so long does not lead. The server keeps its lock
# for longer, so that nobody leads before that.
LEADING_SECONDS = 6.0
SILENT_SESSION_SECONDS = 15
TOLD_SECONDS = 3.0  # how long ``tell`` waits for gateways that are alive and do not answer
EVERYTHING = "everything"  # the news when some may have been missed

GATEWAY_LOCKS = 0x4C544757  # class of advisory locks: "LTGW"; the number is the gateway's
LEADER_LOCKS = 0x4C544C44  # "LTLD"
START_LOCKS = 0x4C545354  # "LTST"
CHANNEL = "lienthong_gateways"

_ALIVE = text(
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND classid = {GATEWAY_LOCKS}"
)
_TRY_START = text(f"SELECT pg_try_advisory_lock({START_LOCKS}, 0)")
_NOTIFY = text("SELECT pg_notify(:channel, :news)")

TakeNews = Callable[[str], Awaitable[None]]
EachTurn = Callable[[], Awaitable[None]]

logger = logging.getLogger("lienthong.node.gateways")


class Gateways(Protocol):
    """This gateway among those of its node."""

    number: int

    @property
    def leading(self) -> bool: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def tell(self, news: str) -> None: ...

    async def alive(self, number: int) -> bool: ...

    async def count(self) -> int: ...

    def one_at_a_time(self) -> AbstractAsyncContextManager[None]: ...


class LoneGateway:
    """The only process of its node."""

    number = 0
    leading = True

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def tell(self, news: str) -> None:
        return None

    async def alive(self, number: int) -> bool:
        return False  # what a former process began, nobody goes on with

    async def count(self) -> int:
        return 1

    def one_at_a_time(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class GatewaySession:
    """One gateway of several on PostgreSQL. Event loop only.

    ``take_news`` is awaited for what others tell, ``each_turn`` every two seconds.
    """

    def __init__(self, engine: Engine, take_news: TakeNews, each_turn: EachTurn) -> None:
        self.number = secrets.randbits(31)
        self._engine = engine
        self._take_news = take_news
        self._each_turn = each_turn
        self._leading_until = 0.0
        self._told = 0
        self._waiting: dict[int, _Answers] = {}
        self._ready: asyncio.Future[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._hearing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._turns: asyncio.Task[None] | None = None

    @property
    def leading(self) -> bool:
        return time.monotonic() < self._leading_until

    async def start(self) -> None:
        """Take the number's lock; returns when the others can see this gateway."""
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep_session(), name="gateways")
        await self._ready
        self._turns = asyncio.create_task(self._take_turns(), name="gateway turns")

    async def stop(self) -> None:
        self._leading_until = 0.0
        tasks = [each for each in (self._turns, self._task, *self._hearing) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tell(self, news: str) -> None:
        """Pass on news; returns when every live gateway has taken it in, or after a while."""
        self._told += 1
        number = self._told
        answers = self._waiting[number] = _Answers()
        try:
            others = await asyncio.to_thread(self._notify, f"{self.number} {number} {news}")
            async with asyncio.timeout(TOLD_SECONDS):
                await answers.wait(others - {self.number})
        except (SQLAlchemyError, TimeoutError) as error:
            log_event(logger, logging.WARNING, "gateways.not_told", news=news, reason=repr(error))
        finally:
            del self._waiting[number]

    async def alive(self, number: int) -> bool:
        return number in await asyncio.to_thread(self._alive)

    async def count(self) -> int:
        return len(await asyncio.to_thread(self._alive))

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        """A block that one gateway of the node runs at a time: taking up the ledger at a start."""
        connection = await asyncio.to_thread(self._engine.connect)
        try:
            while not await asyncio.to_thread(connection.scalar, _TRY_START):  # noqa: ASYNC110
                await asyncio.sleep(START_PAUSE_SECONDS)  # the server tells nobody that it is free
            yield
        finally:
            await asyncio.to_thread(connection.invalidate)  # its session holds the lock
            connection.close()

    # --- the session -----------------------------------------------------------------------

    async def _keep_session(self) -> None:
        told = False
        while True:
            try:
                await self._hold_session()
            except (psycopg.Error, OSError) as error:
                self._leading_until = 0.0
                if not told:
                    log_event(
                        logger, logging.ERROR, "gateways.session_lost", reason=type(error).__name__
                    )
                told = True
            else:
                told = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hold_session(self) -> None:
        address = self._engine.url.set(drivername="postgresql").update_query_dict(
            GATEWAY_KEEPALIVES
        )
        connection = await psycopg.AsyncConnection.connect(
            address.render_as_string(hide_password=False), autocommit=True
        )
        async with connection:
            if connection.info.server_version >= 140000:
                await connection.execute(f"SET idle_session_timeout TO '{SILENT_SESSION_SECONDS}s'")
            await connection.execute(
                "SELECT pg_advisory_lock(%s, %s)", (GATEWAY_LOCKS, self.number)
            )
            await connection.execute(f"LISTEN {CHANNEL}")
            await self._lead(connection)
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            else:
                await self._take(EVERYTHING)
            while True:
                async for notice in connection.notifies(timeout=TURN_SECONDS):
                    self._hear(notice.payload)
                await self._lead(connection)

    async def _lead(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Take or keep the leader's lock; asked for once only, as such locks are counted."""
        asked = time.monotonic()
        query = "SELECT pg_try_advisory_lock(%s, 0)" if not self.leading else "SELECT true, %s"
        cursor = await connection.execute(query, (LEADER_LOCKS,))
        row = await cursor.fetchone()
        led, self._leading_until = self.leading, 0.0
        if row is not None and row[0]:
            self._leading_until = asked + LEADING_SECONDS
        if self.leading and not led:
            log_event(logger, logging.INFO, "gateways.leading", gateway=self.number)

    def _hear(self, payload: str) -> None:
        sender, number, news = payload.split(" ", 2)
        if news.startswith("taken "):
            if news == f"taken {self.number}" and int(number) in self._waiting:
                self._waiting[int(number)].add(int(sender))
        elif int(sender) != self.number:
            task = asyncio.create_task(self._take_and_answer(sender, number, news))
            self._hearing.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._hearing.discard)

    async def _take_and_answer(self, sender: str, number: str, news: str) -> None:
        await self._take(news)
        with suppress(SQLAlchemyError):  # who told it waits in vain for a moment
            await asyncio.to_thread(self._notify, f"{self.number} {number} taken {sender}")

    async def _take(self, news: str) -> None:
        async with self._one_at_a_time:
            try:
                await self._take_news(news)
            except Exception:
                logger.exception("gateways.news_not_taken", extra={"fields": {"news": news}})

    async def _take_turns(self) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                await self._each_turn()
            except Exception:
                logger.exception("gateways.turn_failed")

    # --- blocking --------------------------------------------------------------------------

    def _notify(self, news: str) -> set[int]:
        """Send news; returns who is there to hear it."""
        with self._engine.begin() as connection:
            connection.execute(_NOTIFY, {"channel": CHANNEL, "news": news})
            return set(connection.scalars(_ALIVE))

    def _alive(self) -> set[int]:
        with self._engine.connect() as connection:
            return set(connection.scalars(_ALIVE))


class _Answers:
    """Who has said that it took some news in."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._changed = asyncio.Event()

    def add(self, number: int) -> None:
        self._taken.add(number)
        self._changed.set()

    async def wait(self, wanted: set[int]) -> None:
        while not wanted <= self._taken:
            self._changed.clear()
            await self._changed.wait()


def gateways_of(engine: Engine, take_news: TakeNews, each_turn: EachTurn) -> Gateways:
    """This process among the gateways of the node whose database that is."""
    if engine.dialect.name == "sqlite":
        return LoneGateway()
    return GatewaySession(engine, take_news, each_turn)
