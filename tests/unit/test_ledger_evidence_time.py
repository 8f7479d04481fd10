"""The time of evidence: proven by a stamp, by witnesses, asserted; every false anchor refused."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from lienthong.demo.time_authority import TimeAuthority
from lienthong.directory.revocation import revoke
from lienthong.directory.time_authorities import add_time_authority, end_time_authority
from lienthong.errors import EvidenceMalformed, EvidenceRejected
from lienthong.ledger.anchors import OwnHead, cosignatures, stamps
from lienthong.ledger.cosignatures import Witnessed, cosign
from lienthong.ledger.der import with_sorted_certificates
from lienthong.ledger.evidence import Verdict, verify_evidence
from lienthong.ledger.heads import parse_head, sign_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.timestamps import Stamp, stamp_query, verify_stamp
from tests.fixtures.directory_world import Agency
from tests.fixtures.evidence_nation import Nation, Side
from tests.fixtures.ledgers import event
from tests.fixtures.time_authority import (
    Issued,
    authority_of,
    issue,
    openssl_or_skip,
    trusted,
)

REQUEST = "0f8b5a52-5a7b-4d2e-9c63-6a3e1f0d7c11"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeAuthority:
    openssl_or_skip()
    made = TimeAuthority(tmp_path_factory.mktemp("tsa"))
    made.prepare()
    return made


def built(folder: Path, authority: TimeAuthority) -> Nation:
    """An exchange, and three groups after it in the consumer's ledger."""
    nation = Nation(folder)
    add_time_authority(nation.world.repository, "TSA", authority.chain.read_text())
    nation.exchange()
    grow(nation.consumer, 3)
    nation.consumer.mirror.refresh()
    return nation


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, authority: TimeAuthority) -> Nation:
    return built(tmp_path_factory.mktemp("nation"), authority)


@pytest.fixture
def nation(shared: Nation) -> Nation:
    """The nation of all tests that change nothing but its anchors."""
    for side in (shared.consumer, shared.provider):
        with side.ledger.engine.begin() as connection:
            connection.execute(delete(stamps))
            connection.execute(delete(cosignatures))
    return shared


@pytest.fixture
def own(tmp_path: Path, authority: TimeAuthority) -> Nation:
    """A nation for one test alone."""
    return built(tmp_path, authority)


def grow(side: Side, groups: int) -> None:
    for number in range(groups):
        side.ledger.record([event(number)])


def response_of(authority: TimeAuthority, note: str) -> bytes:
    return with_sorted_certificates(authority.reply(stamp_query(note).request))


def newest(side: Side) -> OwnHead:
    head = side.anchors.newest()
    assert head is not None
    return head


def stamp(side: Side, authority: TimeAuthority, head: OwnHead | None = None) -> datetime:
    """Stamp the newest head, or the one given."""
    on = head or newest(side)
    response = response_of(authority, on.note)
    given = [trusted(authority.chain.read_text())]
    stamped = verify_stamp(response, on.note, given)
    side.anchors.put_stamp(on, Stamp(response), stamped)
    return stamped.time


def witness(nation: Nation, side: Side, code: str, seconds: float = 0) -> Agency:
    """A third agency's node signs the newest head."""
    agency = nation.witnesses.get(code) or nation.world.agency(code)
    nation.witnesses[code] = agency
    sign_as(side, agency, nation.world.clock() + timedelta(seconds=seconds))
    side.mirror.refresh()
    return agency


def sign_as(side: Side, agency: Agency, at: datetime) -> None:
    on = newest(side)
    line = cosign(parse_head(on.note), str(agency.node), agency.signing_key, at)
    side.anchors.put_cosignature(on, line, Witnessed(str(agency.node), at))


def judged(nation: Nation, side: Side | None = None, needed: int = 1) -> Verdict:
    content = (side or nation.consumer).export(REQUEST)
    return verify_evidence(content, nation.world.root, witnesses_needed=needed)


def refuse(
    nation: Nation, words: str, change: Callable[[dict[str, Any]], None], content: bytes = b""
) -> None:
    bundle = json.loads(content or nation.consumer.export(REQUEST))
    change(bundle)
    with pytest.raises(EvidenceRejected) as caught:
        verify_evidence(json.dumps(bundle).encode(), nation.world.root)
    assert words in str(caught.value)


# --- what is proven ------------------------------------------------------------------------


def test_without_an_anchor_the_time_is_asserted_and_the_form_is_the_old_one(
    nation: Nation,
) -> None:
    verdict = judged(nation)
    assert (verdict.time, verdict.proven.by, verdict.proven.at) == ("asserted", "", None)
    bundle = json.loads(nation.consumer.export(REQUEST))
    assert "anchors" not in bundle  # older programs read it
    assert not [name for name in bundle["directory"]["files"] if "timeauthorities" in name]


def test_a_stamp_on_a_later_head_proves_the_time(nation: Nation, authority: TimeAuthority) -> None:
    at = stamp(nation.consumer, authority)
    verdict = judged(nation)
    assert (verdict.time, verdict.proven.by, verdict.proven.at) == ("proven", "time-stamp", at)
    assert [each.authority for each in verdict.proven.stamps] == ["TSA"]
    assert verdict.checks[-1] == "anchors"


def test_the_provider_proves_it_by_its_own_ledger(nation: Nation, authority: TimeAuthority) -> None:
    grow(nation.provider, 2)
    stamp(nation.provider, authority)
    nation.provider.mirror.refresh()
    verdict = judged(nation, nation.provider)
    assert verdict.proven.by == "time-stamp"
    bundle = json.loads(nation.provider.export(REQUEST))
    assert [anchor["of"] for anchor in bundle["anchors"]] == ["answer"]


def test_the_earliest_stamp_that_covers_the_record_is_exported(
    nation: Nation, authority: TimeAuthority
) -> None:
    groups = list(nation.consumer.ledger.store.groups())
    before = OwnHead(groups[0].place, groups[0].head, groups[0].time)
    stamp(nation.consumer, authority, before)  # from before the answer: it does not cover it
    middle = OwnHead(groups[3].place, groups[3].head, groups[3].time)
    stamp(nation.consumer, authority, newest(nation.consumer))
    stamp(nation.consumer, authority, middle)
    (anchor,) = json.loads(nation.consumer.export(REQUEST))["anchors"]
    assert anchor["head"] == middle.note
    assert judged(nation).proven.by == "time-stamp"


def test_third_parties_that_witnessed_it_prove_the_time(nation: Nation) -> None:
    witness(nation, nation.consumer, "G15", seconds=5)
    verdict = judged(nation)
    assert (verdict.time, verdict.proven.by) == ("proven", "witnesses")
    assert [each.node for each in verdict.proven.witnesses] == ["VN/GOV/G15/n1"]
    assert judged(nation, needed=2).time == "asserted"
    witness(nation, nation.consumer, "G18", seconds=9)
    both = judged(nation, needed=2)
    assert both.proven.at == max(each.time for each in both.proven.witnesses)
    assert judged(nation).proven.at == min(each.time for each in both.proven.witnesses)


def test_a_witness_that_was_a_party_proves_nothing_alone(nation: Nation) -> None:
    sign_as(nation.consumer, nation.provider.agency, nation.world.clock())
    verdict = judged(nation)
    assert verdict.time == "asserted"
    assert [each.node for each in verdict.proven.party_witnesses] == ["VN/GOV/G01/n1"]
    assert "only parties" in " ".join(verdict.notes)


def test_a_stamp_goes_before_witnesses(nation: Nation, authority: TimeAuthority) -> None:
    witness(nation, nation.consumer, "G15")
    stamp(nation.consumer, authority)
    verdict = judged(nation)
    assert verdict.proven.by == "time-stamp"
    assert len(verdict.proven.witnesses) == 1


def test_a_stamp_from_after_the_end_of_the_key_proves_no_time(
    own: Nation, authority: TimeAuthority
) -> None:
    """A thief of the key could have written any time into the head."""
    nation = own
    nation.world.clock.forward(seconds=1.5)  # the heads are from before the revocation
    key = nation.consumer.agency.signing_key.public.key_id
    revoke(nation.world.repository, "key", key, "stolen")
    while datetime.now(UTC) <= nation.world.clock():
        time.sleep(0.05)
    stamp(nation.consumer, authority)
    nation.consumer.mirror.refresh()
    verdict = judged(nation)
    assert (verdict.time, verdict.proven.stamps) == ("asserted", [])
    assert "after the end of the key" in " ".join(verdict.notes)


def test_an_authority_that_the_judge_trusts_himself_counts(nation: Nation, tmp_path: Path) -> None:
    root = issue("own root", authority=True)
    own = authority_of(tmp_path / "own", issue("own", root), root)
    on = newest(nation.consumer)
    response = response_of(own, on.note)
    bundle = json.loads(nation.consumer.export(REQUEST))
    bundle["anchors"] = [{"of": "acknowledged", "head": on.note, "stamps": [encoded(response)]}]
    content = with_growth(nation, bundle)
    with pytest.raises(EvidenceRejected, match="none of the authorities"):
        verify_evidence(content, nation.world.root)
    verdict = verify_evidence(content, nation.world.root, [trusted(root.pem, "mine")])
    assert [each.authority for each in verdict.proven.stamps] == ["mine"]


def with_growth(nation: Nation, bundle: dict[str, Any]) -> bytes:
    """The bundle with the right consistency proofs in its anchors."""
    store = nation.consumer.ledger.store
    for anchor in bundle["anchors"]:
        proof = bundle[anchor["of"]]
        first = parse_head(proof.get("proof", proof)["head"]).size
        second = parse_head(anchor["head"]).size
        path = consistency_path(lambda level, i: store.subtree(0, level, i), first, second)
        anchor["growth"] = encoded(b"".join(path))
    return json.dumps(bundle).encode()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- what is refused -----------------------------------------------------------------------


def test_refuses_a_stamp_that_was_swapped(nation: Nation, authority: TimeAuthority) -> None:
    stamp(nation.consumer, authority)
    other = encoded(response_of(authority, "another head"))

    def swap(bundle: dict[str, Any]) -> None:
        bundle["anchors"][0]["stamps"] = [other]

    refuse(nation, "it stands on something else than this head", swap)


def test_refuses_a_stamp_that_cannot_be_read(nation: Nation, authority: TimeAuthority) -> None:
    stamp(nation.consumer, authority)
    for broken in (b"", b"\x30\x03\x02\x01\x00", b"junk" * 50):

        def swap(bundle: dict[str, Any], broken: bytes = broken) -> None:
            bundle["anchors"][0]["stamps"] = [encoded(broken)]

        refuse(nation, "ledger.time_stamp_invalid", swap)


def test_refuses_the_stamp_of_an_authority_that_nobody_named(
    nation: Nation, authority: TimeAuthority, tmp_path: Path
) -> None:
    stamp(nation.consumer, authority)
    root = issue("Lien Thong demonstration TSA root", authority=True)
    forged = authority_of(tmp_path / "forged", issue("TSA", root), root)

    def swap(bundle: dict[str, Any]) -> None:
        response = response_of(forged, bundle["anchors"][0]["head"])
        bundle["anchors"][0]["stamps"] = [encoded(response)]

    refuse(nation, "none of the authorities known here vouches for it", swap)


@pytest.mark.parametrize(
    ("signer", "words"),
    [
        (lambda root: issue("TSA", root, days=(-5, -1)), "outside its dates at that time"),
        (lambda root: issue("TSA", root, days=(1, 5)), "outside its dates at that time"),
    ],
)
def test_refuses_a_stamp_by_a_certificate_outside_its_dates(
    nation: Nation,
    authority: TimeAuthority,
    tmp_path: Path,
    signer: Callable[[Issued], Issued],
    words: str,
) -> None:
    stamp(nation.consumer, authority)
    root = issue("second root", authority=True, days=(-9, 9))
    add_time_authority(nation.world.repository, str(tmp_path), root.pem)
    nation.consumer.mirror.refresh()
    second = authority_of(tmp_path / "second", signer(root), root)

    def swap(bundle: dict[str, Any]) -> None:
        response = response_of(second, bundle["anchors"][0]["head"])
        bundle["anchors"][0]["stamps"] = [encoded(response)]

    refuse(nation, words, swap)


def test_an_authority_that_ended_before_is_refused_and_not_exported(
    own: Nation, authority: TimeAuthority
) -> None:
    nation = own
    stamp(nation.consumer, authority)
    whole = json.loads(nation.consumer.export(REQUEST))
    end_time_authority(nation.world.repository, "TSA", nation.world.clock() - timedelta(days=1))
    nation.consumer.mirror.refresh()
    assert judged(nation).time == "asserted"

    def put_back(bundle: dict[str, Any]) -> None:
        bundle["anchors"] = whole["anchors"]
        bundle["directory"] = nation.consumer.mirror.proof(
            ["VN/GOV/G01", "VN/GOV/H37"],
            ["VN/GOV/G01/n1", "VN/GOV/H37/n1"],
            time_authorities=True,
        )

    refuse(nation, "its authority did not count at that time", put_back)


def test_refuses_a_stamp_from_before_its_head(own: Nation, authority: TimeAuthority) -> None:
    nation = own
    nation.world.clock.forward(hours=1)  # the node's clock runs ahead of the authority's
    grow(nation.consumer, 1)
    on = newest(nation.consumer)
    response = response_of(authority, on.note)
    bundle = json.loads(nation.consumer.export(REQUEST))
    bundle["anchors"] = [{"of": "acknowledged", "head": on.note, "stamps": [encoded(response)]}]
    bundle["directory"] = nation.consumer.mirror.proof(
        ["VN/GOV/G01", "VN/GOV/H37"], ["VN/GOV/G01/n1", "VN/GOV/H37/n1"], time_authorities=True
    )
    refuse(nation, "its time is before the head's own", lambda _: None, with_growth(nation, bundle))


def test_refuses_an_anchor_that_did_not_grow_out_of_the_record(
    nation: Nation, authority: TimeAuthority
) -> None:
    stamp(nation.consumer, authority)

    def cut(bundle: dict[str, Any]) -> None:
        bundle["anchors"][0]["growth"] = ""

    def flip(bundle: dict[str, Any]) -> None:
        path = bytearray(base64.b64decode(bundle["anchors"][0]["growth"]))
        path[3] ^= 1
        bundle["anchors"][0]["growth"] = encoded(path)

    def another_head(bundle: dict[str, Any]) -> None:
        """A head that the node signed over another history."""
        head = parse_head(bundle["anchors"][0]["head"])
        lie = msgspec.structs.replace(head, root=bytes(32))
        bundle["anchors"][0]["head"] = sign_head(lie, nation.consumer.ledger.key)

    refuse(nation, "ledger.growth_unproven", cut)
    refuse(nation, "ledger.growth_unproven", flip)
    refuse(nation, "ledger.growth_unproven", another_head)


def test_refuses_an_anchor_of_another_ledger_or_of_nothing(
    nation: Nation, authority: TimeAuthority
) -> None:
    stamp(nation.consumer, authority)

    def of_another(bundle: dict[str, Any]) -> None:
        bundle["anchors"][0]["of"] = "answer"

    def of_nothing(bundle: dict[str, Any]) -> None:
        bundle["anchors"][0]["of"] = "received"

    def unsigned(bundle: dict[str, Any]) -> None:
        head = bundle["anchors"][0]["head"]
        bundle["anchors"][0]["head"] = head[:-10] + ("A" if head[-10] != "A" else "B") + head[-9:]

    refuse(nation, "an anchor of another ledger", of_another)
    refuse(nation, "an anchor of what is not there", of_nothing)
    refuse(nation, "identity.signature_invalid", unsigned)


def test_an_anchor_of_the_request_alone_does_not_prove_the_answer(
    nation: Nation, authority: TimeAuthority
) -> None:
    stamp(nation.consumer, authority)
    bundle = json.loads(nation.consumer.export(REQUEST))
    bundle["anchors"][0]["of"] = "request"
    verdict = verify_evidence(with_growth(nation, bundle), nation.world.root)
    assert verdict.time == "asserted"
    assert "only the request is anchored" in " ".join(verdict.notes)


def test_refuses_false_witnesses(own: Nation) -> None:
    nation = own
    agency = nation.world.agency("G15")
    nation.world.clock.forward(hours=1)
    grow(nation.consumer, 1)
    at = nation.world.clock()
    sign_as(nation.consumer, agency, at)
    nation.consumer.mirror.refresh()

    def put(line: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], None]:
        def change(bundle: dict[str, Any]) -> None:
            bundle["anchors"][0]["cosignatures"] = [line(bundle)]

        return change

    def head(bundle: dict[str, Any]) -> Any:
        return parse_head(bundle["anchors"][0]["head"])

    node, key = str(agency.node), agency.signing_key
    mine = nation.consumer.agency

    def under_another_head(bundle: dict[str, Any]) -> str:
        return cosign(parse_head(bundle["request"]["proof"]["head"]), node, key, at)

    refuse(nation, "did not sign this head", put(under_another_head))
    refuse(
        nation,
        "has no such key",
        put(lambda bundle: cosign(head(bundle), node, mine.signing_key, at)),
    )
    refuse(
        nation,
        "a witness of its own ledger",
        put(lambda bundle: cosign(head(bundle), str(mine.node), mine.signing_key, at)),
    )
    refuse(
        nation,
        "before the head's own",
        put(lambda bundle: cosign(head(bundle), node, key, at - timedelta(minutes=30))),
    )
    refuse(
        nation,
        "directory.unknown_node",
        put(lambda bundle: cosign(head(bundle), "VN/GOV/G99/n1", key, at)),
    )
    refuse(nation, "not in the form of a cosignature", put(lambda bundle: "— x AAAA\n"))


def test_too_many_anchors_are_no_bundle(nation: Nation, authority: TimeAuthority) -> None:
    stamp(nation.consumer, authority)
    bundle = json.loads(nation.consumer.export(REQUEST))
    bundle["anchors"] *= 17
    with pytest.raises(EvidenceMalformed):
        verify_evidence(json.dumps(bundle).encode(), nation.world.root)


def test_the_backlog_is_what_no_stamp_covers(own: Nation, authority: TimeAuthority) -> None:
    nation = own
    side = nation.consumer
    now = nation.world.clock()
    assert side.anchors.backlog(now).groups == 5
    (first,) = side.anchors.unstamped()
    stamp(side, authority, first)
    assert side.anchors.unstamped() == []
    assert side.anchors.backlog(now).groups == 0
    nation.world.clock.forward(seconds=30)
    grow(side, 2)
    nation.world.clock.forward(seconds=30)
    backlog = side.anchors.backlog(nation.world.clock())
    assert backlog.groups == 2
    assert backlog.seconds == pytest.approx(30, abs=1)
    side.ledger.store.open_epoch("restored")
    grow(side, 1)
    assert [head.place for head in side.anchors.unstamped()] == [
        newest(side).place,
        first.place + 2,  # nothing later would cover the end of an epoch that was given up
    ]
    assert side.anchors.backlog(nation.world.clock()).groups == 1
