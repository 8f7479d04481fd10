"""Words of Vietnamese as people type them: any case, any keyboard, with marks or without.

    fold("Hộ tịch – Đăng_ký")            # ("ho", "tich", "dang", "ky")
    spelled("hoà") == spelled("hòa")     # old and new placement of a tone are one spelling

Folding takes away case, diacritics, đ (also ð, which old fonts draw alike) and the form in which
Unicode composes letters; what is not a letter or a digit, underscores too, only parts words.
A spelling keeps the diacritics and moves each word's tone to its end.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

LONGEST_WORD = 40  # letters; longer ones are no words, and would fill the index
_TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng as combining marks
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # soDinhDanh is so dinh danh
_SAME_LETTER = str.maketrans({"đ": "d", "ð": "d", "ı": "i"})


class Word(NamedTuple):
    """One word: ``folded`` matches, ``spelled`` ranks; both are equal where there are no marks."""

    folded: str
    spelled: str

    @property
    def has_marks(self) -> bool:
        return self.folded != self.spelled


def words(text: str) -> tuple[Word, ...]:
    """Return the words of ``text`` in their order."""
    return tuple(word for found in _WORD.findall(_plain_form(text)) if (word := _word(found)))


def fold(text: str) -> tuple[str, ...]:
    """Return the folded words of ``text`` in their order."""
    return tuple(word.folded for word in words(text))


def name_words(name: str) -> tuple[Word, ...]:
    """Return the words of a field's name: parted by underscores, dots or capitals."""
    return words(_HUMP.sub(" ", name))


def folded_name(name: str) -> str:
    """One form for a field's name: ``soDinhDanh``, ``SO_DINH_DANH`` → ``so_dinh_danh``."""
    return "_".join(word.folded for word in name_words(name))


def prefixes(word: str, longest: int) -> tuple[str, ...]:
    """Return the beginnings of a folded word, the word itself where it is that short."""
    return tuple(word[:length] for length in range(1, min(longest, len(word)) + 1))


def spelled(word: str) -> str:
    """Reduce one word to its spelling: lower case, composed, its tone at the end."""
    (first, *_) = words(word) or (Word("", ""),)
    return first.spelled


def _plain_form(text: str) -> str:
    """Lower case and composed; marks that compose with no letter are dropped."""
    if text.isascii():
        return text.lower()
    lower = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _MARKS.sub("", lower)


@lru_cache(65_536)  # 2,500 syllables make nearly all of what agencies write
def _word(found: str) -> Word | None:
    parts = unicodedata.normalize("NFD", found)
    bare = _MARKS.sub("", parts).translate(_SAME_LETTER)
    if not bare:
        return None
    tones = "".join(part for part in parts if part in _TONES)
    rest = "".join(part for part in parts if part not in _TONES)
    return Word(bare[:LONGEST_WORD], unicodedata.normalize("NFC", rest)[:LONGEST_WORD] + tones[:4])
