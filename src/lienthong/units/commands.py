"""``lienthong units``: look up units and agency codes, and roll codes between maps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from lienthong.errors import InvalidUnitDay
from lienthong.units import service
from lienthong.units.agencies import AgencyCode
from lienthong.units.maps import LAST_OLD_DAY, REFORM
from lienthong.units.models import Level, Roll, Step, Unit

VIETNAM = timezone(timedelta(hours=7))

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Đơn vị hành chính và mã cơ quan theo từng ngày.\n\n"
        "Administrative units and agency codes, as they were on any day."
    ),
)

OnDay = Annotated[
    str | None,
    typer.Option("--on", metavar="YYYY-MM-DD", help="Ngày cần xem; mặc định hôm nay / the day"),
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON / print JSON")]


@app.command()
def show(code: str, on: OnDay = None, as_json: AsJson = False) -> None:
    """Xem một đơn vị và các đơn vị trực thuộc.

    Show a unit and what lies below it. Ví dụ · Example: lienthong units show 00004 --on 2024-12-31
    """
    day = _day(on)
    unit = service.find(code, day)
    below = service.children(unit, day)
    if as_json:
        _print_json({"unit": _unit(unit), "children": [_unit(child) for child in below]})
        return
    _print_units(f"{unit.name} ({unit.code})", (unit, *below))


@app.command("list")
def list_units(
    level: Annotated[Level, typer.Option(help="Cấp / level")] = Level.PROVINCE,
    on: OnDay = None,
    within: Annotated[
        str | None, typer.Option(help="Chỉ trong tỉnh hoặc huyện này / within this code")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Liệt kê các đơn vị của một cấp vào một ngày.

    List the units of a level on a day. Ví dụ · Example: lienthong units list --level district
    --on 2024-06-30 --within 68
    """
    day = _day(on)
    units = [
        unit
        for unit in service.units_on(day, level)
        if within is None or within in (unit.province, unit.parent)
    ]
    reported = service.reported_count(day, level) if within is None else None
    if as_json:
        _print_json(
            {
                "day": day.isoformat(),
                "level": level,
                "count": len(units),
                "reported": msgspec.to_builtins(reported),
                "units": [_unit(unit) for unit in units],
            }
        )
        return
    _print_units(f"{len(units)} · {day.isoformat()}", units)
    if reported:
        Console().print(f"Số công bố / reported: {reported.number}. {reported.vi}\n{reported.en}")


@app.command()
def search(
    name: str,
    on: OnDay = None,
    level: Annotated[Level | None, typer.Option(help="Cấp / level")] = None,
    as_json: AsJson = False,
) -> None:
    """Tìm đơn vị theo tên đầy đủ, không cần dấu.

    Find units by their whole name, with or without diacritics.
    Ví dụ · Example: lienthong units search "hoa binh"
    """
    found = service.search(name, _day(on), level)
    if as_json:
        _print_json([_unit(unit) for unit in found])
        return
    _print_units(f"{name}: {len(found)}", found)


@app.command()
def roll(
    code: str,
    to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Ngày đến / target day")],
    from_day: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="YYYY-MM-DD",
            help="Ngày của mã; mặc định ngày cuối của bản đồ bên kia 01/07/2025"
            " / day of the code; default: the nearest day across 01/07/2025",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Chuyển một mã sang bản đồ của ngày khác.

    Roll a code to another day's map. Ví dụ · Example: lienthong units roll 02 --to 2025-07-01
    """
    target = _day(to)
    rolled = service.roll(code, _day(from_day) if from_day else _across(target), target)
    if as_json:
        _print_json(_roll(rolled))
        return
    _print_roll(rolled)


@app.command()
def agency(code: str, as_json: AsJson = False) -> None:
    """Đọc một mã cơ quan dạng cũ hoặc mới.

    Read an agency code of either generation. Ví dụ · Example: lienthong units agency 000.00.25.G14
    """
    facts = _agency(AgencyCode.parse(code))
    if as_json:
        _print_json(facts)
        return
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, "–" if value is None else str(value))
    Console().print(table)


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).astimezone(VIETNAM).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidUnitDay(day=text[:20]) from error


def _across(target: date) -> date:
    """Choose the day of a code that is rolled to ``target``: the last or first of the other map."""
    return LAST_OLD_DAY if target >= REFORM else REFORM


def _unit(unit: Unit) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(unit)
    return facts


def _roll(rolled: Roll) -> dict[str, Any]:
    return {
        "origin": _unit(rolled.origin),
        "day": rolled.day.isoformat(),
        "split": rolled.split,
        "dominant": rolled.dominant.code if rolled.dominant else None,
        "steps": msgspec.to_builtins(rolled.steps),
    }


def _agency(code: AgencyCode) -> dict[str, Any]:
    bearer = code.agency
    return {
        "code": str(code),
        "generation": code.generation,
        "level": code.level,
        "parent": str(code.parent) if code.parent else None,
        "new": str(code.to_new()),
        "level_1": code.groups[0],
        "level_1_name": bearer.name if bearer else None,
        "level_1_valid_until": bearer.valid_until if bearer else None,
        "level_1_into": (bearer.into or bearer.into_name) if bearer else None,
        "province": bearer.province if bearer else None,
    }


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _print_units(title: str, units: list[Unit] | tuple[Unit, ...]) -> None:
    table = Table("Mã", "Tên", "Thuộc", "Từ ngày", "Đến ngày", title=title)
    for unit in units:
        start, end = unit.valid_from or "", unit.valid_until or ""
        table.add_row(unit.code, unit.name, unit.parent or "", str(start), str(end))
    Console().print(table)


def _print_roll(rolled: Roll) -> None:
    title = f"{rolled.origin.name} ({rolled.origin.code}) → {rolled.day.isoformat()}"
    table = Table("Mã", "Tên", "Trọn vẹn", "Phần lớn nhất", "Tỷ lệ", title=title)
    for step in rolled.steps:
        table.add_row(step.unit.code, step.unit.name, *_marks(step))
    Console().print(table)


def _marks(step: Step) -> tuple[str, str, str]:
    share = "?" if step.share is None else f"{step.share:.0%}"
    return ("✓" if step.whole else "", "✓" if step.dominant else "", share)
