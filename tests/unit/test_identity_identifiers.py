"""Identifiers in X-Road's form: parsed, checked, printed; the same there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import InvalidIdentifier
from lienthong.identity.identifiers import (
    LONGEST_PART,
    MemberId,
    NodeId,
    ServiceId,
    SubsystemId,
)

KINDS: list[Any] = [MemberId, SubsystemId, ServiceId, NodeId]

part = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"], exclude_characters="%:;/\\"),
    min_size=1,
    max_size=LONGEST_PART,
).filter(lambda text: text not in {".", ".."} and not set(text) & {"\u200b", "\ufeff"})


def test_a_service_knows_its_provider_and_a_subsystem_its_member() -> None:
    service = ServiceId.parse("VN/GOV/G01/dancu/cong-dan")
    assert service.provider == SubsystemId("VN", "GOV", "G01", "dancu")
    assert service.provider.member == MemberId("VN", "GOV", "G01")


def test_a_node_knows_its_owner() -> None:
    assert NodeId.parse("VN/GOV/G01/node1").owner == MemberId("VN", "GOV", "G01")


def test_instances_never_mix() -> None:
    assert MemberId.parse("VN-TEST/GOV/G01") != MemberId.parse("VN/GOV/G01")


def test_parts_are_percent_encoded_one_by_one() -> None:
    member = MemberId("VN", "GOV", "Sở Y tế")
    assert member.encoded == "VN/GOV/S%E1%BB%9F%20Y%20t%E1%BA%BF"
    assert str(member) == "VN/GOV/Sở Y tế"
    assert MemberId.parse(member.encoded) == member


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VN",
        "VN/GOV",
        "VN/GOV/G01/dancu",
        "VN//G01",
        "VN/GOV/G01/",
        "VN/GOV/..",
        "VN/GOV/.",
        "VN/GOV/%2E%2E",
        "VN/GOV/a%2Fb",
        "VN/GOV/a%5Cb",
        "VN/GOV/a%3Bb",
        "VN/GOV/a%00b",
        "VN/GOV/a%0Ab",
        "VN/GOV/a%E2%80%8Bb",
        "VN/GOV/%FF",
        "VN/GOV/%20G01",
        "VN/GOV/" + "x" * (LONGEST_PART + 1),
    ],
)
def test_refuses_a_malformed_member(text: str) -> None:
    with pytest.raises(InvalidIdentifier):
        MemberId.parse(text)


def test_an_identifier_cannot_be_made_from_forbidden_parts() -> None:
    with pytest.raises(InvalidIdentifier):
        SubsystemId("VN", "GOV", "G01", "dan/cu")


def test_an_error_shows_no_more_than_one_part_of_a_hostile_identifier() -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        MemberId.parse("x" * 100_000)
    assert len(caught.value.facts["identifier"]) == LONGEST_PART


@given(st.sampled_from(KINDS), st.data())
def test_every_identifier_survives_being_written_and_read(kind: Any, data: st.DataObject) -> None:
    identifier = kind(*(data.draw(part) for _ in kind.__struct_fields__))
    assert kind.parse(identifier.encoded) == identifier
    assert identifier.encoded.isascii()


@given(st.sampled_from(KINDS), st.text(max_size=300))
def test_any_text_is_an_identifier_or_our_error(kind: Any, text: str) -> None:
    try:
        identifier = kind.parse(text)
    except InvalidIdentifier:
        return
    assert kind.parse(identifier.encoded) == identifier


@given(st.sampled_from(KINDS), st.lists(st.text(max_size=20), min_size=3, max_size=5))
def test_any_parts_are_an_identifier_or_our_error(kind: Any, parts: list[str]) -> None:
    try:
        kind.parse("/".join(parts))
    except InvalidIdentifier:
        return
