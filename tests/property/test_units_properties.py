"""Properties of the maps as a whole, and of the parsers."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import IdentityError, UnitError
from lienthong.identity.citizen import CitizenNumber, mask_text
from lienthong.units import AgencyCode, Level, Unit, find, roll, roll_back, search, units_on
from lienthong.units.atlas import atlas
from lienthong.units.names import fold, spelling

LAST_OLD = date(2025, 6, 30)
FIRST_NEW = date(2025, 7, 1)
DAYS = st.dates(date(2008, 8, 1), date(2030, 1, 1))


def _on(day: date) -> list[Unit]:
    return list(units_on(day))


def test_every_old_unit_rolls_forward_to_existing_units_only() -> None:
    new = set(_on(FIRST_NEW))
    for unit in _on(LAST_OLD):
        rolled = roll(unit.code, LAST_OLD, FIRST_NEW)
        assert rolled.steps
        assert {step.unit for step in rolled.steps} <= new
        assert all(step.whole for step in rolled.steps) == (len(rolled.steps) == 1)
        if unit.level is not Level.DISTRICT:
            assert rolled.dominant is not None


def test_every_new_unit_has_a_predecessor_that_leads_back_to_it() -> None:
    old = set(_on(LAST_OLD))
    for unit in _on(FIRST_NEW):
        predecessors = [step.unit for step in roll_back(unit.code, FIRST_NEW).steps]
        assert predecessors
        assert set(predecessors) <= old
        for predecessor in predecessors:
            forward = roll(predecessor.code, LAST_OLD, FIRST_NEW)
            assert unit in [step.unit for step in forward.steps]


def test_known_shares_of_a_unit_add_up_to_all_of_it() -> None:
    for unit in _on(LAST_OLD):
        shares = [step.share for step in roll(unit.code, LAST_OLD, FIRST_NEW).steps]
        if None not in shares:
            assert abs(sum(share or 0 for share in shares) - 1) < 1e-9


def test_no_two_units_bear_a_code_on_one_day() -> None:
    for periods in atlas().by_code.values():
        for earlier, later in pairwise(periods):
            assert earlier.valid_until is not None
            assert later.valid_from == earlier.valid_until + timedelta(days=1)


def test_parents_exist_on_both_ends_of_every_period() -> None:
    for unit in atlas().units():
        if unit.parent is None:
            continue
        for day in (unit.valid_until or date(2030, 1, 1), unit.valid_from or LAST_OLD):
            find(unit.parent, min(day, unit.valid_until or day))
            find(unit.province, min(day, unit.valid_until or day))


@given(st.sampled_from(_on(LAST_OLD)), DAYS, DAYS)
def test_a_unit_rolls_to_units_of_the_day_wherever_it_existed(
    unit: Unit, start: date, end: date
) -> None:
    if unit.on(start):
        rolled = roll(unit.code, start, end)
        assert rolled.steps
        assert all(step.unit.on(end) for step in rolled.steps)


@given(st.sampled_from(_on(FIRST_NEW)))
def test_every_unit_is_found_by_its_folded_name(unit: Unit) -> None:
    assert unit in search(fold(unit.name), FIRST_NEW)
    assert unit in search(unit.name.upper(), FIRST_NEW)


@given(st.text(), DAYS)
def test_finding_and_searching_never_crash(text: str, day: date) -> None:
    search(text, day)
    spelling(text)
    assert fold(fold(text)) == fold(text)
    try:
        find(text, day)
    except UnitError:
        return


CODES = st.text(alphabet="0123456789ABCGHXYZ.", max_size=40)


@given(st.one_of(st.text(), CODES, st.from_regex(r"\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}")))
def test_an_agency_code_is_read_or_refused_and_printed_as_it_was(text: str) -> None:
    try:
        code = AgencyCode.parse(text)
    except UnitError:
        return
    assert str(code) == text
    assert AgencyCode.parse(str(code)) == code
    assert code.level >= 1
    assert code.parent is None or code.within(code.parent)
    try:
        assert code.to_old().groups == code.groups
    except UnitError:
        return


NUMBERS = st.one_of(st.text(), st.text(alphabet="0123456789 ABĐ", max_size=14))


@given(NUMBERS, st.dates())
def test_a_citizen_number_is_read_or_refused_without_repeating_it(text: str, day: date) -> None:
    try:
        number = CitizenNumber.parse(text)
        assert number.text == text.strip()
        assert number.text not in repr(number)
        assert number.birth_year is None or 1900 <= number.birth_year <= 2399
        number.check(birth=day, on=day)
    except IdentityError as error:
        assert len(text.strip()) < 7 or text.strip() not in str(error)


@given(st.text(), st.from_regex(r"[0-9]{12}", fullmatch=True), st.text())
def test_a_number_between_words_is_masked_in_any_text(before: str, number: str, after: str) -> None:
    masked = mask_text(f"{before} {number} {after}")
    assert f" {number} " not in masked


@given(st.text(alphabet="0123456789abcdefABCDEF-. %:/", max_size=200))
def test_masking_keeps_the_length_and_is_idempotent(text: str) -> None:
    masked = mask_text(text)
    assert len(masked) == len(text)
    assert mask_text(masked) == masked
