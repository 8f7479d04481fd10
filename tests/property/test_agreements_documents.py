"""Envelopes from the wire: our own error or an agreement, never a crash, never two readings."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lienthong.agreements.documents import envelope_bytes, parse_envelope
from lienthong.agreements.models import Act, Agreement, Party, Statement
from lienthong.agreements.proposals import draft
from lienthong.errors import InvalidAgreementDocument
from tests.fixtures.agreement_parties import CONSUMER_NODE, START, proposal

_DOCUMENT = draft(proposal(), Party.CONSUMER)
_AGREEMENT = Agreement(
    _DOCUMENT,
    (
        Statement(
            agreement=_DOCUMENT.id,
            digest=_DOCUMENT.digest,
            act=Act.PROPOSE,
            party=Party.CONSUMER,
            node=CONSUMER_NODE,
            key_id="k",
            algorithm="ed25519",
            time=START,
            signature=b"x" * 64,
        ),
    ),
)
_ENVELOPE = envelope_bytes(_AGREEMENT)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


def _read(data: bytes) -> Agreement | None:
    try:
        return parse_envelope(data)
    except InvalidAgreementDocument as error:
        assert error.message("vi")
        return None


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += _places(inner, (*path, key))
    return found


_PLACES = _places(json.loads(_ENVELOPE))


@given(st.binary(max_size=300))
def test_any_bytes_are_an_agreement_or_a_refusal(data: bytes) -> None:
    _read(data)


@given(_JSON)
def test_any_json_is_an_agreement_or_a_refusal(value: Any) -> None:
    _read(json.dumps(value).encode())


@given(st.sampled_from(_PLACES), _JSON)
def test_an_envelope_with_one_member_changed_is_read_safely(
    place: tuple[Any, ...], value: Any
) -> None:
    envelope = json.loads(_ENVELOPE)
    target = envelope
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    read = _read(json.dumps(envelope).encode())
    if read is not None:
        assert _read(envelope_bytes(read)) == read


@given(st.integers(0, len(_ENVELOPE) - 1), st.integers(0, 255))
def test_an_envelope_with_one_byte_changed_is_read_safely(position: int, byte: int) -> None:
    changed = bytearray(_ENVELOPE)
    changed[position] = byte
    _read(bytes(changed))


def test_deep_nesting_is_refused() -> None:
    assert _read(b'{"document":' * 100_000) is None
    assert _read(b"[" * 900_000) is None


def test_reading_what_was_written_gives_the_same() -> None:
    assert _read(_ENVELOPE) == _AGREEMENT
