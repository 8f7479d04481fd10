"""``lienthong agreement``: who may ask whom for what. Talks to the running node."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Column, Table

from lienthong.contracts.loading import load_contract
from lienthong.errors import EndpointWanted, InvalidAgreementDocument
from lienthong.node.admin_client import call
from lienthong.node.vietnam_time import VIETNAM, vietnam_time

NAMES = {
    "proposed": "đề nghị / proposed",
    "active": "hiệu lực / active",
    "refused": "từ chối / refused",
    "withdrawn": "đã rút / withdrawn",
    "expired": "hết hạn / expired",
}
STATEMENT = ("act", "party", "node", "reason")
_SUMMARY = "Thỏa thuận chia sẻ dữ liệu. Agreements: who may ask whom for what."

app = typer.Typer(help=_SUMMARY, no_args_is_help=True)

State = Annotated[
    Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
]
Id = Annotated[str, typer.Argument(help="Mã thỏa thuận. Id of the agreement.")]
Reason = Annotated[
    str,
    typer.Option("--reason", help="Lý do; bên kia đọc được. Why; the other party reads it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="In kết quả dạng JSON. Print JSON.")]


@app.command()
def propose(
    state: State,
    consumer: Annotated[str, typer.Option(help="Hệ thống con bên hỏi. Asking subsystem.")],
    service: Annotated[str, typer.Option(help="Dịch vụ được hỏi. Service asked.")],
    purpose: Annotated[
        list[str],
        typer.Option(help="Mục đích; mục đích đầu là mặc định. Purpose; first is the default."),
    ],
    legal_basis: Annotated[str, typer.Option(help="Căn cứ pháp lý. Legal basis.")],
    since: Annotated[
        str, typer.Option("--from", help="Từ ngày (0 giờ Việt Nam). From this day (Vietnam).")
    ],
    until: Annotated[
        str,
        typer.Option("--until", help="Đến trước 0 giờ ngày này. Until this day, exclusive."),
    ],
    fields: Annotated[
        str,
        typer.Option(
            help="Các trường, cách nhau dấu phẩy; để trống: dịch vụ chuyển tiếp. "
            "Fields, comma between; empty: a relay service."
        ),
    ] = "",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="Phương thức và mẫu đường dẫn, ví dụ 'GET /ho-so/*'. Method and path pattern."
        ),
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option(help="Tệp hợp đồng đang xem. Contract file that the terms refer to."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Số yêu cầu mỗi giây. Requests a second.")
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option(help="Số yêu cầu dồn tối đa; mặc định bằng --rate. Requests at once."),
    ] = None,
    daily: Annotated[
        int | None, typer.Option(help="Số khóa được hỏi mỗi ngày. Keys asked about a day.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Đề nghị một thỏa thuận với bên kia; có hiệu lực khi bên kia chấp nhận.

    Propose an agreement; it is in force when the other party accepts it.

    Ví dụ (example): lienthong agreement propose STATE --consumer VN/GOV/H37/motcua
    --service VN/GOV/G01/dancu/cong-dan --fields ho_ten,noi_thuong_tru --purpose 1.004222
    --legal-basis "Nghị định 47/2020/NĐ-CP" --from 2026-01-01 --until 2027-01-01
    """
    if not fields.strip(", ") and not endpoint:
        raise EndpointWanted()
    body: dict[str, Any] = {
        "consumer": consumer,
        "service": service,
        "purposes": purpose,
        "legal_basis": legal_basis,
        "valid_from": moment(since).isoformat(),
        "valid_until": moment(until).isoformat(),
        "fields": [name.strip() for name in fields.split(",") if name.strip()],
        "endpoints": endpoint or [],
        "contract": _reference(contract),
        "rate": rate,
        "burst": burst,
        "daily_quota": daily,
    }
    _show(call(state, "POST", "/agreements", body), as_json)


@app.command("list")
def list_agreements(state: State, as_json: AsJson = False) -> None:
    """Liệt kê các thỏa thuận mà nút biết.

    List the agreements that the node knows.

    Ví dụ (example): lienthong agreement list STATE --json
    """
    answer = call(state, "GET", "/agreements", None)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    identifier = Column("Mã, trạng thái / Id, status", no_wrap=True)  # whole, to be copied
    table = Table(identifier, Column("Bên hỏi → dịch vụ / Consumer → service", overflow="fold"))
    for agreement in answer["agreements"]:
        status = NAMES[agreement["status"]]
        parties = f"{agreement['consumer']} → {agreement['service']}"
        table.add_row(f"{agreement['id']}\n{status}", parties)
    _console().print(table)


@app.command()
def show(state: State, agreement: Id, as_json: AsJson = False) -> None:
    """Xem một thỏa thuận: điều khoản, chữ ký, nơi chưa nhận.

    Show one agreement: terms, signatures, nodes that have not confirmed it.

    Ví dụ (example): lienthong agreement show STATE 3d7003f8-d233-4a4b-94dd-eb0fabb224db
    """
    _show(call(state, "GET", _path(agreement), None), as_json)


@app.command()
def accept(state: State, agreement: Id, as_json: AsJson = False) -> None:
    """Chấp nhận đề nghị của bên kia; có hiệu lực ngay ở cả hai nút.

    Accept what the other party proposed; in force at once on both nodes.

    Ví dụ (example): lienthong agreement accept STATE 3d7003f8-d233-4a4b-94dd-eb0fabb224db
    """
    _show(call(state, "POST", _path(agreement, "/accept"), None), as_json)


@app.command()
def refuse(state: State, agreement: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Từ chối đề nghị của bên kia.

    Refuse what the other party proposed.

    Ví dụ (example): lienthong agreement refuse STATE MÃ --reason "thiếu căn cứ pháp lý"
    """
    body = {"reason": reason}
    _show(call(state, "POST", _path(agreement, "/refuse"), body), as_json)


@app.command()
def withdraw(state: State, agreement: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Rút một thỏa thuận; chấm dứt ngay ở nút này, và ở nút kia khi tin đến.

    Withdraw an agreement: it ends here at once, and there when the word arrives.

    Ví dụ (example): lienthong agreement withdraw STATE MÃ --reason "hết nhu cầu"
    """
    body = {"reason": reason}
    _show(call(state, "POST", _path(agreement, "/withdraw"), body), as_json)


def moment(text: str) -> datetime:
    """Read a day (its midnight in Vietnam) or a time with its offset.

    Raises InvalidAgreementDocument.
    """
    try:
        if len(text) == len("2026-01-01"):
            midnight = datetime.min.time()
            return datetime.combine(date.fromisoformat(text), midnight, tzinfo=VIETNAM)
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidAgreementDocument(reason=f"{text} is not a date like 2026-01-01") from error
    if time.tzinfo is None:
        raise InvalidAgreementDocument(reason=f"{text} has no offset such as +07:00")
    return time


def _path(agreement: str, step: str = "") -> str:
    return f"/agreements/{quote(agreement, safe='')}{step}"


def _reference(file: Path | None) -> dict[str, str] | None:
    if file is None:
        return None
    contract = load_contract(file)
    return {"id": contract.id, "version": contract.version, "digest": contract.digest}


def _console() -> Console:
    return Console(markup=False, highlight=False)  # the other party wrote some of the texts


def _show(agreement: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(agreement, ensure_ascii=False))
        return
    table = Table(show_header=False)
    for label, value in _rows(agreement):
        table.add_row(label, value)
    _console().print(table)


def _rows(agreement: dict[str, Any]) -> list[tuple[str, str]]:
    rate = agreement["rate"]
    limits = [f"{rate['per_second']}/s (≤ {rate['burst']})"] if rate else []
    limits += [f"{agreement['daily_quota']}/ngày"] if agreement["daily_quota"] else []
    signatures = (
        "  ".join((vietnam_time(each["time"]), *(each[name] for name in STATEMENT))).strip()
        for each in agreement["statements"]
    )
    since, until = vietnam_time(agreement["valid_from"]), vietnam_time(agreement["valid_until"])
    waiting = (f"{each['node']}: {each['last_error']}" for each in agreement["undelivered"])
    return [
        ("Mã / Id", agreement["id"]),
        ("Trạng thái / Status", NAMES[agreement["status"]]),
        ("Bên hỏi / Consumer", agreement["consumer"]),
        ("Dịch vụ / Service", f"{agreement['service']} ({agreement['kind']})"),
        ("Trường / Fields", ", ".join(agreement["fields"])),
        ("Đường dẫn / Endpoints", "\n".join(agreement["endpoints"])),
        ("Mục đích / Purposes", "\n".join(agreement["purposes"])),
        ("Căn cứ / Legal basis", agreement["legal_basis"]),
        ("Hiệu lực / Valid", f"{since} → {until}"),
        ("Hạn mức / Limits", ", ".join(limits) or "–"),
        ("Chữ ký / Statements", "\n".join(signatures)),
        ("Chưa nhận / Undelivered", "\n".join(waiting) or "–"),
    ]
