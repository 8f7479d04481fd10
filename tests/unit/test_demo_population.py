"""The people of the demo: many, deterministic, consistent, and visibly fictitious."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from lienthong.demo.people import FEMALE, FIRST_SERIAL, MALE, Person, Population
from lienthong.demo.personas import FATHER, PERSONAS
from lienthong.demo.places import TODAY
from lienthong.demo.registers import Registers, write_registers

PEOPLE = 3_000


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Registers:
    return write_registers(tmp_path_factory.mktemp("registers"), PEOPLE)


@pytest.fixture
def population(registers: Registers) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(registers.population)) as database:
        yield database


@pytest.fixture(scope="module")
def people() -> list[Person]:
    households = islice(Population(7).households(), 1_000)
    return [person for household in households for person in household.people]


def test_gives_the_same_people_for_the_same_seed() -> None:
    first, again, other = (list(islice(Population(seed).households(), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_gives_at_least_as_many_people_as_asked(population: sqlite3.Connection) -> None:
    count = population.execute("SELECT count(*) FROM cong_dan").fetchone()[0]
    assert PEOPLE <= count < PEOPLE + 10


def test_every_citizen_number_tells_the_persons_sex_and_year_of_birth(
    people: list[Person],
) -> None:
    for person in [*people, *PERSONAS]:
        number, born = person.so_dinh_danh, date.fromisoformat(person.ngay_sinh)
        assert len(number) == 12 and number.isdecimal()
        assert int(number[3]) % 2 == {MALE: 0, FEMALE: 1}[person.gioi_tinh]
        assert 1900 + 100 * (int(number[3]) // 2) + int(number[4:6]) == born.year


def test_no_two_people_share_a_number_or_a_telephone(people: list[Person]) -> None:
    assert len({person.so_dinh_danh for person in people}) == len(people)
    assert len({person.so_dien_thoai for person in people}) == len(people)


def test_every_generated_person_is_marked_as_fictitious(people: list[Person]) -> None:
    for person in people:
        assert int(person.so_dinh_danh[6:]) >= FIRST_SERIAL
        assert person.so_dien_thoai.startswith("0100")
        assert "giả định" in person.noi_thuong_tru


def test_names_carry_full_diacritics(people: list[Person]) -> None:
    with_marks = [person for person in people if not person.ho_ten.isascii()]
    assert len(with_marks) > len(people) * 0.95
    assert all(2 <= len(person.ho_ten.split()) <= 4 for person in people)


def test_nobody_is_born_after_the_day_of_the_register(people: list[Person]) -> None:
    assert all(person.ngay_sinh <= TODAY.isoformat() for person in people)


def test_parents_in_the_register_of_births_are_people_of_the_population(
    registers: Registers, population: sqlite3.Connection
) -> None:
    known = dict(population.execute("SELECT so_dinh_danh, ho_ten FROM cong_dan"))
    with closing(sqlite3.connect(registers.civil_status)) as database:
        rows = database.execute(
            "SELECT so_dinh_danh, ho_ten, so_dinh_danh_cha, ho_ten_cha, so_dinh_danh_me,"
            " ho_ten_me FROM khai_sinh"
        ).fetchall()
    assert len(rows) > PEOPLE / 10
    for row in rows:
        for number, name in zip(row[::2], row[1::2], strict=True):
            assert known[number] == name


def test_spouses_are_adults_and_people_of_the_population(
    registers: Registers, population: sqlite3.Connection
) -> None:
    born = dict(population.execute("SELECT so_dinh_danh, ngay_sinh FROM cong_dan"))
    with closing(sqlite3.connect(registers.civil_status)) as database:
        rows = database.execute(
            "SELECT so_dinh_danh_chong, so_dinh_danh_vo, ngay_ket_hon FROM ket_hon"
        ).fetchall()
    for husband, wife, wedding in rows:
        year = int(wedding[:4])
        assert year - int(born[husband][:4]) >= 20 and year - int(born[wife][:4]) >= 18
        assert wedding <= TODAY.isoformat()


def test_every_patient_and_every_encounter_is_tied_to_a_person(
    registers: Registers, population: sqlite3.Connection
) -> None:
    known = {row[0] for row in population.execute("SELECT so_dinh_danh FROM cong_dan")}
    with closing(sqlite3.connect(registers.hospital)) as database:
        patients = dict(database.execute("SELECT ma_bn, so_dinh_danh FROM benh_nhan"))
        visits = database.execute("SELECT ma_bn, ngay_vao, ngay_ra FROM dot_kham").fetchall()
    assert set(patients.values()) <= known
    assert all(patient in patients and began <= ended for patient, began, ended in visits)


def test_facilities_have_distinct_codes_of_five_characters(registers: Registers) -> None:
    with registers.facilities.open(encoding="utf-8", newline="") as file:
        codes = [row["ma_cskcb"] for row in csv.DictReader(file)]
    assert len(set(codes)) == len(codes) >= 500
    assert all(len(code) == 5 for code in codes)


def test_looks_a_person_up_by_an_index(population: sqlite3.Connection) -> None:
    plan = population.execute(
        "EXPLAIN QUERY PLAN SELECT ho_ten FROM cong_dan WHERE so_dinh_danh = ?", (FATHER,)
    ).fetchall()
    assert "USING INDEX" in str(plan)


def test_the_database_says_that_it_is_generated(population: sqlite3.Connection) -> None:
    (note,) = population.execute("SELECT noi_dung FROM ghi_chu").fetchone()
    assert "nobody here is real" in note


def test_leaves_no_half_written_file_behind(registers: Registers) -> None:
    assert registers.complete
    assert not list(registers.folder.glob("*.part"))
    assert not Registers(Path("/nonexistent")).complete
