"""A node's status as a person reads it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lienthong.node.vietnam_time import vietnam_time


def show_status(status: dict[str, Any]) -> None:
    """Print the status of a running node as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Nút · Node", f"{status['node']}  ({status['version']})")
    for name, address in status["addresses"].items():
        table.add_row(f"Cổng · Port {name}", address)
    table.add_row("Tình trạng · Health", status["health"]["status"])
    for check in status["health"]["checks"]:
        mark = "✓" if check["ok"] else "✗"
        table.add_row(f"  {mark} {check['name']}", check["reason"])
    directory = status["directory"]
    table.add_row("Danh bạ · Directory", f"{directory['instance']} {directory['version']}")
    for alarm in directory["alarms"]:
        table.add_row(Text("  ! báo động · alarm", "red"), alarm)
    for each in status["expiry"]:
        if each["threshold_days"] is not None:
            word = "hết hạn · over" if each["threshold_days"] == 0 else "sắp hết hạn · ends soon"
            left = f"{vietnam_time(each['until'])} ({each['days_left']} ngày · days)"
            table.add_row(Text(f"  ! {word}", "red"), f"{each['kind']} {each['name']}: {left}")
    ledger = status["ledger"]
    table.add_row("Sổ · Ledger", f"{ledger['groups']} nhóm · groups")
    for gap in status["gaps"]:
        words = f"{vietnam_time(gap['opened'])}: {gap['reason']}"
        table.add_row(Text("  ! khôi phục · restored", "red"), words)
    for fork in status["forks"]:
        table.add_row(Text("  ! hai lịch sử · fork", "red"), fork[0])
    _add_anchors(table, status)
    table.add_row("Dịch vụ · Services", "\n".join(status["services"]) or "–")
    table.add_row("Hệ thống · Clients", "\n".join(status["clients"]) or "–")
    Console(markup=False, highlight=False).print(table)


def _add_anchors(table: Table, status: dict[str, Any]) -> None:
    """Time-stamps and witnesses of the node's own heads."""
    stamps, witnesses = status["time_stamps"], status["witnesses"]
    last = vietnam_time(stamps["last_stamp"]) if stamps["last_stamp"] else "–"
    waiting = f"{stamps['backlog_groups']} nhóm chờ · groups wait"
    table.add_row(
        "Dấu thời gian · Time-stamps", f"{last}; {waiting}" if stamps["configured"] else "–"
    )
    if stamps["alarm"]:
        words = f"{stamps['backlog_seconds']:.0f} s; {stamps['last_error']}"
        table.add_row(Text("  ! chờ quá lâu · waits too long", "red"), words)
    signed = [f"{node}  {vietnam_time(at)}" for node, at in witnesses["signed"].items()]
    table.add_row("Làm chứng · Witnesses", "\n".join(signed) or "–")
    for node, reason in witnesses["refused"].items():
        table.add_row(f"  ! {node}", reason)
