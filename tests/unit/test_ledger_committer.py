"""Group commit: one transaction and one signature for all that waits, and nothing before it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import text

from lienthong.errors import LedgerCorrupt, LedgerUnavailable
from lienthong.ledger.committer import LARGEST_GROUP, Committed
from lienthong.ledger.heads import parse_head
from lienthong.ledger.proofs import ProofChecker, decode_proof
from tests.fixtures.agreement_parties import Country
from tests.fixtures.ledgers import PROVIDER_NODE, LedgerNode, check, event


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerNode:
    """A node's ledger on each kind of database."""
    if request.param == "sqlite":
        return LedgerNode.at(tmp_path)
    return LedgerNode(request.getfixturevalue("postgresql_url"))


def test_what_waits_becomes_one_group_with_one_signature(node: LedgerNode) -> None:
    committed = node.record(event(i) for i in range(50))
    assert {each.place for each in committed} == {0}
    assert [each.index for each in committed] == list(range(50))
    assert len({each.group.head for each in committed}) == 1
    assert check(node) == 50


def test_every_entry_of_a_group_has_its_own_proof(node: LedgerNode) -> None:
    country = Country()
    country.add_member("VN/GOV/G01", {"dancu": (PROVIDER_NODE,)})
    country.node_keys[PROVIDER_NODE] = node.key
    country.add_node(PROVIDER_NODE)
    view, checker = country.view(), ProofChecker()
    for _ in range(5):
        entries = [event(i) for i in range(7)]
        for entry, committed in zip(entries, node.record(entries), strict=True):
            proof = decode_proof(committed.proof_json())
            assert checker.check(proof, entry.leaf, PROVIDER_NODE, view).size == committed.place + 1


def test_more_than_one_group_can_hold_goes_into_several(node: LedgerNode) -> None:
    committed = node.record(event(i) for i in range(2 * LARGEST_GROUP + 1))
    assert [each.place for each in committed].count(0) == LARGEST_GROUP
    assert committed[-1].place == 2
    assert check(node) == 2 * LARGEST_GROUP + 1


def test_a_restarted_node_goes_on_with_the_same_tree(node: LedgerNode) -> None:
    heads = [parse_head(node.record([event(i)])[0].group.head) for i in range(9)]
    assert [head.size for head in heads] == list(range(1, 10))
    assert node.store.last_head(0) == node.committer().head_note
    assert check(node) == 9


def test_a_record_is_on_disk_before_its_caller_learns_of_it(node: LedgerNode) -> None:
    seen: list[int] = []

    async def run() -> None:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())

        async def one(number: int) -> None:
            committed = await committer.record(event(number))
            stored = await asyncio.to_thread(node.store.group, committed.place)
            assert stored.entries[committed.index] == event(number)
            seen.append(number)

        await asyncio.gather(*(one(i) for i in range(40)))
        await committer.close()

    asyncio.run(run())
    assert sorted(seen) == list(range(40))


def test_no_wake_up_is_lost_under_a_storm_of_records(tmp_path: Path) -> None:
    """Each caller comes back at once; a lost wake-up would leave one of them waiting for ever."""
    node = LedgerNode.at(tmp_path)
    rounds, callers = 60, 24

    async def caller(record: object, seed: int) -> None:
        dice = random.Random(seed)
        for turn in range(rounds):
            await record(event(turn))  # type: ignore[operator]
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)

    async def run() -> None:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())
        storm = asyncio.gather(*(caller(committer.record, i) for i in range(callers)))
        await asyncio.wait_for(storm, timeout=120)
        await committer.close()
        assert committer.entries_committed == rounds * callers

    asyncio.run(run())
    assert check(node) == rounds * callers


def test_a_caller_that_gave_up_does_not_disturb_the_others(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)

    async def run() -> None:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())
        futures = [committer.record(event(i)) for i in range(3)]
        futures[1].cancel()
        assert (await futures[0]).index == 0
        assert (await futures[2]).index == 2
        await committer.close()

    asyncio.run(run())
    assert check(node) == 3  # it was logged all the same


def test_what_waits_when_the_node_stops_is_still_written(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)

    async def run() -> list[Committed]:
        committer = node.committer()
        committer.start(asyncio.get_running_loop())
        futures = [committer.record(event(i)) for i in range(LARGEST_GROUP + 5)]
        await committer.close()
        with pytest.raises(LedgerUnavailable):
            await committer.record(event())
        return [future.result() for future in futures]

    assert len(asyncio.run(run())) == LARGEST_GROUP + 5
    assert check(node) == LARGEST_GROUP + 5


def test_a_second_writer_at_the_same_place_is_refused(tmp_path: Path) -> None:
    """Two processes on one ledger would sign two histories: only the first is stored."""
    node = LedgerNode.at(tmp_path)

    async def run() -> None:
        first, second = node.committer(), node.committer()
        for committer in (first, second):
            committer.start(asyncio.get_running_loop())
        await first.record(event(1))
        with pytest.raises(LedgerUnavailable):
            await second.record(event(2))
        await first.record(event(3))
        with pytest.raises(LedgerUnavailable):
            await second.record(event(4))
        await first.close()
        await second.close()

    asyncio.run(run())
    assert check(node) == 2


def test_refuses_to_go_on_with_a_tree_that_was_cut(node: LedgerNode) -> None:
    for i in range(5):
        node.record([event(i)])
    with node.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_groups WHERE place = 3"))
    with pytest.raises(LedgerCorrupt):
        node.committer()


def test_time_does_not_run_backwards_over_a_restart(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    node.record([event()])
    head = parse_head(node.store.last_head(0))
    earlier = LedgerNode(node.url, key=node.key)
    earlier.clock = type(node.clock)(source=lambda: head.time.replace(year=2020))
    earlier.record([event()])
    assert parse_head(node.store.last_head(0)).time == head.time
    assert check(node) == 2
