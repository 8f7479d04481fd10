"""Signing in: passwords (Argon2id), growing delays, the second factor.

    accounts.sign_in("an", "…")      # Account, or SignInRefused, or SignInLocked

Wrong name and wrong password look alike and take as long. Failures are counted under the name
that was typed, whether there is such an account or not, so that a lock tells nothing either.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lienthong.errors import (
    AccountNameInvalid,
    AccountUnknown,
    PasswordWeak,
    SignInLocked,
    SignInRefused,
)
from lienthong.portal.account_store import Account, AccountStore
from lienthong.portal.roles import Role
from lienthong.portal.sealing import Sealer
from lienthong.portal.totp import (
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digest,
)

SHORTEST_PASSWORD = 12  # NIST SP 800-63B-4 §3.1.1.2 asks for 15 where it is the only factor, 8 else
LONGEST_PASSWORD = 256  # characters; Argon2 must not be fed a book
FREE_FAILURES = 5
FIRST_DELAY_SECONDS = 30.0
LONGEST_DELAY_SECONDS = 3600.0
FORGET_SECONDS = 24 * 3600.0
HASHES_AT_ONCE = 2  # each takes 64 MiB: a flood of sign-ins must not fill the memory
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")


class Accounts:
    """Blocking; from any thread. ``clock`` gives Unix time."""

    def __init__(
        self,
        store: AccountStore,
        sealer: Sealer,
        clock: Callable[[], float],
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.store = store
        self._sealer = sealer
        self._clock = clock
        self._hasher = hasher or PasswordHasher()  # RFC 9106, second recommended: 64 MiB, t=3
        self._turn = threading.Semaphore(HASHES_AT_ONCE)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def add(
        self,
        name: str,
        shown_name: str,
        roles: Iterable[Role],
        *,
        member: str = "",
        password: str | None = None,
        subject: str | None = None,
    ) -> str:
        """Make an account; without ``password`` and ``subject`` returns a one-time password.

        Raises AccountNameInvalid, AccountExists, PasswordWeak.
        """
        if not is_account_name(name):
            raise AccountNameInvalid(name=name)
        given = password if password is not None else "" if subject else new_password()
        if given:
            check_password(given, name)
        account = Account(
            name=name,
            shown_name=" ".join(shown_name.split()) or name,
            member=member,
            roles=frozenset(roles),
            password=self._hash(given) if given else "",
            subject=subject,
            must_change=password is None and subject is None,
            created=self._clock(),
        )
        self.store.add(account)
        return given if account.must_change else ""

    def get(self, name: str) -> Account:
        """Raises AccountUnknown."""
        account = self.store.get(name)
        if account is None:
            raise AccountUnknown(name=name)
        return account

    def sign_in(self, name: str, password: str) -> Account:
        """Check a password. Raises SignInRefused, SignInLocked."""
        name = folded_name(name)
        self._begin_attempt(name)
        account = self.store.get(name)
        stored = account.password if account is not None else ""
        right = self._verify(stored or self._nobody, password[:LONGEST_PASSWORD])
        if account is None or not stored or not right or account.disabled:
            raise SignInRefused()
        if not account.has_second_factor:
            self.store.forget_failures(name)
        if self._hasher.check_needs_rehash(stored):
            self.store.change(name, password=self._hash(password))
        return account

    def check_second_factor(self, account: Account, code: str) -> None:
        """A code of the authenticator, or a recovery code; each once. Raises SignInRefused,
        SignInLocked."""
        self._begin_attempt(account.name)
        secret = self._sealer.unseal(account.totp_secret) or ""
        step = matching_step(secret, code, self._clock()) if secret else None
        if step is not None and self.store.take_step(account.name, step):
            self.store.forget_failures(account.name)
            return
        if self.store.take_recovery(account.name, recovery_digest(account.name, code)):
            self.store.forget_failures(account.name)
            return
        raise SignInRefused()

    def change_password(self, account: Account, present: str, new: str) -> None:
        """Raises SignInRefused (the present one is wrong), SignInLocked, PasswordWeak."""
        self.check_present(account, present)
        check_password(new, account.name)
        self.store.change(account.name, password=self._hash(new), must_change=False)

    def check_present(self, account: Account, present: str) -> None:
        """The account's own password once more. Raises SignInRefused, SignInLocked."""
        self._begin_attempt(account.name)
        if not account.password or not self._verify(account.password, present[:LONGEST_PASSWORD]):
            raise SignInRefused()
        self.store.forget_failures(account.name)

    def reset_password(self, name: str) -> str:
        """Return a one-time password that must be changed at the next sign-in."""
        self.get(name)
        password = new_password()
        self.store.change(name, password=self._hash(password), must_change=True)
        self.store.forget_failures(name)
        return password

    def pending_secret(self, account: Account) -> str:
        """The secret that is shown until a code confirms it; the same one on each page."""
        pending = self._sealer.unseal(account.totp_pending) if account.totp_pending else None
        if pending is None:
            pending = new_secret()
            self.store.change(account.name, totp_pending=self._sealer.seal(pending))
        return pending

    def confirm_second_factor(self, account: Account, code: str) -> list[str]:
        """Switch the second factor on; returns recovery codes, shown once. Raises
        SignInRefused."""
        secret = self.pending_secret(account)
        step = matching_step(secret, code, self._clock())
        if step is None:
            raise SignInRefused()
        codes = new_recovery_codes()
        self.store.put_recovery(account.name, [recovery_digest(account.name, c) for c in codes])
        self.store.change(
            account.name, totp_secret=self._sealer.seal(secret), totp_pending="", totp_step=step
        )
        return codes

    def remove_second_factor(self, name: str) -> None:
        self.store.put_recovery(name, ())
        self.store.change(name, totp_secret="", totp_pending="", totp_step=0)

    def _begin_attempt(self, name: str) -> None:
        """Count the attempt as failed before it is looked at; success takes that back.

        Guesses that are sent all at once then count like guesses one after another.
        """
        now = self._clock()
        left = self.store.attempts(name).locked_until - now
        if left > 0:
            raise SignInLocked(seconds=int(left) + 1)
        failures = self.store.count_failure(name, now)
        if failures >= FREE_FAILURES:
            doublings = min(failures - FREE_FAILURES, 20)
            delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**doublings)
            self.store.lock(name, now + delay)

    def _hash(self, password: str) -> str:
        with self._turn:
            return self._hasher.hash(_normal(password))

    def _verify(self, stored: str, password: str) -> bool:
        with self._turn:
            try:
                return self._hasher.verify(stored, _normal(password))
            except (VerificationError, InvalidHashError):
                return False


def is_account_name(name: str) -> bool:
    """Whether an account may have this name, which is folded already."""
    return _NAME.fullmatch(name) is not None


def check_password(password: str, name: str) -> None:
    """Raises PasswordWeak: too short, too long, of one letter, or made of the name."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise PasswordWeak(shortest=SHORTEST_PASSWORD, longest=LONGEST_PASSWORD)
    plain = password.casefold()
    if len(set(plain)) < 5 or name.casefold() in plain:
        raise PasswordWeak(shortest=SHORTEST_PASSWORD, longest=LONGEST_PASSWORD)


def folded_name(name: str) -> str:
    """The one form of a name as it was typed, cut to what the table holds."""
    return unicodedata.normalize("NFKC", name).strip().lower()[:64]


def new_password() -> str:
    """A one-time password: 80 random bits in four groups."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def _normal(password: str) -> str:
    # Vietnamese keyboards send letters with marks in one or in two code points.
    return unicodedata.normalize("NFKC", password)
