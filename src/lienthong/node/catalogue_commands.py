"""``lienthong catalogue publish`` and ``withdraw``: asked of a running node, which signs.

The catalogue's own commands (``init``, ``serve``, ``search``, …) are in ``catalogue/commands.py``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lienthong.catalogue.commands import app
from lienthong.errors import OptionInvalid
from lienthong.given_paths import read_given_text
from lienthong.node.admin_client import call

__all__ = ["app"]

NodeState = Annotated[
    Path, typer.Argument(metavar="NODE", help="Thư mục trạng thái của nút. Node's state folder.")
]
Catalogue = Annotated[
    str, typer.Option("--catalogue", help="Địa chỉ danh mục. Address; else catalogue_url.")
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]


@app.command()
def publish(
    node: NodeState,
    service: Annotated[
        str, typer.Option(help="Dịch vụ của nút. Service, as VN/GOV/G01/dancu/cong-dan.")
    ] = "",
    contract: Annotated[
        Path | None, typer.Option(help="Hợp đồng chưa có dịch vụ. Contract without a service.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Cơ quan chủ quản. Owner, with --contract.")] = "",
    records: Annotated[
        int | None, typer.Option(min=0, help="Số bản ghi. Records in the source.")
    ] = None,
    updated: Annotated[
        str, typer.Option(help="Lần cập nhật cuối (ISO 8601). Last change of the data.")
    ] = "",
    quality: Annotated[
        str, typer.Option(help="Quy tắc đạt/tổng số, ví dụ 11/12. Rules passed/all.")
    ] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="Nút tự đo nguồn. The node measures the source.")
    ] = False,
    catalogue: Catalogue = "",
    as_json: AsJson = False,
) -> None:
    """Công bố một hợp đồng lên danh mục; nút ký thay cơ quan chủ quản.

    Publish a contract to the catalogue; the node signs for the owner. With --measure the node
    first tests the service's source by its contract, and says what each rule came to.

    Ví dụ (example): lienthong catalogue publish ./nut --service VN/GOV/G01/dancu/cong-dan
    """
    body: dict[str, Any] = {"service": service, "owner": owner, "catalogue": catalogue}
    if contract is not None:
        body["contract"] = read_given_text(contract)
    body["facts"] = facts_of(records, updated, quality)
    body["measure"] = measure
    _tell(call(node, "POST", "/catalogue/publish", body), as_json)


@app.command()
def withdraw(
    node: NodeState,
    contract: Annotated[Path, typer.Option(help="Hợp đồng đã công bố. The published contract.")],
    owner: Annotated[str, typer.Option(help="Cơ quan chủ quản. Owner, as VN/GOV/G01.")],
    reason: Annotated[str, typer.Option(help="Lý do, ai cũng đọc được. Why; everyone reads it.")],
    catalogue: Catalogue = "",
    as_json: AsJson = False,
) -> None:
    """Rút một tập dữ liệu khỏi danh mục; lịch sử còn lại.

    Take a dataset out of the catalogue; its history stays.

    Ví dụ (example): lienthong catalogue withdraw ./nut --contract cong-dan.odcs.yaml
    --owner VN/GOV/G01 --reason "Gộp vào tập dữ liệu khác"
    """
    body = {
        "contract": read_given_text(contract),
        "owner": owner,
        "reason": reason,
        "catalogue": catalogue,
    }
    _tell(call(node, "POST", "/catalogue/withdraw", body), as_json)


def facts_of(records: int | None, updated: str, quality: str) -> dict[str, Any]:
    """The facts as the management API wants them. Raises OptionInvalid."""
    facts: dict[str, Any] = {"records": records}
    if updated:
        facts["updated"] = _moment(updated)
    if quality:
        passed, _, rules = quality.partition("/")
        if not (passed.isdigit() and rules.isdigit() and int(passed) <= int(rules)):
            raise OptionInvalid(option="--quality", value=quality, wanted="11/12")
        checked = datetime.now(UTC).replace(microsecond=0).isoformat()
        failed = int(rules) - int(passed)
        facts["quality"] = {"rules": int(rules), "failed": failed, "checked": checked}
    return facts


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as error:
        raise OptionInvalid(
            option="--updated", value=text, wanted="2026-01-31T08:00:00+07:00"
        ) from error


def _tell(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        typer.echo(f"✓ {answer.get('act')}: {answer.get('entry')} {answer.get('version')}")
