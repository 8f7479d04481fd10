"""Accounts, sessions and the audit of the portal, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from lienthong.errors import (
    AccountExists,
    AccountNameInvalid,
    AccountUnknown,
    PasswordWeak,
    SignInLocked,
    SignInRefused,
)
from lienthong.portal.account_store import AccountStore
from lienthong.portal.accounts import FREE_FAILURES, Accounts
from lienthong.portal.audit import Audit
from lienthong.portal.roles import Role
from lienthong.portal.sealing import Sealer
from lienthong.portal.sessions import (
    HALF_SIGNED_IN_SECONDS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    SessionStore,
)
from lienthong.portal.tables import open_portal
from lienthong.portal.totp import STEP_SECONDS, code_at
from tests.fixtures.portal_site import PASSWORD, QUICK, Clock


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/portal.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    open_portal(url).dispose()
    engine = open_portal(url)  # a second start changes nothing
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    return Accounts(AccountStore(engine), Sealer(bytes(32)), clock, QUICK)


def test_signs_in_with_the_right_password_and_with_no_other(accounts: Accounts) -> None:
    accounts.add("an", "Nguyễn Thị An", [Role.OFFICER], member="VN/GOV/H37", password=PASSWORD)
    account = accounts.sign_in(" AN ", PASSWORD)
    assert (account.shown_name, account.member) == ("Nguyễn Thị An", "VN/GOV/H37")
    assert account.roles == {Role.OFFICER}
    for name, password in (("an", PASSWORD + "x"), ("an", ""), ("ai", PASSWORD)):
        with pytest.raises(SignInRefused):
            accounts.sign_in(name, password)


def test_a_password_typed_with_marks_in_two_code_points_is_the_same(accounts: Accounts) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password="tiếng Việt có dấu")
    accounts.sign_in("an", "tiê\u0301ng Viê\u0323t co\u0301 dâ\u0301u")


def test_no_password_lies_in_the_database(accounts: Accounts) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    stored = accounts.get("an").password
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    assert stored not in repr(accounts.get("an"))


def test_a_one_time_password_has_to_be_changed(accounts: Accounts) -> None:
    password = accounts.add("an", "An", [Role.CITIZEN])
    account = accounts.sign_in("an", password)
    assert account.must_change
    accounts.change_password(account, password, PASSWORD)
    assert not accounts.sign_in("an", PASSWORD).must_change
    with pytest.raises(SignInRefused):
        accounts.sign_in("an", password)


@pytest.mark.parametrize("weak", ["ngắn", "aaaaaaaaaaaaaaaa", "toi-la-nguyen.an-day", "x" * 300])
def test_a_weak_password_is_refused(accounts: Accounts, weak: str) -> None:
    with pytest.raises(PasswordWeak):
        accounts.add("nguyen.an", "An", [Role.CITIZEN], password=weak)
    assert not accounts.store.any()


@pytest.mark.parametrize("name", ["", "a", "A n", "an\n", "../an", "x" * 65, "đông"])
def test_a_name_that_is_no_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountNameInvalid):
        accounts.add(name, "An", [Role.CITIZEN], password=PASSWORD)


def test_a_name_is_given_once(accounts: Accounts) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    with pytest.raises(AccountExists):
        accounts.add("an", "Another", [Role.OPERATOR], password=PASSWORD)
    with pytest.raises(AccountUnknown):
        accounts.get("binh")


def test_a_disabled_account_does_not_sign_in(accounts: Accounts) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    accounts.store.change("an", disabled=True)
    with pytest.raises(SignInRefused):
        accounts.sign_in("an", PASSWORD)


@pytest.mark.parametrize("name", ["an", "nobody"])
def test_failures_lock_a_name_for_ever_longer_whether_there_is_such_an_account_or_not(
    accounts: Accounts, clock: Clock, name: str
) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    for _ in range(FREE_FAILURES):
        with pytest.raises(SignInRefused):
            accounts.sign_in(name, "wrong wrong wrong")
    delays = []
    for _ in range(9):
        with pytest.raises(SignInLocked) as locked:
            accounts.sign_in(name, PASSWORD)
        delays.append(locked.value.facts["seconds"] - 1)
        clock.now += delays[-1] + 1
        with pytest.raises(SignInRefused):
            accounts.sign_in(name, "wrong wrong wrong")
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_the_right_password_after_the_delay_forgets_the_failures(
    accounts: Accounts, clock: Clock
) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    for _ in range(FREE_FAILURES):
        with pytest.raises(SignInRefused):
            accounts.sign_in("an", "wrong wrong wrong")
    clock.now += 31
    accounts.sign_in("an", PASSWORD)
    assert accounts.store.attempts("an").failures == 0


def test_guesses_sent_at_once_count_like_guesses_one_after_another(accounts: Accounts) -> None:
    accounts.add("an", "An", [Role.CITIZEN], password=PASSWORD)
    outcomes: list[type[Exception]] = []

    def guess() -> None:
        try:
            accounts.sign_in("an", "wrong wrong wrong")
        except (SignInRefused, SignInLocked) as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(outcomes) == 16
    with pytest.raises(SignInLocked):
        accounts.sign_in("an", PASSWORD)


def test_a_code_of_the_second_factor_counts_once(accounts: Accounts, clock: Clock) -> None:
    accounts.add("an", "An", [Role.OFFICER], password=PASSWORD)
    secret = accounts.pending_secret(accounts.get("an"))
    assert accounts.pending_secret(accounts.get("an")) == secret
    step = int(clock.now) // STEP_SECONDS
    with pytest.raises(SignInRefused):
        accounts.confirm_second_factor(accounts.get("an"), "000000")
    codes = accounts.confirm_second_factor(accounts.get("an"), code_at(secret, step))
    account = accounts.get("an")
    assert account.has_second_factor
    assert secret not in account.totp_secret
    with pytest.raises(SignInRefused):  # the code that confirmed it
        accounts.check_second_factor(account, code_at(secret, step))
    clock.now += STEP_SECONDS
    accounts.check_second_factor(account, code_at(secret, step + 1))
    with pytest.raises(SignInRefused):
        accounts.check_second_factor(account, code_at(secret, step + 1))
    accounts.check_second_factor(account, codes[0].upper().replace("-", " "))
    with pytest.raises(SignInRefused):
        accounts.check_second_factor(account, codes[0])
    assert accounts.store.recovery_left("an") == 9


def test_guessing_codes_locks_too(accounts: Accounts, clock: Clock) -> None:
    accounts.add("an", "An", [Role.OFFICER], password=PASSWORD)
    secret = accounts.pending_secret(accounts.get("an"))
    step = int(clock.now) // STEP_SECONDS
    accounts.confirm_second_factor(accounts.get("an"), code_at(secret, step))
    for _ in range(FREE_FAILURES):
        with pytest.raises(SignInRefused):
            accounts.check_second_factor(accounts.get("an"), "123")
    with pytest.raises(SignInLocked):
        accounts.check_second_factor(accounts.get("an"), code_at(secret, step + 1))


def test_a_session_ends_by_itself_and_is_found_by_its_cookie_only(
    accounts: Accounts, engine: Engine, clock: Clock
) -> None:
    accounts.add("an", "An", [Role.OFFICER], password=PASSWORD)
    sessions = SessionStore(engine, clock)
    token = sessions.begin("an", whole=True)
    found = sessions.find(token)
    assert found is not None
    assert found.account == "an"
    assert sessions.find(found.digest) is None  # what the database holds opens nothing
    clock.now += IDLE_SECONDS - 1
    assert sessions.find(token) is not None
    clock.now += IDLE_SECONDS + 1
    assert sessions.find(token) is None
    lasting = sessions.begin("an", whole=True)
    for _ in range(int(LONGEST_SECONDS // 1000) + 1):
        clock.now += 1000
        last = sessions.find(lasting)
    assert last is None


def test_a_session_that_waits_for_the_second_factor_is_short(
    accounts: Accounts, engine: Engine, clock: Clock
) -> None:
    accounts.add("an", "An", [Role.OFFICER], password=PASSWORD)
    sessions = SessionStore(engine, clock)
    token = sessions.begin("an", whole=False)
    assert sessions.find(token) is not None
    clock.now += HALF_SIGNED_IN_SECONDS + 1
    assert sessions.find(token) is None


def test_all_sessions_of_an_account_but_one_can_be_ended(
    accounts: Accounts, engine: Engine, clock: Clock
) -> None:
    accounts.add("an", "An", [Role.OFFICER], password=PASSWORD)
    sessions = SessionStore(engine, clock)
    tokens = [sessions.begin("an", whole=True) for _ in range(3)]
    kept = sessions.find(tokens[0])
    assert kept is not None
    sessions.end_all("an", except_digest=kept.digest)
    assert [sessions.find(token) is not None for token in tokens] == [True, False, False]


def test_lines_of_the_audit_can_be_added_and_nothing_else(engine: Engine, clock: Clock) -> None:
    audit = Audit(engine, clock)
    audit.write("an", "evidence.export", "9f1c", "done", "127.0.0.1")
    audit.write("binh", "sign-in", "password", "refused", "127.0.0.1")
    for forbidden in ("UPDATE portal_audit SET account='x'", "DELETE FROM portal_audit"):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(forbidden))
    lines = audit.lines()
    assert [(line.account, line.act) for line in lines] == [
        ("binh", "sign-in"), ("an", "evidence.export"),
    ]  # fmt: skip
    assert [line.account for line in audit.lines(account="an")] == ["an"]
    assert [line.account for line in audit.lines(before=lines[0].id)] == ["an"]
