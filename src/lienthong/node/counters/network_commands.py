"""``lienthong network``: what all nodes exchanged, added up from their own counters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from lienthong.errors import LienthongError, OptionInvalid
from lienthong.node.counters.collection import Sums, add_up
from lienthong.node.counters.counts import hour_of, hours_between, start_of
from lienthong.node.counters.documents import Counters, verify_counters
from lienthong.node.counters.keeper import COUNTERS_PATH

AT_ONCE = 16
MOST_HOURS = 24 * 31
NODE_TRIES = 2  # hours of one node without an answer; then it counts as away for the rest

app = typer.Typer(
    no_args_is_help=True, help="Toàn mạng: lưu lượng, cộng từ các nút. The whole network."
)


@app.callback()
def _network() -> None:
    """Toàn mạng, cộng từ các nút. The whole network, from its nodes."""


@app.command()
def counters(
    state: Annotated[
        Path, typer.Argument(help="Thư mục trạng thái của một nút. State folder of a node.")
    ],
    since: Annotated[
        str | None, typer.Option("--from", help="Giờ đầu (UTC). First hour: 2026-11-23T00.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Giờ cuối, tính cả giờ đó. Last hour, included.")
    ] = None,
    node: Annotated[
        list[str] | None, typer.Option(help="Chỉ hỏi nút này. Ask only this node.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Cộng bộ đếm từng giờ, có chữ ký, của mọi nút; nút không trả lời được nêu tên.

    Add up the signed hourly counters of all nodes; those that gave none are named, never zero.
    Without --from and --until: the last hour that is over.

    Ví dụ · Example: lienthong network counters STATE --from 2026-11-23T00 --until 2026-11-23T23
    """
    from lienthong.node.state import StateFolder

    hours = _hours(since, until)
    found = asyncio.run(_collect(StateFolder(state), node, hours))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)


def _hours(since: str | None, until: str | None) -> tuple[str, ...]:
    """Raises OptionInvalid."""
    last_over = hour_of(datetime.now(UTC) - timedelta(hours=1, minutes=10))
    try:
        first, last = start_of(since or until or last_over), start_of(until or since or last_over)
    except ValueError as error:
        raise _wrong(since, until, "2026-11-23T10 (UTC)") from error
    hours = hours_between(hour_of(first), hour_of(last))
    if not 0 < len(hours) <= MOST_HOURS:
        raise _wrong(since, until, f"1–{MOST_HOURS} h")
    return hours


def _wrong(since: str | None, until: str | None, wanted: str) -> OptionInvalid:
    given = " … ".join(each for each in (since, until) if each)
    return OptionInvalid(option="--from, --until", value=given, wanted=wanted)


async def _collect(state: Any, wanted: list[str] | None, hours: tuple[str, ...]) -> dict[str, Any]:
    from lienthong.node.outside import Outside

    async with Outside(state) as outside:
        nodes = sorted(wanted or {each.id for each in outside.view.nodes()})
        turn = asyncio.Semaphore(AT_ONCE)
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("Hỏi các nút · asking the nodes", total=len(nodes))

            async def ask(node: str) -> tuple[list[Counters], dict[str, str]]:
                async with turn:
                    found = await _of_node(outside, node, hours)
                bar.advance(task)
                return found

            answers = await asyncio.gather(*(ask(node) for node in nodes))
    documents = [document for found, _ in answers for document in found]
    missing = {node: why for node, (_, why) in zip(nodes, answers, strict=True) if why}
    return _told(nodes, hours, missing, add_up(documents))


async def _of_node(
    outside: Any, node: str, hours: Iterable[str]
) -> tuple[list[Counters], dict[str, str]]:
    """The verified documents of a node, and why there is none for the other hours."""
    documents: list[Counters] = []
    missing: dict[str, str] = {}
    failures = 0
    for hour in hours:
        if failures >= NODE_TRIES:
            missing[hour] = "not asked any more"
            continue
        try:
            documents.append(await _document(outside, node, hour))
            failures = 0
        except LienthongError as error:
            missing[hour] = str(error)
            failures += 1
    return documents, missing


async def _document(outside: Any, node: str, hour: str) -> Counters:
    response = await outside.get(node, COUNTERS_PATH + hour)
    content = response.body.read()
    response.body.discard()
    if response.status != 200:
        from lienthong.errors import CountersMissing

        raise CountersMissing(node=node, hour=hour, status=response.status)
    return verify_counters(content, outside.view, node, hour)


def _told(
    nodes: list[str], hours: tuple[str, ...], missing: dict[str, dict[str, str]], sums: Sums
) -> dict[str, Any]:
    return {
        "from": hours[0],
        "until": hours[-1],
        "nodes": len(nodes),
        "complete": not missing,
        "missing": missing,
        "calls": sums.calls,
        **msgspec.to_builtins(sums),
    }


def _show(found: dict[str, Any]) -> None:
    console = Console(markup=False, highlight=False)  # other nodes wrote most of the texts
    console.print(f"{found['from']} … {found['until']} (UTC): {found['calls']} lượt · calls")
    table = Table(
        Column("Hỏi → dịch vụ · Client → service", overflow="fold"),
        Column("Lượt · Calls", justify="right", no_wrap=True),
        Column("Không thành · Not answered", overflow="fold"),
        Column("Byte hỏi/đáp · asked/answered", justify="right"),
    )
    for each in found["flows"]:
        table.add_row(
            f"{each['client']}\n→ {each['service'] or '(không có · unknown)'}",
            str(each["calls"]),
            "\n".join(f"{reason}: {count}" for reason, count in each["reasons"].items()),
            f"{each['request_bytes']}\n{each['answer_bytes']}",
        )
    console.print(table)
    _show_doubts(console.print, found)


def _show_doubts(say: Callable[[str], None], found: dict[str, Any]) -> None:
    for each in found["disagreements"]:
        say(
            f"! {each['hour']} {each['client']} → {each['service']}: "
            f"bên hỏi nhận {each['received']}, bên cấp gửi {each['sent']} · "
            f"received {each['received']}, sent {each['sent']}"
        )
    for node, hours in found["missing"].items():
        reason = next(iter(hours.values()))
        say(f"✗ {node}: thiếu {len(hours)} giờ · {len(hours)} hours missing ({reason})")
    if found["complete"]:
        say(f"✓ Đủ {found['nodes']} nút · all {found['nodes']} nodes have told")
