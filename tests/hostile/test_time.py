"""Time-stamps, cosignatures and requests to witnesses: changed, and signed again."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha384
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from lienthong.ledger import der
from lienthong.ledger.cosignatures import verify_cosignature
from lienthong.ledger.heads import Head
from lienthong.ledger.timestamps import LARGEST_STAMP, accept_reply, stamp_query, verify_stamp
from lienthong.ledger.witness_request import parse_witness_request
from tests.fixtures.agreement_parties import CONSUMER_NODE, NOW, PROVIDER_NODE, Country
from tests.fixtures.hostile_corpus import CUTS, TEXTS, Corpus, cut, mostly
from tests.fixtures.hostile_stamps import (
    INTEGER,
    OID,
    SHA1,
    SHA256,
    SHA384,
    TIME,
    HostileStamps,
    imprint_of,
)
from tests.fixtures.time_authority import DAY, trusted

NOTE = "lienthong/VN/GOV/G01/n1/0\n5\nroot\n\n— lienthong/VN/GOV/G01/n1/0 AAAA\n"


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> HostileStamps:
    return HostileStamps(tmp_path_factory.mktemp("tsa"), NOTE)


def field_values(stamps: HostileStamps) -> Any:
    """Other elements for the fields of a TSTInfo, well-formed and not."""
    right = sha256(NOTE.encode()).digest()
    seconds = st.integers(-40 * 86400, 40 * 86400)
    now = datetime.now(UTC)
    moments = seconds.map(lambda n: (now + timedelta(seconds=n)).strftime("%Y%m%d%H%M%SZ"))
    times = mostly(now.strftime("%Y%m%d%H%M%SZ"), moments) | st.sampled_from(
        [
            *("20260230000000Z", "99991231235959Z", "00000101000000Z", "19700101000000Z"),
            *("20260601080000", "202606010800Z", "20260601080000.5Z", "20260601080000+0700", ""),
        ]
    )
    number = st.binary(max_size=20).map(lambda raw: der.element(INTEGER, raw))
    imprints = st.sampled_from(
        [
            imprint_of(SHA256, right),
            imprint_of(SHA384, sha384(NOTE.encode()).digest()),
            imprint_of(SHA384, right),
            imprint_of(SHA1, right[:20]),
            imprint_of(SHA256, b""),
            imprint_of(SHA256, sha256(b"another head").digest()),
        ]
    )
    element = st.tuples(st.integers(0, 255), st.binary(max_size=30)).map(
        lambda pair: der.element(*pair)
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "version": number,
            "policy": st.binary(max_size=12).map(lambda raw: der.element(OID, raw)),
            "imprint": imprints,
            "serial": number,
            "gen_time": times.map(lambda text: der.element(TIME, text.encode())),
            "accuracy": st.just(b"") | element,
            "nonce": mostly(b"", number | element),
        },
    )


def test_time_stamps_are_refused_or_tell_what_was_signed(stamps: HostileStamps) -> None:
    corpus = Corpus(
        "time-stamp",
        "ledger/timestamps.py",
        "ledger/der.py:_bounds",
        "ledger/der.py:_only",
    )
    query = stamps.query
    first = verify_stamp(stamps.response, NOTE, stamps.authorities)

    def judge(content: bytes, info: bytes | None, sound: bool = True, **asked: Any) -> None:
        """``info`` is what the authority's own key signed; without it nothing was signed anew."""
        again = info is not None
        trust = asked.get("authorities", stamps.authorities)
        mine = asked.get("query", query)
        kept = corpus.try_(lambda: accept_reply(content, NOTE, mine, trust), signed_again=again)
        told = corpus.try_(lambda: verify_stamp(content, NOTE, trust), signed_again=again)
        for found in (told, kept[1] if kept else None):
            if found is not None:
                assert sound
                assert found.authority == "TSA"
                assert stamps.may_be(stamps.info if info is None else info, found.time)
                assert info is not None or found == first
        if kept is not None:
            assert mine.nonce == query.nonce
            assert query.nonce.to_bytes(8).lstrip(b"\0") in content

    info = stamps.info
    judge(stamps.response, None)
    judge(stamps.signed(info), info)
    judge(bytes(LARGEST_STAMP + 1), None, False)
    judge(stamps.response, None, query=stamp_query(NOTE))
    judge(stamps.response, None, query=query._replace(policy="1.2.3"))
    judge(stamps.response, None, False, authorities=())
    judge(stamps.response, None, False, authorities=(trusted("no certificate"),))
    late = (trusted(stamps.root.pem, since=datetime.now(UTC) + DAY),)
    judge(stamps.response, None, False, authorities=late)
    for twin in stamps.twins:
        judge(stamps.signed(info, twin=twin), info, twin == "right")
    judge(stamps.signed(info, signers=2), info, False)
    judge(stamps.signed(info, key=ec.generate_private_key(ec.SECP256R1())), info, False)
    for status in (b"\x30\x03\x02\x01\x02", b"\x30\x03\x02\x01\x01", b"\x30\x00", b"\x05\x00"):
        judge(stamps.signed(info, status=status), info, False)
        judge(der.element(der.SEQUENCE, status), info, False)
    # X.509 knows the versions 1 to 3; the signer's says 9.
    judge(stamps.response.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"), None, False)

    def near(one: Any) -> None:
        changes, twin, how = one
        changed = stamps.tst_info(**changes)
        changed = changed if how is None else cut(changed, how)
        judge(stamps.signed(changed, twin=twin), changed, twin == "right")

    twins = mostly("right", st.sampled_from(sorted(stamps.twins)), 6)
    for version in (b"\2", b"\0"):
        near(({"version": der.element(INTEGER, version)}, "right", None))
    for moment in (b"00000101000000Z", b"99991231235959Z", b"20260230000000Z"):
        near(({"gen_time": der.element(TIME, moment)}, "right", None))
    near(({"imprint": imprint_of(SHA1, bytes(20))}, "right", None))
    near(({"imprint": imprint_of(SHA256, bytes(32))}, "right", None))
    corpus.run(CUTS, lambda how: judge(cut(stamps.response, how), None))
    corpus.run(st.tuples(field_values(stamps), twins, mostly(None, CUTS)), near)
    corpus.close()


# --- witnesses -----------------------------------------------------------------------------


def test_cosignatures_are_refused_or_made_by_a_node_of_the_directory() -> None:
    corpus = Corpus("cosignature", "ledger/cosignatures.py")
    country = Country()
    country.add_member("VN/GOV/H37", {"motcua": (CONSUMER_NODE,)})
    country.add_node(CONSUMER_NODE)
    country.add_member("VN/GOV/G01", {"dancu": (PROVIDER_NODE,)})
    country.add_node(PROVIDER_NODE)
    view = country.view()
    key = country.node_keys[CONSUMER_NODE]
    head = Head("VN/GOV/G01/n1", 0, 5, bytes(32), NOW, 1, key.public.key_id)
    raw = key.public.cryptography.public_bytes_raw()
    others = country.node_keys[PROVIDER_NODE]

    def line_of(name: str, seconds: int, text: str, signer: Any, tail: bytes = b"") -> str:
        """As C2SP has it, written from its specification."""
        key_hash = sha256(name.encode() + b"\n\x04" + raw).digest()[:4]
        data = f"cosignature/v1\ntime {seconds}\n{text}".encode("utf-8", "replace")
        stamp = (seconds % 2**64).to_bytes(8)
        encoded = base64.b64encode(key_hash + stamp + signer.sign(data) + tail).decode()
        return f"— {name} {encoded}\n"

    def judge(line: str, again: bool) -> None:
        found = corpus.try_(lambda: verify_cosignature(line, head, view), signed_again=again)
        if found is None:
            return
        read = re.fullmatch(r"— lienthong-witness/(\S+) ([A-Za-z0-9+/=]+)\n", line)
        assert read is not None
        assert read[1] == found.node == CONSUMER_NODE
        data = base64.b64decode(read[2], validate=True)
        assert base64.b64encode(data).decode() == read[2]
        seconds = int.from_bytes(data[4:12])
        assert found.time == datetime.fromtimestamp(seconds, UTC)
        key.public.verify(data[12:], f"cosignature/v1\ntime {seconds}\n{head.text}".encode())

    right = f"lienthong-witness/{CONSUMER_NODE}"
    good = line_of(right, int(NOW.timestamp()), head.text, key)
    judge(good, True)
    judge(line_of(right, 1, "another head\n", key), True)
    judge(line_of(right, int(NOW.timestamp()), head.text, others), True)
    judge(line_of(f"lienthong-witness/{PROVIDER_NODE}", int(NOW.timestamp()), head.text, key), True)
    judge(line_of(right, 2**63, head.text, key), True)
    judge("— lienthong-witness/VN/GOV//n1 AAAA\n", False)
    judge("x" * 5000, False)
    content = good.encode()
    corpus.run(CUTS, lambda how: judge(cut(content, how).decode("utf-8", "replace"), False))
    now = int(NOW.timestamp())
    names = TEXTS | st.sampled_from(
        [CONSUMER_NODE, PROVIDER_NODE, "VN/GOV/G99/n9", "vn/gov/h37/n1"]
    )
    hostile = st.tuples(
        mostly(right, names.map("lienthong-witness/{}".format) | names),
        mostly(now, st.integers(0, 2**65) | st.integers(now - 10**6, now + 10**9)),
        mostly(head.text, TEXTS | st.just(head.text.replace("\n5\n", "\n6\n"))),
        mostly(key, st.just(others)),
        mostly(b"", st.binary(max_size=40)),
    )
    corpus.run(hostile, lambda one: judge(line_of(*one), True))
    corpus.close()


def test_requests_to_witnesses_are_refused_or_read_in_one_way() -> None:
    corpus = Corpus("request to a witness", "ledger/witness_request.py")
    hashes = [sha256(bytes([n])).digest() for n in range(3)]
    path = "".join(base64.b64encode(each).decode() + "\n" for each in hashes)
    good = f"old 1201\n{path}\n{NOTE}".encode()

    def judge(content: bytes, near: bool) -> None:
        found = corpus.try_(lambda: parse_witness_request(content), signed_again=near)
        if found is None:
            return
        first, _, rest = content.decode().partition("\n")
        proof, _, note = ("\n" + rest).partition("\n\n")
        assert first == f"old {found.old_size}"
        assert proof.split() == [base64.b64encode(each).decode() for each in found.path]
        assert {len(each) for each in found.path} <= {32}
        assert (note, len(found.path) <= 63) == (found.note, True)

    judge(good, True)
    judge(good + b"x" * 100_000, False)
    judge(f"old 1\n{path * 22}\n{NOTE}".encode(), True)
    judge(f"old 1\n{'A' * 42}B=\n\n{NOTE}".encode(), True)  # bits beyond the hash
    corpus.run(CUTS, lambda how: judge(cut(good, how), False))
    old = st.integers(-3, 10**17).map(str) | st.sampled_from(["01", "+1", " 1", "1 ", "", "٣"])
    line = st.binary(min_size=30, max_size=34).map(lambda raw: base64.b64encode(raw).decode())
    lines = st.lists(mostly(path[:44], line | TEXTS), max_size=66)
    notes = mostly(NOTE, TEXTS)
    corpus.run(
        st.tuples(mostly("1201", old), lines, notes),
        lambda one: judge(_request(*one), True),
    )
    corpus.close()


def _request(old: str, lines: list[str], note: str) -> bytes:
    path = "".join(f"{each}\n" for each in lines)
    return f"old {old}\n{path}\n{note}".encode("utf-8", "replace")
