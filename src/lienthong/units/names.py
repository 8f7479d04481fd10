"""Comparing Vietnamese names: ``ho tich`` finds ``hộ tịch``, ``Hoà`` equals ``Hòa``."""

from __future__ import annotations

import re
import unicodedata

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng as combining marks
_BETWEEN_WORDS = re.compile(r"[^\w]+")


def fold(text: str) -> str:
    """Reduce ``text`` to lower-case letters and digits without diacritics, words by one space."""
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _BETWEEN_WORDS.sub(" ", plain).strip()


def spelling(text: str) -> str:
    """Reduce ``text`` to a form that is equal for both placements of a tone mark.

    Diacritics count: ``Hạ`` and ``Hà`` differ, ``Hoà`` and ``Hòa`` do not. The tone mark of
    each word moves to the word's end.
    """
    words = unicodedata.normalize("NFD", text.casefold()).split()
    return " ".join(_tone_last(word) for word in words)


def _tone_last(word: str) -> str:
    tones = "".join(c for c in word if c in _TONES)
    return "".join(c for c in word if c not in _TONES) + tones
