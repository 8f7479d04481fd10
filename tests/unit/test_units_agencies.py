"""Agency codes of both generations."""

from datetime import date

import pytest

from lienthong.errors import InvalidAgencyCode, NoOldAgencyCode
from lienthong.units import AgencyCode, Generation, Level, agencies, units_on


@pytest.mark.parametrize(
    ("text", "level", "parent", "new"),
    [
        ("000.00.00.G14", 1, None, "G14"),
        ("000.00.25.G14", 2, "000.00.00.G14", "G14.25"),
        ("000.12.30.A36", 3, "000.00.30.A36", "A36.30.12"),
        ("123.45.67.H37", 4, "000.45.67.H37", "H37.67.45.123"),
    ],
)
def test_an_old_code_is_read_from_the_right(
    text: str, level: int, parent: str | None, new: str
) -> None:
    code = AgencyCode.parse(text)
    assert code.generation is Generation.OLD
    assert code.level == level
    assert (str(code.parent) if code.parent else None) == parent
    assert str(code.to_new()) == new
    assert str(code) == text
    assert code.to_new().to_old() == code


@pytest.mark.parametrize(
    ("text", "level", "parent"),
    [("G12", 1, None), ("G12.18", 2, "G12"), ("H37.DN.001", 3, "H37.DN"), ("0100109106", 1, None)],
)
def test_a_new_code_is_read_from_the_left(text: str, level: int, parent: str | None) -> None:
    code = AgencyCode.parse(text)
    assert code.generation is Generation.NEW
    assert code.level == level
    assert (str(code.parent) if code.parent else None) == parent
    assert str(code) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "G12.", ".G12", "G12..18", "g12.18", "G12-18", "G12 18", "G" * 36, "000.12.00.G14"],
)
def test_refuses_a_code_of_neither_form(text: str) -> None:
    with pytest.raises(InvalidAgencyCode):
        AgencyCode.parse(text)


@pytest.mark.parametrize("text", ["H37.DN.001", "0100109106", "G14.1", "G14.25.12.123.1", "G14.00"])
def test_a_code_without_an_old_form_says_so(text: str) -> None:
    with pytest.raises(NoOldAgencyCode):
        AgencyCode.parse(text).to_old()


def test_a_body_stands_within_its_ministry_in_either_generation() -> None:
    ministry = AgencyCode.parse("000.00.00.G12")
    assert AgencyCode.parse("G12.18").within(ministry)
    assert AgencyCode.parse("000.00.18.G12").within(AgencyCode.parse("G12.18"))
    assert not AgencyCode.parse("G14.18").within(ministry)


def test_a_level_1_code_names_its_bearer_and_what_became_of_it() -> None:
    agency = AgencyCode.parse("000.00.25.G14").agency
    assert agency is not None
    assert agency.name == "Bộ Thông tin và Truyền thông"
    assert (agency.valid_until, agency.into) == (date(2025, 2, 28), "G06")
    assert AgencyCode.parse("G99").agency is None


def test_every_province_of_the_map_of_63_has_one_code() -> None:
    provinces = [agency.province for agency in agencies().values() if agency.province]
    expected = {unit.code for unit in units_on(date(2024, 1, 1), Level.PROVINCE)}
    assert set(provinces) == expected
    assert len(provinces) == len(expected)


def test_what_took_a_ministry_over_is_in_the_list() -> None:
    listed = agencies()
    assert all(agency.into in listed for agency in listed.values() if agency.into)
    assert all(agency.valid_until for agency in listed.values() if agency.into or agency.into_name)
