"""Sessions: who is signed in, kept in the database under the hash of what the cookie holds.

A session ends when the visitor signs out, after half an hour without a page, twelve hours after
its beginning, when its account is switched off, and when its password is changed elsewhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Engine, delete, insert, or_, select, update

from lienthong.portal.account_store import transaction
from lienthong.portal.tables import SESSION

IDLE_SECONDS = 30 * 60.0
LONGEST_SECONDS = 12 * 3600.0
HALF_SIGNED_IN_SECONDS = 5 * 60.0  # between the password and the second factor
TOUCH_SECONDS = 30.0  # a page more often than this writes nothing
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """``whole`` is False between the password and the second factor: it opens no page then."""

    digest: str
    account: str
    whole: bool
    created: float
    seen: float

    def ended(self, now: float) -> bool:
        if not self.whole:
            return now - self.created > HALF_SIGNED_IN_SECONDS
        return now - self.seen > IDLE_SECONDS or now - self.created > LONGEST_SECONDS


class SessionStore:
    """Blocking; from any thread. Raises PortalStoreFailed."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def begin(self, account: str, *, whole: bool) -> str:
        """Return the new token, which only the visitor's cookie keeps."""
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock()
        row = {"digest": digest_of(token), "account": account, "whole": whole}
        with transaction(self._engine) as connection:
            connection.execute(insert(SESSION).values(**row, created=now, seen=now))
        return token

    def find(self, token: str) -> Session | None:
        """The session of a cookie, unless it has ended."""
        now, digest = self._clock(), digest_of(token)
        with transaction(self._engine) as connection:
            row = connection.execute(select(SESSION).where(SESSION.c.digest == digest)).first()
            if row is None:
                return None
            session = Session(row.digest, row.account, row.whole, row.created, row.seen)
            if session.ended(now):
                connection.execute(delete(SESSION).where(SESSION.c.digest == digest))
                return None
            if now - session.seen > TOUCH_SECONDS:
                connection.execute(
                    update(SESSION).where(SESSION.c.digest == digest).values(seen=now)
                )
        return session

    def end(self, digest: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(delete(SESSION).where(SESSION.c.digest == digest))

    def end_all(self, account: str, except_digest: str = "") -> None:
        """All sessions of an account but one."""
        others = (SESSION.c.account == account) & (SESSION.c.digest != except_digest)
        with transaction(self._engine) as connection:
            connection.execute(delete(SESSION).where(others))

    def clean(self) -> None:
        """Delete those that have ended and were not asked for again."""
        now = self._clock()
        over = or_(SESSION.c.seen < now - IDLE_SECONDS, SESSION.c.created < now - LONGEST_SECONDS)
        with transaction(self._engine) as connection:
            connection.execute(delete(SESSION).where(over))


def digest_of(token: str) -> str:
    """A thief of the database gets no cookie: the token has 256 random bits."""
    return sha256(token.encode()).hexdigest()
