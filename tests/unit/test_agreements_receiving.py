"""What a node takes in of the agreements that other nodes send it, and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lienthong.agreements import service as service_module
from lienthong.agreements.documents import envelope_bytes, parse_envelope
from lienthong.agreements.models import (
    Act,
    Agreement,
    Party,
    Status,
)
from lienthong.agreements.proposals import draft
from lienthong.agreements.verification import verify_envelope
from lienthong.errors import (
    AgreementConflict,
    InvalidAgreementDocument,
    NotAParty,
    StatementNotAccepted,
    TooManyProposals,
)
from tests.fixtures.agreement_parties import (
    CONSUMER_NODE,
    NOW,
    PROVIDER_NODE,
    START,
    Nation,
    proposal,
)
from tests.fixtures.agreement_steps import allowed, offered_by_consumer, receive, run, sign


@pytest.fixture
def nation(tmp_path: Path) -> Nation:
    return Nation(tmp_path)


# --- what is received -----------------------------------------------------------------


def test_receiving_twice_changes_nothing(nation: Nation) -> None:
    envelope = envelope_bytes(offered_by_consumer(nation))
    first = run(nation.provider.service.receive(envelope, CONSUMER_NODE))
    assert run(nation.provider.service.receive(envelope, CONSUMER_NODE)) == first
    assert len(nation.provider.events) == 1


def test_an_older_state_sent_again_takes_nothing_back(nation: Nation) -> None:
    envelope = envelope_bytes(run(nation.consumer.service.propose(proposal())))
    agreement = parse_envelope(envelope)
    run(nation.provider.service.accept(agreement.id))
    accepted = envelope_bytes(run(nation.provider.service.agreement(agreement.id)))
    run(nation.provider.service.withdraw(agreement.id, "hết"))
    for replayed in (envelope, accepted):
        answer = run(nation.provider.service.receive(replayed, CONSUMER_NODE))
        assert parse_envelope(answer).status(nation.clock()) is Status.WITHDRAWN
    assert not allowed(nation.provider)


def test_refuses_other_terms_under_a_known_id(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    document = msgspec.structs.replace(agreement.document, fields=("so_dien_thoai",))
    forged = Agreement(
        document, (sign(nation, document, Act.PROPOSE, Party.CONSUMER, CONSUMER_NODE),)
    )
    with pytest.raises(AgreementConflict):
        run(nation.provider.service.receive(envelope_bytes(forged), CONSUMER_NODE))


def test_refuses_a_sender_that_is_no_party(nation: Nation) -> None:
    nation.country.add_member("VN/GOV/G15", {"hotich": ("VN/GOV/G15/n1",)})
    nation.start("VN/GOV/G15/n1")
    envelope = envelope_bytes(offered_by_consumer(nation))
    with pytest.raises(NotAParty):
        run(nation.provider.service.receive(envelope, "VN/GOV/G15/n1"))


def test_refuses_an_agreement_of_others(nation: Nation) -> None:
    nation.country.add_member("VN/GOV/G15", {"hotich": ("VN/GOV/G15/n1",)})
    bystander = nation.start("VN/GOV/G15/n1")
    envelope = envelope_bytes(offered_by_consumer(nation))
    with pytest.raises(NotAParty):
        run(bystander.service.receive(envelope, CONSUMER_NODE))


def test_refuses_an_acceptance_that_the_proposer_signed(nation: Nation) -> None:
    agreement = offered_by_consumer(nation)
    own = sign(nation, agreement.document, Act.ACCEPT, Party.PROVIDER, CONSUMER_NODE)
    with pytest.raises(StatementNotAccepted):
        receive(nation, agreement.with_statements([own]))
    own = sign(nation, agreement.document, Act.ACCEPT, Party.CONSUMER, CONSUMER_NODE)
    with pytest.raises(StatementNotAccepted):
        receive(nation, agreement.with_statements([own]))
    assert nation.provider.store.all() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "0" * 64},
        {"agreement": "00000000-0000-4000-8000-000000000000"},
        {"party": Party.PROVIDER},
        {"node": PROVIDER_NODE},
        {"node": "VN/GOV/H99/n1"},
        {"key_id": "0" * 32},
        {"algorithm": "rsa-pss-sha512"},
        {"time": NOW + timedelta(minutes=2)},
        {"time": START - timedelta(days=1)},
    ],
)
def test_refuses_a_statement_with_a_wrong_fact(nation: Nation, changes: dict[str, Any]) -> None:
    if "party" in changes:
        document = draft(proposal(), Party.CONSUMER)
        first = sign(nation, document, Act.PROPOSE, Party.CONSUMER, CONSUMER_NODE)
        wrong = sign(nation, document, Act.PROPOSE, Party.PROVIDER, PROVIDER_NODE)
        agreement = Agreement(document, (first, wrong))
    else:
        agreement = offered_by_consumer(nation, **changes)
    with pytest.raises(StatementNotAccepted):
        receive(nation, agreement)
    assert nation.provider.store.all() == []


def test_refuses_a_changed_signature(nation: Nation) -> None:
    agreement = offered_by_consumer(nation)
    word = agreement.statements[0]
    changed = bytes([word.signature[0] ^ 1]) + word.signature[1:]
    broken = msgspec.structs.replace(word, signature=changed)
    with pytest.raises(StatementNotAccepted):
        receive(nation, Agreement(agreement.document, (broken,)))


def test_refuses_an_agreement_without_its_proposal(nation: Nation) -> None:
    document = draft(proposal(), Party.CONSUMER)
    word = sign(nation, document, Act.WITHDRAW, Party.CONSUMER, CONSUMER_NODE)
    with pytest.raises(InvalidAgreementDocument):
        receive(nation, Agreement(document, (word,)))


def test_refuses_yesterdays_statement_under_a_key_revoked_today(nation: Nation) -> None:
    agreement = offered_by_consumer(nation, time=NOW - timedelta(days=1))
    nation.country.revoke_key(CONSUMER_NODE, NOW)
    with pytest.raises(StatementNotAccepted):
        receive(nation, agreement)


def test_takes_a_statement_under_a_key_that_was_only_replaced(nation: Nation) -> None:
    agreement = offered_by_consumer(nation, time=NOW - timedelta(days=1))
    nation.country.add_node(CONSUMER_NODE, key_until=NOW - timedelta(hours=1))
    receive(nation, agreement)
    assert nation.provider.store.get(agreement.id) == agreement


def test_refuses_a_statement_for_a_subsystem_that_was_not_delegated(nation: Nation) -> None:
    """The node speaks for another system of the same member, and may not for this one."""
    nation.country.add_member(
        "VN/GOV/H37", {"motcua": (CONSUMER_NODE,), "vanban": ("VN/GOV/H37/n2",)}
    )
    nation.country.add_node("VN/GOV/H37/n2")
    document = draft(proposal(), Party.CONSUMER)
    word = sign(nation, document, Act.PROPOSE, Party.CONSUMER, "VN/GOV/H37/n2")
    with pytest.raises(StatementNotAccepted):
        receive(nation, Agreement(document, (word,)))


def test_refuses_a_statement_of_a_node_whose_delegation_was_revoked(nation: Nation) -> None:
    second = "VN/GOV/H37/n2"
    nation.country.add_member(
        "VN/GOV/H37", {"motcua": (CONSUMER_NODE, second)}, revoked=(CONSUMER_NODE,)
    )
    nation.country.add_node(second)
    agreement = offered_by_consumer(nation, time=NOW - timedelta(days=1))
    envelope = envelope_bytes(agreement)
    with pytest.raises(StatementNotAccepted):
        run(nation.provider.service.receive(envelope, second))


def test_a_flood_of_proposals_is_stopped(nation: Nation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "MOST_OPEN_PROPOSALS", 3)
    for _ in range(3):
        receive(nation, offered_by_consumer(nation))
    with pytest.raises(TooManyProposals):
        receive(nation, offered_by_consumer(nation))


def test_an_envelope_is_verified_offline(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    agreement = run(nation.provider.service.accept(agreement.id))
    envelope = envelope_bytes(agreement)
    assert verify_envelope(envelope, nation.country.view(), NOW) == agreement
    with pytest.raises(StatementNotAccepted):
        verify_envelope(envelope.replace(b'"ho_ten"', b'"ho_tenn"'), nation.country.view(), NOW)
