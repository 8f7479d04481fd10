"""The whole of ``lienthong contract``: each room's commands, and ``publish``, which asks a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from lienthong.contracts.commands import app
from lienthong.contracts.comparison_commands import JsonOption
from lienthong.contracts.loading import load_contract
from lienthong.contracts.references import Neighbours
from lienthong.given_paths import read_given_text
from lienthong.node.admin_client import call
from lienthong.sources.contract_commands import infer, test

__all__ = ["app"]

app.command()(infer)
app.command()(test)


@app.command()
def publish(
    contract: Annotated[Path, typer.Argument(help="Tệp ODCS. ODCS file.")],
    node: Annotated[Path, typer.Option(help="Thư mục trạng thái của nút. Node's state folder.")],
    owner: Annotated[str, typer.Option(help="Cơ quan chủ quản. Owner, as VN/GOV/G01.")],
    source: Annotated[
        str, typer.Option(help="Đo chất lượng tại nguồn trước. Measure the quality first.")
    ] = "",
    catalogue: Annotated[
        str, typer.Option(help="Địa chỉ danh mục. Address; else catalogue_url.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Công bố một hợp đồng lên danh mục; nút ký thay cơ quan chủ quản.

    Publish a contract to the catalogue; the node signs for the owner. With --source the entry says
    how many records there are and how many rules of quality they meet.

    Ví dụ (example): lienthong contract publish cong-dan.odcs.yaml --node ./nut --owner VN/GOV/G01
    """
    text = read_given_text(contract)
    load_contract(text.encode())
    body: dict[str, Any] = {"service": "", "owner": owner, "catalogue": catalogue, "contract": text}
    body["facts"] = _facts(contract, source) if source else {"records": None}
    answer = call(node, "POST", "/catalogue/publish", body)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        typer.echo(f"✓ {owner}: {contract}")


def _facts(contract: Path, source: str) -> dict[str, Any]:
    from lienthong.node.measured_quality import facts_of_report
    from lienthong.sources.quality import measure_quality

    report = measure_quality(load_contract(contract), source, beside=Neighbours(contract.parent))
    facts = facts_of_report(report)
    return {"records": facts.records, "quality": msgspec.to_builtins(facts.quality)}
