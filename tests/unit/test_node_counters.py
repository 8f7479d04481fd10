"""Signed hourly counters: counted from the ledger, signed, added up without counting twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from lienthong.directory.view import DirectoryView
from lienthong.errors import CountersInvalid
from lienthong.identity.keys import PrivateKey
from lienthong.ledger.database import open_database
from lienthong.ledger.erasure import erased
from lienthong.ledger.heads import format_time
from lienthong.ledger.messages import Answer, Request
from lienthong.node.counters.collection import add_up
from lienthong.node.counters.counts import (
    SIZE_BOUNDS,
    Counting,
    Flow,
    hour_of,
    hours_between,
    start_of,
)
from lienthong.node.counters.documents import Counters, sign_counters, verify_counters
from lienthong.node.counters.store import CounterStore
from tests.fixtures.directory_world import Agency, World
from tests.fixtures.ledgers import (
    CITIZEN,
    CLIENT,
    CONSUMER_NODE,
    NOW,
    PROVIDER_NODE,
    SERVICE,
    LedgerNode,
    answer_received,
    answer_sent,
    answer_to,
    event,
    request_of,
    request_received,
    request_sent,
)

HOUR = "2026-06-01T08"


def counted(node: LedgerNode) -> tuple[Flow, ...]:
    counting = Counting(HOUR)
    for group in node.store.groups():
        counting.add(group)
    return counting.flows()


def ask(request: Request, answer: Answer | None, node: LedgerNode, side: str) -> None:
    """Write what one side's ledger has of an exchange."""
    if side == "consumer":
        node.record([request_sent(request)])
        node.record([answer_received(answer, b"{}")] if answer else [event()])
    else:
        node.record([request_received(request, b"{}")])
        node.record([answer_sent(answer)] if answer else [event()])


def refused(request: Request, reason: str) -> Answer:
    return answer_to(request, outcome="refused", reason=reason, status=500)


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_counts_calls_outcomes_reasons_and_sizes_of_its_hour(tmp_path: Path, side: str) -> None:
    node = LedgerNode.at(tmp_path)
    for number in range(3):
        request = request_of(b"x" * 2000, request_id=f"r-{number}")
        ask(request, answer_to(request, b"y" * 20_000), node, side)
    request = request_of(request_id="r-4")
    ask(request, refused(request, "Server.ServerProxy.AccessDenied"), node, side)
    later = request_of(time=format_time(NOW + timedelta(hours=1)))
    ask(later, answer_to(later), node, side)
    (flow,) = counted(node)
    other = PROVIDER_NODE if side == "consumer" else CONSUMER_NODE
    assert (flow.side, flow.client, flow.service, flow.other) == (side, CLIENT, SERVICE, other)
    assert flow.requests == flow.answers == 4
    assert flow.outcomes == {"answered": 3, "refused": 1}
    assert flow.reasons == {"Server.ServerProxy.AccessDenied": 1}
    assert flow.answer_sizes.counts[SIZE_BOUNDS.index(100_000)] == 3
    assert flow.request_sizes.bytes > 6000


def test_nothing_that_says_of_whom_or_what_is_in_the_document(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    request = request_of()
    ask(request, answer_to(request), node, "consumer")
    text = msgspec.json.encode(counted(node)).decode()
    told = (CITIZEN, request.user, request.dossier, request.message_id, request.path, "1.004222")
    assert not [each for each in told if each in text]


def test_a_service_that_nobody_offers_is_counted_without_its_name(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    for name in (f"VN/GOV/G01/dancu/{CITIZEN}", "VN/GOV/G01/dancu/hong"):
        request = request_of(request_id=name[-6:], service=name)
        ask(request, refused(request, "Server.ServerProxy.UnknownService"), node, "provider")
    (flow,) = counted(node)
    assert (flow.service, flow.requests, flow.answers) == ("", 2, 2)


def test_what_was_kept_without_contents_is_counted_without_its_size(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    request = request_of()
    node.record([erased(request_sent(request)), erased(answer_received(answer_to(request), b""))])
    (flow,) = counted(node)
    assert (flow.requests, flow.outcomes) == (1, {"answered": 1})
    assert (flow.request_sizes.bytes, flow.request_sizes.unknown) == (0, 1)


# --- documents ---------------------------------------------------------------------------


def document(node: str, flows: tuple[Flow, ...] = (), hour: str = HOUR) -> Counters:
    made = format_time(start_of(hour) + timedelta(hours=2))
    return Counters(node, hour, made, 1, SIZE_BOUNDS, flows, {"consumer": {"xroad.client": 2}})


class Village(NamedTuple):
    """A directory as a node sees it, and one of its agencies."""

    view: DirectoryView
    agency: Agency


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    world = World(tmp_path_factory.mktemp("w"))
    agency = world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    return Village(mirror.view, agency)


def test_a_signed_document_reads_back_and_a_changed_one_does_not(village: Village) -> None:
    view, agency = village
    node, key = str(agency.node), agency.signing_key
    hour = hour_of(agency.clock())
    good = document(node, hour=hour)
    content = sign_counters(good, key)
    assert verify_counters(content, view, node, hour) == good
    for changed in (
        content.replace(b'"xroad.client":2', b'"xroad.client":3'),
        sign_counters(good, PrivateKey.generate()),
        content[:-1],
        b"[" * 10_000,
    ):
        with pytest.raises(CountersInvalid):
            verify_counters(changed, view, node, hour)
    with pytest.raises(CountersInvalid, match="another node or hour"):
        verify_counters(content, view, node, "2020-01-01T00")
    early = msgspec.structs.replace(good, made=f"{hour}:59:59.000Z")
    with pytest.raises(CountersInvalid, match="before the hour was over"):
        verify_counters(sign_counters(early, key), view, node, hour)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_whatever_a_node_gives_is_read_or_refused(village: Village, content: bytes) -> None:
    with pytest.raises(CountersInvalid):
        verify_counters(content, village.view, "VN/GOV/G01/n1", HOUR)


# --- adding up ---------------------------------------------------------------------------


def both_sides(received: int, sent: int, tmp_path: Path) -> tuple[Counters, Counters]:
    consumer = LedgerNode.at(tmp_path, CONSUMER_NODE)
    provider = LedgerNode.at(tmp_path)
    for number in range(sent):
        request = request_of(request_id=f"r-{number}")
        answer = answer_to(request)
        ask(request, answer if number < received else None, consumer, "consumer")
        ask(request, answer, provider, "provider")
    return document(CONSUMER_NODE, counted(consumer)), document(PROVIDER_NODE, counted(provider))


def test_a_call_that_both_sides_counted_is_one_call(tmp_path: Path) -> None:
    sums = add_up(both_sides(5, 5, tmp_path))
    assert sums.calls == 5
    assert sums.disagreements == ()
    assert sums.refusals == {"consumer": {"xroad.client": 4}}


def test_an_answer_that_did_not_arrive_is_shown_as_a_disagreement(tmp_path: Path) -> None:
    sums = add_up(both_sides(3, 5, tmp_path))
    assert sums.calls == 5
    (one,) = sums.disagreements
    assert (one.received, one.sent, one.provider_node) == (3, 5, PROVIDER_NODE)


def test_one_side_is_enough_where_the_other_has_not_told(tmp_path: Path) -> None:
    consumer, provider = both_sides(3, 5, tmp_path)
    assert add_up([consumer]).calls == 3
    assert add_up([provider]).calls == 5
    assert add_up([consumer]).disagreements == ()


def test_a_node_that_hides_its_side_is_seen(tmp_path: Path) -> None:
    consumer, provider = both_sides(4, 4, tmp_path)
    hiding = msgspec.structs.replace(provider, flows=())
    sums = add_up([consumer, hiding])
    (one,) = sums.disagreements
    assert (one.received, one.sent) == (4, 0)


# --- the store, on both databases --------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return open_database(f"sqlite:///{tmp_path / 'node.db'}")
    return open_database(request.getfixturevalue("postgresql_url"))


def test_the_first_document_of_an_hour_stays_and_refusals_are_added_up(engine: Engine) -> None:
    store = CounterStore(engine)
    assert (store.newest(), store.document(HOUR)) == (None, None)
    store.add_refusals(HOUR, {("consumer", "a.b"): 2, ("provider", "c.d"): 1})
    store.add_refusals(HOUR, {("consumer", "a.b"): 3})
    store.add_refusals("2026-06-01T09", {("consumer", "a.b"): 100})
    assert store.refusals(HOUR) == {"consumer": {"a.b": 5}, "provider": {"c.d": 1}}
    store.put(HOUR, b"first")
    store.put(HOUR, b"second")
    assert (store.newest(), store.document(HOUR)) == (HOUR, b"first")
    assert store.refusals(HOUR) == {}
    assert store.refusals("2026-06-01T09") == {"consumer": {"a.b": 100}}
    store.forget_before("2026-06-01T09")
    assert store.document(HOUR) is None
    engine.dispose()


def test_hours_are_those_of_utc_and_have_one_form() -> None:
    assert hours_between("2026-12-31T23", "2027-01-01T01") == (
        "2026-12-31T23",
        "2027-01-01T00",
        "2027-01-01T01",
    )
    for wrong in ("2026-06-01", "2026-06-01T8", "2026-06-01T24", "x", "2026-06-01T08:00"):
        with pytest.raises(ValueError):
            start_of(wrong)
