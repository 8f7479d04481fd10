"""Days of birth are told by values too, and other days are not taken for them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lienthong.contracts.details import PersonalData
from lienthong.sources.inference import open_look, propose
from lienthong.sources.inference.births import births_among, day_of, may_be_birth
from lienthong.sources.inference.persons import recognise

TODAY = date.today()  # noqa: DTZ011
CHANCE = random.Random(20261124)


def days_between(first: int, last: int, count: int, *, working: bool = False) -> list[date]:
    start, found = date(first, 1, 1), list[date]()
    while len(found) < count:
        day = start + timedelta(days=CHANCE.randrange((date(last, 12, 31) - start).days))
        if not working or day.weekday() < 5:
            found.append(day)
    return found


BIRTHS = days_between(1935, TODAY.year - 1, 200)
FORMS: dict[str, Callable[[date], str]] = {
    "dd/mm/yyyy": lambda day: f"{day:%d/%m/%Y}",
    "dd-mm-yyyy": lambda day: f"{day:%d-%m-%Y}",
    "yyyy-mm-dd": str,
    "yyyymmdd": lambda day: f"{day:%Y%m%d}",
    "yyyymmddHHMM": lambda day: f"{day:%Y%m%d}{CHANCE.randrange(24):02}{CHANCE.randrange(60):02}",
}


@pytest.mark.parametrize("form", FORMS)
def test_births_are_found_without_a_telling_name_in_every_form(form: str) -> None:
    finding = recognise("c_07", list(map(FORMS[form], BIRTHS)))
    assert finding is not None
    assert finding.kind is PersonalData.BIRTH_DATE
    assert "193" in finding.why


def test_births_in_a_column_of_dates_are_found_too() -> None:
    finding = recognise("c_07", BIRTHS)
    assert finding is not None
    assert finding.kind is PersonalData.BIRTH_DATE


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("c_07", days_between(1985, TODAY.year - 1, 200, working=True)),  # issued in an office
        ("c_07", days_between(1960, TODAY.year - 1, 200, working=True)),
        ("c_07", days_between(TODAY.year - 9, TODAY.year - 1, 200)),  # of the last years
        ("c_07", days_between(1950, 1958, 200)),  # one generation only
        ("c_07", days_between(1940, TODAY.year + 30, 200)),  # some have not come
        ("c_07", [date(1900, 1, 1)] * 150 + BIRTHS[:50]),  # "not known" as a day
        ("c_07", BIRTHS[:9]),  # too few to tell
        ("ngay_cap", BIRTHS),
        ("NGAY_DANG_KY_KINH_DOANH", BIRTHS),
        ("ngayThanhLap", BIRTHS),
        ("date_issued", BIRTHS),
        ("ngay_het_han", BIRTHS),
    ],
)
def test_other_days_are_not_taken_for_births(name: str, days: list[date]) -> None:
    for write in FORMS.values():
        assert recognise(name, list(map(write, days))) is None


@pytest.mark.parametrize(
    "values",
    [
        [f"{CHANCE.randrange(10**8):08}" for _ in range(200)],
        [f"{CHANCE.randrange(10**12):012}" for _ in range(200)],
        [str(CHANCE.randrange(1900, 2020)) for _ in range(200)],
        [
            f"{CHANCE.randrange(1, 60):02}/{CHANCE.randrange(1, 60):02}/{n}"
            for n in range(1800, 2000)
        ],
        [f"{day:%d/%m/%Y} – ghi chú" for day in BIRTHS],
    ],
)
def test_numbers_and_texts_are_not_taken_for_births(values: list[str]) -> None:
    assert recognise("c_07", values) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ngay_sinh", [f"{day:%d/%m/%Y}" for day in days_between(2012, 2016, 30)]),
        ("NAM_SINH", [str(day.year) for day in BIRTHS]),
        ("ntns", [f"{day:%m/%Y}" for day in BIRTHS]),
        ("dob", [f"{day:%Y%m%d}0000" for day in BIRTHS]),
    ],
)
def test_a_name_and_values_that_agree_are_nearly_certain(name: str, values: list[str]) -> None:
    finding = recognise(name, values)
    assert finding is not None
    assert (finding.kind, finding.confidence) == (PersonalData.BIRTH_DATE, 0.99)


def test_a_name_that_the_values_contradict_is_doubted() -> None:
    finding = recognise("ngay_sinh", ["Hà Nội", "Huế", "Vinh", "Đà Lạt"])
    assert finding is not None
    assert finding.confidence < 0.5


@given(st.text() | st.from_regex(r"[0-9/. -]{4,16}", fullmatch=True))
def test_any_text_is_a_day_or_none(text: str) -> None:
    day = day_of(text)
    assert day is None or isinstance(day, date)
    assert may_be_birth(text) in (True, False)


@given(st.lists(st.dates().map(str) | st.text(max_size=12), max_size=60))
def test_any_column_is_looked_at_without_a_fault(values: list[str]) -> None:
    assert births_among("c_07", values) is None or len(values) >= 20


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2020, 1, 1)))  # noqa: DTZ001
def test_every_form_reads_back_as_its_day(moment: datetime) -> None:
    day = moment.date()
    for write in FORMS.values():
        assert day_of(write(day)) == day
    assert day_of(f"{moment:%Y-%m-%d %H:%M}") == day


def test_a_file_with_births_is_proposed_as_one_about_people(tmp_path: Path) -> None:
    with (tmp_path / "so.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ma", "c_07", "c_08"])
        issued = days_between(1990, TODAY.year - 1, 200, working=True)
        for number, (born, day) in enumerate(zip(BIRTHS, issued, strict=True)):
            writer.writerow([f"M{number}", FORMS["yyyymmddHHMM"](born), f"{day:%d/%m/%Y}"])
    with open_look(f"csv://{tmp_path}/so.csv") as look:
        document = yaml.safe_load(propose(look.see(look.tables[0])))
    fields = {each["name"]: each for each in document["schema"][0]["properties"]}
    kind = {"property": "lienthong:personalData", "value": "birth-date"}
    assert kind in fields["c_07"]["customProperties"]
    assert (fields["c_07"]["logicalType"], fields["c_07"]["classification"]) == (
        "string", "personal",
    )  # fmt: skip
    assert "customProperties" not in fields["c_08"]
