"""Decisions: denied unless one agreement allows all of it, each with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lienthong.agreements.book import AgreementBook, Question, Usage
from lienthong.agreements.models import Act, Agreement, Party, Statement
from lienthong.agreements.patterns import Endpoint
from lienthong.agreements.proposals import draft
from lienthong.errors import LienthongError
from tests.fixtures.agreement_parties import (
    CONSUMER,
    CONSUMER_NODE,
    END,
    NOW,
    RELAY,
    SERVICE,
    START,
    proposal,
)

BOTH_SIGNED = (Act.PROPOSE, Act.ACCEPT)


def agreed(*acts: Act, **terms: Any) -> Agreement:
    """An agreement with these statements; the book does not look at signatures."""
    document = draft(proposal(**terms), Party.CONSUMER)
    statements = (
        Statement(
            agreement=document.id,
            digest=document.digest,
            act=act,
            party=Party.CONSUMER if act is Act.PROPOSE else Party.PROVIDER,
            node=CONSUMER_NODE,
            key_id="k",
            algorithm="ed25519",
            time=START,
        )
        for act in acts or BOTH_SIGNED
    )
    return Agreement(document, ()).with_statements(statements)


def ask(**changes: Any) -> Question:
    question: dict[str, Any] = {
        "consumer": CONSUMER,
        "service": SERVICE,
        "method": "POST",
        "path": "/records:lookup",
        "purpose": None,
        "fields": frozenset({"ho_ten"}),
        "now": NOW,
    }
    return Question(**{**question, **changes})


def test_allows_what_was_agreed_under_the_default_purpose() -> None:
    agreement = agreed()
    decision = AgreementBook([agreement]).decide(ask())
    assert decision.allowed
    assert decision.error is None
    assert decision.reason == "agreements.allowed"
    assert decision.agreement_id == agreement.id
    assert decision.purpose == "1.004222"
    assert decision.granted == {"ho_ten"}


def test_allows_another_purpose_of_the_agreement() -> None:
    decision = AgreementBook([agreed()]).decide(ask(purpose="thống kê"))
    assert decision.allowed
    assert decision.purpose == "thống kê"


def test_grants_only_the_fields_both_asked_and_agreed() -> None:
    asked = frozenset({"ho_ten", "so_dien_thoai"})
    assert AgreementBook([agreed()]).decide(ask(fields=asked)).granted == {"ho_ten"}


def test_an_empty_book_denies() -> None:
    decision = AgreementBook().decide(ask())
    assert (decision.allowed, decision.reason) == (False, "agreements.none")
    assert decision.granted == frozenset()


@pytest.mark.parametrize(
    ("acts", "terms", "question", "reason"),
    [
        (BOTH_SIGNED, {}, {"consumer": "VN/GOV/H37/khac"}, "none"),
        (BOTH_SIGNED, {}, {"service": "VN/GOV/G01/dancu/khac"}, "none"),
        ((Act.PROPOSE,), {}, {}, "not_accepted"),
        ((Act.ACCEPT,), {}, {}, "not_accepted"),
        ((Act.PROPOSE, Act.REFUSE), {}, {}, "refused"),
        ((Act.PROPOSE, Act.ACCEPT, Act.WITHDRAW), {}, {}, "withdrawn"),
        ((Act.PROPOSE, Act.ACCEPT, Act.REFUSE), {}, {}, "refused"),
        (BOTH_SIGNED, {}, {"now": END}, "expired"),
        (BOTH_SIGNED, {}, {"now": START - timedelta(seconds=1)}, "not_yet_valid"),
        (BOTH_SIGNED, {}, {"fields": None}, "kind"),
        (BOTH_SIGNED, {}, {"method": "DELETE"}, "endpoint"),
        (BOTH_SIGNED, {}, {"path": "/admin"}, "endpoint"),
        (BOTH_SIGNED, {}, {"purpose": "tò mò"}, "purpose"),
        (BOTH_SIGNED, {}, {"purpose": ""}, "purpose"),
        (BOTH_SIGNED, {}, {"fields": frozenset({"so_dien_thoai"})}, "fields"),
        (BOTH_SIGNED, {}, {"fields": frozenset()}, "fields"),
        (BOTH_SIGNED, {"daily_quota": 5}, {"count": 6}, "quota"),
    ],
)
def test_denies_with_the_reason(
    acts: tuple[Act, ...], terms: dict[str, Any], question: dict[str, Any], reason: str
) -> None:
    decision = AgreementBook([agreed(*acts, **terms)]).decide(ask(**question))
    assert not decision.allowed
    assert decision.reason == f"agreements.{reason}"
    assert isinstance(decision.error, LienthongError)
    assert decision.error.xroad == "AccessDenied"
    assert decision.error.status in {403, 429}
    assert "?" not in decision.error.message("vi") + decision.error.message("en")


def test_a_relay_agreement_gives_no_right_to_fields() -> None:
    terms = {"service": RELAY, "fields": (), "endpoints": (Endpoint("GET", "/tim/**"),)}
    book = AgreementBook([agreed(**terms)])
    relayed = ask(service=RELAY, method="GET", path="/tim/a/b", fields=None)
    assert book.decide(relayed).allowed
    assert book.decide(ask(service=RELAY, path="/tim/a")).reason == "agreements.kind"


def test_the_first_agreement_that_allows_is_used() -> None:
    withdrawn, narrow = agreed(Act.PROPOSE, Act.WITHDRAW), agreed(fields=("ngay_sinh",))
    wide = agreed()
    decision = AgreementBook([withdrawn, narrow, wide]).decide(ask())
    assert decision.agreement_id == wide.id


def test_the_reason_is_that_of_the_agreement_that_came_furthest() -> None:
    withdrawn, narrow = agreed(Act.PROPOSE, Act.WITHDRAW), agreed(fields=("ngay_sinh",))
    decision = AgreementBook([withdrawn, narrow]).decide(ask())
    assert (decision.reason, decision.agreement_id) == ("agreements.fields", narrow.id)


def test_the_rate_lets_a_burst_through_and_then_the_rate() -> None:
    book = AgreementBook([agreed(rate=2, burst=3)])
    assert [book.decide(ask()).allowed for _ in range(4)] == [True, True, True, False]
    assert book.decide(ask()).reason == "agreements.rate"
    later = NOW + timedelta(seconds=1)
    assert [book.decide(ask(now=later)).allowed for _ in range(3)] == [True, True, False]


def test_a_clock_set_back_gives_no_tokens() -> None:
    book = AgreementBook([agreed(rate=1)])
    assert book.decide(ask()).allowed
    for seconds in (-3600, -1800, 0):
        assert not book.decide(ask(now=NOW + timedelta(seconds=seconds))).allowed


def test_the_quota_counts_keys_and_starts_anew_at_midnight_in_vietnam() -> None:
    book = AgreementBook([agreed(daily_quota=1000)])
    assert book.decide(ask(count=1000)).allowed
    assert book.decide(ask(count=1)).reason == "agreements.quota"
    midnight = datetime(2026, 6, 1, 17, 0, tzinfo=UTC)  # 00:00 of 2 June in Vietnam
    assert not book.decide(ask(now=midnight - timedelta(seconds=1))).allowed
    assert book.decide(ask(now=midnight)).allowed
    assert not book.decide(ask(now=NOW, count=1000)).allowed, "the day does not run back"


def test_a_refused_request_costs_nothing() -> None:
    book = AgreementBook([agreed(rate=1, daily_quota=1)])
    for _ in range(5):
        assert not book.decide(ask(purpose="tò mò")).allowed
    assert book.decide(ask()).allowed


def test_reloading_keeps_what_was_used() -> None:
    agreement = agreed(rate=1, daily_quota=10)
    book = AgreementBook([agreement])
    assert book.decide(ask()).allowed
    book.reload([agreement])
    assert book.decide(ask()).reason == "agreements.rate"
    later = NOW + timedelta(seconds=5)
    assert book.decide(ask(now=later, count=10)).reason == "agreements.quota"


def test_putting_a_withdrawn_agreement_ends_it_at_once() -> None:
    agreement = agreed()
    book = AgreementBook([agreement])
    word = Statement(
        agreement=agreement.id,
        digest=agreement.document.digest,
        act=Act.WITHDRAW,
        party=Party.PROVIDER,
        node=CONSUMER_NODE,
        key_id="k",
        algorithm="ed25519",
        time=NOW,
    )
    book.put(agreement.with_statements([word]))
    assert book.decide(ask()).reason == "agreements.withdrawn"


def test_usage_survives_through_what_was_kept() -> None:
    agreement = agreed(daily_quota=10)
    book = AgreementBook([agreement])
    book.decide(ask(count=7))
    kept = book.usage()
    assert [(each.agreement_id, each.used) for each in kept] == [(agreement.id, 7)]
    assert book.usage() == [], "only what changed since"
    again = AgreementBook([agreement])
    again.restore_usage([*kept, Usage("another", 1, 1)])
    assert again.decide(ask(count=4)).reason == "agreements.quota"
    assert again.decide(ask(count=3)).allowed


def test_tells_which_endpoints_a_consumer_may_call() -> None:
    book = AgreementBook([agreed(), agreed(Act.PROPOSE, endpoints=(Endpoint("GET", "/x"),))])
    allowed = book.endpoints(CONSUMER, SERVICE, NOW)
    assert [str(endpoint) for endpoint in allowed] == [
        "GET /records/{key}",
        "POST /records:lookup",
        "POST /records:verify",
    ]
    assert book.endpoints(CONSUMER, SERVICE, END) == ()
