"""Stamps, cosignatures and requests to witnesses as they come over the wire: our errors, or the
one meaning; never a crash, and no other time than was signed."""

from __future__ import annotations

import base64
import contextlib
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.directory.records import TimeAuthority as Trusted
from lienthong.errors import CosignatureInvalid, EvidenceError, MessageMalformed, TimeStampInvalid
from lienthong.identity.keys import PrivateKey
from lienthong.ledger import der
from lienthong.ledger.cosignatures import cosign, parse_cosignature, verify_cosignature
from lienthong.ledger.fork_evidence import is_fork_bundle, verify_fork
from lienthong.ledger.heads import Head
from lienthong.ledger.timestamps import (
    StampedTime,
    StampQuery,
    accept_reply,
    stamp_query,
    verify_stamp,
)
from lienthong.ledger.witness_request import (
    WitnessRequest,
    format_witness_request,
    parse_witness_request,
)
from tests.fixtures.agreement_parties import CONSUMER_NODE, NOW, Country
from tests.fixtures.time_authority import RunningAuthority, trusted

NOTE = "a head"
FIRST, LAST = datetime(1970, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - as Hypothesis wants
HASH = st.binary(min_size=32, max_size=32)


class Given(NamedTuple):
    """A stamp that a real authority gave."""

    query: StampQuery
    response: bytes
    stamped: StampedTime
    authorities: tuple[Trusted, ...]


@pytest.fixture(scope="module")
def stamp(tmp_path_factory: pytest.TempPathFactory) -> Given:
    with RunningAuthority(tmp_path_factory.mktemp("tsa")) as running:
        authorities = (trusted(running.chain.read_text()),)
        query = stamp_query(NOTE)
        reply = running.authority.reply(query.request)
        stamp, stamped = accept_reply(reply, NOTE, query, authorities)
        return Given(query, stamp.response, stamped, authorities)


@given(content=st.binary(max_size=400))
def test_any_bytes_are_a_stamp_or_our_error(stamp: Given, content: bytes) -> None:
    with pytest.raises(TimeStampInvalid):
        accept_reply(content, NOTE, stamp.query, stamp.authorities)
    with pytest.raises(TimeStampInvalid):
        verify_stamp(content, NOTE, stamp.authorities)


@given(
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 40),
)
def test_a_changed_stamp_never_tells_another_time(
    stamp: Given, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(stamp.response)
    for place, value in changes:
        content[place % len(content)] = value
    changed = bytes(content[: len(content) - cut])
    with contextlib.suppress(TimeStampInvalid):
        assert verify_stamp(changed, NOTE, stamp.authorities) == stamp.stamped
    with contextlib.suppress(TimeStampInvalid):
        assert accept_reply(changed, NOTE, stamp.query, stamp.authorities)[1] == stamp.stamped


@given(other=st.text(max_size=50).filter(lambda text: text != NOTE))
def test_a_stamp_stands_on_one_head_only(stamp: Given, other: str) -> None:
    with pytest.raises(TimeStampInvalid):
        verify_stamp(stamp.response, other, stamp.authorities)


@given(content=st.binary(max_size=300))
def test_der_is_read_whole_or_refused(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert b"".join(part.whole for part in der.parts(content)) == content
    with contextlib.suppress(ValueError):
        der.with_sorted_certificates(content)


@given(tag=st.integers(0, 30), content=st.binary(max_size=70_000))
def test_der_that_we_write_is_read_the_same(tag: int, content: bytes) -> None:
    (part,) = der.parts(der.element(tag, content))
    assert (part.tag, part.content) == (tag, content)


# --- cosignatures --------------------------------------------------------------------------

KEY = PrivateKey.generate()
HEAD = Head("VN/GOV/G01/n1", 0, 5, bytes(32), NOW, 1, KEY.public.key_id)
COUNTRY = Country()
COUNTRY.add_member("VN/GOV/H37", {"motcua": (CONSUMER_NODE,)})
COUNTRY.add_node(CONSUMER_NODE)
VIEW = COUNTRY.view()
LINE = cosign(HEAD, CONSUMER_NODE, COUNTRY.node_keys[CONSUMER_NODE], NOW)


@given(line=st.text(max_size=300) | st.from_regex(r"— lienthong-witness/\S{1,40} \S{1,200}\n"))
def test_any_text_is_a_cosignature_or_our_error(line: str) -> None:
    try:
        read = parse_cosignature(line)
    except CosignatureInvalid:
        return
    data = read.key_hash + read.seconds.to_bytes(8) + read.signature
    assert line.endswith(f" {base64.b64encode(data).decode()}\n")
    assert read.time.tzinfo is UTC


@given(place=st.integers(0, len(LINE) - 1), character=st.characters(max_codepoint=0x2100))
def test_a_changed_cosignature_is_refused(place: int, character: str) -> None:
    changed = LINE[:place] + character + LINE[place + 1 :]
    if changed != LINE:
        with pytest.raises(Exception, match=r"ledger\.cosignature_invalid|directory\."):
            verify_cosignature(changed, HEAD, VIEW)


@given(
    moment=st.datetimes(min_value=FIRST, max_value=LAST),
    size=st.integers(1, 10**14),
)
def test_a_cosignature_is_read_as_it_was_written(moment: datetime, size: int) -> None:
    head = Head("VN/GOV/Huế/n1", 0, size, bytes(32), NOW, 1, KEY.public.key_id)
    at = moment.replace(microsecond=0, tzinfo=UTC)
    read = parse_cosignature(cosign(head, "VN/GOV/Huế/n 1", KEY, at))
    assert (read.node, read.time) == ("VN/GOV/Huế/n 1", at)


# --- requests to witnesses, and accusations ------------------------------------------------


@given(old=st.integers(0, 10**15 - 1), path=st.lists(HASH, max_size=63))
def test_a_request_to_a_witness_is_read_as_it_was_written(old: int, path: list[bytes]) -> None:
    request = WitnessRequest(old, path, "lienthong/…\n1\n\n— x\n")
    assert parse_witness_request(format_witness_request(request)) == request


@given(
    content=st.binary(max_size=400) | st.text(max_size=200).map(lambda t: f"old 5\n{t}".encode())
)
def test_any_request_to_a_witness_is_one_or_our_error(content: bytes) -> None:
    with contextlib.suppress(MessageMalformed):
        assert format_witness_request(parse_witness_request(content)) == content


@given(content=st.binary(max_size=200) | st.just(b'{"format":"lienthong-fork-1"}'))
def test_any_file_is_an_accusation_or_our_error(content: bytes) -> None:
    is_fork_bundle(content)
    with pytest.raises(EvidenceError):
        verify_fork(content, b"{}")
