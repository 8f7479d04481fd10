"""One contract for every store: reading back, searching, erasing, purging. SQLite, PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from lienthong.errors import ConfigurationError, LedgerCorrupt, LedgerUnavailable, RecordNotFound
from lienthong.ledger.database import open_database
from lienthong.ledger.erasure import decode_erased, erased, erased_leaf, is_erased
from lienthong.ledger.heads import format_time
from lienthong.ledger.merkle import build_levels, leaf_hash, root_from_path
from lienthong.ledger.proofs import decode_proof
from lienthong.ledger.receipt_store import GroupReceipt, ReceiptStore
from lienthong.ledger.records import EntryKind, Located, split_hashes
from lienthong.ledger.search import LedgerIndex
from lienthong.ledger.verify import verify_ledger
from tests.fixtures.ledgers import (
    CITIZEN,
    CLIENT,
    CONSUMER_NODE,
    NOW,
    QUESTION,
    REPLY,
    SERVICE,
    LedgerNode,
    event,
    exchange,
    request_of,
    request_sent,
)

NewNode = Callable[[str], LedgerNode]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_node(request: pytest.FixtureRequest, tmp_path: Path) -> NewNode:
    """Makes ledgers on each kind of database."""
    if request.param == "sqlite":
        return lambda name: LedgerNode.at(tmp_path, name)
    server = request.getfixturevalue("postgresql_server")
    return lambda name: LedgerNode(server.create_database(), name)


@pytest.fixture
def consumer(new_node: NewNode) -> LedgerNode:
    return new_node(CONSUMER_NODE)


@pytest.fixture
def provider(new_node: NewNode) -> LedgerNode:
    return new_node("VN/GOV/G01/n1")


def index_of(node: LedgerNode) -> LedgerIndex:
    index = LedgerIndex(node.engine, node.store, b"key of this node")
    index.catch_up()
    return index


def test_a_group_is_read_back_as_it_was_written(provider: LedgerNode) -> None:
    body = b"\x00\xff binary"
    request = request_sent(request_of(body))
    (first, second) = provider.record([request, event()], [body])
    group = provider.store.group(first.place)
    assert group.entries == (request, event())
    assert group.bodies == {0: body}
    assert (group.time, group.head) == (NOW, second.group.head)
    assert [g.bodies for g in provider.store.groups()] == [{}]
    assert list(provider.store.groups(with_bodies=True)) == [group]


def test_groups_are_read_in_batches_without_a_gap(provider: LedgerNode) -> None:
    for number in range(7):
        provider.record([event(number)])
    places = [group.place for group in provider.store.groups(batch_rows=3)]
    assert places == list(range(7))
    assert [g.place for g in provider.store.groups(after_place=4, batch_rows=1)] == [5, 6]


def test_a_group_that_is_not_there_is_not_found(provider: LedgerNode) -> None:
    with pytest.raises(RecordNotFound):
        provider.store.group(5)


def test_a_new_epoch_begins_a_new_tree_and_leaves_the_old(provider: LedgerNode) -> None:
    provider.record([event(1)])
    assert provider.store.open_epoch("restored from a backup") == 1
    (committed,) = provider.record([event(2)])
    assert (provider.store.size(0), provider.store.size(1)) == (1, 1)
    assert committed.group.head.startswith("lienthong/VN/GOV/G01/n1/1\n1\n")
    assert verify_ledger(provider.store, provider.key_for).good


def test_a_subtree_that_is_missing_is_told(provider: LedgerNode) -> None:
    with pytest.raises(LedgerCorrupt):
        provider.store.subtree(0, 3, 0)


def test_an_exchange_is_found_by_each_of_its_names(
    consumer: LedgerNode, provider: LedgerNode
) -> None:
    done = exchange(consumer, provider)
    for node in (consumer, provider):
        index = index_of(node)
        assert len(index.search(message=done.request.request_id)) == 2
        assert len(index.search(message="don-2026-000123")) == 1
        for party in ("VN/GOV/H37", CLIENT, SERVICE, "VN/GOV/G01/dancu"):
            assert len(index.search(party=party)) == 2
        assert len(index.search(dossier="H37.12-260601-0042")) == 1
        assert [found.kind for found in index.search(citizen=CITIZEN)] in (
            [EntryKind.REQUEST_SENT],
            [EntryKind.REQUEST_RECEIVED],
        )
        assert index.search(since=NOW + timedelta(seconds=1)) == []
        assert len(index.search(until=NOW + timedelta(seconds=1))) == 2
        assert index.search(party="VN/GOV/H3") == index.search(citizen="001090000002") == []
        assert index.search(party="VN/GOV/H37/%") == []


def test_an_exchange_is_found_whole_by_the_client_s_own_id(
    consumer: LedgerNode, provider: LedgerNode
) -> None:
    exchange(consumer, provider)
    again = request_of(request_id="a-second-exchange", message_id="don-2026-000123")
    done = exchange(consumer, provider, again)
    index = index_of(provider)
    by_client = index.exchange("don-2026-000123")
    assert {found.request_id for found in by_client} == {done.request.request_id}
    assert {found.kind for found in by_client} == {
        EntryKind.REQUEST_RECEIVED,
        EntryKind.ANSWER_SENT,
    }


def test_nobody_hides_an_exchange_behind_its_id(consumer: LedgerNode, provider: LedgerNode) -> None:
    """A client may choose any X-Road-Id, also one that is another exchange's request id."""
    done = exchange(consumer, provider)
    impostor = request_of(request_id="another", message_id=done.request.request_id)
    exchange(consumer, provider, impostor)
    found = index_of(provider).exchange(done.request.request_id)
    assert {each.request_id for each in found} == {done.request.request_id}


def test_an_unknown_exchange_is_not_found(provider: LedgerNode) -> None:
    with pytest.raises(RecordNotFound):
        index_of(provider).exchange("nobody")


def test_the_index_holds_no_citizen_in_clear(consumer: LedgerNode, provider: LedgerNode) -> None:
    exchange(consumer, provider)
    index_of(consumer)
    with consumer.engine.connect() as connection:
        for table in ("ledger_messages", "ledger_tokens"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).all()
            assert rows
            assert all(CITIZEN not in str(value) for row in rows for value in row)
    other = LedgerIndex(consumer.engine, consumer.store, b"key of another node")
    assert other.search(citizen=CITIZEN) == []


def test_the_index_can_be_made_again(consumer: LedgerNode, provider: LedgerNode) -> None:
    exchange(consumer, provider)
    before = index_of(consumer).search()
    with consumer.engine.begin() as connection:
        for table in ("ledger_messages", "ledger_tokens", "ledger_progress"):
            connection.execute(text(f"DELETE FROM {table}"))
    assert index_of(consumer).search() == before != []


def test_two_who_index_at_once_do_not_disturb_each_other(provider: LedgerNode) -> None:
    for number in range(30):
        provider.record([event(number)])
    indexes = [LedgerIndex(provider.engine, provider.store, b"k") for _ in range(4)]
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def work(index: LedgerIndex) -> None:
        barrier.wait()
        try:
            index.catch_up()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(indexes[0].search()) == 30


def test_a_record_that_cannot_be_read_does_not_hold_up_the_index(provider: LedgerNode) -> None:
    broken = request_sent(request_of(time="yesterday", message_id="mã"))
    provider.record([broken])
    provider.record([request_sent(request_of())])
    found = index_of(provider).search()
    assert [each.outcome for each in found] == ["", "unreadable"]


# --- erasing and purging -------------------------------------------------------------------


def test_what_was_erased_is_gone_and_the_tree_stays_whole(
    consumer: LedgerNode, provider: LedgerNode
) -> None:
    exchange(consumer, provider)
    keys = {consumer.name: consumer.key.public, provider.name: provider.key.public}
    index = index_of(provider)
    files: list[str] = []
    records = index.search()
    for found in records:
        provider.store.erase(found.located, files.append)
        provider.store.erase(found.located, files.append)  # again changes nothing
    index.forget(records)
    report = verify_ledger(provider.store, lambda head: keys[head.node])
    assert (report.problems, report.erased) == ([], 2)
    everything = b"".join(
        entry.message + entry.proof + b"".join(group.bodies.values())
        for group in provider.store.groups(with_bodies=True)
        for entry in group.entries
    )
    for secret in (CITIZEN.encode(), b"VN37001", b"H37.12-260601-0042", QUESTION, REPLY):
        assert secret not in everything
    assert index.search(citizen=CITIZEN) == index.search(dossier="H37.12-260601-0042") == []
    assert len(index.search(party=CLIENT)) == 2


def test_an_erased_record_is_indexed_by_what_was_kept(
    consumer: LedgerNode, provider: LedgerNode
) -> None:
    exchange(consumer, provider)
    for group in list(provider.store.groups()):
        provider.store.erase(Located(group.place, 0), lambda name: None)
    found = index_of(provider).search(message="0f8b5a52-5a7b-4d2e-9c63-6a3e1f0d7c11")
    assert [(each.kind, each.outcome, each.client) for each in found] == [
        (EntryKind.ANSWER_SENT, "answered", CLIENT),
        (EntryKind.REQUEST_RECEIVED, "", CLIENT),
    ]


def test_nothing_of_the_erased_stays_in_the_files_of_the_database(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    body = b"MOST-SECRET-" * 3000
    node.record([request_sent(request_of(body))], [body])
    node.store.erase(Located(0, 0), lambda name: None)
    node.store.close()
    node.engine.dispose()
    assert all(b"MOST-SECRET-" not in path.read_bytes() for path in tmp_path.iterdir())


def test_part_of_a_record_can_be_kept() -> None:
    entry = request_sent(request_of())
    remaining = decode_erased(erased(entry, keep=("user", "body")).message)
    assert remaining.kept["user"].text == '"x-road-userid": VN37001'
    assert erased_leaf(entry.kind, remaining) == entry.leaf
    less = erased(erased(entry, keep=("user", "body")), keep=("body",))
    assert is_erased(less.message)
    assert decode_erased(less.message).kept.keys() == {"body"}
    assert erased_leaf(entry.kind, decode_erased(less.message)) == entry.leaf


def test_two_who_erase_in_one_group_do_not_undo_each_other(provider: LedgerNode) -> None:
    bodies = [f"body {i}".encode() for i in range(16)]
    provider.record([request_sent(request_of(body)) for body in bodies], bodies)
    threads = [
        threading.Thread(target=provider.store.erase, args=(Located(0, i), lambda name: None))
        for i in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    group = provider.store.group(0)
    assert all(is_erased(entry.message) for entry in group.entries)
    assert group.bodies == {}


def test_old_bodies_are_purged_and_their_hashes_stay(
    consumer: LedgerNode, provider: LedgerNode
) -> None:
    exchange(consumer, provider)
    assert provider.store.purge_bodies(NOW) == 0
    assert provider.store.purge_bodies(NOW + timedelta(milliseconds=1)) == 2
    assert provider.store.purge_bodies(NOW + timedelta(milliseconds=1)) == 0
    assert provider.store.group(0).bodies == {}
    keys = {consumer.name: consumer.key.public, provider.name: provider.key.public}
    assert verify_ledger(provider.store, lambda head: keys[head.node]).good


# --- receipts ------------------------------------------------------------------------------


def test_receipts_are_kept_once(provider: LedgerNode) -> None:
    store = ReceiptStore(provider.engine)
    leaves = [leaf_hash(bytes([number])) for number in range(5)]
    answered = [number.to_bytes(32, "big") for number in range(5)]
    first = GroupReceipt("head", b"", b"".join(leaves), tuple(enumerate(answered)))
    later = GroupReceipt("later head", b"", leaves[0], ((0, answered[3]),))
    store.put([first], NOW)
    store.put([first, later], NOW + timedelta(seconds=1))
    found = store.find(answered[3])
    assert found is not None
    proof = decode_proof(found)
    assert (proof.head, proof.index, proof.size) == ("head", 3, 5)
    root = build_levels(leaves)[-1][0]
    assert root_from_path(leaves[3], 3, 5, split_hashes(proof.path)) == root
    assert store.find(answered[3], since=NOW + timedelta(seconds=2)) is None
    assert store.find(b"\xff" * 32) is None


# --- databases that cannot be used -----------------------------------------------------------


@pytest.mark.parametrize("url", ["nonsense", "mysql://u@h/d", "sqlite+nothing://"])
def test_refuses_an_address_that_is_no_ledger(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_database(url)


def test_tells_when_the_database_is_away(free_port: int, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        open_database(f"postgresql://u:p@127.0.0.1:{free_port}/d")
    with pytest.raises(LedgerUnavailable):
        open_database(f"sqlite:///{tmp_path}/no/such/folder/node.db")


def test_refuses_a_postgresql_that_may_forget(postgresql_url: str) -> None:
    engine = open_database(postgresql_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    try:
        _configure(engine, "ALTER SYSTEM SET fsync TO off")
        with pytest.raises(ConfigurationError):
            _open_until_refused(postgresql_url)
    finally:
        _configure(engine, "ALTER SYSTEM RESET fsync")


def _configure(engine: Engine, statement: str) -> None:
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.execute(text(statement))
        connection.execute(text("SELECT pg_reload_conf()"))


def _open_until_refused(url: str) -> None:
    """The server takes a moment to read its configuration again."""
    for _ in range(200):
        open_database(url).dispose()


def test_sqlite_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    with node.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_times_are_kept_to_the_millisecond(provider: LedgerNode) -> None:
    (committed,) = provider.record([event()])
    assert f"time {format_time(NOW)}" in committed.group.head
    assert provider.store.group(0).time == NOW
