"""``lienthong doctor``: one command that looks at everything and says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from lienthong.node.doctor.finding import Finding, State

EXIT_CODES = {State.OK: 0, State.WARNING: 1, State.FAILED: 2}
_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}

app = typer.Typer(help="Khám nút: có gì hỏng, làm gì. What is wrong with a node, what to do.")


@app.command()
def doctor(
    state: Annotated[
        Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
    ],
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Chỉ thử các nút này. Only these other nodes: VN/GOV/G02/n1."),
    ] = None,
    problems: Annotated[
        bool, typer.Option("--problems", help="Chỉ in điều bất thường. Only what is not right.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Khám toàn bộ nút, dù đang chạy hay dừng: cổng, DNS, TLS tới từng nút, đồng hồ, danh bạ,
    khóa, chứng thư, cơ sở dữ liệu, sổ, đĩa, dịch vụ, thỏa thuận; mỗi dòng nói phải làm gì.

    Look at everything, whether the node runs or not; each line says what to do. Exit code: 0 all
    is well, 1 something needs attention, 2 something fails.

    Ví dụ · Example: lienthong doctor /var/lib/lienthong/g01 --problems
    """
    from lienthong.node.doctor.context import Context
    from lienthong.node.doctor.examination import all_checks, examine, worst
    from lienthong.node.state import StateFolder

    context = Context.of(StateFolder(state))
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal,
    ) as bar:
        task = bar.add_task("Đang khám · looking", total=None)
        findings = examine(
            all_checks(context, peer),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    outcome = worst(findings)
    if as_json:
        found = {
            "node": context.node,
            "running": context.process is not None,
            "state": outcome.value,
            "findings": [each.facts() for each in findings],
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show([each for each in findings if not problems or each.state is not State.OK], outcome)
    raise typer.Exit(EXIT_CODES[outcome])


def _show(findings: list[Finding], outcome: State) -> None:
    console = Console(markup=False, highlight=False)  # other parties wrote some of the texts
    table = Table(
        Column("", no_wrap=True, width=1),
        Column("Kiểm tra · Check", overflow="fold"),
        Column("Thấy gì, làm gì · Found, and what to do", overflow="fold", ratio=1),
    )
    for each in findings:
        told = Text(
            f"{each.found.vi} · {each.found.en}"
            if each.found.en != each.found.vi
            else each.found.vi
        )
        if each.remedy.vi:
            told.append(f"\n→ {each.remedy.vi}", "bold")
            told.append(f"\n→ {each.remedy.en}", "dim")
        mark = Text(each.state.mark, _STYLES[each.state])
        table.add_row(mark, f"{each.check}\n{each.subject}", told)
    console.print(table)
    words = {
        State.OK: "✓ Mọi thứ ổn · all is well",
        State.WARNING: "! Có điều cần để ý · something needs attention",
        State.FAILED: "✗ Có điều hỏng · something fails",
    }
    console.print(Text(words[outcome], _STYLES[outcome]))
