"""What a ledger refuses to write, to go on from, and to believe, one fault at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import create_engine, text

from lienthong.errors import (
    ConfigurationError,
    EvidenceMalformed,
    EvidenceRejected,
    LedgerCorrupt,
    LedgerForked,
    LedgerUnavailable,
)
from lienthong.ledger import evidence, evidence_time, sequence
from lienthong.ledger.alone import LoneWriter
from lienthong.ledger.database import connect_database
from lienthong.ledger.der import _encoded_identifier
from lienthong.ledger.erasure import Erased, Kept, message_leaf
from lienthong.ledger.fork_evidence import LARGEST_FORK, verify_fork
from lienthong.ledger.heads import parse_head, sign_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.messages import REQUEST_COMMITMENTS, request_lines
from lienthong.ledger.peers import PeerBook
from lienthong.ledger.records import NO_CLAIMS, Step
from lienthong.ledger.rows import WriteInDoubt
from lienthong.ledger.search import LedgerIndex
from lienthong.ledger.sequence import SequencedWriter
from lienthong.ledger.verify import verify_ledger
from tests.fixtures.ledgers import CONSUMER_NODE, LedgerNode, check, event, request_of


@pytest.fixture
def node(tmp_path: Path) -> LedgerNode:
    return LedgerNode.at(tmp_path)


def step_of(node: LedgerNode, monkeypatch: pytest.MonkeyPatch) -> Step:
    """A step that the node has written."""
    steps: list[Step] = []
    append = LoneWriter.append

    def keep(self: LoneWriter, step: Step) -> None:
        steps.append(step)
        append(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(LoneWriter, "append", keep)
        node.record([event()])
    return steps[-1]


# --- one writer on SQLite ------------------------------------------------------------------


def test_a_writer_that_cannot_open_its_database_has_written_nothing(tmp_path: Path) -> None:
    writer = LoneWriter(create_engine(f"sqlite:///{tmp_path}/none/x.db"))
    with pytest.raises(LedgerUnavailable):
        writer.append(SimpleNamespace(group=None))  # type: ignore[arg-type]


def test_a_statement_that_failed_in_an_unknown_way_is_in_doubt(
    node: LedgerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_of(node, monkeypatch)
    writer = LoneWriter(node.engine)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    writer._connection = SimpleNamespace(cursor=lambda: SimpleNamespace(execute=fail))
    with pytest.raises(WriteInDoubt):
        writer.append(step)


def test_a_ledger_whose_last_head_is_of_other_groups_is_not_gone_on_with(node: LedgerNode) -> None:
    node.record([event(1)])
    node.record([event(2)])
    with node.engine.begin() as connection:
        head = connection.scalar(text("SELECT head FROM ledger_groups WHERE place = 0"))
        connection.execute(text("UPDATE ledger_groups SET head = :head"), {"head": head})
    with pytest.raises(LedgerCorrupt):
        node.committer()


def test_only_two_kinds_of_database_hold_a_ledger() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        connect_database("mysql+pymysql://a@127.0.0.1:1/x")


def test_a_group_that_is_not_there_has_no_time(node: LedgerNode) -> None:
    node.record([event()])
    with pytest.raises(LedgerCorrupt):
        node.store._time_at(10**9)


def test_an_index_that_does_not_know_how_far_it_is_answers_nothing(node: LedgerNode) -> None:
    index = LedgerIndex(node.engine, node.store, b"key")
    node.record([event()])
    index.catch_up()
    with node.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_progress"))
    with pytest.raises(LedgerUnavailable):
        index.catch_up()


# --- one tree on PostgreSQL ----------------------------------------------------------------


@pytest.fixture
def shared(postgresql_url: str) -> LedgerNode:
    return LedgerNode(postgresql_url)


@pytest.fixture
def writer(shared: LedgerNode) -> Iterator[SequencedWriter]:
    shared.record([event(1)])
    writer = SequencedWriter(shared.engine)
    yield writer
    writer.close()


def execute(node: LedgerNode, statement: str, **values: object) -> None:
    with node.engine.begin() as connection:
        connection.execute(text(statement), values)


def nothing_to_write(*_: object) -> None:
    """A turn in which nothing is left to write."""


def test_an_edge_that_is_gone_is_made_again_from_the_groups(
    shared: LedgerNode, writer: SequencedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(shared, "DELETE FROM ledger_edge")
    writer.in_turn(NO_CLAIMS, nothing_to_write)
    edge = writer.edge()
    assert edge is not None
    assert edge.frontier.size == 1
    execute(shared, "DELETE FROM ledger_edge")
    monkeypatch.setattr(writer, "mend_edge", lambda: None)
    with pytest.raises(LedgerUnavailable):
        writer.in_turn(NO_CLAIMS, nothing_to_write)


def test_a_connection_that_was_cut_is_told_and_opened_anew(
    shared: LedgerNode, writer: SequencedWriter
) -> None:
    connection = writer._open()
    own = connection.info.backend_pid
    execute(shared, "SELECT pg_terminate_backend(:own)", own=own)
    with pytest.raises(LedgerUnavailable):
        writer.edge()
    assert writer.edge() is not None


def test_a_table_that_is_missing_is_an_unavailable_ledger(
    shared: LedgerNode, writer: SequencedWriter
) -> None:
    execute(shared, "ALTER TABLE ledger_edge RENAME TO elsewhere")
    with pytest.raises(LedgerUnavailable):
        writer.edge()


def test_a_server_that_does_not_answer_is_an_unavailable_ledger(unused_url: str) -> None:
    with pytest.raises(LedgerUnavailable):
        SequencedWriter(create_engine(unused_url)).edge()


@pytest.fixture
def unused_url(free_port: int) -> str:
    return f"postgresql+psycopg://a@127.0.0.1:{free_port}/x"


def test_what_became_of_a_commit_is_in_doubt_when_nobody_can_say(
    writer: SequencedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "RECONNECT_SECONDS", -1.0)
    with pytest.raises(WriteInDoubt):
        writer._find_out(None, psycopg.OperationalError("gone"))  # type: ignore[arg-type]


def test_an_edge_of_other_groups_is_not_gone_on_with(
    shared: LedgerNode, writer: SequencedWriter
) -> None:
    execute(shared, "UPDATE ledger_edge SET peaks = :peaks", peaks=bytes(32))
    with pytest.raises(LedgerCorrupt, match="edge does not belong"):
        shared.committer()


# --- what is read --------------------------------------------------------------------------


@pytest.mark.parametrize("dotted", ["3.1", "1.40", "1.-1", "1.2.-3", "-1.2"])
def test_what_no_object_identifier_can_be_is_not_encoded(dotted: str) -> None:
    assert _encoded_identifier("1.2.840")
    with pytest.raises(ValueError, match=dotted.replace(".", r"\.")):
        _encoded_identifier(dotted)


def test_what_was_kept_under_an_unknown_name_fits_no_message() -> None:
    remaining = Erased(1, "", bytes(32), {"khác": Kept(bytes(16), "x")})
    assert message_leaf(remaining, ["citizen"]) is None


def test_what_was_kept_must_fit_its_commitment() -> None:
    remaining = Erased(1, "", bytes(32), {"citizen": Kept(bytes(16), "x")})
    assert message_leaf(remaining, ["citizen"]) is None
    lines, names = request_lines(request_of()), REQUEST_COMMITMENTS
    kept = Erased(1, lines, bytes(32 * len(names)), {names[0]: Kept(bytes(16), "x")})
    part: Any = SimpleNamespace(request=None, answer=None, erased=kept)
    with pytest.raises(EvidenceRejected, match="does not fit"):
        evidence._leaf_and_fields(part, "request")


def test_a_line_of_a_person_cannot_pose_as_another() -> None:
    name = next(iter(evidence._CONTENT_NAMES))
    kept = {name: SimpleNamespace(text='"kẻ lạ": 1')}
    part: Any = SimpleNamespace(request=None, answer=None, erased=SimpleNamespace(kept=kept))
    with pytest.raises(EvidenceRejected, match="no place"):
        evidence._contents(part, (name,))


def test_a_time_in_evidence_has_one_form() -> None:
    with pytest.raises(EvidenceRejected, match="form"):
        evidence._time("2026-06-01 08:00")


def test_an_anchor_under_a_newer_directory_is_refused(node: LedgerNode) -> None:
    node.record([event()])
    note = node.store.last_head(0)
    head = parse_head(note)
    anchor: Any = SimpleNamespace(of="request", head=note, growth="")
    for version, good in ((head.directory_version, True), (head.directory_version - 1, False)):
        view: Any = SimpleNamespace(version=version, signing_key=lambda *_: node.key.public)
        if good:
            assert evidence_time._anchor_head(anchor, {"request": head}, view) == head
            continue
        with pytest.raises(EvidenceRejected, match="older"):
            evidence_time._anchor_head(anchor, {"request": head}, view)


def test_a_report_of_a_fork_that_is_too_large_is_not_read() -> None:
    with pytest.raises(EvidenceMalformed, match="over"):
        verify_fork(b" " * (LARGEST_FORK + 1), b"")


def test_nothing_more_is_proven_of_a_ledger_that_was_forked(
    node: LedgerNode, tmp_path: Path
) -> None:
    (tmp_path / "liar").mkdir()
    book = PeerBook(LedgerNode.at(tmp_path, CONSUMER_NODE).engine)
    liar = LedgerNode.at(tmp_path / "liar")
    liar.key = node.key
    for number in range(3):
        node.record([event(number)])
        liar.record([event(number if number < 2 else 100)])
        if number == 1:
            book.see(parse_head(node.store.last_head(0)), node.store.last_head(0))
    book.see(parse_head(node.store.last_head(0)), node.store.last_head(0))
    (peer,) = book.pending_checks()
    with pytest.raises(LedgerForked):
        book.see(parse_head(liar.store.last_head(0)), liar.store.last_head(0))
    path = consistency_path(lambda level, i: node.store.subtree(0, level, i), 2, 3)
    with pytest.raises(LedgerForked):
        book.prove(peer, path)


def test_a_head_of_another_size_is_found_though_it_is_signed(node: LedgerNode) -> None:
    node.record([event(1)])
    head = parse_head(node.store.last_head(0))
    forged = {"head": sign_head(msgspec.structs.replace(head, size=7), node.key)}
    with node.engine.begin() as connection:
        connection.execute(text("UPDATE ledger_groups SET head = :head"), forged)
    problems = verify_ledger(node.store, node.key_for).problems
    assert [each.partition(": ")[2] for each in problems] == ["head is of another place"]


def test_a_time_that_runs_backwards_is_found_though_it_is_signed(node: LedgerNode) -> None:
    node.record([event(1)])
    node.record([event(2)])
    assert check(node) == 2
    head = parse_head(node.store.last_head(0))
    earlier = msgspec.structs.replace(head, time=head.time - timedelta(hours=1))
    with node.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ledger_groups SET head = :head, time_ms = time_ms - 3600000 WHERE place = 1"
            ),
            {"head": sign_head(earlier, node.key)},
        )
    problems = verify_ledger(node.store, node.key_for).problems
    assert [each.partition(": ")[2] for each in problems] == ["time runs backwards"]
