"""Verdicts on evidence: as JSON facts, and as people read them."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from lienthong.directory.records import TimeAuthority
from lienthong.directory.time_authorities import check_time_certificates
from lienthong.ledger.clock import EPOCH_START
from lienthong.ledger.cosignatures import Witnessed
from lienthong.ledger.evidence import Verdict
from lienthong.ledger.fork_evidence import ForkVerdict
from lienthong.ledger.heads import format_time
from lienthong.node.vietnam_time import vietnam_time

_TIMES = {
    "": "do hai nút khẳng định · asserted by the two nodes",
    "time-stamp": "được chứng minh bằng dấu thời gian · proven by time-stamp",
    "witnesses": "được bên thứ ba làm chứng · proven by witnesses",
}


def given_authority(name: str, pem: bytes) -> TimeAuthority:
    """An authority that the judge trusts on his own. Raises InvalidCertificate."""
    text = pem.decode("ascii", "replace")
    check_time_certificates(text)
    return TimeAuthority(name, text, EPOCH_START, None)


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """What a bundle proves, as JSON."""
    proven = verdict.proven
    return {
        "verdict": "valid",
        "time": verdict.time,
        "proven_by": proven.by,
        "proven_at": None if proven.at is None else format_time(proven.at),
        "stamps": [
            {
                "authority": stamped.authority,
                "time": format_time(stamped.time),
                "accuracy_seconds": stamped.accuracy.total_seconds(),
            }
            for stamped in proven.stamps
        ],
        "witnesses": [
            *(_witness(each, party=False) for each in proven.witnesses),
            *(_witness(each, party=True) for each in proven.party_witnesses),
        ],
        "instance": verdict.instance,
        "request": verdict.request,
        "answer": verdict.answer,
        "checks": verdict.checks,
        "notes": verdict.notes,
    }


def _witness(each: Witnessed, *, party: bool) -> dict[str, Any]:
    return {"node": each.node, "time": format_time(each.time), "party": party}


def fork_facts(verdict: ForkVerdict) -> dict[str, Any]:
    """Whom a bundle accuses, as JSON."""
    return {
        "verdict": "forked",
        "node": verdict.node,
        "origin": verdict.first.origin,
        "heads": [
            {"size": head.size, "root": head.root.hex(), "time": format_time(head.time)}
            for head in (verdict.first, verdict.second)
        ],
    }


def tell(shown: dict[str, Any]) -> Table:
    """The facts as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    if shown["verdict"] == "forked":
        _tell_fork(table, shown)
    else:
        _tell_exchange(table, shown)
    return table


def _tell_exchange(table: Table, shown: dict[str, Any]) -> None:
    table.add_row(Text("✓ Bằng chứng đúng · the evidence holds", "green"), "")
    _tell_time(table, shown)
    for title, part in (("Câu hỏi · Request", "request"), ("Trả lời · Answer", "answer")):
        table.add_row(Text(title, "bold"), "")
        for name, value in shown[part].items():
            table.add_row(f"  {name}", value)
    table.add_row("Đã kiểm tra · Checked", ", ".join(shown["checks"]))
    for note in shown["notes"]:
        table.add_row("Lưu ý · Note", note)


def _tell_time(table: Table, shown: dict[str, Any]) -> None:
    words = _TIMES[shown["proven_by"]]
    if shown["proven_at"]:
        words += f"\nmuộn nhất · at the latest {vietnam_time(shown['proven_at'])}"
    table.add_row("Thời gian · Time", words)
    for stamped in shown["stamps"]:
        exact = f"± {stamped['accuracy_seconds']:g} s" if stamped["accuracy_seconds"] else ""
        said = f"{stamped['authority']}: {vietnam_time(stamped['time'])} {exact}".rstrip()
        table.add_row("  Dấu thời gian · Time-stamp", said)
    for each in shown["witnesses"]:
        part = " (một bên trong trao đổi · a party)" if each["party"] else ""
        said = f"{each['node']}: {vietnam_time(each['time'])}{part}"
        table.add_row("  Làm chứng · Witness", said)


def _tell_fork(table: Table, shown: dict[str, Any]) -> None:
    title = "✗ Hai lịch sử của một sổ · two histories of one ledger"
    table.add_row(Text(title, "red"), "")
    table.add_row("Nút · Node", shown["node"])
    table.add_row("Sổ · Ledger", shown["origin"])
    for head in shown["heads"]:
        said = f"{head['size']} nhóm · groups, {vietnam_time(head['time'])}\n{head['root']}"
        table.add_row("  Đầu sổ · Head", said)
