"""Rates and daily quotas hold over all gateways of a node together."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from lienthong.agreements.book import AgreementBook, Decision
from lienthong.agreements.limits import vietnam_day
from lienthong.agreements.models import Agreement
from lienthong.agreements.reservations import Reservations
from lienthong.agreements.store import AgreementStore
from lienthong.errors import AgreementStoreFailed, QuotaExceeded, RateExceeded, ReservationWanted
from lienthong.ledger.database import open_database
from tests.fixtures.agreement_parties import NOW
from tests.unit.test_agreements_book import agreed, ask


@pytest.fixture
def engine(postgresql_url: str) -> Engine:
    return open_database(postgresql_url)


class Gateway:
    """One gateway: a book and its reservations on the node's database."""

    def __init__(self, engine: Engine, agreement: Agreement) -> None:
        AgreementStore(engine).save(agreement, (), 0.0)
        self.agreement = agreement
        self.book = AgreementBook([agreement], shared=True)
        self.reservations = Reservations(engine, self.book.allowances)

    def decide(self, now: datetime = NOW, count: int = 1) -> Decision:
        """As the exchange does it: reserve when a decision wants it, then decide again."""
        question = ask(now=now, count=count)
        decision = self.book.decide(question)
        if isinstance(decision.error, ReservationWanted):
            asyncio.run(self.reservations.reserve(self.agreement, count, now))
            decision = self.book.decide(question)
        return decision

    def passed(self, tries: int, now: datetime = NOW, count: int = 1) -> int:
        return sum(self.decide(now, count).allowed for _ in range(tries))


def gateways(engine: Engine, number: int, **terms: Any) -> list[Gateway]:
    agreement = agreed(**terms)
    return [Gateway(engine, agreement) for _ in range(number)]


def test_a_quota_is_passed_exactly_once_by_all_gateways_together(engine: Engine) -> None:
    three = gateways(engine, 3, daily_quota=1000)
    passed = sum(each.passed(500) for each in three)
    assert 985 <= passed <= 1000  # what another has reserved and does not use is not passed
    assert isinstance(three[2].decide().error, QuotaExceeded)


def test_gateways_that_take_turns_use_the_quota_to_its_end(engine: Engine) -> None:
    two = gateways(engine, 2, daily_quota=100)
    assert sum(two[turn % 2].decide().allowed for turn in range(300)) == 100


def test_each_key_of_a_batch_counts(engine: Engine) -> None:
    first, second = gateways(engine, 2, daily_quota=1000)
    assert first.decide(count=600).allowed
    assert not second.decide(count=600).allowed
    assert second.decide(count=390).allowed  # less than that is still there
    assert not first.decide(count=300).allowed


def test_what_a_gateway_that_stops_had_reserved_is_for_the_others(engine: Engine) -> None:
    first, second = gateways(engine, 2, daily_quota=1000)
    assert first.decide().allowed
    assert first.book.allowances[first.agreement.id].quota_left == 4
    first.reservations.give_back()
    assert second.passed(1100) == 999


def test_a_new_day_has_the_whole_quota(engine: Engine) -> None:
    first, second = gateways(engine, 2, daily_quota=10)
    assert first.passed(20) + second.passed(20) == 10
    tomorrow = NOW + timedelta(days=1)
    assert first.passed(20, tomorrow) + second.passed(20, tomorrow) == 10


def test_a_restart_does_not_bring_the_quota_back(engine: Engine) -> None:
    (first,) = gateways(engine, 1, daily_quota=10)
    assert first.passed(10) == 10
    again = Gateway(engine, first.agreement)
    assert again.passed(10) == 0
    with engine.connect() as connection:
        day, used = connection.execute(text("SELECT day, used FROM agreement_usage")).one()
    assert (day, used) == (vietnam_day(NOW.timestamp()), 10)


def test_a_burst_is_passed_once_by_all_gateways_together(engine: Engine) -> None:
    three = gateways(engine, 3, rate=1, burst=30)
    began = time.monotonic()
    passed = sum(each.passed(30) for each in three)
    grown = time.monotonic() - began  # one a second
    assert 30 <= passed <= 31 + grown


def test_a_gateway_on_which_all_requests_come_has_the_whole_rate(engine: Engine) -> None:
    """No gateway's share is kept for it while another needs it."""
    busy, _idle = gateways(engine, 2, rate=1, burst=30)
    assert busy.passed(60) >= 30


def test_a_share_that_was_not_used_lapses(engine: Engine) -> None:
    (one,) = gateways(engine, 1, rate=100, burst=100)
    assert one.decide().allowed
    allowance = one.book.allowances[one.agreement.id]
    assert allowance.has_token(NOW.timestamp())  # a tenth was reserved
    assert not allowance.has_token(NOW.timestamp() + 2)


def test_a_flood_does_not_reach_the_database(engine: Engine) -> None:
    (one,) = gateways(engine, 1, rate=1, burst=1)
    while one.decide().allowed:
        pass
    assert isinstance(one.decide().error, RateExceeded)
    engine.dispose()
    assert {type(one.book.decide(ask()).error) for _ in range(50)} == {RateExceeded}


def test_an_unlimited_agreement_asks_for_nothing(engine: Engine) -> None:
    (one,) = gateways(engine, 1)
    assert all(one.book.decide(ask()).allowed for _ in range(5))


def test_without_the_database_nothing_more_is_reserved(engine: Engine, postgresql_url: str) -> None:
    (one,) = gateways(engine, 1, daily_quota=1000)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE agreement_usage RENAME TO away"))
    with pytest.raises(AgreementStoreFailed):
        one.decide()


def test_a_rate_and_what_is_given_back_need_the_database_too(
    engine: Engine, free_port: int
) -> None:
    away = create_engine(f"postgresql+psycopg://a@127.0.0.1:{free_port}/x")
    (one,) = gateways(engine, 1, daily_quota=1000)
    assert one.decide().allowed
    one.reservations._engine = away
    with pytest.raises(AgreementStoreFailed):
        one.reservations.give_back()
    (two,) = gateways(engine, 1, rate=5)
    two.reservations._engine = away
    with pytest.raises(AgreementStoreFailed):
        two.decide()
