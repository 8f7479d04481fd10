"""Numbers that identify citizens: their form, what they say, and how logs hide them.

    number = CitizenNumber.parse("001090000001")
    number.sex, number.birth_year, number.birth_province     # "male", 1990, "Thành phố Hà Nội"
    mask_text("tra cứu 001090000001")             # "tra cứu 001*******01"

A personal identification number (số định danh, on the citizen card) has twelve digits (Nghị
định 137/2015/NĐ-CP article 13, Thông tư 59/2021/TT-BCA): three for the place where the birth was
registered, one for century and sex, two for the year of birth, six at random. There is no check
digit. Registers still hold old identity cards (9 digits) and passports.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Self

import msgspec

from lienthong.errors import InvalidCitizenNumber

FIRST_CENTURY = 1900  # the fourth digit counts centuries from here, two digits for each
_KEPT_IN_FRONT, _KEPT_AT_END = 3, 2
_PASSPORT = re.compile(r"[A-Z][0-9]{7,8}")

# UUIDs and digests are let through unread: a run of digits in the middle of one is no number of
# a citizen, and an id that is changed can no longer be followed through the logs of two nodes.
# Shorter hexadecimal words are read, as ``cccd001090000001`` is one. A percent-encoded neighbour
# (``%20001090000001``) does not hide a number. Nine digits behind a decimal point are a fraction.
_WORTH_READING = re.compile("[0-9]{7}|[0-9]{3}[ \u00a0-][0-9]{3}")
_IN_TEXT = re.compile(
    r"(?P<skip>\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b"
    r"|\b(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{32,}\b)"
    r"|(?:(?<=%[0-9A-Fa-f]{2})|(?<![0-9]))"
    r"(?P<number>[0-9]{12}|[0-9]{3}(?P<gap>[ \u00a0-])[0-9]{3}(?P=gap)[0-9]{3}(?P=gap)[0-9]{3})"
    r"(?![0-9])"
    r"|(?:(?<=%[0-9A-Fa-f]{2})|(?<![0-9A-Za-z]))(?<![0-9]\.)"
    r"(?P<card>[0-9]{9}|[A-Z][0-9]{7,8})(?![0-9A-Za-z])"
)


class NumberKind(StrEnum):
    """What kind of document a number stands on."""

    PERSONAL = "personal"  # 12 digits
    IDENTITY_CARD = "identity-card"  # 9 digits, no longer valid since 01/01/2025
    PASSPORT = "passport"  # a letter and 7 or 8 digits


class Sex(StrEnum):
    """The sex that a personal number states."""

    MALE = "male"
    FEMALE = "female"


class CitizenNumber(msgspec.Struct, frozen=True):
    """A number of one of the three kinds; only the personal one says more than itself.

    ``repr`` shows it masked, so that a traceback or a log line does not give it away.
    """

    text: str
    kind: NumberKind

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number; blanks around it are ignored. Raises InvalidCitizenNumber.

        The error does not repeat the number: it may belong to somebody.
        """
        number = text.strip()
        if _PASSPORT.fullmatch(number):
            return cls(number, NumberKind.PASSPORT)
        if not number.isascii() or not number.isdigit():
            raise InvalidCitizenNumber(reason="other characters than digits")
        if len(number) == 12:
            return cls(number, NumberKind.PERSONAL)
        if len(number) == 9:
            return cls(number, NumberKind.IDENTITY_CARD)
        raise InvalidCitizenNumber(reason=f"{len(number)} digits, 12 or 9 are wanted")

    @property
    def sex(self) -> Sex | None:
        """The sex in a personal number: an even fourth digit is male."""
        if self.kind is not NumberKind.PERSONAL:
            return None
        return Sex.FEMALE if int(self.text[3]) % 2 else Sex.MALE

    @property
    def birth_year(self) -> int | None:
        """The year of birth in a personal number."""
        if self.kind is not NumberKind.PERSONAL:
            return None
        return FIRST_CENTURY + 100 * (int(self.text[3]) // 2) + int(self.text[4:6])

    @property
    def birth_province_code(self) -> str | None:
        """The two-digit code, on the map of 63, of the province of registration.

        None for other kinds and for codes of countries, which are not refused.
        """
        known = self.kind is NumberKind.PERSONAL and self.text[:3] in _birth_provinces()
        return self.text[1:3] if known else None

    @property
    def birth_province(self) -> str | None:
        """The name of that province."""
        return _birth_provinces().get(self.text[:3]) if self.birth_province_code else None

    def check(
        self, *, sex: Sex | None = None, birth: date | int | None = None, on: date | None = None
    ) -> None:
        """Compare the number with what else is known of its bearer.

        ``birth`` is a date or a year alone; ``on`` is the day that the record is of, before
        which its bearer must have been born. Raises InvalidCitizenNumber at a contradiction;
        kinds that state nothing contradict nothing.
        """
        if sex and self.sex and sex is not self.sex:
            raise InvalidCitizenNumber(reason="the fourth digit is of the other sex")
        year = birth.year if isinstance(birth, date) else birth
        if year is not None and self.birth_year not in (None, year):
            raise InvalidCitizenNumber(reason="digits 4 to 6 are of another year of birth")
        if on and self.birth_year and self.birth_year > on.year:
            raise InvalidCitizenNumber(reason="digits 4 to 6 are of a year still to come")

    def mask(self) -> str:
        """Hide the number but for three characters in front and two at the end."""
        return _masked(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"CitizenNumber({self.mask()}, {self.kind})"


def mask_text(text: str) -> str:
    """Mask every number in free text that may be a citizen's.

    Use it on the text values of a log record, before they are encoded. It would rather hide a
    nine-digit count than show an identity card.
    """
    return _IN_TEXT.sub(_replacement, text) if _WORTH_READING.search(text) else text


def _replacement(match: re.Match[str]) -> str:
    number = match["number"] or match["card"]
    return _masked(number) if number else match[0]


def _masked(number: str) -> str:
    hidden = len(number) - _KEPT_IN_FRONT - _KEPT_AT_END
    return number[:_KEPT_IN_FRONT] + "*" * hidden + number[-_KEPT_AT_END:]


@cache
def _birth_provinces() -> dict[str, str]:
    text = files("lienthong.identity").joinpath("data/birth_provinces.toml").read_text("utf-8")
    provinces: dict[str, str] = tomllib.loads(text)["provinces"]
    return provinces
