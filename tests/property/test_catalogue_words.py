"""Folding: whatever keyboard, case, form of Unicode or placement of tones a word came from."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.catalogue.words import (
    LONGEST_WORD,
    fold,
    folded_name,
    prefixes,
    spelled,
    words,
)

VIETNAMESE = (
    "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"
)
syllables = st.text(VIETNAMESE, min_size=1, max_size=7)
phrases = st.lists(syllables, min_size=1, max_size=6).map(" ".join)
PAIRS = [
    ("hoà", "hòa"),
    ("hoá", "hóa"),
    ("khoẻ", "khỏe"),
    ("thuý", "thúy"),
    ("quý", "qúy"),
    ("uỷ", "ủy"),
    ("toà", "tòa"),
    ("xoã", "xõa"),
    ("loạ", "lọa"),
]


@given(phrases)
def test_case_and_the_form_of_unicode_do_not_matter(text: str) -> None:
    expected = words(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert words(unicodedata.normalize(form, text)) == expected
        assert words(unicodedata.normalize(form, text.upper())) == expected


@given(phrases)
def test_folding_leaves_letters_without_marks_and_is_its_own_end(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text.split())
    assert all(word.isascii() and word.isalnum() and word == word.lower() for word in folded)
    assert fold(" ".join(folded)) == folded


@given(phrases)
def test_a_word_without_marks_finds_the_one_with_them(text: str) -> None:
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text.replace("đ", "d"))
        if not unicodedata.combining(letter)
    )
    assert fold(bare) == fold(text)


@pytest.mark.parametrize(("new", "old"), PAIRS)
def test_old_and_new_placement_of_a_tone_are_one_spelling(new: str, old: str) -> None:
    assert spelled(new) == spelled(old)
    assert fold(new) == fold(old)


def test_different_tones_and_letters_are_different_spellings_of_one_folded_word() -> None:
    spellings = {spelled(word) for word in ("ma", "mà", "má", "mả", "mã", "mạ", "mâ", "mă")}
    assert len(spellings) == 8
    assert {fold(word) for word in ("ma", "mà", "mâ", "MẠ")} == {("ma",)}


def test_d_finds_d_with_a_stroke_in_either_of_its_drawings() -> None:
    assert fold("đất Đai ÐẤT") == ("dat", "dai", "dat")


@pytest.mark.parametrize("name", ["so_dinh_danh", "soDinhDanh", "SO-DINH.DANH", "Số định danh"])
def test_names_of_fields_are_parted_into_words(name: str) -> None:
    assert folded_name(name) == "so_dinh_danh"


@given(st.text(max_size=300))
def test_any_text_is_read_without_a_failure(text: str) -> None:
    for word in words(text):
        assert word.folded
        assert len(word.folded) <= LONGEST_WORD
        assert "\n" not in word.folded + word.spelled
        assert " " not in word.folded + word.spelled
        assert prefixes(word.folded, 3)[-1] == word.folded[:3]
