"""``lienthong service`` and ``lienthong client``: what a running node offers and to whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from lienthong.errors import OneOptionWanted, OptionInvalid
from lienthong.given_paths import read_given_text
from lienthong.identity.identifiers import ServiceId, SubsystemId
from lienthong.node.admin_client import call
from lienthong.node.state import StateFolder

app = typer.Typer(no_args_is_help=True, help="Dịch vụ của nút. Services of the node.")
client_app = typer.Typer(
    no_args_is_help=True, help="Hệ thống được gọi nút. Systems that may call the node."
)

NO_HTTPS = (
    "Lưu ý: nút chưa mở cổng HTTPS cho hệ thống của cơ quan; đặt client_https_listen rồi khởi "
    "động lại.\nNote: the node has no HTTPS port for the agency's systems; set "
    "client_https_listen and restart it."
)

State = Annotated[
    Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
]
Subsystem = Annotated[
    str,
    typer.Option(help="Mã hệ thống, hoặc VN/GOV/H37/motcua. Subsystem code, or the whole id."),
]
Code = Annotated[str, typer.Option(help="Mã dịch vụ. Service code.")]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]


@app.command()
def add(
    state: State,
    subsystem: Subsystem,
    code: Annotated[
        str, typer.Option(help="Mã dịch vụ. Service code; with --wsdl: only this operation.")
    ] = "",
    contract: Annotated[
        Path | None, typer.Option(help="Hợp đồng dữ liệu ODCS. ODCS contract file.")
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            help="Nguồn: sqlite:///…, postgresql://…, mysql://…, csv:///…, parquet:///…",
            envvar="LIENTHONG_SOURCE",
        ),
    ] = "",
    relay: Annotated[str, typer.Option(help="Dịch vụ HTTP có sẵn. Existing HTTP service.")] = "",
    soap: Annotated[str, typer.Option(help="Dịch vụ SOAP có sẵn. Existing SOAP service.")] = "",
    wsdl: Annotated[
        Path | None, typer.Option(help="WSDL của dịch vụ SOAP. WSDL of the SOAP service.")
    ] = None,
    classification: Annotated[
        str, typer.Option(help="Phân loại: public, internal, personal, sensitive.")
    ] = "internal",
    openapi: Annotated[
        Path | None, typer.Option(help="Mô tả OpenAPI của dịch vụ. Its OpenAPI description.")
    ] = None,
    bodies: Annotated[
        str, typer.Option(help="Sổ giữ: full, metadata, none. What the ledger keeps.")
    ] = "full",
    timeout: Annotated[
        float, typer.Option(help="Giây chờ trả lời. Seconds to wait for an answer.")
    ] = 60.0,
    insecure_tls: Annotated[
        bool,
        typer.Option("--insecure-tls", help="Không kiểm tra chứng thư. Do not check its TLS."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Thêm dịch vụ: từ hợp đồng và nguồn dữ liệu, hoặc chuyển tiếp dịch vụ HTTP có sẵn.

    Add a service: from a contract and a source, or a relay to an existing HTTP service.

    Ví dụ · Examples:

    lienthong service add STATE --subsystem dancu --code cong-dan
    --contract cong-dan.odcs.yaml --source sqlite:////srv/dancu.db

    lienthong service add STATE --subsystem benhvien --code hoat-dong
    --relay http://127.0.0.1:9000/api --classification internal

    lienthong service add STATE --subsystem hotich --soap http://127.0.0.1:9000/ws
    --wsdl hotich.wsdl
    """
    if [contract is not None, bool(relay), bool(soap)].count(True) != 1:
        raise OneOptionWanted(options="--contract (+ --source), --relay, --soap (+ --wsdl)")
    if bool(soap) != (wsdl is not None):
        raise OptionInvalid(option="--wsdl", value=wsdl or "", wanted="--soap URL --wsdl FILE")
    if wsdl is not None:
        body = {
            "subsystem": _subsystem(state, subsystem),
            "code": code,
            "url": soap,
            "wsdl": read_given_text(wsdl),
            "verify_tls": not insecure_tls,
            "classification": classification,
            "bodies": bodies,
            "timeout_seconds": timeout,
        }
        _show_all(call(state, "POST", "/services/soap", body), as_json)
        return
    if not code:
        raise OptionInvalid(option="--code", value="", wanted="--code CODE")
    body = {
        "id": _service(state, subsystem, code),
        "kind": "relay" if relay else "contract",
        "contract": "" if contract is None else read_given_text(contract),
        "source": source,
        "relay": relay,
        "verify_tls": not insecure_tls,
        "classification": classification,
        "openapi": "" if openapi is None else read_given_text(openapi),
        "bodies": bodies,
        "timeout_seconds": timeout,
    }
    _show(call(state, "POST", "/services", body), as_json)


@app.command("list")
def list_services(state: State, as_json: AsJson = False) -> None:
    """Liệt kê dịch vụ. List services.

    Ví dụ · Example: lienthong service list STATE --json
    """
    found = call(state, "GET", "/services")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    service = Column("Dịch vụ · Service", overflow="fold")
    table = Table(service, "Loại · Kind", "Phân loại · Class", "Sổ · Bodies", "")
    for each in found:
        switch = "" if each["enabled"] else f"tắt · off: {each['notice']}"
        table.add_row(each["id"], each["kind"], each["classification"], each["bodies"], switch)
    Console(markup=False, highlight=False).print(table)


@app.command()
def remove(state: State, subsystem: Subsystem, code: Code) -> None:
    """Bỏ dịch vụ. Remove a service.

    Ví dụ · Example: lienthong service remove STATE --subsystem dancu --code cong-dan
    """
    identifier = _service(state, subsystem, code)
    _show(call(state, "POST", "/services/remove", {"id": identifier}), as_json=True)


@app.command()
def disable(
    state: State,
    subsystem: Subsystem,
    code: Code,
    notice: Annotated[str, typer.Option(help="Lý do báo cho bên gọi. What callers are told.")],
) -> None:
    """Tạm tắt dịch vụ. Switch a service off for a while.

    Ví dụ · Example: lienthong service disable STATE --subsystem dancu --code cong-dan
    --notice "Bảo trì đến 6 giờ"
    """
    identifier = _service(state, subsystem, code)
    body = {"id": identifier, "enabled": False, "notice": notice}
    _show(call(state, "POST", "/services/switch", body), as_json=False)


@app.command()
def enable(state: State, subsystem: Subsystem, code: Code) -> None:
    """Bật lại dịch vụ. Switch a service on again.

    Ví dụ · Example: lienthong service enable STATE --subsystem dancu --code cong-dan
    """
    identifier = _service(state, subsystem, code)
    _show(call(state, "POST", "/services/switch", {"id": identifier, "enabled": True}), False)


@client_app.command("add")
def add_client(
    state: State,
    subsystem: Subsystem,
    connection: Annotated[
        str, typer.Option(help="http (loopback), https, mtls (có chứng thư · with certificate)")
    ] = "http",
    certificate: Annotated[
        list[Path] | None, typer.Option(help="Chứng thư PEM của hệ thống. Its certificate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cho một hệ thống của cơ quan gọi nút. Let one of the agency's systems call the node.

    Ví dụ · Example: lienthong client add STATE --subsystem motcua --connection mtls
    --certificate motcua.crt
    """
    body = {
        "subsystem": _subsystem(state, subsystem),
        "connection": connection,
        "certificates": [read_given_text(path) for path in certificate or []],
    }
    found = call(state, "POST", "/clients", body)
    typer.echo(json.dumps(found) if as_json else f"{found['subsystem']} · {found['connection']}")
    if connection != "http" and "client_https" not in call(state, "GET", "/status")["addresses"]:
        typer.echo(NO_HTTPS, err=True)


@client_app.command("list")
def list_clients(state: State, as_json: AsJson = False) -> None:
    """Liệt kê hệ thống được gọi nút. List client systems.

    Ví dụ · Example: lienthong client list STATE --json
    """
    found = call(state, "GET", "/clients")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = Table(
        Column("Hệ thống · Subsystem", overflow="fold"),
        "Kết nối · Connection",
        Column("Chứng thư SHA-256 · Certificates", overflow="fold"),
    )
    for each in found:
        prints = "\n".join(each["fingerprints"]) or "–"
        table.add_row(each["subsystem"], each["connection"], prints)
    Console(markup=False, highlight=False).print(table)


@client_app.command("remove")
def remove_client(state: State, subsystem: Subsystem) -> None:
    """Không cho hệ thống gọi nút nữa. A system may not call the node any more.

    Ví dụ · Example: lienthong client remove STATE --subsystem motcua
    """
    body = {"id": _subsystem(state, subsystem)}
    typer.echo(json.dumps(call(state, "POST", "/clients/remove", body)))


def _subsystem(state: Path, name: str) -> str:
    """The whole identifier of a subsystem: a bare code is one of the node's owner."""
    if "/" in name:
        return str(SubsystemId.parse(name))
    owner = StateFolder(state).read_identity().owner.id
    return str(SubsystemId(*(*owner.split("/"), name)))


def _service(state: Path, subsystem: str, code: str) -> str:
    """Raises InvalidIdentifier, also for a code with a slash, which would be another service."""
    return str(ServiceId(*(*_subsystem(state, subsystem).split("/"), code)))


def _show_all(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found:
        _show(each, as_json=False)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"{found['id']} · {found['kind']} · {found['classification']}")
