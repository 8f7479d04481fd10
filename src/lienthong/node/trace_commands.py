"""``lienthong node trace``: one id, what both nodes' logs and ledgers say of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lienthong.errors import NodeNotRunning, NothingTraced
from lienthong.node.vietnam_time import vietnam_time

OFFLINE = "nút không chạy: chưa hỏi nút bên kia · the node is not running: others were not asked"


def trace(
    state: Annotated[
        Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
    ],
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Mã lỗi (detail), mã yêu cầu hoặc X-Road-Id. Id of an error or a request.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Lần theo một mã lỗi hoặc mã yêu cầu trong nhật ký và sổ của cả hai nút.

    Follow an error's or a request's id through the logs and ledgers of both nodes.

    Ví dụ · Example: lienthong node trace STATE 3f2b8c1a-1234-4abc-9def-123456789012
    """
    from lienthong.node.admin_client import call

    try:
        found = call(state, "POST", "/trace", {"id": identifier})
    except NodeNotRunning:
        found = _trace_alone(state, identifier)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    elif found["lines"]:
        _show(found)
    if not found["lines"]:
        raise NothingTraced(id=identifier)


def _trace_alone(folder: Path, identifier: str) -> dict[str, Any]:
    """What the state folder of a stopped node says; nobody else is asked."""
    from lienthong.ledger.database import open_database
    from lienthong.ledger.index_key import read_index_key
    from lienthong.ledger.search import LedgerIndex
    from lienthong.ledger.store import LedgerStore
    from lienthong.node.state import StateFolder
    from lienthong.node.trace import Tracer, others_of
    from lienthong.settings import load_settings

    state = StateFolder(folder)
    own = state.read_identity().node
    settings = load_settings(state.settings, os.environ)
    engine = open_database(settings.database or f"sqlite:///{state.database}")
    try:
        store = LedgerStore(engine)
        index = LedgerIndex(engine, store, read_index_key(state.index_key, engine))
        lines = Tracer(own, state.log, index, store).trace((identifier,))
    finally:
        engine.dispose()
    asked = dict.fromkeys(others_of(lines, own), OFFLINE)
    return {"id": identifier, "ids": [identifier], "asked": asked, "lines": lines}


def _show(found: dict[str, Any]) -> None:
    table = Table(
        Column("Lúc · Time", no_wrap=True),
        Column("Nút · Node", overflow="fold"),
        Column("Sự việc · Event", overflow="fold"),
    )
    for line in found["lines"]:
        what = Text(str(line.get("event", "")), _style(line))
        told = ("outcome", "code", "reason", "client", "service", "error_id", "request_id")
        for name in told:
            if line.get(name):
                what.append(f"\n{name}: {line[name]}", "default")
        table.add_row(_time(line), f"{line.get('node', '')}\n({line.get('from', '')})", what)
    console = Console(markup=False, highlight=False)  # other parties wrote some of the texts
    console.print(table)
    for node, answer in found["asked"].items():
        mark = "✓" if answer == "answered" else "!"
        console.print(f"{mark} {node}: {answer}")


def _style(line: dict[str, Any]) -> str:
    return {"warning": "yellow", "error": "red", "critical": "red"}.get(line.get("level", ""), "")


def _time(line: dict[str, Any]) -> str:
    text = str(line.get("time", ""))
    try:
        return f"{vietnam_time(text)[:19]}{text[19:23]}"
    except ValueError:
        return text[:40]
