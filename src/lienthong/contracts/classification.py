"""How far a field may travel: four classes, and a fifth that never enters.

    Classification.parse("nội bộ", field="so_giuong") is Classification.INTERNAL

The classes are those of law 3 of the house (docs/architecture.md); Vietnamese words are read
with or without diacritics, because contracts are typed by people on all kinds of keyboards.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum

from lienthong.errors import ClassificationUnknown, StateSecretField

LONGEST_SHOWN = 60  # characters of a foreign word that an error repeats


class Classification(StrEnum):
    """Classes of data, from open to closed. A state secret has none: it is refused."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"

    @property
    def names_a_person(self) -> bool:
        """Whether a key of this class identifies someone who may ask who looked."""
        return self in (Classification.PERSONAL, Classification.SENSITIVE)

    @property
    def only_by_name(self) -> bool:
        """Whether a field is released only to those who ask for it by its name."""
        return self is Classification.SENSITIVE

    @classmethod
    def parse(cls, text: str, *, field: str) -> Classification:
        """Read a class. Raises StateSecretField, ClassificationUnknown."""
        if is_state_secret(text):
            raise StateSecretField(field=field, found=text)
        word = _plain(text)
        if word not in _CLASSES:
            raise ClassificationUnknown(field=field, found=text[:LONGEST_SHOWN])
        return _CLASSES[word]


def highest(classes: Iterable[Classification]) -> Classification:
    """Return the most closed of some classes; public when there is none."""
    order = list(Classification)
    return max(classes, key=order.index, default=Classification.PUBLIC)


_CLASSES = {
    "public": Classification.PUBLIC,
    "cong khai": Classification.PUBLIC,
    "internal": Classification.INTERNAL,
    "noi bo": Classification.INTERNAL,
    "personal": Classification.PERSONAL,
    "ca nhan": Classification.PERSONAL,
    "sensitive": Classification.SENSITIVE,
    "nhay cam": Classification.SENSITIVE,
}

# Luật Bảo vệ bí mật nhà nước 2018 has three levels: mật, tối mật, tuyệt mật.
_STATE_SECRET = frozenset(
    f"{lead}{level}"
    for lead in ("", "do ", "muc ", "do mat ")
    for level in (
        "mat",
        "toi mat",
        "tuyet mat",
        "bi mat nha nuoc",
        "state secret",
        "secret",
        "top secret",
    )
)


def is_state_secret(text: str) -> bool:
    """Tell whether a classification or tag marks a state secret, however it is spelt."""
    return _plain(text) in _STATE_SECRET


def _plain(text: str) -> str:
    """Lower case, no diacritics, single spaces for all separators: ``TỐI_MẬT`` → ``toi mat``."""
    folded = unicodedata.normalize("NFKD", text.casefold()).replace("đ", "d")
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", letters).strip()
