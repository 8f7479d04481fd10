"""``lienthong contract``: look at contracts before they are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lienthong.contracts.comparison_commands import diff, new
from lienthong.contracts.document import LARGEST_CONTRACT_BYTES
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import Contract
from lienthong.contracts.places import Place, place_of
from lienthong.contracts.serving import serving_problems
from lienthong.errors import ContractError

app = typer.Typer(
    help="Hợp đồng dữ liệu theo chuẩn ODCS. Data contracts (ODCS).", no_args_is_help=True
)


@app.callback()
def contract() -> None:
    """Hợp đồng dữ liệu theo chuẩn ODCS. Data contracts (ODCS)."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Tệp ODCS (.odcs.yaml). ODCS file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="In kết quả dạng JSON. Print JSON.")
    ] = False,
) -> None:
    """Kiểm tra một hợp đồng dữ liệu và nêu mọi lỗi của nó.

    Check a data contract and list everything that is wrong with it.

    Ví dụ (example): lienthong contract check cong-dan.odcs.yaml
    """
    problems = contract_problems(file)
    if as_json:
        typer.echo(json.dumps(_report(file, problems), ensure_ascii=False))
    elif problems:
        _print_problems(file, problems)
    else:
        _print_contract(load_contract(file))
    if problems:
        raise typer.Exit(problems[0].exit_code)


app.command()(diff)
app.command()(new)


def _report(file: Path, problems: list[ContractError]) -> dict[str, object]:
    if problems:
        return {
            "file": str(file),
            "valid": False,
            "problems": [_problem(each, _content(file)) for each in problems],
        }
    loaded = load_contract(file)
    return {
        "file": str(file),
        "valid": True,
        "problems": [],
        "id": loaded.id,
        "version": loaded.version,
        "digest": loaded.digest,
        "key": loaded.key,
        "fields": {name: f.classification.value for name, f in loaded.fields.items()},
        "objects": [each.details.dataset for each in loaded.objects],
        "served": loaded.details.dataset,
        "serving_problems": [_problem(each, loaded.raw) for each in serving_problems(loaded)],
    }


def _content(file: Path) -> bytes:
    """The file's bytes, to find lines in; nothing, of a file that cannot be read."""
    try:
        return file.read_bytes() if file.stat().st_size <= LARGEST_CONTRACT_BYTES else b""
    except (OSError, ValueError):
        return b""


def _problem(problem: ContractError, content: bytes) -> dict[str, object]:
    place = place_of(problem, content)
    return {
        "code": problem.code,
        "path": place.path,
        "line": place.line,
        "message_vi": problem.message("vi"),
        "message_en": problem.message("en"),
        "remedy_vi": problem.remedy("vi"),
        "remedy_en": problem.remedy("en"),
    }


def _print_problems(file: Path, problems: list[ContractError]) -> None:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{file}: {len(problems)} lỗi (problems)", style="bold")
    content = _content(file)
    for problem in problems:
        place = place_of(problem, content)
        console.print(f"✗ [{problem.code}] {_at(place, 'vi')}{problem.message('vi')}")
        console.print(f"  {_at(place, 'en')}{problem.message('en')}", style="dim")
        console.print(f"  → {problem.remedy('vi')}")
        console.print(f"    {problem.remedy('en')}", style="dim")


def _at(place: Place, language: str) -> str:
    told = place.text(language)
    return f"{told}: " if told else ""


def _print_contract(loaded: Contract) -> None:
    console = Console(highlight=False)
    console.print(f"✓ {loaded.name} ({loaded.id} {loaded.version})", style="bold", markup=False)
    for each in loaded.objects:
        served = "" if each.served else " – chỉ mô tả (described only)"
        if len(loaded.objects) > 1:
            console.print(f"{each.details.dataset}{served}", markup=False)
        console.print(_fields_of(each))
    basis = "; ".join(loaded.legal_basis)
    console.print(f"* khóa (key)   Căn cứ (legal basis): {basis}", markup=False)
    for problem in serving_problems(loaded):
        console.print(f"! Chưa phục vụ được: {problem.message('vi')}", markup=False)
        console.print(f"  Cannot be served: {problem.message('en')}", style="dim", markup=False)


def _fields_of(loaded: Contract) -> Table:
    table = Table("Trường (field)", "Kiểu (type)", "Phân loại (class)", "Cột (column)")
    for name, field in loaded.fields.items():
        mark = " *" if name == loaded.key else ""
        level = field.classification.value
        table.add_row(escape(name + mark), field.type.value, level, escape(field.column))
        for part in field.within():
            level = part.classification.value
            table.add_row(escape(f"  {part.name}"), part.type.value, level, "")
    return table
