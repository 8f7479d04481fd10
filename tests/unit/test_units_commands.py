"""``lienthong units`` on the command line."""

import json
from datetime import date
from typing import Any

import pytest
from typer.testing import CliRunner

from lienthong.errors import InvalidUnitDay, LienthongError, UnknownUnit
from lienthong.units import Level, units_on
from lienthong.units.commands import app


def _run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def _json(*arguments: str) -> Any:
    return json.loads(_run(*arguments, "--json"))


def test_shows_a_unit_with_what_lies_below_it() -> None:
    shown = _json("show", "08", "--on", "2025-07-01")
    assert shown["unit"]["name"] == "Tỉnh Tuyên Quang"
    assert len(shown["children"]) == 124
    assert "Phường Trúc Bạch" in _run("show", "00004", "--on", "2024-12-31")


def test_shows_today_when_no_day_is_given() -> None:
    listed = _json("list")
    assert listed["count"] == len(units_on(date.fromisoformat(listed["day"]), Level.PROVINCE))


def test_lists_a_level_and_says_why_it_has_that_number() -> None:
    listed = _json("list", "--level", "district", "--on", "2024-06-30")
    assert listed["count"] == listed["reported"]["number"] == len(listed["units"]) == 705
    assert "696" in _run("list", "--level", "district", "--on", "2024-06-30")


def test_lists_within_a_province() -> None:
    listed = _json("list", "--level", "district", "--on", "2024-06-30", "--within", "68")
    assert listed["count"] == 12


def test_rolls_a_code_across_the_reform_without_being_told_its_day() -> None:
    rolled = _json("roll", "02", "--to", "2025-07-01")
    assert rolled["dominant"] == "08"
    back = _json("roll", "08", "--to", "2024-01-01")
    assert [step["unit"]["code"] for step in back["steps"]] == ["02", "08"]
    assert "Tỉnh Tuyên Quang" in _run("roll", "02", "--to", "2025-07-01")


def test_rolls_from_a_given_day() -> None:
    rolled = _json("roll", "358", "--from", "2024-06-30", "--to", "2025-06-30")
    assert rolled["dominant"] == "356"


def test_searches_without_diacritics() -> None:
    assert "17" in [unit["code"] for unit in _json("search", "hoa binh", "--on", "2025-06-30")]
    assert "Tỉnh Hòa Bình" in _run("search", "hoà bình", "--on", "2025-06-30")


def test_reads_an_agency_code() -> None:
    facts = _json("agency", "000.00.25.G14")
    assert (facts["new"], facts["parent"], facts["level"]) == ("G14.25", "000.00.00.G14", 2)
    assert "Bộ Thông tin và Truyền thông" in _run("agency", "G14.25")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("show", "09999"), UnknownUnit),
        (("show", "01", "--on", "30/06/2025"), InvalidUnitDay),
    ],
)
def test_a_wrong_word_raises_the_error_that_the_program_prints(
    arguments: tuple[str, ...], error: type[LienthongError]
) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, error)


@pytest.mark.parametrize("command", ["show", "list", "search", "roll", "agency"])
def test_help_begins_in_vietnamese_and_has_an_example(command: str) -> None:
    text = " ".join(_run(command, "--help").split())
    assert f"Example: lienthong units {command}" in text
