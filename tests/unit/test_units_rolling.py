"""Rolling codes between the maps."""

from datetime import date

import pytest

from lienthong.errors import UnitDayUnknown, UnknownUnit
from lienthong.units import Level, find, roll, roll_back, roll_forward

Y2024 = date(2024, 6, 30)
LAST_OLD = date(2025, 6, 30)
FIRST_NEW = date(2025, 7, 1)


def test_a_merged_province_rolls_to_one_unit_whole() -> None:
    rolled = roll_forward("02", Y2024)
    assert [step.unit.name for step in rolled.steps] == ["Tỉnh Tuyên Quang"]
    step = rolled.steps[0]
    assert (step.whole, step.dominant, step.share) == (True, True, 1.0)
    assert not rolled.split


def test_a_unit_of_the_target_day_stays_itself() -> None:
    assert roll("01", Y2024, FIRST_NEW).dominant is find("01", FIRST_NEW)
    assert roll("001", LAST_OLD, LAST_OLD).dominant is find("001", LAST_OLD)


def test_a_divided_commune_names_its_largest_part_and_claims_no_shares() -> None:
    rolled = roll_forward("00016", LAST_OLD)  # phường Ngọc Hà of the old map
    assert rolled.split
    assert [step.dominant for step in rolled.steps].count(True) == 1
    assert {step.share for step in rolled.steps} == {None}
    assert not any(step.whole for step in rolled.steps)


def test_a_district_rolls_to_communes_with_shares_that_add_up() -> None:
    rolled = roll_forward("001", LAST_OLD)
    assert {step.unit.level for step in rolled.steps} == {Level.COMMUNE}
    assert sum(step.share or 0 for step in rolled.steps) == pytest.approx(1)
    assert rolled.dominant is not None
    assert rolled.dominant.name == "Phường Ngọc Hà"


def test_an_island_district_without_communes_becomes_a_special_zone() -> None:
    rolled = roll_forward("536", LAST_OLD)
    assert [step.unit.name for step in rolled.steps] == ["Đặc khu Lý Sơn"]
    assert [step.unit.code for step in roll_back("21548", FIRST_NEW).steps] == ["536"]


def test_a_new_commune_rolls_back_to_communes_only() -> None:
    rolled = roll_back("00004", FIRST_NEW)
    assert {step.unit.level for step in rolled.steps} == {Level.COMMUNE}
    assert "00004" in {step.unit.code for step in rolled.steps}
    assert rolled.dominant is None  # no source says which of them brought the most


def test_a_new_province_rolls_back_to_all_that_it_was_made_of() -> None:
    rolled = roll_back("79", FIRST_NEW)
    assert [step.unit.code for step in rolled.steps] == ["74", "77", "79"]
    assert all(step.whole for step in rolled.steps)


def test_a_district_merged_before_the_reform_rolls_within_the_old_map() -> None:
    assert roll("358", Y2024, LAST_OLD).dominant == find("356", LAST_OLD)
    back = roll("356", LAST_OLD, Y2024)
    assert [step.unit.code for step in back.steps] == ["356", "358"]


def test_a_district_divided_before_the_reform_names_its_larger_part() -> None:
    rolled = roll("219", Y2024, LAST_OLD)
    assert [step.unit.code for step in rolled.steps] == ["219", "224"]
    assert rolled.dominant == find("219", LAST_OLD)


def test_a_part_of_a_part_claims_neither_share_nor_dominance() -> None:
    rolled = roll_forward("358", Y2024)  # merged into a city, which was then divided
    assert rolled.split
    assert rolled.dominant is None
    assert {step.share for step in rolled.steps} == {None}


def test_rolling_forward_and_back_again_returns_to_the_origin() -> None:
    forward = roll("02", Y2024, FIRST_NEW)
    assert forward.dominant is not None
    back = roll(forward.dominant.code, FIRST_NEW, Y2024)
    assert find("02", Y2024) in [step.unit for step in back.steps]


def test_refuses_codes_and_days_that_are_not_known() -> None:
    with pytest.raises(UnknownUnit):
        roll("358", LAST_OLD, FIRST_NEW)
    with pytest.raises(UnitDayUnknown):
        roll("01", FIRST_NEW, date(2000, 1, 1))
