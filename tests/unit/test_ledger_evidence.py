"""Evidence taken from real ledgers under a real directory, and judged offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lienthong.errors import EvidenceMalformed, EvidenceRejected, RecordNotFound
from lienthong.ledger.evidence import verify_evidence
from lienthong.ledger.heads import format_time
from lienthong.ledger.receipt_store import GroupReceipt, ReceiptStore
from lienthong.ledger.records import EntryKind
from lienthong.ledger.search import LedgerIndex
from tests.fixtures.evidence_nation import Nation
from tests.fixtures.ledgers import (
    CLIENT,
    QUESTION,
    REPLY,
    SERVICE,
    answer_sent,
    answer_to,
    request_of,
    request_sent,
)


@pytest.fixture
def nation(tmp_path: Path) -> Nation:
    return Nation(tmp_path)


def changed(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    bundle = json.loads(content)
    change(bundle)
    return json.dumps(bundle).encode()


def refuse(nation: Nation, content: bytes, words: str = "") -> None:
    with pytest.raises(EvidenceRejected) as caught:
        verify_evidence(content, nation.world.root)
    assert words in str(caught.value)


def test_the_consumer_proves_a_whole_exchange(nation: Nation) -> None:
    done = nation.exchange()
    verdict = verify_evidence(nation.consumer.export(done.request.request_id), nation.world.root)
    assert verdict.checks == [
        "directory",
        "request",
        "answer",
        "acknowledged",
        "request body",
        "answer body",
        "times",
    ]
    assert verdict.time == "asserted"
    assert verdict.request["x-road-client"] == CLIENT
    assert verdict.request["x-road-service"] == SERVICE
    assert verdict.answer["lienthong-outcome"] == "answered"


def test_the_provider_proves_it_too_and_the_receipt_when_it_came(nation: Nation) -> None:
    done = nation.exchange()
    without = verify_evidence(nation.provider.export("don-2026-000123"), nation.world.root)
    assert "received" in without.checks
    assert "acknowledged" not in without.checks
    leaf = nation.provider.ledger.store.group(done.answered.place).entries[0].leaf
    group = done.acknowledged.group
    receipt = GroupReceipt(
        group.head,
        b"".join(group.tree_path),
        b"".join(group.levels[0]),
        ((done.acknowledged.index, leaf),),
    )
    ReceiptStore(nation.provider.ledger.engine).put([receipt], nation.world.clock())
    with_receipt = verify_evidence(nation.provider.export("don-2026-000123"), nation.world.root)
    assert {"received", "acknowledged"} <= set(with_receipt.checks)


def test_evidence_of_an_erased_exchange_still_proves_who_asked_whom(nation: Nation) -> None:
    done = nation.exchange()
    nation.consumer.erase()
    content = nation.consumer.export(done.request.request_id)
    for secret in (QUESTION, REPLY, b"VN37001", b"H37.12-260601-0042"):
        assert secret not in content
    verdict = verify_evidence(content, nation.world.root)
    assert verdict.request["x-road-client"] == CLIENT
    assert len(verdict.notes) == 4


def test_evidence_of_the_first_answer_is_exported_not_of_a_later_doubt(nation: Nation) -> None:
    done = nation.exchange()

    doubt = answer_to(done.request, b"", outcome="in-doubt", status=500)
    nation.provider.ledger.record([answer_sent(doubt)])
    verdict = verify_evidence(nation.provider.export("don-2026-000123"), nation.world.root)
    assert verdict.answer["lienthong-outcome"] == "answered"


def test_an_exchange_without_an_answer_is_no_evidence_yet(nation: Nation) -> None:

    nation.consumer.ledger.record([request_sent(request_of())])
    with pytest.raises(RecordNotFound):
        nation.consumer.export("don-2026-000123")
    with pytest.raises(RecordNotFound):
        nation.consumer.export("nothing of that name")


def test_evidence_outlives_the_directory_s_dates(nation: Nation) -> None:
    done = nation.exchange()
    content = nation.consumer.export(done.request.request_id)
    nation.world.clock.forward(days=4000)
    assert verify_evidence(content, nation.world.root).checks


def test_a_bundle_signed_anew_under_another_directory_fails(nation: Nation, tmp_path: Path) -> None:
    """The forger has a whole directory of his own: every check holds, but for the root given."""
    forger = Nation(tmp_path / "forger")
    done = forger.exchange()
    content = forger.consumer.export(done.request.request_id)
    assert verify_evidence(content, forger.world.root).checks
    refuse(nation, content, "directory.")


def test_every_changed_field_of_a_message_is_found(nation: Nation) -> None:
    done = nation.exchange()
    content = nation.consumer.export(done.request.request_id)
    for kind in ("request", "answer"):
        for field, value in json.loads(content)[kind][kind].items():
            other: Any = value + 1 if isinstance(value, int) else value[:-1]
            if isinstance(value, str) and not value:
                other = "x"
            if field in ("body", "salts", "request_leaf"):
                other = value.replace(value[3], "A" if value[3] != "A" else "B")

            def change(b: dict[str, Any], k: str = kind, f: str = field, o: Any = other) -> None:
                b[k][k][f] = o

            refuse(nation, changed(content, change))


@pytest.mark.parametrize("part", ["request_body", "answer_body"])
def test_one_changed_byte_of_a_body_is_found(nation: Nation, part: str) -> None:
    done = nation.exchange()
    content = nation.consumer.export(done.request.request_id)

    def change(bundle: dict[str, Any]) -> None:
        bundle[part] = "B" + bundle[part][1:]

    refuse(nation, changed(content, change), "body is not the one")


@pytest.mark.parametrize("part", ["acknowledged", "received"])
def test_a_proof_of_something_else_is_found(nation: Nation, part: str) -> None:
    done = nation.exchange()
    content = nation.consumer.export(done.request.request_id)

    def change(bundle: dict[str, Any]) -> None:
        bundle[part] = bundle["request" if part == "acknowledged" else "answer"]["proof"]

    refuse(nation, changed(content, change))


def test_an_answer_to_another_request_is_found(nation: Nation) -> None:
    first = nation.exchange()
    second = nation.exchange(
        request=request_of(
            request_id="another", time=format_time(nation.world.clock()), message_id="2"
        )
    )
    one = json.loads(nation.consumer.export(first.request.request_id))
    other = json.loads(nation.consumer.export(second.request.request_id))
    one["answer"] = other["answer"]
    refuse(nation, json.dumps(one).encode(), "two exchanges")


def test_an_answer_bound_to_another_leaf_is_found(nation: Nation) -> None:
    done = nation.exchange(request_leaf=bytes(32))
    refuse(nation, nation.consumer.export(done.request.request_id), "another request")


def test_an_answer_between_other_nodes_is_found(nation: Nation) -> None:
    done = nation.exchange(receiver="VN/GOV/H38/n1")
    refuse(nation, nation.consumer.export(done.request.request_id), "other nodes")


def test_a_node_that_nobody_delegated_to_proves_nothing(nation: Nation) -> None:
    """The provider's node answers for a client in its own name: no delegation, no evidence."""
    request = request_of(
        client="VN/GOV/G01/dancu",
        sender=nation.consumer.ledger.name,
        time=format_time(nation.world.clock()),
    )
    done = nation.exchange(request=request)
    refuse(nation, nation.consumer.export(done.request.request_id), "directory.not_delegated")


def test_an_answer_long_before_its_request_is_found(nation: Nation) -> None:
    late = format_time(nation.world.clock() - timedelta(minutes=30))
    done = nation.exchange(time=late)
    refuse(nation, nation.consumer.export(done.request.request_id), "times")


def test_what_was_kept_must_fit(nation: Nation) -> None:
    done = nation.exchange()
    nation.consumer.erase()
    content = nation.consumer.export(done.request.request_id)

    def lines(bundle: dict[str, Any]) -> None:
        erased = bundle["request"]["erased"]
        erased["lines"] = erased["lines"].replace("H37/motcua", "H38/motcua")

    def kept(bundle: dict[str, Any]) -> None:
        salt = "AAAAAAAAAAAAAAAAAAAAAA=="
        bundle["request"]["erased"]["kept"] = {"user": {"salt": salt, "text": "x"}}

    def body(bundle: dict[str, Any]) -> None:
        bundle["request_body"] = ""

    for change in (lines, kept, body):
        refuse(nation, changed(content, change))


def test_what_is_no_bundle_is_told_apart(nation: Nation) -> None:
    done = nation.exchange()
    content = nation.consumer.export(done.request.request_id)

    def form(bundle: dict[str, Any]) -> None:
        bundle["format"] = "lienthong-evidence-2"

    def empty(bundle: dict[str, Any]) -> None:
        del bundle["request"]["request"]

    def more(bundle: dict[str, Any]) -> None:
        bundle["verdict"] = "trust me"

    for change in (form, more):
        with pytest.raises(EvidenceMalformed):
            verify_evidence(changed(content, change), nation.world.root)
    with pytest.raises((EvidenceMalformed, EvidenceRejected)):
        verify_evidence(changed(content, empty), nation.world.root)
    for nothing in (b"", b"{}", content[:-20], b"\xff" * 50):
        with pytest.raises(EvidenceMalformed):
            verify_evidence(nothing, nation.world.root)
    for what, told in ((b"{}", "thiếu một phần"), (b"{", "không phải JSON")):
        with pytest.raises(EvidenceMalformed) as caught:
            verify_evidence(what, nation.world.root)
        assert told in caught.value.message("vi")


def test_an_index_entry_has_all_kinds(nation: Nation) -> None:
    nation.exchange()
    index = LedgerIndex(nation.consumer.ledger.engine, nation.consumer.ledger.store, b"key")
    index.catch_up()
    kinds = {found.kind for found in index.exchange("don-2026-000123")}
    assert kinds == {EntryKind.REQUEST_SENT, EntryKind.ANSWER_RECEIVED}
