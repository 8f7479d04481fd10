"""Two nodes agree: real keys, a real directory view, real stores, an in-memory link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lienthong.agreements.models import (
    ContractReference,
    Kind,
    Party,
    Status,
)
from lienthong.agreements.proposals import OfferedService, check_offered, draft
from lienthong.errors import (
    LedgerError,
    NotAParty,
    PartyWithoutNode,
    PeriodOver,
    ServiceMismatch,
    StepNotAllowed,
    UnknownAgreement,
)
from tests.fixtures.agreement_parties import (
    CONSUMER_NODE,
    END,
    PROVIDER_NODE,
    SERVICE,
    AgencyNode,
    Nation,
    proposal,
)
from tests.fixtures.agreement_steps import allowed, run, status


@pytest.fixture
def nation(tmp_path: Path) -> Nation:
    return Nation(tmp_path)


@pytest.mark.parametrize("proposer", ["consumer", "provider"])
def test_an_agreement_is_in_force_on_both_nodes_once_both_have_signed(
    nation: Nation, proposer: str
) -> None:
    first: AgencyNode = getattr(nation, proposer)
    other = nation.provider if first is nation.consumer else nation.consumer
    agreement = run(first.service.propose(proposal()))
    assert agreement.document.proposed_by == proposer
    assert status(nation, other, agreement) is Status.PROPOSED
    assert not allowed(first)
    assert not allowed(other)
    run(other.service.accept(agreement.id))
    assert allowed(first)
    assert allowed(other)
    assert first.store.deliveries() == other.store.deliveries() == []


def test_every_step_reaches_the_ledger_of_both_nodes_once(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    run(nation.provider.service.accept(agreement.id))
    run(nation.consumer.service.withdraw(agreement.id, "không còn cần"))
    for node in (nation.consumer, nation.provider):
        assert [kind for kind, _, _ in node.events] == ["propose", "accept", "withdraw"]
        assert json.loads(node.events[-1][2])["reason"] == "không còn cần"


def test_what_the_ledger_does_not_take_is_not_done(nation: Nation) -> None:
    async def full(*_: object) -> None:
        raise LedgerError(reason="disk full")

    nation.consumer.service._on_event = full
    with pytest.raises(LedgerError):
        run(nation.consumer.service.propose(proposal()))
    assert nation.consumer.store.all() == nation.provider.store.all() == []
    assert nation.consumer.book.agreements() == []


def test_either_party_withdraws_at_once(nation: Nation) -> None:
    for node in (nation.consumer, nation.provider):
        agreement = run(nation.consumer.service.propose(proposal()))
        run(nation.provider.service.accept(agreement.id))
        assert allowed(nation.provider)
        run(node.service.withdraw(agreement.id, "hết nhu cầu"))
        assert not allowed(nation.consumer)
        assert not allowed(nation.provider)


def test_a_refused_agreement_stays_refused(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    run(nation.provider.service.refuse(agreement.id, "thiếu căn cứ"))
    assert status(nation, nation.consumer, agreement) is Status.REFUSED
    for step in (nation.provider.service.accept(agreement.id),):
        with pytest.raises(StepNotAllowed):
            run(step)
    with pytest.raises(StepNotAllowed):
        run(nation.consumer.service.withdraw(agreement.id, ""))


def test_nobody_accepts_their_own_proposal(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    with pytest.raises(StepNotAllowed):
        run(nation.consumer.service.accept(agreement.id))
    assert not allowed(nation.consumer)


def test_accepting_twice_is_accepting_once(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    once = run(nation.provider.service.accept(agreement.id))
    nation.clock.pass_seconds(60)
    assert run(nation.provider.service.accept(agreement.id)) == once
    assert len(nation.provider.events) == 2


def test_an_expired_proposal_cannot_be_accepted(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    nation.clock.time = END
    assert status(nation, nation.provider, agreement) is Status.EXPIRED
    with pytest.raises(StepNotAllowed):
        run(nation.provider.service.accept(agreement.id))


def test_what_is_over_already_is_not_proposed(nation: Nation) -> None:
    nation.clock.time = END
    with pytest.raises(PeriodOver):
        run(nation.consumer.service.propose(proposal()))
    assert run(nation.consumer.service.agreements()) == []


def test_an_unknown_agreement_is_named(nation: Nation) -> None:
    with pytest.raises(UnknownAgreement):
        run(nation.provider.service.accept("không có"))


def test_one_node_that_hosts_both_parties_signs_for_each(nation: Nation) -> None:
    nation.country.add_member("VN/GOV/H37", {"motcua": (PROVIDER_NODE,)})
    node = nation.provider
    agreement = run(node.service.propose(proposal()))
    assert not allowed(node)
    run(node.service.accept(agreement.id))
    assert allowed(node)


def test_a_node_does_not_propose_for_others(nation: Nation) -> None:
    with pytest.raises(NotAParty):
        run(nation.consumer.service.propose(proposal(consumer="VN/GOV/G01/dancu2")))
    with pytest.raises(PartyWithoutNode):
        run(nation.consumer.service.propose(proposal(service="VN/GOV/G02/x/y")))


# --- when the other node is away ------------------------------------------------------


def test_a_step_is_delivered_when_the_other_node_is_back(nation: Nation) -> None:
    nation.consumer.link.away.add(PROVIDER_NODE)
    agreement = run(nation.consumer.service.propose(proposal()))
    assert nation.provider.store.all() == []
    [waiting] = run(nation.consumer.service.undelivered())
    assert (waiting.node, waiting.attempts) == (PROVIDER_NODE, 1)
    assert waiting.last_error.startswith("transport.")
    nation.consumer.link.away.clear()
    assert run(nation.consumer.service.deliver_pending()) == 0, "not due yet"
    nation.clock.pass_seconds(5)
    assert run(nation.consumer.service.deliver_pending()) == 1
    assert status(nation, nation.provider, agreement) is Status.PROPOSED
    assert run(nation.consumer.service.undelivered()) == []


def test_pauses_between_attempts_grow_to_a_limit(nation: Nation) -> None:
    nation.consumer.link.away.add(PROVIDER_NODE)
    run(nation.consumer.service.propose(proposal()))
    pauses = []
    for _ in range(12):
        [waiting] = run(nation.consumer.service.undelivered())
        pauses.append(waiting.due - nation.clock().timestamp())
        nation.clock.pass_seconds(pauses[-1])
        run(nation.consumer.service.deliver_pending())
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == 900


def test_a_withdrawal_counts_here_at_once_and_there_when_it_arrives(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    run(nation.provider.service.accept(agreement.id))
    nation.provider.link.away.add(CONSUMER_NODE)
    run(nation.provider.service.withdraw(agreement.id, "lạm dụng"))
    assert not allowed(nation.provider)
    restarted = nation.start(PROVIDER_NODE)
    assert not allowed(restarted), "a restart forgets nothing"
    nation.clock.pass_seconds(5)
    assert run(restarted.service.deliver_pending()) == 1
    assert not allowed(nation.consumer)


def test_a_party_that_left_the_directory_does_not_keep_the_other_bound(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    run(nation.provider.service.accept(agreement.id))
    nation.country.remove_member("VN/GOV/H37")
    run(nation.provider.service.withdraw(agreement.id, "bên kia giải thể"))
    assert not allowed(nation.provider)


def test_a_node_does_not_speak_for_a_party_that_it_hosts_no_more(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    nation.country.remove_member("VN/GOV/H37")
    with pytest.raises(NotAParty):
        run(nation.consumer.service.withdraw(agreement.id, "chuyển nút"))


def test_a_withdrawal_and_an_acceptance_that_cross_end_in_withdrawal(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    nation.consumer.link.away.add(PROVIDER_NODE)
    nation.provider.link.away.add(CONSUMER_NODE)
    run(nation.provider.service.accept(agreement.id))
    run(nation.consumer.service.withdraw(agreement.id, "nhầm"))
    nation.provider.link.away.clear()
    nation.clock.pass_seconds(5)
    run(nation.provider.service.deliver_pending())
    for node in (nation.consumer, nation.provider):
        assert status(nation, node, agreement) is Status.WITHDRAWN


def test_a_node_restored_from_a_backup_learns_what_was_withdrawn(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal()))
    run(nation.provider.service.accept(agreement.id))
    old = run(nation.provider.service.agreement(agreement.id))
    run(nation.provider.service.withdraw(agreement.id, "hết hạn"))
    restored = nation.start(PROVIDER_NODE, database="restored")
    restored.store.save(old, [], 0.0)
    restored.service.load()
    assert allowed(restored)
    assert run(restored.service.share_again()) == 1
    assert not allowed(restored)


def test_all_nodes_of_a_party_learn_of_each_step(nation: Nation) -> None:
    second = "VN/GOV/G01/n2"
    nation.country.add_member("VN/GOV/G01", {"dancu": (PROVIDER_NODE, second)})
    sibling = nation.start(second)
    agreement = run(nation.consumer.service.propose(proposal()))
    run(sibling.service.accept(agreement.id))
    assert allowed(nation.consumer)
    assert allowed(nation.provider)


# --- what the provider really offers --------------------------------------------------

CONTRACT = ContractReference("dancu", "1.0.0", "ab" * 32)


def offers(service: str) -> OfferedService | None:
    if service != SERVICE:
        return None
    return OfferedService(Kind.CONTRACT, CONTRACT, frozenset({"ho_ten", "noi_thuong_tru"}))


@pytest.mark.parametrize(
    "terms",
    [
        {"service": "VN/GOV/G01/dancu/khac"},
        {"fields": ("ho_ten", "bi_mat")},
        {"contract": ContractReference("dancu", "0.9.0", "cd" * 32)},
    ],
)
def test_a_provider_accepts_only_what_it_offers(nation: Nation, terms: dict[str, Any]) -> None:
    provider = nation.start(PROVIDER_NODE, offers=offers)
    agreement = run(nation.consumer.service.propose(proposal(**terms)))
    with pytest.raises(ServiceMismatch):
        run(provider.service.accept(agreement.id))
    run(provider.service.refuse(agreement.id, "không có dịch vụ này"))


def test_terms_of_another_kind_than_the_service_are_refused_for_that() -> None:
    document = draft(proposal(), Party.CONSUMER)
    with pytest.raises(ServiceMismatch, match="it is a relay"):
        check_offered(document, lambda service: OfferedService(Kind.RELAY))


def test_a_provider_that_proposes_names_its_contract(nation: Nation) -> None:
    provider = nation.start(PROVIDER_NODE, offers=offers)
    agreement = run(provider.service.propose(proposal()))
    assert agreement.document.contract == CONTRACT


def test_usage_outlives_a_restart(nation: Nation) -> None:
    agreement = run(nation.consumer.service.propose(proposal(daily_quota=1)))
    run(nation.provider.service.accept(agreement.id))
    assert allowed(nation.provider)
    nation.provider.service.save_usage()
    assert not allowed(nation.start(PROVIDER_NODE))
