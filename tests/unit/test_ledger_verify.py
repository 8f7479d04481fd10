"""Checking a stored ledger finds every byte that was changed, whatever it belongs to."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lienthong.errors import UnknownSigningKey
from lienthong.identity.keys import PrivateKey, PublicKey
from lienthong.ledger.heads import Head, parse_head, sign_head
from lienthong.ledger.messages import Request
from lienthong.ledger.records import Entry
from lienthong.ledger.verify import MOST_PROBLEMS, Report, verify_ledger
from tests.fixtures.ledgers import (
    CONSUMER_NODE,
    QUESTION,
    LedgerNode,
    event,
    exchange,
    request_of,
)

decode_entries = msgspec.msgpack.Decoder(tuple[Entry, ...]).decode


class Archive:
    """A provider's ledger of several groups, to be tampered with through plain SQL."""

    def __init__(self, folder: Path) -> None:
        self.consumer = LedgerNode.at(folder, CONSUMER_NODE)
        self.node = LedgerNode.at(folder)
        self.node.record([event(1), event(2), event(3)])
        exchange(self.consumer, self.node)
        exchange(self.consumer, self.node, request_of(request_id="the second"))
        self.keys = {each.name: each.key.public for each in (self.consumer, self.node)}

    def key_for(self, head: Head) -> PublicKey:
        return self.keys[head.node]

    def report(self) -> Report:
        return verify_ledger(self.node.store, self.key_for)

    def sql(self, statement: str, *values: object) -> None:
        self.node.engine.dispose()
        with sqlite3.connect(self.node.url.removeprefix("sqlite:///")) as connection:
            changed = connection.execute(statement, values).rowcount
        assert changed == 1
        connection.close()

    def change_entry(self, place: int, index: int, change: Callable[[Entry], Entry]) -> None:
        entries = list(self.node.store.group(place).entries)
        entries[index] = change(entries[index])
        content = msgspec.msgpack.encode(tuple(entries))
        self.sql("UPDATE ledger_groups SET entries = ? WHERE place = ?", content, place)

    def expect(self, *words: str) -> None:
        """The check finds something, and says what."""
        problems = self.report().problems
        assert problems
        for word in words:
            assert any(word in problem for problem in problems), problems


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def changed_message(entry: Entry, **changes: Any) -> Entry:
    message = msgspec.json.decode(entry.message)
    return msgspec.structs.replace(entry, message=msgspec.json.encode({**message, **changes}))


REQUEST = 1  # place of the first request received; its answer is at 2


def test_an_untouched_ledger_is_good(archive: Archive) -> None:
    report = archive.report()
    assert (report.good, report.groups, report.entries) == (True, 5, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {field: "changed"}
        for field in Request.__struct_fields__
        if isinstance(getattr(request_of(), field), str)
    ]
    + [
        {"subjects": ["001090000002"]},
        {"headers": []},
        {"body": base64.b64encode(bytes(32)).decode()},
        {"body_bytes": 1},
        {"salts": base64.b64encode(bytes(96)).decode()},
        {"version": 2},
        {"unknown": 1},
        {"body": "short"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_finds_a_changed_field_of_a_message(archive: Archive, changes: dict[str, Any]) -> None:
    archive.change_entry(REQUEST, 0, lambda entry: changed_message(entry, **changes))
    archive.expect("group 1: entry 0: ")


def test_finds_a_changed_answer(archive: Archive) -> None:
    archive.change_entry(2, 0, lambda entry: changed_message(entry, outcome="refused"))
    archive.expect("leaf does not follow from the message")


def test_finds_a_changed_event(archive: Archive) -> None:
    archive.change_entry(0, 1, lambda entry: changed_message(entry, subject="other"))
    archive.expect("entry 1: leaf does not follow")


def test_finds_an_entry_rewritten_together_with_its_leaf(archive: Archive) -> None:
    def rewritten(entry: Entry) -> Entry:
        return event(9)

    archive.change_entry(0, 1, rewritten)
    archive.expect("root does not follow from the entries")


@pytest.mark.parametrize("field", ["kind", "leaf", "proof"])
def test_finds_what_else_was_changed_of_an_entry(archive: Archive, field: str) -> None:
    values: dict[str, Any] = {"kind": 1, "leaf": bytes(32), "proof": b"{}"}
    archive.change_entry(
        REQUEST, 0, lambda entry: msgspec.structs.replace(entry, **{field: values[field]})
    )
    archive.expect("group 1")


def test_finds_a_proof_of_the_sender_that_proves_something_else(archive: Archive) -> None:
    other = archive.node.store.group(3).entries[0].proof
    archive.change_entry(REQUEST, 0, lambda entry: msgspec.structs.replace(entry, proof=other))
    archive.expect("proof of the sender")


def test_counts_proofs_whose_keys_the_directory_does_not_accept(archive: Archive) -> None:
    def key_for(head: Head) -> PublicKey:
        if head.node == CONSUMER_NODE:
            raise UnknownSigningKey(node=head.node, key=head.key_id)
        return archive.keys[head.node]

    report = verify_ledger(archive.node.store, key_for)
    assert (report.good, report.unproven) == (True, 2)


@pytest.mark.parametrize("change", ["removed", "added", "swapped"])
def test_finds_entries_removed_added_or_swapped(archive: Archive, change: str) -> None:
    entries = archive.node.store.group(0).entries
    new = {
        "removed": entries[:2],
        "added": (*entries, event(4)),
        "swapped": (entries[1], entries[0], entries[2]),
    }[change]
    content = msgspec.msgpack.encode(new)
    archive.sql("UPDATE ledger_groups SET entries = ? WHERE place = 0", content)
    archive.expect("group 0: root does not follow from the entries")


@pytest.mark.parametrize("content", [b"", b"\x90", b"nonsense", "text", 7])
def test_finds_entries_that_cannot_be_read(archive: Archive, content: object) -> None:
    archive.sql("UPDATE ledger_groups SET entries = ? WHERE place = 3", content)
    archive.expect("group 3: ")
    # The groups after it are still good.
    assert all(problem.startswith("epoch 0 group 3") for problem in archive.report().problems)


@pytest.mark.parametrize("place", [0, 2, 3])
def test_finds_a_group_that_is_missing(archive: Archive, place: int) -> None:
    archive.sql("DELETE FROM ledger_groups WHERE place = ?", place)
    archive.expect(f"position {place} is missing")


def test_finds_a_changed_group_root(archive: Archive) -> None:
    archive.sql("UPDATE ledger_groups SET root = ? WHERE place = 2", bytes(32))
    archive.expect("group 2: root does not follow", "group 2: head does not follow")


def test_finds_changed_subtrees(archive: Archive) -> None:
    archive.sql("UPDATE ledger_groups SET subtrees = ? WHERE place = 3", bytes(96))
    archive.expect("subtrees do not follow from the groups")


def test_finds_a_changed_time(archive: Archive) -> None:
    archive.sql("UPDATE ledger_groups SET time_ms = time_ms - 1 WHERE place = 2")
    archive.expect("time is not the head's")


def test_finds_every_changed_line_of_a_head(archive: Archive) -> None:
    note = archive.node.store.group(2).head
    for number, line in enumerate(note.split("\n")):
        if line:
            middle = max(len(line) - 5, 0)
            changed = line[:middle] + ("1" if line[middle] != "1" else "2") + line[middle + 1 :]
            lines = note.split("\n")
            lines[number] = changed
            archive.sql("UPDATE ledger_groups SET head = ? WHERE place = 2", "\n".join(lines))
            archive.expect("group 2: ")
    archive.sql("UPDATE ledger_groups SET head = ? WHERE place = 2", b"\xff")
    archive.expect("group 2: head cannot be read")


def test_finds_a_head_that_another_key_signed(archive: Archive) -> None:
    stranger = PrivateKey.generate()
    head = parse_head(archive.node.store.group(2).head)
    forged = msgspec.structs.replace(head, key_id=stranger.public.key_id)
    archive.sql("UPDATE ledger_groups SET head = ? WHERE place = 2", sign_head(forged, stranger))
    archive.expect("group 2: head: ")


def test_finds_a_body_that_is_not_the_one_that_was_signed(archive: Archive) -> None:
    changed = msgspec.msgpack.encode({0: QUESTION + b" "})
    archive.sql("UPDATE ledger_groups SET bodies = ? WHERE place = 1", changed)
    archive.expect("body is not the one that was signed")


def test_finds_a_body_without_an_entry(archive: Archive) -> None:
    archive.sql(
        "UPDATE ledger_groups SET bodies = ? WHERE place = 1", msgspec.msgpack.encode({5: b""})
    )
    archive.expect("a body without an entry")


def test_a_body_that_is_gone_is_no_problem(archive: Archive) -> None:
    archive.sql("UPDATE ledger_groups SET bodies = NULL WHERE place = 1")
    assert archive.report().good


def test_finds_changes_to_what_was_kept_of_an_erased_record(archive: Archive) -> None:
    from lienthong.ledger.records import Located

    archive.node.store.erase(Located(1, 0), lambda name: None)
    assert archive.report().good
    message = archive.node.store.group(1).entries[0].message
    for old, new in (
        (b"VN/GOV/H37/motcua", b"VN/GOV/H38/motcua"),
        (b'"commitments":"', b'"commitments":"AAAA'),
    ):
        archive.change_entry(
            1, 0, lambda e, o=old, n=new: msgspec.structs.replace(e, message=message.replace(o, n))
        )
        archive.expect("entry 0: ")


def test_stops_when_it_has_seen_enough(tmp_path: Path) -> None:
    node = LedgerNode.at(tmp_path)
    node.record(event(number) for number in range(3))
    other = PrivateKey.generate().public
    for _ in range(3):
        node.record([event()])
    report = verify_ledger(node.store, lambda head: other)
    assert len(report.problems) == report.groups == 4 < MOST_PROBLEMS


def test_progress_is_told(archive: Archive) -> None:
    told: list[int] = []
    verify_ledger(archive.node.store, archive.key_for, told.append)
    assert told == [1, 2, 3, 4, 5]
