"""One tree written by several gateways at once, on PostgreSQL (docs/decisions/0010)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import RowMapping, text

from lienthong.errors import LedgerCorrupt, LedgerUnavailable, RequestRegistered
from lienthong.ledger import sequence
from lienthong.ledger.committer import Committed, Committer
from lienthong.ledger.heads import parse_head
from lienthong.ledger.records import NO_CLAIMS, Edge, Entry, Located, Step
from lienthong.ledger.requests import RequestBook
from lienthong.schema.migrations import migrate, newest
from tests.fixtures.ledgers import (
    CONSUMER_NODE,
    LedgerNode,
    answer_sent,
    answer_to,
    check,
    event,
    request_of,
    request_received,
    request_sent,
)


@pytest.fixture
def node(postgresql_url: str) -> LedgerNode:
    return LedgerNode(postgresql_url)


def gateway(node: LedgerNode) -> LedgerNode:
    """Another gateway of the same node: its own connections, the same key."""
    return LedgerNode(node.url, key=node.key)


async def together(*nodes: LedgerNode) -> list[Committer]:
    committers = [each.committer() for each in nodes]
    for committer in committers:
        committer.start(asyncio.get_running_loop())
    return committers


async def close(*committers: Committer) -> None:
    for committer in committers:
        await committer.close()


Received = Callable[[str], tuple[Entry, str]]


@pytest.fixture
def received(node: LedgerNode, tmp_path: Path) -> Received:
    """The record of a request received, with its id; the asking node has a ledger of its own."""
    asking = LedgerNode(f"sqlite:///{tmp_path}/asking.db", CONSUMER_NODE, node.key)

    def receive(request_id: str) -> tuple[Entry, str]:
        request = request_of(request_id=request_id)
        (sent,) = asking.record([request_sent(request)])
        return request_received(request, sent.proof_json()), request_id

    return receive


def set_edge_back(node: LedgerNode, edge: RowMapping) -> None:
    """As if a release that knows no edge had written what came after."""
    fields = ", ".join(f"{name} = :{name}" for name in ("size", "peaks", "time_ms", "head"))
    with node.engine.begin() as connection:
        connection.execute(text(f"UPDATE ledger_edge SET {fields}"), dict(edge))


def edge_row(node: LedgerNode) -> RowMapping:
    with node.engine.begin() as connection:
        return connection.execute(text("SELECT * FROM ledger_edge")).mappings().one()


def test_two_writers_at_one_place_both_get_into_the_tree(node: LedgerNode) -> None:
    async def run() -> list[Committed]:
        first, second = await together(node, gateway(node))
        done = [await first.record(event(0)), await second.record(event(1))]
        done += [await first.record(event(2)), await second.record(event(3))]
        await close(first, second)
        return done

    assert [each.place for each in asyncio.run(run())] == [0, 1, 2, 3]
    assert check(node) == 4


def test_writers_that_write_at_once_leave_no_gap_and_every_head_is_in_the_tree(
    node: LedgerNode,
) -> None:
    async def run() -> list[Committed]:
        committers = await together(node, gateway(node), gateway(node))

        async def storm(committer: Committer, first: int) -> list[Committed]:
            return [await committer.record(event(first + i)) for i in range(25)]

        storms = [storm(c, 100 * i + 1000 * j) for i, c in enumerate(committers) for j in range(4)]
        done = await asyncio.gather(*storms)
        await close(*committers)
        return [each for some in done for each in some]

    done = asyncio.run(run())
    assert check(node) == 300
    stored = {group.place: group.head for group in node.store.groups()}
    assert {each.place: each.group.head for each in done} == stored
    assert sorted(stored) == list(range(len(stored)))


def test_a_request_that_two_gateways_receive_is_registered_once(
    node: LedgerNode, received: Received
) -> None:
    entry, request_id = received("the-same-request")

    async def run() -> list[object]:
        first, second = await together(node, gateway(node))
        done = await asyncio.gather(
            first.record(entry, None, request_id),
            second.record(entry, None, request_id),
            second.record(event(1)),
            return_exceptions=True,
        )
        await close(first, second)
        return list(done)

    *same, other = asyncio.run(run())
    assert sorted(type(each).__name__ for each in same) == ["Committed", "RequestRegistered"]
    assert isinstance(other, Committed)  # what else was in the group is not held up
    assert check(node) == 2


def test_a_group_of_nothing_but_taken_requests_is_not_written(
    node: LedgerNode, received: Received
) -> None:
    entry, request_id = received("once")

    async def run() -> None:
        first, second = await together(node, gateway(node))
        await first.record(entry, None, request_id)
        with pytest.raises(RequestRegistered):
            await second.record(entry, None, request_id)
        await close(first, second)

    asyncio.run(run())
    assert check(node) == 1


def test_the_register_knows_who_took_a_request_and_where_its_answer_lies(
    node: LedgerNode, received: Received
) -> None:
    book = RequestBook(node.engine)
    entry, request_id = received("asked")

    async def run() -> Located:
        (first,) = await together(node)
        node.store.writer.gateway = 7  # type: ignore[union-attr]
        await first.record(entry, None, request_id)
        taken = book.find(request_id)
        assert taken is not None
        assert (taken.gateway, taken.answer) == (7, None)
        assert taken.leaf == entry.leaf
        answer = answer_sent(answer_to(request_of(request_id=request_id)))
        done = await asyncio.gather(first.record(event(1)), first.record(answer, None, request_id))
        again = await first.record(answer, None, request_id)
        assert again.place > done[1].place
        await close(first)
        return Located(done[1].place, done[1].index)

    located = asyncio.run(run())
    found = book.find("asked")
    assert found is not None
    assert found.answer == located  # the first answer counts
    assert book.find("never asked") is None


def test_requests_are_forgotten_when_they_are_old(node: LedgerNode, received: Received) -> None:
    entries = [received(name) for name in ("old", "new")]

    async def run() -> None:
        (first,) = await together(node)
        for entry, request_id in entries:
            await first.record(entry, None, request_id)
        await close(first)

    asyncio.run(run())
    with node.engine.begin() as connection:
        connection.execute(
            text("UPDATE ledger_requests SET received_ms = 1 WHERE request_id = 'old'")
        )
    book = RequestBook(node.engine)
    assert book.forget(older_than_seconds=600) == 1
    assert book.find("old") is None
    assert book.find("new") is not None


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sequence, "_SESSION", "SET idle_in_transaction_session_timeout TO '300ms'")
    yield


@pytest.mark.usefixtures("short_turns")
def test_a_writer_that_stops_in_its_turn_does_not_hold_up_the_others(node: LedgerNode) -> None:
    """A frozen process has the edge locked: the server ends its transaction."""
    frozen, holding = threading.Event(), threading.Event()

    def freeze(edge: Edge, taken: frozenset[str]) -> Step | None:
        holding.set()
        frozen.wait(60)
        return None

    node.store.edge()
    writer = gateway(node).store.writer
    assert isinstance(writer, sequence.SequencedWriter)
    thread = threading.Thread(target=lambda: _refused(writer.in_turn, NO_CLAIMS, freeze))
    thread.start()
    assert holding.wait(60)
    assert node.record([event(1)])[0].place == 0
    frozen.set()
    thread.join(20)
    assert check(node) == 1


def _refused(act: object, *arguments: object) -> None:
    with pytest.raises(LedgerUnavailable):
        act(*arguments)  # type: ignore[operator]


def test_what_a_gateway_wrote_under_an_older_epoch_is_refused_and_made_anew(
    node: LedgerNode,
) -> None:
    async def run() -> Committed:
        (late,) = await together(gateway(node))
        await late.record(event(1))
        assert node.store.open_epoch("restored") == 1
        done = await late.record(event(2))
        await close(late)
        return done

    done = asyncio.run(run())
    head = parse_head(done.group.head)
    assert (head.epoch, head.size) == (1, 1)
    assert check(node) == 2


def test_groups_of_a_release_that_knows_no_edge_are_taken_up(node: LedgerNode) -> None:
    node.record([event(1)])
    before = edge_row(node)
    node.record([event(2)])
    set_edge_back(node, before)
    assert node.record([event(3)])[0].place == 2
    assert check(node) == 3


def test_the_edge_is_made_again_from_the_groups_after_a_step_to_the_first_tables_and_back(
    node: LedgerNode,
) -> None:
    for number in range(5):  # not a power of two: the edge has several peaks
        node.record([event(number)])
    before = dict(edge_row(node))
    migrate(node.engine, "0001")
    migrate(node.engine, newest())
    again = gateway(node)
    assert again.record([event(5)])[0].place == 5
    with node.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_groups WHERE place = 5"))
        connection.execute(text("DELETE FROM ledger_edge"))
    gateway(node).committer()
    assert dict(edge_row(node)) == before
    assert check(node) == 5


def test_a_running_gateway_takes_up_groups_beyond_the_edge(node: LedgerNode) -> None:
    async def run() -> None:
        (first,) = await together(node)
        await first.record(event(1))
        before = edge_row(node)
        await first.record(event(2))
        set_edge_back(node, before)
        assert (await first.record(event(3))).place == 2
        await close(first)

    asyncio.run(run())
    assert check(node) == 3


def test_a_tail_that_was_cut_off_is_noticed_at_the_next_start(node: LedgerNode) -> None:
    for number in range(3):
        node.record([event(number)])
    with node.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_groups WHERE place = 2"))
    with pytest.raises(LedgerCorrupt):
        node.committer()


def test_a_clock_that_is_behind_takes_the_time_of_the_tree(node: LedgerNode) -> None:
    behind = gateway(node)
    node.record([event(1)])
    behind.clock = type(node.clock)(source=lambda: node.clock.now().replace(year=2020))
    behind.record([event(2)])
    assert check(node) == 2


def test_a_lone_gateway_needs_one_transaction_a_group(node: LedgerNode) -> None:
    """It makes the group at the edge that it knows; only who meets another takes turns."""
    asked: list[object] = []

    async def run() -> None:
        (alone,) = await together(node)
        writer = node.store.writer
        assert isinstance(writer, sequence.SequencedWriter)
        before = writer.in_turn
        writer.in_turn = lambda *each: asked.append(each) or before(*each)  # type: ignore[func-returns-value,method-assign,assignment,misc]
        for number in range(5):
            await alone.record(event(number))
        assert asked == []
        other = gateway(node)
        await asyncio.to_thread(_record_one, other)
        for number in range(3):
            await alone.record(event(number))
        assert asked != []
        await close(alone)

    asyncio.run(run())
    assert check(node) == 9


def _record_one(node: LedgerNode) -> None:
    node.record([event(99)])


def test_the_turn_is_waited_for_while_another_writes(node: LedgerNode) -> None:
    node.store.edge()
    with node.engine.connect() as other, other.begin():
        other.execute(text("SELECT 1 FROM ledger_edge FOR UPDATE"))
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(node.record([event(1)])[0].place))
        thread.start()
        time.sleep(0.3)
        assert done == []
    thread.join(90)
    assert done == [0]
