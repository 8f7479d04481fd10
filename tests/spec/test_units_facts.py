"""Known facts of the map of Vietnam, against what the packages really hold."""

from collections import Counter
from datetime import date
from importlib.metadata import version

import pytest

from lienthong.units import Level, reported_count, roll, roll_back, units_on
from lienthong.units.packages import read_maps, read_spelling

LAST_OLD = date(2025, 6, 30)
FIRST_NEW = date(2025, 7, 1)

# The new province, then the old ones that it is made of (Nghị quyết 202/2025/QH15).
MERGERS = """
    Tuyên Quang    : Hà Giang, Tuyên Quang
    Lào Cai        : Lào Cai, Yên Bái
    Thái Nguyên    : Bắc Kạn, Thái Nguyên
    Phú Thọ        : Hòa Bình, Phú Thọ, Vĩnh Phúc
    Bắc Ninh       : Bắc Giang, Bắc Ninh
    Hưng Yên       : Hưng Yên, Thái Bình
    Hải Phòng      : Hải Dương, Hải Phòng
    Ninh Bình      : Hà Nam, Nam Định, Ninh Bình
    Quảng Trị      : Quảng Bình, Quảng Trị
    Đà Nẵng        : Đà Nẵng, Quảng Nam
    Quảng Ngãi     : Kon Tum, Quảng Ngãi
    Gia Lai        : Bình Định, Gia Lai
    Khánh Hòa      : Khánh Hòa, Ninh Thuận
    Lâm Đồng       : Bình Thuận, Lâm Đồng, Đắk Nông
    Đắk Lắk        : Phú Yên, Đắk Lắk
    Hồ Chí Minh    : Bà Rịa - Vũng Tàu, Bình Dương, Hồ Chí Minh
    Đồng Nai       : Bình Phước, Đồng Nai
    Tây Ninh       : Long An, Tây Ninh
    Cần Thơ        : Cần Thơ, Hậu Giang, Sóc Trăng
    Vĩnh Long      : Bến Tre, Trà Vinh, Vĩnh Long
    Đồng Tháp      : Tiền Giang, Đồng Tháp
    Cà Mau         : Bạc Liêu, Cà Mau
    An Giang       : An Giang, Kiên Giang
"""
UNTOUCHED = (
    "Cao Bằng, Điện Biên, Hà Nội, Hà Tĩnh, Huế, Lai Châu, Lạng Sơn, Nghệ An, Quảng Ninh, Sơn La,"
    " Thanh Hóa"
)


@pytest.mark.parametrize(
    ("day", "provinces", "districts", "communes"),
    [
        (date(2024, 6, 30), 63, 705, 10_035),
        (date(2024, 9, 1), 63, 704, 10_035),
        (date(2024, 12, 1), 63, 701, 10_035),
        (date(2025, 1, 1), 63, 696, 10_035),
        (LAST_OLD, 63, 696, 10_035),
        (FIRST_NEW, 34, 0, 3_321),
        (date(2026, 1, 1), 34, 0, 3_321),
    ],
)
def test_each_day_has_its_number_of_units(
    day: date, provinces: int, districts: int, communes: int
) -> None:
    counts = Counter(unit.level for unit in units_on(day))
    assert counts[Level.PROVINCE] == provinces
    assert counts[Level.DISTRICT] == districts
    assert counts[Level.COMMUNE] == communes


@pytest.mark.parametrize("day", [date(2021, 1, 1), date(2024, 10, 1), LAST_OLD, FIRST_NEW])
@pytest.mark.parametrize("level", [Level.PROVINCE, Level.DISTRICT])
def test_the_maps_hold_as_many_provinces_and_districts_as_were_reported(
    day: date, level: Level
) -> None:
    count = reported_count(day, level)
    assert count is not None
    assert count.number == len(units_on(day, level))


@pytest.mark.parametrize("line", [line for line in MERGERS.splitlines() if line.strip()])
def test_provinces_merged_as_the_national_assembly_resolved(line: str) -> None:
    new, _, old = (part.strip() for part in line.partition(":"))
    unit = next(u for u in units_on(FIRST_NEW, Level.PROVINCE) if u.short_name == new)
    steps = roll_back(unit.code, FIRST_NEW).steps
    assert sorted(step.unit.short_name for step in steps) == sorted(old.split(", "))
    for step in steps:
        assert roll(step.unit.code, LAST_OLD, FIRST_NEW).dominant == unit


def test_eleven_provinces_were_left_alone() -> None:
    both = set(units_on(LAST_OLD, Level.PROVINCE)) & set(units_on(FIRST_NEW, Level.PROVINCE))
    assert sorted(unit.short_name for unit in both) == sorted(UNTOUCHED.split(", "))


def test_todays_communes_are_of_three_kinds() -> None:
    kinds = Counter(unit.kind for unit in units_on(FIRST_NEW, Level.COMMUNE))
    assert kinds == {"xã": 2_621, "phường": 687, "đặc khu": 13}


def test_thirteen_islands_are_special_zones() -> None:
    zones = {u.short_name for u in units_on(FIRST_NEW, Level.COMMUNE) if u.kind == "đặc khu"}
    assert {"Phú Quốc", "Côn Đảo", "Lý Sơn", "Hoàng Sa", "Trường Sa", "Vân Đồn"} <= zones
    assert len(zones) == 13


def test_between_705_and_696_districts_eleven_codes_ended_and_two_began() -> None:
    before = {unit.code for unit in units_on(date(2024, 6, 30), Level.DISTRICT)}
    after = {unit.code for unit in units_on(LAST_OLD, Level.DISTRICT)}
    assert len(before - after) == 11
    assert after - before == {"224", "475"}


def test_hue_became_a_centrally_run_city_before_the_reform() -> None:
    names = {day: units_on(day, Level.PROVINCE) for day in (date(2024, 12, 31), date(2025, 1, 1))}
    found = [next(u.name for u in units if u.code == "46") for units in names.values()]
    assert found == ["Tỉnh Thừa Thiên Huế", "Thành phố Huế"]


def test_the_second_package_agrees_since_2026_and_is_set_aside_before() -> None:
    """Codes are the same on every Python; only the spelling of names follows the package."""
    rows = read_maps()[1]
    year = int(version("vietnam-provinces").split(".")[0])
    assert len(read_spelling(rows)) == (len(rows) if year >= 2026 else 0)
