"""Where accounts are kept: the only SQL about them, for SQLite and PostgreSQL.

Blocking; from any thread. Raises PortalStoreFailed when the database fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from lienthong.errors import AccountExists, PortalStoreFailed
from lienthong.portal.roles import Role, roles_from
from lienthong.portal.tables import ACCOUNT, ATTEMPT, RECOVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in. ``member`` empty: acts for all members of the console's node."""

    name: str
    shown_name: str
    member: str = ""
    roles: frozenset[Role] = frozenset()
    password: str = field(default="", repr=False)
    subject: str | None = None
    totp_secret: str = field(default="", repr=False)
    totp_pending: str = field(default="", repr=False)
    totp_step: int = 0
    must_change: bool = False
    disabled: bool = False
    created: float = 0.0

    @property
    def has_second_factor(self) -> bool:
        return bool(self.totp_secret)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed sign-ins under one name, and until when (Unix time) no further one is looked at."""

    failures: int = 0
    locked_until: float = 0.0


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed when the block ends. Raises PortalStoreFailed."""
    try:
        with engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise PortalStoreFailed() from error


class AccountStore:
    """Accounts, their recovery codes, and failed sign-ins."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, account: Account) -> None:
        """Raises AccountExists."""
        try:
            with transaction(self._engine) as connection:
                connection.execute(insert(ACCOUNT).values(_row(account)))
        except IntegrityError as error:
            raise AccountExists(name=account.name) from error

    def get(self, name: str) -> Account | None:
        return self._one(ACCOUNT.c.name == name)

    def by_subject(self, subject: str) -> Account | None:
        return self._one(ACCOUNT.c.subject == subject)

    def all(self) -> list[Account]:
        with transaction(self._engine) as connection:
            found = connection.execute(select(ACCOUNT).order_by(ACCOUNT.c.name))
            return [_account(row) for row in found]

    def any(self) -> bool:
        with transaction(self._engine) as connection:
            return bool(connection.scalar(select(func.count()).select_from(ACCOUNT)))

    def change(self, name: str, **values: Any) -> None:
        """Change columns of one account."""
        if "roles" in values:
            values["roles"] = _joined(values["roles"])
        with transaction(self._engine) as connection:
            connection.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(**values))

    def take_step(self, name: str, step: int) -> bool:
        """Use up a time step of the second factor; False when it, or a later one, was used."""
        later = update(ACCOUNT).where(ACCOUNT.c.name == name, ACCOUNT.c.totp_step < step)
        with transaction(self._engine) as connection:
            return connection.execute(later.values(totp_step=step)).rowcount == 1

    def put_recovery(self, name: str, digests: Iterable[str]) -> None:
        """Replace an account's recovery codes."""
        with transaction(self._engine) as connection:
            connection.execute(delete(RECOVERY).where(RECOVERY.c.account == name))
            for digest in digests:
                connection.execute(insert(RECOVERY).values(account=name, digest=digest))

    def take_recovery(self, name: str, digest: str) -> bool:
        """Use up a recovery code; False when there is no such code."""
        mine = (RECOVERY.c.account == name) & (RECOVERY.c.digest == digest)
        with transaction(self._engine) as connection:
            return connection.execute(delete(RECOVERY).where(mine)).rowcount == 1

    def recovery_left(self, name: str) -> int:
        counted = select(func.count()).select_from(RECOVERY).where(RECOVERY.c.account == name)
        with transaction(self._engine) as connection:
            return int(connection.scalar(counted) or 0)

    def attempts(self, name: str) -> Attempts:
        wanted = select(ATTEMPT.c.failures, ATTEMPT.c.locked_until).where(ATTEMPT.c.name == name)
        with transaction(self._engine) as connection:
            row = connection.execute(wanted).first()
        return Attempts() if row is None else Attempts(row.failures, row.locked_until)

    def count_failure(self, name: str, now: float) -> int:
        """One more failed sign-in; returns how many there are now."""
        mine = ATTEMPT.c.name == name
        try:
            with transaction(self._engine) as connection:
                counted = update(ATTEMPT).where(mine)
                one_more = counted.values(failures=ATTEMPT.c.failures + 1, last=now)
                if not connection.execute(one_more).rowcount:
                    first = {"name": name, "failures": 1, "locked_until": 0.0, "last": now}
                    connection.execute(insert(ATTEMPT).values(first))
                return int(connection.scalar(select(ATTEMPT.c.failures).where(mine)) or 0)
        except IntegrityError:  # another process was first to insert the row
            return self.count_failure(name, now)

    def lock(self, name: str, until: float) -> None:
        with transaction(self._engine) as connection:
            locked = update(ATTEMPT).where(ATTEMPT.c.name == name)
            connection.execute(locked.values(locked_until=until))

    def forget_failures(self, name: str, before: float | None = None) -> None:
        """Of one name; with ``before`` those of all names that were quiet since then."""
        which = ATTEMPT.c.name == name if before is None else ATTEMPT.c.last < before
        with transaction(self._engine) as connection:
            connection.execute(delete(ATTEMPT).where(which))

    def _one(self, condition: Any) -> Account | None:
        with transaction(self._engine) as connection:
            row = connection.execute(select(ACCOUNT).where(condition)).first()
        return None if row is None else _account(row)


def _joined(roles: Iterable[Role]) -> str:
    return " ".join(sorted(role.value for role in roles))


def _row(account: Account) -> dict[str, Any]:
    names = [column.name for column in ACCOUNT.columns]
    return {name: getattr(account, name) for name in names} | {"roles": _joined(account.roles)}


def _account(row: Any) -> Account:
    values = dict(row._mapping)
    return Account(**{**values, "roles": roles_from(values["roles"].split())})
