"""``lienthong ledger`` and ``lienthong evidence``: look things up, check, prove."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Column, Table

from lienthong.errors import EvidenceRejected, LedgerCorrupt
from lienthong.given_paths import read_given, write_given
from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder
from lienthong.node.vietnam_time import vietnam_time

app = typer.Typer(no_args_is_help=True, help="Sổ nhật ký của nút. The node's ledger.")
evidence_app = typer.Typer(
    no_args_is_help=True, help="Bằng chứng của một lần trao đổi. Evidence of an exchange."
)

State = Annotated[
    Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]


@app.command()
def verify(state: State, as_json: AsJson = False) -> None:
    """Kiểm tra toàn bộ sổ: từng bản ghi, từng nhóm, từng chữ ký; nút chạy hay dừng đều được.

    Check the whole ledger: every record, group and signature; the node may run or not.

    Ví dụ · Example: lienthong ledger verify STATE --json
    """
    from lienthong.node.ledger_check import check_ledger

    report = check_ledger(StateFolder(state))
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        typer.echo(f"{report['groups']} nhóm · groups, {report['records']} bản ghi · records")
        for problem in report["problems"]:
            typer.echo(f"  ✗ {problem}")
    if not report["good"]:
        raise LedgerCorrupt(reason=report["problems"][0])
    if not as_json:
        typer.echo("✓ Sổ nguyên vẹn · the ledger is whole")


@app.command()
def search(
    state: State,
    message: Annotated[str | None, typer.Option(help="Mã yêu cầu. Request or message id.")] = None,
    party: Annotated[str | None, typer.Option(help="Cơ quan, hệ thống. Member, subsystem.")] = None,
    dossier: Annotated[str | None, typer.Option(help="Mã hồ sơ. Dossier number.")] = None,
    citizen: Annotated[str | None, typer.Option(help="Số định danh. Citizen number.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Từ thời điểm (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Đến trước thời điểm (ISO 8601).")] = None,
    limit: Annotated[int, typer.Option(help="Số dòng tối đa. Most lines.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Tìm trong sổ theo thông điệp, bên, hồ sơ, công dân, thời gian. Search the ledger.

    Ví dụ · Example: lienthong ledger search STATE --citizen 001090000001 --json
    """
    body = {
        "message": message,
        "party": party,
        "dossier": dossier,
        "citizen": citizen,
        "since": since,
        "until": until,
        "limit": limit,
    }
    found = call(state, "POST", "/ledger/search", body)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    identifier = Column("Mã, thời gian · Id, time", no_wrap=True)  # whole, so that it can be copied
    table = Table(identifier, Column("Hỏi → dịch vụ · Client → service", overflow="fold"))
    for each in found:
        what = f"{each['kind']} {each['outcome']} {each['reason']}".strip()
        table.add_row(
            f"{each['request_id']}\n{vietnam_time(each['time'])}",
            f"{each['client']} → {each['service']}\n{what}",
        )
    _console().print(table)


@app.command()
def purge(
    state: State,
    days: Annotated[
        float | None, typer.Option(help="Thân cũ hơn số ngày này. Bodies older than this.")
    ] = None,
) -> None:
    """Xóa thân thông điệp đã quá hạn giữ; mã băm còn mãi. Delete old bodies; hashes stay.

    Ví dụ · Example: lienthong ledger purge STATE --days 365
    """
    typer.echo(json.dumps(call(state, "POST", "/ledger/purge", {"days": days})))


@app.command()
def erase(
    state: State,
    message: Annotated[str, typer.Argument(help="Mã yêu cầu. Request id of the exchange.")],
) -> None:
    """Xóa nội dung cá nhân của một lần trao đổi; cây băm giữ nguyên.

    Erase the personal contents of an exchange; the tree stays whole.

    Ví dụ · Example: lienthong ledger erase STATE 9f1c8b5e-…
    """
    typer.echo(json.dumps(call(state, "POST", "/ledger/erase", {"message": message})))


@evidence_app.command()
def export(
    state: State,
    message: Annotated[str, typer.Argument(help="Mã yêu cầu (x-road-request-id). Request id.")],
    output: Annotated[Path, typer.Option(help="Tệp bằng chứng. File to write.")],
) -> None:
    """Xuất bằng chứng của một lần trao đổi. Export the evidence of one exchange.

    Ví dụ · Example: lienthong evidence export STATE 9f1c… --output bang-chung.json
    """
    content = call(state, "GET", f"/evidence/{quote(message, safe='')}")
    write_given(output, content)
    typer.echo(str(output))


@evidence_app.command("fork")
def export_fork(
    state: State,
    node: Annotated[str, typer.Argument(help="Nút có hai lịch sử. The node that forked.")],
    output: Annotated[Path, typer.Option(help="Tệp bằng chứng. File to write.")],
) -> None:
    """Xuất bằng chứng một nút khác đã viết lại sổ của nó. Export proof that another node forked.

    Ví dụ · Example: lienthong evidence fork STATE VN/GOV/G66/n1 --output hai-lich-su.json
    """
    write_given(output, call(state, "GET", f"/forks?node_id={quote(node, safe='')}"))
    typer.echo(str(output))


@evidence_app.command("verify")
def verify_bundle(
    file: Annotated[Path, typer.Argument(help="Tệp bằng chứng. The evidence file.")],
    trust: Annotated[
        Path, typer.Option(help="Gốc tin cậy (root.json), lấy riêng. Root of trust, got apart.")
    ],
    time_authority: Annotated[
        list[Path] | None,
        typer.Option(help="Chuỗi PEM của cơ quan cấp dấu được tin thêm. One more authority's PEM."),
    ] = None,
    witnesses: Annotated[
        int,
        typer.Option(min=1, max=16, help="Số bên làm chứng cần có. Third parties it takes."),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Kiểm tra bằng chứng, không cần mạng và không cần nút nào. Verify offline.

    Ví dụ · Example: lienthong evidence verify --trust root.json bang-chung.json
    """
    from lienthong.ledger.evidence import verify_evidence
    from lienthong.ledger.fork_evidence import is_fork_bundle, verify_fork
    from lienthong.node.verdict_view import fork_facts, given_authority, tell, verdict_facts

    content, root = read_given(file), read_given(trust)
    authorities = [given_authority(path.stem, read_given(path)) for path in time_authority or ()]
    try:
        if is_fork_bundle(content):
            shown = fork_facts(verify_fork(content, root))
        else:
            shown = verdict_facts(verify_evidence(content, root, authorities, witnesses))
    except EvidenceRejected as error:
        if as_json:
            typer.echo(json.dumps({"verdict": "invalid", "reason": error.facts["reason"]}))
        raise
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        _console().print(tell(shown))


def _console() -> Console:
    return Console(markup=False, highlight=False)  # other parties wrote most of the texts
