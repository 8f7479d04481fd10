"""Heads: their one form, their signature, and what is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import msgspec
import pytest

from lienthong.errors import HeadMalformed, SignatureInvalid
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.ledger.clock import Clock
from lienthong.ledger.heads import (
    Head,
    format_time,
    note_key_hash,
    parse_head,
    parse_time,
    sign_head,
    verify_head,
)

KEY = PrivateKey.generate()
HEAD = Head(
    node="VN/GOV/G01/n1",
    epoch=0,
    size=1234,
    root=sha256(b"root").digest(),
    time=datetime(2026, 11, 23, 7, 0, 0, 123000, tzinfo=UTC),
    directory_version=42,
    key_id=KEY.public.key_id,
)
NOTE = sign_head(HEAD, KEY)


def test_a_head_is_read_as_it_was_signed() -> None:
    assert parse_head(NOTE) == HEAD
    verify_head(NOTE, parse_head(NOTE), KEY.public)


def test_a_head_is_a_signed_note_in_the_checkpoint_form() -> None:
    lines = NOTE.split("\n")
    assert lines[:3] == [
        "lienthong/VN/GOV/G01/n1/0",
        "1234",
        base64.b64encode(HEAD.root).decode(),
    ]
    assert lines[6] == ""
    dash, name, signature = lines[7].split(" ")
    assert (dash, name) == ("—", lines[0])
    raw_key = KEY.public.cryptography.public_bytes_raw()
    wanted = sha256(name.encode() + b"\n\x01" + raw_key).digest()[:4]
    assert base64.b64decode(signature)[:4] == wanted == note_key_hash(name, KEY.public)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_algorithm_signs_heads(algorithm: Algorithm) -> None:
    key = PrivateKey.generate(algorithm)
    head = Head(HEAD.node, 0, 1, HEAD.root, HEAD.time, 0, key.public.key_id)
    note = sign_head(head, key)
    verify_head(note, parse_head(note), key.public)
    changed = note.replace("directory 0", "directory 1")
    with pytest.raises(SignatureInvalid):
        verify_head(changed, parse_head(changed), key.public)


def test_a_node_with_a_vietnamese_name_has_heads_too() -> None:
    head = Head("VN/GOV/Huế/máy 1", 0, 1, HEAD.root, HEAD.time, 0, KEY.public.key_id)
    note = sign_head(head, KEY)
    assert note.isascii() is False  # the dash alone
    assert note.startswith("lienthong/VN/GOV/Hu%E1%BA%BF/m%C3%A1y%201/0\n")
    assert parse_head(note) == head
    verify_head(note, head, KEY.public)


def test_signatures_of_witnesses_may_follow() -> None:
    witness = "— witness.example.vn " + base64.b64encode(bytes(76)).decode() + "\n"
    verify_head(NOTE + witness, parse_head(NOTE + witness), KEY.public)


def test_refuses_a_head_that_another_key_signed() -> None:
    with pytest.raises(SignatureInvalid):
        verify_head(NOTE, HEAD, PrivateKey.generate().public)


def test_refuses_a_head_that_names_another_key_than_signed_it() -> None:
    named = msgspec.structs.replace(HEAD, key_id=PrivateKey.generate().public.key_id)
    note = sign_head(named, KEY)
    with pytest.raises(SignatureInvalid, match="names another key"):
        verify_head(note, named, KEY.public)


def test_refuses_a_signature_that_is_not_by_the_head_s_own_tree() -> None:
    other = NOTE.replace("— lienthong/VN/GOV/G01/n1/0", "— lienthong/VN/GOV/G01/n1/1")
    with pytest.raises(SignatureInvalid):
        verify_head(other, parse_head(other), KEY.public)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1234", "0"),
        ("1234", "01234"),
        ("1234", "-1"),
        ("1234", "12345678901234567"),
        ("directory 42", "directory 042"),
        ("directory 42", "directory"),
        ("time 2026-11-23", "time 2026-13-23"),
        ("time 2026-11-23", "time 2026-11-3"),
        ("07:00:00.123Z", "07:00:00Z"),
        ("07:00:00.123Z", "07:00:00.123+"),
        ("lienthong/VN/GOV/G01/n1/0", "lienthong/VN/GOV/G01/n1"),
        ("lienthong/VN/GOV/G01/n1/0", "lienthong/VN/GOV/G01/0"),
        ("lienthong/VN/GOV/G01/n1/0", "lienthong/VN/GOV/G01/n%31/0"),
        ("lienthong/VN/GOV/G01/n1/0", "lienthong/VN/GOV/G01/n1/00"),
        ("\n\n—", "\n—"),
        ("\n\n—", "\n\n\n—"),
        ("key ", "key  "),
        ("— ", "-- "),
    ],
)
def test_refuses_what_is_not_in_the_one_form(old: str, new: str) -> None:
    assert NOTE.count(old) >= 1
    with pytest.raises(HeadMalformed):
        parse_head(NOTE.replace(old, new, 1))


def test_refuses_a_root_that_is_not_written_in_the_canonical_way() -> None:
    """The last character of 32 bytes in base64 has two bits that say nothing."""
    lines = NOTE.split("\n")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    lines[2] = lines[2][:-2] + alphabet[alphabet.index(lines[2][-2]) + 1] + "="
    with pytest.raises(HeadMalformed):
        parse_head("\n".join(lines))


def test_refuses_an_endless_head() -> None:
    with pytest.raises(HeadMalformed):
        parse_head(NOTE + "— a " + "A" * 10_000 + "\n")


def test_times_have_one_form() -> None:
    moment = datetime(2026, 11, 23, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=7)))
    assert format_time(moment) == "2026-11-23T07:00:00.123Z"
    assert parse_time("2026-11-23T07:00:00.123Z") == HEAD.time
    for wrong in ("2026-11-23T7:00:00.1234Z", "2026-11-23 07:00:00.123Z", "2026-11-23T07:00:00Z"):
        with pytest.raises(ValueError):
            parse_time(wrong)


def test_a_clock_set_back_does_not_go_below_what_was_signed() -> None:
    times = iter([HEAD.time, HEAD.time - timedelta(days=1), HEAD.time - timedelta(days=1)])
    clock = Clock(source=lambda: next(times))
    clock.raise_floor(HEAD.time)
    assert clock.now() == HEAD.time
    assert clock.now() == HEAD.time
    assert clock.behind_seconds == 86_400
