"""Units on a day: finding, listing, searching."""

from datetime import date

import pytest

from lienthong.errors import UnitDayUnknown, UnknownUnit
from lienthong.units import Level, children, find, fold, reported_count, search, units_on
from lienthong.units.names import spelling

LAST_OLD = date(2025, 6, 30)
FIRST_NEW = date(2025, 7, 1)


def test_the_same_code_names_other_units_on_other_days() -> None:
    assert find("00004", LAST_OLD).name == "Phường Trúc Bạch"
    assert find("00004", FIRST_NEW).name == "Phường Ba Đình"


def test_a_unit_knows_its_level_kind_parent_and_province() -> None:
    unit = find("00004", LAST_OLD)
    assert (unit.level, unit.kind, unit.parent, unit.province) == (
        Level.COMMUNE,
        "phường",
        "001",
        "01",
    )
    assert find("00004", FIRST_NEW).parent == "01"


def test_a_number_is_no_short_name() -> None:
    assert find("760", LAST_OLD).short_name == "Quận 1"
    assert find("00004", LAST_OLD).short_name == "Trúc Bạch"


def test_a_province_that_the_reform_left_alone_is_one_unit_throughout() -> None:
    assert find("01", LAST_OLD) is find("01", FIRST_NEW)
    assert find("08", LAST_OLD) is not find("08", FIRST_NEW)


@pytest.mark.parametrize("code", ["", "1", "99", "00005", "0x", "001 ", "9" * 500])
def test_an_unknown_code_is_an_error_that_names_itself(code: str) -> None:
    with pytest.raises(UnknownUnit) as caught:
        find(code, FIRST_NEW)
    assert caught.value.facts["code"] == code[:20]


def test_a_district_is_unknown_after_the_districts_ended() -> None:
    assert find("001", LAST_OLD).name == "Quận Ba Đình"
    with pytest.raises(UnknownUnit):
        find("001", FIRST_NEW)


def test_refuses_days_before_the_first_map() -> None:
    with pytest.raises(UnitDayUnknown):
        units_on(date(2008, 7, 31))
    with pytest.raises(UnitDayUnknown):
        find("01", date(1999, 1, 1))


def test_children_are_those_of_the_day() -> None:
    old = children(find("08", LAST_OLD), LAST_OLD)
    new = children(find("08", FIRST_NEW), FIRST_NEW)
    assert {unit.level for unit in old} == {Level.DISTRICT}
    assert {unit.level for unit in new} == {Level.COMMUNE}
    assert len(children(find("001", LAST_OLD), LAST_OLD)) == 13


@pytest.mark.parametrize(
    "name", ["Hòa Bình", "Hoà Bình", "hoa binh", "Tỉnh Hoà Bình", "TINH HOA BINH"]
)
def test_a_name_is_found_in_every_spelling(name: str) -> None:
    assert [unit.code for unit in search(name, LAST_OLD, Level.PROVINCE)] == ["17"]


def test_an_exact_spelling_comes_before_others() -> None:
    found = search("Hà Nam", LAST_OLD)
    assert found[0].code == "35"
    names = [unit.short_name for unit in search("Tân Phú", FIRST_NEW)]
    assert names == sorted(names, key=lambda name: name != "Tân Phú")


def test_a_search_can_be_kept_within_a_province_or_a_district() -> None:
    everywhere = search("tan phu", LAST_OLD, Level.COMMUNE)
    within = search("tan phu", LAST_OLD, Level.COMMUNE, within="79")
    assert 0 < len(within) < len(everywhere)
    assert {unit.province for unit in within} == {"79"}


def test_names_that_nobody_bears_find_nothing() -> None:
    assert search("", FIRST_NEW) == ()
    assert search("Atlantis", FIRST_NEW) == ()
    assert search("x" * 100_000, FIRST_NEW) == ()


def test_folding_drops_diacritics_and_spelling_only_the_place_of_the_tone() -> None:
    assert fold("Đắk Lắk – Chợ  Mới") == "dak lak cho moi"
    assert fold("hộ tịch") == fold("ho tich")
    assert spelling("Hoà") == spelling("Hòa") == spelling("HÒA")
    assert spelling("Hà") != spelling("Hạ")
    assert spelling("Thuỷ") == spelling("Thủy")


def test_a_reported_count_carries_its_reason_in_both_languages() -> None:
    count = reported_count(date(2024, 6, 30), Level.DISTRICT)
    assert count is not None
    assert count.number == 705
    assert "696" in count.vi and "696" in count.en
    assert reported_count(date(2009, 1, 1), Level.DISTRICT) is None
