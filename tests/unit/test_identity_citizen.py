"""Citizen numbers and their masking."""

from datetime import date

import pytest

from lienthong.errors import InvalidCitizenNumber
from lienthong.identity.citizen import CitizenNumber, NumberKind, Sex, mask_text
from lienthong.units import Level, units_on


@pytest.mark.parametrize(
    ("text", "sex", "year", "province"),
    [
        ("001090000001", Sex.MALE, 1990, "Thành phố Hà Nội"),
        ("079190000002", Sex.FEMALE, 1990, "Thành phố Hồ Chí Minh"),
        ("002205123456", Sex.MALE, 2005, "Tỉnh Hà Giang"),
        ("096310123456", Sex.FEMALE, 2010, "Tỉnh Cà Mau"),
        ("001499000001", Sex.MALE, 2199, "Thành phố Hà Nội"),
        ("001900000001", Sex.FEMALE, 2300, "Thành phố Hà Nội"),
    ],
)
def test_a_personal_number_tells_sex_year_and_place(
    text: str, sex: Sex, year: int, province: str
) -> None:
    number = CitizenNumber.parse(text)
    assert number.kind is NumberKind.PERSONAL
    assert (number.sex, number.birth_year, number.birth_province) == (sex, year, province)


@pytest.mark.parametrize("text", ["101090000001", "999190000002", "000090000001"])
def test_a_code_of_a_country_is_not_refused(text: str) -> None:
    number = CitizenNumber.parse(text)
    assert number.birth_province is None
    assert number.birth_year == 1990


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("012345678", NumberKind.IDENTITY_CARD),
        ("B1234567", NumberKind.PASSPORT),
        ("P00000001", NumberKind.PASSPORT),
    ],
)
def test_older_documents_are_read_and_state_nothing(text: str, kind: NumberKind) -> None:
    number = CitizenNumber.parse(f" {text} ")
    assert (number.text, number.kind) == (text, kind)
    assert (number.sex, number.birth_year, number.birth_province_code) == (None, None, None)
    number.check(sex=Sex.FEMALE, birth=1990, on=date(2020, 1, 1))


@pytest.mark.parametrize(
    "text",
    ["", "00109000000", "0010900000011", "00109000000x", "b1234567", "٠٠١٠٩٠٠٠٠٠٠١", "²" * 12],
)
def test_refuses_what_has_no_form_of_a_number(text: str) -> None:
    with pytest.raises(InvalidCitizenNumber) as caught:
        CitizenNumber.parse(text)
    assert not text or text not in str(caught.value)


def test_a_number_agrees_with_its_bearer() -> None:
    number = CitizenNumber.parse("001090000001")
    number.check(sex=Sex.MALE, birth=date(1990, 5, 1), on=date(2024, 1, 1))
    number.check(birth=1990)
    number.check()


def test_contradictions_are_named_without_the_number() -> None:
    number = CitizenNumber.parse("001090000001")
    for arguments in (
        {"sex": Sex.FEMALE},
        {"birth": 1991},
        {"birth": date(1890, 1, 1)},
        {"on": date(1989, 12, 31)},
    ):
        with pytest.raises(InvalidCitizenNumber) as caught:
            number.check(**arguments)  # type: ignore[arg-type]
        assert "001090000001" not in str(caught.value)


def test_a_number_shows_itself_masked() -> None:
    number = CitizenNumber.parse("001090000001")
    assert number.mask() == "001*******01"
    assert "001090000001" not in repr(number)
    assert f"{number}" == "001090000001"
    assert CitizenNumber.parse("B1234567").mask() == "B12***67"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("tra cứu 001090000001.", "tra cứu 001*******01."),
        ("001090000001,001190000002", "001*******01,001*******02"),
        ("001090000001.001090000002", "001*******01.001*******02"),
        ("/records/001090000001?x=1", "/records/001*******01?x=1"),
        ("q=%20001090000001", "q=%20001*******01"),
        ("\\n001090000001", "\\n001*******01"),
        ("cccd001090000001", "cccd001*******01"),
        ("001 090 000 001", "001**********01"),
        ("CMND 012345678, hộ chiếu B1234567", "CMND 012****78, hộ chiếu B12***67"),
    ],
)
def test_numbers_in_text_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "3f2504e0-4f89-41d3-9a0c-001090000001",
        "a001090000001b" * 5,
        "192.168.100.101:5500",
        "0.123456789 s",
        "2025-07-01T00:00:00.123456Z",
        "1753000000",
        "1753000000000",
        "000.00.00.G14",
        "",
    ],
)
def test_ids_digests_addresses_and_times_are_left_alone(text: str) -> None:
    assert mask_text(text) == text


def test_the_provinces_of_numbers_are_those_of_the_map_of_63() -> None:
    for unit in units_on(date(2024, 1, 1), Level.PROVINCE):
        number = CitizenNumber.parse(f"0{unit.code}090000001")
        assert (number.birth_province_code, number.birth_province) == (unit.code, unit.name)
