"""Rates and daily quotas that hold over all gateways of a node: reserved in its database.

    async with reservations.turn(agreement.id):
        await reservations.reserve(agreement, count, now)     # then the book decides again

Each gateway reserves some of what is left and lets requests pass from that without asking. So
the total never exceeds what was agreed. A second's unused share of a rate lapses; what a gateway
that is killed had reserved of a day's quota is lost to the consumer: a two-hundredth of what was
left. PostgreSQL only; the one process of a node on SQLite counts in memory.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from lienthong.agreements.limits import Allowance, vietnam_day
from lienthong.agreements.models import Agreement, Rate
from lienthong.agreements.store import USAGE
from lienthong.errors import AgreementStoreFailed

RATE_SHARES = 10  # a gateway takes a tenth of a second's requests at a time
QUOTA_SHARES = 200

metadata = MetaData()

RATE = Table(
    "agreement_rate",
    metadata,
    Column("agreement_id", String(36), primary_key=True),
    Column("tokens", Float(53), nullable=False),
    Column("moment", Float(53), nullable=False),  # of the server's clock, which all share
)
_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")


class Reservations:
    """``allowances`` are those of the book. All methods raise AgreementStoreFailed."""

    def __init__(self, engine: Engine, allowances: dict[str, Allowance]) -> None:
        self._engine = engine
        self._allowances = allowances
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def turn(self, agreement_id: str) -> asyncio.Lock:
        """One reserves at a time for an agreement; who waited may find enough reserved."""
        return self._turns[agreement_id]

    async def reserve(self, agreement: Agreement, count: int, now: datetime) -> None:
        """Reserve what ``count`` more need; the allowance says what was granted."""
        document, timestamp = agreement.document, now.timestamp()
        allowance = self._allowances[agreement.id]
        if document.rate is not None and not allowance.has_token(timestamp):
            rate = document.rate
            granted, pause = await asyncio.to_thread(self._take_tokens, agreement.id, rate)
            allowance.grant_tokens(granted, timestamp, pause)
        day = vietnam_day(timestamp)
        if document.daily_quota is not None and not allowance.has_quota(day, count):
            quota = document.daily_quota
            granted = await asyncio.to_thread(self._take_quota, agreement.id, day, count, quota)
            allowance.grant_quota(granted, day, count)

    def give_back(self) -> None:
        """What is left of the day's quotas is for the others: this gateway stops. Blocking."""
        left = {id_: each for id_, each in self._allowances.items() if each.quota_left}
        if not left:
            return
        try:
            with self._engine.begin() as connection:
                for id_, allowance in left.items():
                    mine = (USAGE.c.agreement_id == id_) & (USAGE.c.day == allowance.day)
                    used = USAGE.c.used - allowance.quota_left
                    connection.execute(update(USAGE).where(mine).values(used=used))
                    allowance.quota_left = 0
        except SQLAlchemyError as error:
            raise AgreementStoreFailed(reason=type(error).__name__) from error

    def _take_tokens(self, agreement_id: str, rate: Rate) -> tuple[int, float]:
        """Tokens granted, and when there are none, seconds until the next."""
        share = max(1, math.ceil(min(rate.burst, rate.per_second) / RATE_SHARES))
        try:
            with self._engine.begin() as connection:
                tokens = self._tokens(connection, agreement_id, rate)
                granted = min(int(tokens), share)
                row = update(RATE).where(RATE.c.agreement_id == agreement_id)
                connection.execute(row.values(tokens=RATE.c.tokens - granted))
        except SQLAlchemyError as error:
            raise AgreementStoreFailed(reason=type(error).__name__) from error
        return granted, 0.0 if granted else (1.0 - tokens) / rate.per_second

    @staticmethod
    def _tokens(connection: Connection, agreement_id: str, rate: Rate) -> float:
        """What is in the bucket now; its row is ours until the transaction ends."""
        full = {"agreement_id": agreement_id, "tokens": rate.burst, "moment": 0.0}
        connection.execute(insert(RATE).values(full).on_conflict_do_nothing())
        mine = RATE.c.agreement_id == agreement_id
        row = connection.execute(
            select(RATE.c.tokens, RATE.c.moment).where(mine).with_for_update()
        ).one()
        now = float(connection.scalar(_NOW) or 0.0)
        grown = row.tokens + max(now - row.moment, 0.0) * rate.per_second
        tokens: float = min(float(rate.burst), grown)
        connection.execute(update(RATE).where(mine).values(tokens=tokens, moment=now))
        return tokens

    def _take_quota(self, agreement_id: str, day: int, count: int, quota: int) -> int:
        """How much of the day's quota was granted: none, or at least ``count``."""
        mine = USAGE.c.agreement_id == agreement_id
        fresh = {"agreement_id": agreement_id, "day": day, "used": 0}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(USAGE).values(fresh).on_conflict_do_nothing())
                row = connection.execute(select(USAGE).where(mine).with_for_update()).one()
                used = 0 if row.day < day else row.used
                left = quota - used
                granted = max(count, left // QUOTA_SHARES) if count <= left else 0
                values = {"day": func.greatest(USAGE.c.day, day), "used": used + granted}
                connection.execute(update(USAGE).where(mine).values(values))
        except SQLAlchemyError as error:
            raise AgreementStoreFailed(reason=type(error).__name__) from error
        return granted
