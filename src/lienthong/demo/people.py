"""Fictitious people, household by household, the same for the same seed.

Nobody here exists. Three marks make that visible in the data itself: the serial digits of
every generated citizen number begin with 9, every telephone number begins with 0100 (a
prefix that was never assigned), and every address is in a ``Tổ dân phố giả định`` (an
imaginary neighbourhood). The form of the numbers is real: Nghị định 137/2015, Article 13.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import NamedTuple

from lienthong.demo.places import TODAY, Commune, communes

MALE, FEMALE = "Nam", "Nữ"
SINGLE, MARRIED, DIVORCED, WIDOWED = "Chưa kết hôn", "Đã kết hôn", "Ly hôn", "Góa"
BLOOD_GROUPS = ("O", "O", "O", "O", "B", "B", "B", "A", "A", "AB")
FIRST_SERIAL = 900_001


class Person(NamedTuple):
    """One row of the population register, columns in the order of the table."""

    so_dinh_danh: str
    ho_ten: str
    ngay_sinh: str  # YYYY-MM-DD
    gioi_tinh: str
    dan_toc: str
    ton_giao: str
    quoc_tich: str
    noi_dang_ky_khai_sinh: str
    noi_thuong_tru: str
    ma_xa: str
    ma_tinh: str
    so_dien_thoai: str
    tinh_trang_hon_nhan: str
    nhom_mau: str
    so_ho: str
    quan_he_chu_ho: str


class Birth(NamedTuple):
    """One row of the register of births."""

    so_dang_ky: str
    so_dinh_danh: str
    ho_ten: str
    ngay_sinh: str
    gioi_tinh: str
    noi_sinh: str
    so_dinh_danh_cha: str
    ho_ten_cha: str
    so_dinh_danh_me: str
    ho_ten_me: str
    ngay_dang_ky: str
    ma_xa_dang_ky: str


class Marriage(NamedTuple):
    """One row of the register of marriages."""

    so_dang_ky: str
    so_dinh_danh_chong: str
    ho_ten_chong: str
    so_dinh_danh_vo: str
    ho_ten_vo: str
    ngay_ket_hon: str
    ma_xa_dang_ky: str


class Household(NamedTuple):
    """The people of one household and the acts of civil status that made it."""

    people: tuple[Person, ...]
    births: tuple[Birth, ...]
    marriages: tuple[Marriage, ...]


def citizen_number(province_code: str, sex: str, born: date, serial: int) -> str:
    """Compose the 12 digits: place of birth, century and sex, year, serial."""
    century = (born.year - 1900) // 100 * 2 + (sex == FEMALE)
    return f"{int(province_code):03d}{century}{born.year % 100:02d}{serial:06d}"


class _Weighted:
    """Draws from a table of weights; a little faster than ``random.choices``."""

    def __init__(self, weights: dict[str, int]) -> None:
        self.values = tuple(weights)
        self.cumulative = tuple(accumulate(weights.values()))

    def draw(self, random: Random) -> str:
        return random.choices(self.values, cum_weights=self.cumulative)[0]


@dataclass(frozen=True)
class _Vocabulary:
    family: _Weighted
    ethnic_group: _Weighted
    religion: _Weighted
    middle: dict[str, list[str]]
    given: dict[str, list[str]]

    @classmethod
    def load(cls) -> _Vocabulary:
        text = files("lienthong.demo").joinpath("data/names.toml").read_text(encoding="utf-8")
        data = tomllib.loads(text)
        return cls(
            _Weighted(data["family"]),
            _Weighted(data["ethnic_group"]),
            _Weighted(data["religion"]),
            {MALE: data["middle"]["male"], FEMALE: data["middle"]["female"]},
            {MALE: data["given"]["male"], FEMALE: data["given"]["female"]},
        )


class Population:
    """A stream of households; ``households()`` never ends, the caller stops it."""

    def __init__(self, seed: int = 2026) -> None:
        self.random = Random(seed)  # noqa: S311 - fiction, not secrets
        self.words = _Vocabulary.load()
        self.places = communes()
        self.serials: dict[str, int] = {}
        self.phones = 0
        self.acts = 0

    def households(self) -> Iterator[Household]:
        """Make households without end."""
        number = 0
        while True:
            number += 1
            yield self._household(f"H{number:07d}")

    def _household(self, number: str) -> Household:
        random = self.random
        place = self.places[int(random.random() * len(self.places))]
        ethnic_group, religion = (
            self.words.ethnic_group.draw(random),
            self.words.religion.draw(random),
        )
        shared = _Shared(number, place, self._address(place), ethnic_group, religion)
        if random.random() < 0.18:
            return Household((self._alone(shared),), (), ())
        return self._family(shared)

    def _alone(self, shared: _Shared) -> Person:
        born = self._day(1940, 2007)
        sex = MALE if self.random.random() < 0.5 else FEMALE
        status = SINGLE if born.year > 1985 else self.random.choice((DIVORCED, WIDOWED, SINGLE))
        return self._person(
            shared, self.words.family.draw(self.random), sex, born, status, "Chủ hộ"
        )

    def _family(self, shared: _Shared) -> Household:
        random = self.random
        born = self._day(1945, 1995)
        wife_born = born + timedelta(days=int(random.random() * 2500) - 1000)
        surname = self.words.family.draw(random)
        husband = self._person(shared, surname, MALE, born, MARRIED, "Chủ hộ")
        wife = self._person(
            shared, self.words.family.draw(random), FEMALE, wife_born, MARRIED, "Vợ"
        )
        # At least 21 years of age; with the years above, never after TODAY.
        wedding = max(born, wife_born) + timedelta(days=8000 + int(random.random() * 1400))
        marriage = Marriage(
            self._act("KH", wedding),
            husband.so_dinh_danh,
            husband.ho_ten,
            wife.so_dinh_danh,
            wife.ho_ten,
            wedding.isoformat(),
            shared.place.code,
        )
        children = [
            self._child(shared, husband, wife, wedding, order)
            for order in range(random.choices((0, 1, 2, 3), (10, 30, 45, 15))[0])
        ]
        living = [child for child in children if child is not None]
        return Household(
            (husband, wife, *(person for person, _ in living)),
            tuple(birth for _, birth in living),
            (marriage,),
        )

    def _child(
        self, shared: _Shared, father: Person, mother: Person, wedding: date, order: int
    ) -> tuple[Person, Birth] | None:
        born = wedding + timedelta(days=300 + order * 1100 + int(self.random.random() * 600))
        if not 0 < (TODAY - born).days < 30 * 365:  # not born yet, or a household of its own
            return None
        sex = MALE if self.random.random() < 0.525 else FEMALE
        surname = father.ho_ten.split(" ", 1)[0]
        person = self._person(shared, surname, sex, born, SINGLE, "Con")
        return person, self.register_birth(person, father, mother, shared.place)

    def register_birth(
        self, person: Person, father: Person, mother: Person, place: Commune
    ) -> Birth:
        """Write the act of birth of a person, registered some days after it."""
        born = date.fromisoformat(person.ngay_sinh)
        registered = min(born + timedelta(days=3 + int(self.random.random() * 50)), TODAY)
        return Birth(
            self._act("KS", registered),
            person.so_dinh_danh,
            person.ho_ten,
            person.ngay_sinh,
            person.gioi_tinh,
            f"{place.name}, {place.province}",
            father.so_dinh_danh,
            father.ho_ten,
            mother.so_dinh_danh,
            mother.ho_ten,
            registered.isoformat(),
            place.code,
        )

    def _person(
        self, shared: _Shared, family: str, sex: str, born: date, status: str, relation: str
    ) -> Person:
        random, place = self.random, shared.place
        middle, given = self.words.middle[sex], self.words.given[sex]
        name = (
            f"{family} {middle[int(random.random() * len(middle))]} "
            f"{given[int(random.random() * len(given))]}"
        )
        return Person(
            self._number(place, sex, born),
            name,
            born.isoformat(),
            sex,
            shared.ethnic_group,
            shared.religion,
            "Việt Nam",
            f"{place.name}, {place.province}",
            shared.address,
            place.code,
            place.province_code,
            self._phone(),
            status,
            BLOOD_GROUPS[int(random.random() * len(BLOOD_GROUPS))],
            shared.number,
            relation,
        )

    def _number(self, place: Commune, sex: str, born: date) -> str:
        prefix = citizen_number(place.province_code, sex, born, 0)[:6]
        serial = self.serials.get(prefix, FIRST_SERIAL)
        self.serials[prefix] = serial + 1
        return f"{prefix}{serial:06d}"

    def _phone(self) -> str:
        self.phones += 1
        return f"0100{self.phones:07d}"

    def _act(self, kind: str, on: date) -> str:
        self.acts += 1
        return f"{kind}-{on.year}-{self.acts:07d}"

    def _address(self, place: Commune) -> str:
        house, group = int(self.random.random() * 300) + 1, int(self.random.random() * 30) + 1
        return f"Số {house}, Tổ dân phố giả định {group}, {place.name}, {place.province}"

    def _day(self, first_year: int, last_year: int) -> date:
        first = date(first_year, 1, 1)
        span = (date(last_year, 12, 31) - first).days
        return first + timedelta(days=int(self.random.random() * span))


class _Shared(NamedTuple):
    """What the people of one household have in common."""

    number: str
    place: Commune
    address: str
    ethnic_group: str
    religion: str
