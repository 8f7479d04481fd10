"""Who did what on these pages. Lines are only ever added; the database refuses anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select

from lienthong.portal.account_store import transaction
from lienthong.portal.tables import AUDIT

LONGEST_SUBJECT = 500


@dataclass(frozen=True, slots=True)
class AuditLine:
    """``account`` did ``act`` to ``subject``; ``time`` is Unix time."""

    id: int
    time: float
    account: str
    act: str
    subject: str
    outcome: str
    address: str


class Audit:
    """Blocking; from any thread. Raises PortalStoreFailed: what cannot be written is not done."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def write(self, account: str, act: str, subject: str, outcome: str, address: str) -> None:
        """Write one line. Never put a citizen's number into ``subject``."""
        line = {
            "time": self._clock(),
            "account": account[:64],
            "act": act[:64],
            "subject": subject[:LONGEST_SUBJECT],
            "outcome": outcome[:64],
            "address": address[:64],
        }
        with transaction(self._engine) as connection:
            connection.execute(insert(AUDIT).values(line))

    def lines(
        self, *, account: str = "", act: str = "", before: int | None = None, limit: int = 100
    ) -> list[AuditLine]:
        """Newest first."""
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if account:
            query = query.where(AUDIT.c.account == account)
        if act:
            query = query.where(AUDIT.c.act.startswith(act, autoescape=True))
        if before is not None:
            query = query.where(AUDIT.c.id < before)
        with transaction(self._engine) as connection:
            return [AuditLine(*row) for row in connection.execute(query)]
