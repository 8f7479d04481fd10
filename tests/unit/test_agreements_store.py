"""One contract for the store, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from lienthong.agreements.book import Usage
from lienthong.agreements.models import Act, Agreement, Party, Statement
from lienthong.agreements.proposals import draft
from lienthong.agreements.store import AgreementStore
from lienthong.errors import AgreementConflict, AgreementStoreFailed
from lienthong.ledger.database import open_database
from tests.fixtures.agreement_parties import (
    CONSUMER_NODE,
    PROVIDER_NODE,
    START,
    proposal,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgreementStore]:
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path}/node.db")
    else:
        engine = open_database(request.getfixturevalue("postgresql_url"))
    yield AgreementStore(engine)
    engine.dispose()


def proposed() -> Agreement:
    document = draft(proposal(), Party.CONSUMER)
    return Agreement(document, ()).with_statements([_statement(document.id, document.digest)])


def accepted(agreement: Agreement) -> Agreement:
    first = agreement.statements[0]
    word = msgspec.structs.replace(first, act=Act.ACCEPT, party=Party.PROVIDER)
    return agreement.with_statements([word])


def _statement(agreement: str, digest: str) -> Statement:
    return Statement(
        agreement=agreement,
        digest=digest,
        act=Act.PROPOSE,
        party=Party.CONSUMER,
        node=CONSUMER_NODE,
        key_id="k",
        algorithm="ed25519",
        time=START,
        signature=b"\x00" * 64,
    )


def test_returns_what_was_saved(store: AgreementStore) -> None:
    first, second = proposed(), accepted(proposed())
    store.save(first, [], 0.0)
    store.save(second, [], 0.0)
    assert store.get(first.id) == first
    assert store.all() == sorted([first, second], key=lambda each: each.id)
    assert store.get("00000000-0000-4000-8000-000000000000") is None


def test_saving_again_adds_statements_and_takes_none_away(store: AgreementStore) -> None:
    agreement = proposed()
    store.save(accepted(agreement), [], 0.0)
    store.save(agreement, [], 0.0)
    assert store.get(agreement.id) == accepted(agreement)


def test_refuses_other_terms_under_a_known_id_and_changes_nothing(store: AgreementStore) -> None:
    agreement = proposed()
    store.save(agreement, [], 0.0)
    forged = Agreement(
        msgspec.structs.replace(agreement.document, fields=("so_dien_thoai",)),
        accepted(agreement).statements,
    )
    with pytest.raises(AgreementConflict):
        store.save(forged, [PROVIDER_NODE], 0.0)
    assert store.get(agreement.id) == agreement
    assert store.deliveries() == []


def test_a_delivery_stays_until_it_is_confirmed(store: AgreementStore) -> None:
    agreement = proposed()
    store.save(agreement, [PROVIDER_NODE, CONSUMER_NODE], 5.0)
    first, second = sorted(store.deliveries(), key=lambda each: each.node)
    store.postpone(first, 60.0, "away")
    store.delivered(second)
    [left] = store.deliveries()
    assert (left.node, left.attempts, left.due, left.last_error) == (first.node, 1, 60.0, "away")


def test_a_confirmation_does_not_cover_what_was_added_since(store: AgreementStore) -> None:
    agreement = proposed()
    store.save(agreement, [PROVIDER_NODE], 0.0)
    [sent] = store.deliveries()
    store.save(accepted(agreement), [PROVIDER_NODE], 1.0)
    store.delivered(sent)
    [left] = store.deliveries()
    assert left.statements == 2
    store.delivered(left)
    assert store.deliveries() == []


def test_keeps_the_latest_usage(store: AgreementStore) -> None:
    agreement = proposed()
    store.save(agreement, [], 0.0)
    store.save_usage([Usage(agreement.id, 20_000, 5)])
    store.save_usage([Usage(agreement.id, 20_001, 5_000_000_000)])
    assert store.usage() == [Usage(agreement.id, 20_001, 5_000_000_000)]


def test_a_database_that_fails_is_our_error_without_its_address(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/node.db")
    store = AgreementStore(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE agreement_delivery"))
    agreement = proposed()
    with pytest.raises(AgreementStoreFailed) as failure:
        store.save(agreement, [PROVIDER_NODE], 0.0)
    assert "sqlite" not in str(failure.value)
    assert store.get(agreement.id) is None, "half an agreement was kept"
