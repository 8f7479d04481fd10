"""``lienthong contract infer`` and ``test``: contracts and the sources that they are about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from lienthong.contracts.comparison_commands import JsonOption, write_new
from lienthong.contracts.loading import load_contract, read_contract
from lienthong.contracts.references import Neighbours
from lienthong.errors import (
    NothingToDescribe,
    QualityNotMeasured,
    QualityNotMet,
    TableChoiceWanted,
)
from lienthong.given_paths import make_given_folder
from lienthong.sources.quality.results import Outcome, QualityReport, wanted

MOST_NAMED = 20  # tables in an error
_MARKS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.WARNED: "!",
    Outcome.NOT_MEASURED: "?",
    Outcome.LEFT_OUT: "–",
}


def infer(
    source: Annotated[str, typer.Argument(help="Địa chỉ nguồn hoặc tệp. A source or a file.")],
    table: Annotated[
        list[str] | None, typer.Option(help="Bảng (nhiều lần được). A table; may be repeated.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Thư mục nhận mỗi bảng một tệp. A folder: one file for each table."),
    ] = None,
    legal_basis: Annotated[str, typer.Option(help="Căn cứ pháp lý. The law.")] = "",
    owner: Annotated[str, typer.Option(help="Đơn vị phụ trách. Who answers for it.")] = "",
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Giây cho mỗi câu lệnh. Seconds for each statement.")
    ] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Đề xuất hợp đồng từ một cơ sở dữ liệu đang chạy hoặc một tệp.

    Propose a contract for a live database (SQLite, PostgreSQL, MySQL, MariaDB) or a file (CSV,
    Parquet, JSON lines): types, key, relationships, enumerations, personal fields and their class.

    Ví dụ (example): lienthong contract infer sqlite:////var/lib/dancu/dancu.db --table cong_dan
    """
    from lienthong.sources.inference import open_look, propose

    found: dict[str, str] = {}
    skipped: dict[str, NothingToDescribe] = {}
    with open_look(source, time_limit_seconds=time_limit) as look:
        names = list(table or look.tables)
        if len(names) > 1 and into is None and not as_json:
            shown = ", ".join(names[:MOST_NAMED])
            raise TableChoiceWanted(count=len(names), tables=shown)
        with _progress() as progress:
            for name in progress.track(names, description="Xem bảng · tables"):
                try:
                    found[name] = propose(look.see(name), legal_basis=legal_basis, owner=owner)
                except NothingToDescribe as error:
                    skipped[name] = error
    if not found:
        raise next(iter(skipped.values()))
    _give(found, skipped, into, as_json)


def _give(
    found: dict[str, str], skipped: dict[str, NothingToDescribe], into: Path | None, as_json: bool
) -> None:
    files: dict[str, str] = {}
    if into is not None:
        make_given_folder(into)
        for name, text in found.items():
            file = into / f"{load_contract(text.encode()).id}.odcs.yaml"
            write_new(file, text.encode())
            files[name] = str(file)
    for error in skipped.values():
        typer.echo(f"! {error.message('vi')}\n  {error.message('en')}", err=True)
    if as_json:
        left = {name: error.code for name, error in skipped.items()}
        answer = {"contracts": found, "files": files, "skipped": left}
        typer.echo(json.dumps(answer, ensure_ascii=False))
    elif into is not None:
        typer.echo("\n".join(f"✓ {file}" for file in files.values()))
    else:
        typer.echo("".join(found.values()), nl=False)


def test(
    contract: Annotated[Path, typer.Argument(help="Tệp ODCS. ODCS file.")],
    source: Annotated[str, typer.Option(help="Địa chỉ nguồn hoặc tệp. A source or a file.")],
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            help="Hợp đồng khác mà quan hệ chỉ tới (nhiều lần được); mặc định: các tệp cùng thư "
            "mục. Another contract that relationships lead to; else those in the same folder.",
        ),
    ] = None,
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Giây cho mỗi câu lệnh. Seconds for each statement.")
    ] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Kiểm tra chất lượng dữ liệu tại nguồn theo hợp đồng của nó.

    Measure in the source what its contract promises, for each of its objects: one pass over the
    table, one count for each key, one anti-join for each relationship. Exits with 7 if a rule fails
    or cannot be measured.

    Ví dụ (example): lienthong contract test cong-dan.odcs.yaml
    --source sqlite:////var/lib/dancu/dancu.db
    """
    from lienthong.sources.quality import measure_quality

    loaded = read_contract(contract)
    with _progress() as progress:
        task = progress.add_task("Đo · measuring", total=None)
        report = measure_quality(
            loaded,
            source,
            beside=Neighbours(contract.parent, beside or ()),
            time_limit_seconds=time_limit,
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    if as_json:
        typer.echo(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        _print_report(report)
    name = f"{loaded.id} {loaded.version}"
    if report.count(Outcome.FAILED):
        raise QualityNotMet(count=report.count(Outcome.FAILED), source=name)
    if report.count(Outcome.NOT_MEASURED):
        raise QualityNotMeasured(count=report.count(Outcome.NOT_MEASURED), source=name)


def _print_report(report: QualityReport) -> None:
    console = Console(highlight=False, markup=False)
    table = Table("", "Quy tắc (rule)", "Đo được (measured)", "Phải (must)", "Ghi chú (note)")
    for result in report.results:
        note = result.reason_vi or ", ".join(result.samples)
        row = (_MARKS[result.outcome], result.check.name, _number(result.measured))
        table.add_row(*row, wanted(result.check) if not result.reason_vi else "", note)
    console.print(table)
    counts = (f"{_MARKS[o]} {report.count(o)}" for o in Outcome if report.count(o))
    rows = "?" if report.rows is None else report.rows
    console.print(
        f"{'  '.join(counts)}   {rows} dòng (rows), {report.queries} truy vấn (queries), "
        f"{report.seconds:.1f} s"
    )


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)[:40]


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
