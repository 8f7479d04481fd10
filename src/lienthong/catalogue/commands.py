"""``lienthong catalogue``: the catalogue's own commands. ``publish`` and ``withdraw``, which ask
a node, are in ``node/catalogue_commands.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from lienthong.catalogue.folder import CatalogueFolder
from lienthong.catalogue.harvest.commands import app as harvest
from lienthong.catalogue.hosting import host
from lienthong.catalogue.models import CatalogueEntry, Kept
from lienthong.catalogue.query import Query
from lienthong.catalogue.routes import page_of
from lienthong.catalogue.search import CatalogueSearch, Found
from lienthong.catalogue.tables import SCHEMA
from lienthong.errors import EntryUnknown, OptionInvalid
from lienthong.given_paths import read_given
from lienthong.ledger.database import connect_database
from lienthong.schema.migrations import migrate as change_tables
from lienthong.schema.migrations import newest

app = typer.Typer(
    no_args_is_help=True,
    help="Danh mục dữ liệu dùng chung. The catalogue of shared databases.",
)

app.add_typer(harvest, name="harvest")

State = Annotated[
    Path, typer.Argument(metavar="STATE", help="Thư mục của danh mục. The catalogue's folder.")
]
Key = Annotated[
    str, typer.Argument(metavar="ENTRY", help="Tên mục: cơ quan/mã hợp đồng. Owner/contract id.")
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]

NAMES = {
    "agency": "Cơ quan · agency",
    "domain": "Lĩnh vực · domain",
    "unit": "Đơn vị hành chính · unit",
    "classification": "Phân loại · classification",
    "legal_basis": "Căn cứ · legal basis",
    "source": "Nguồn · source",
}


@app.command()
def init(
    state: State,
    directory: Annotated[str, typer.Option(help="Địa chỉ danh bạ. Address of the directory.")],
    root: Annotated[Path, typer.Option(help="Tệp root.json. The directory's root of trust.")],
    database: Annotated[
        str, typer.Option(help="PostgreSQL (SQLAlchemy); để trống: SQLite. Empty: SQLite.")
    ] = "",
) -> None:
    """Tạo danh mục mới, trống.

    Make a new, empty catalogue.

    Ví dụ (example): lienthong catalogue init ./danh-muc --directory https://danh-ba.example.vn
    --root root.json
    """
    CatalogueFolder.init(state, directory=directory, root=read_given(root), database=database)
    typer.echo(f"Danh mục sẵn sàng: {state}. The catalogue is ready.")


@app.command()
def serve(
    state: State,
    listen: Annotated[str, typer.Option(help="Địa chỉ và cổng. Address and port.")] = (
        "127.0.0.1:8091"
    ),
    certificate: Annotated[
        Path | None, typer.Option(help="Tệp PEM chứng thư TLS. PEM file of the certificate.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Tệp PEM khóa TLS. PEM file of the key.")] = None,
) -> None:
    """Nhận bản công bố từ các nút và trả lời tìm kiếm qua HTTP, đến khi bị dừng.

    Take publications from nodes and answer searches over HTTP, until stopped.

    Ví dụ (example): lienthong catalogue serve ./danh-muc --listen 127.0.0.1:8091
    """
    address, _, port = listen.rpartition(":")
    if not port.isdigit() or int(port) > 65_535:
        raise OptionInvalid(option="--listen", value=listen, wanted="127.0.0.1:8091")
    folder = CatalogueFolder(state)
    typer.echo(f"http{'s' if certificate else ''}://{listen}")
    host(folder, address, int(port), certificate, key)


@app.command()
def search(
    state: State,
    text: Annotated[
        str, typer.Argument(help='Từ, "cụm từ", tiền tố*, truong:tên. Words, "phrase", prefix*.')
    ] = "",
    agency: Annotated[
        list[str] | None, typer.Option(help="Cơ quan. Agency, as VN/GOV/G01.")
    ] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Lĩnh vực. Domain.")] = None,
    unit: Annotated[list[str] | None, typer.Option(help="Mã tỉnh. Code of a province.")] = None,
    classification: Annotated[
        list[str] | None, typer.Option(help="public, internal, personal, sensitive.")
    ] = None,
    legal_basis: Annotated[list[str] | None, typer.Option(help="Căn cứ. Legal basis.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="Tên trường. Name of a field.")] = None,
    limit: Annotated[int, typer.Option(help="Số kết quả. Results on a page.")] = 20,
    offset: Annotated[int, typer.Option(help="Bỏ qua. Results to skip.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Tìm tập dữ liệu, có dấu hay không dấu.

    Search for datasets, with or without diacritics.

    Ví dụ (example): lienthong catalogue search ./danh-muc "ho tich" --unit 01
    """
    filters = {
        "agency": agency,
        "domain": domain,
        "unit": unit,
        "classification": classification,
        "legal_basis": legal_basis,
    }
    given = {name: tuple(values) for name, values in filters.items() if values}
    query = Query(text, given, tuple(field or ()), limit, offset)
    with CatalogueFolder(state).store() as store:
        found = CatalogueSearch(store).find(query)
    if as_json:
        _print_json(page_of(found))
    else:
        _print_found(found)


@app.command()
def show(state: State, entry: Key, as_json: AsJson = False) -> None:
    """Mọi điều danh mục biết về một tập dữ liệu, và cách xin quyền.

    All that the catalogue knows of a dataset, and how to ask for access.

    Ví dụ (example): lienthong catalogue show ./danh-muc VN/GOV/G01/cong-dan
    """
    with CatalogueFolder(state).store() as store:
        found = store.get(entry)
    if as_json:
        _print_json(found)
    else:
        _print_entry(found)


@app.command()
def history(state: State, entry: Key, as_json: AsJson = False) -> None:
    """Mọi phiên bản đã công bố và mọi lần rút, kèm nút đã ký.

    All versions that were published, and withdrawals, with the node that signed.

    Ví dụ (example): lienthong catalogue history ./danh-muc VN/GOV/G01/cong-dan
    """
    with CatalogueFolder(state).store() as store:
        kept = store.history(entry)
    if not kept:
        raise EntryUnknown(entry=entry[:200])
    if as_json:
        _print_json(kept)
    else:
        _print_history(kept)


@app.command()
def migrate(
    state: State,
    to: Annotated[
        str,
        typer.Option(
            help="Phiên bản cần tới; mặc định: mới nhất. Version wanted; default: newest."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Đưa các bảng của danh mục đã dừng tới một phiên bản khác, tiến hoặc lùi.

    Bring a stopped catalogue's tables to another version, forward or back; a start does the
    forward way by itself.

    Ví dụ (example): lienthong catalogue migrate ./danh-muc --to 0001
    """
    engine = connect_database(CatalogueFolder(state).database)
    try:
        wanted = to or newest(SCHEMA)
        before = change_tables(engine, wanted, SCHEMA)
    finally:
        engine.dispose()
    told = {"before": before, "after": wanted}
    typer.echo(json.dumps(told) if as_json else f"{before or '–'} → {wanted}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))


def _print_found(found: Found) -> None:
    console = Console(highlight=False, markup=False)
    about = "" if found.exact else "khoảng / about "
    console.print(f"{about}{found.total} tập dữ liệu · datasets", style="bold")
    for entry in found.entries:
        console.print(f"{entry.title}  [{entry.classification.value}]")
        console.print(f"  {entry.owner_name} · {entry.domain} · {entry.key}", style="dim")
    for facet, values in found.facets.items():
        top = "  ".join(f"{value.label} {value.count}" for value in values[:5])
        if top:
            console.print(f"{NAMES[facet]}: {top}", style="dim", soft_wrap=True)


def _print_entry(entry: CatalogueEntry) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{entry.title} ({entry.version})", style="bold")
    for name, value in _lines(entry):
        if value:
            console.print(f"{name}: {value}")
    table = Table("Trường · field", "Tên · title", "Kiểu · type", "Phân loại · classification")
    for field in entry.fields:
        table.add_row(field.name, field.title, field.type, field.classification.value)
    console.print(table)


def _lines(entry: CatalogueEntry) -> Iterator[tuple[str, str]]:
    facts, quality = entry.facts, entry.facts.quality
    yield "Mô tả · description", entry.description
    yield "Cơ quan chủ quản · owner", f"{entry.owner_name} ({entry.owner})"
    yield "Căn cứ pháp lý · legal basis", "; ".join(entry.legal_basis)
    yield "Lĩnh vực · domain", entry.domain
    yield "Đơn vị hành chính · unit", entry.unit_name
    yield "Cập nhật · brought up to date", entry.frequency
    yield "Dữ liệu mới nhất · newest data", facts.updated.isoformat() if facts.updated else ""
    yield "Số bản ghi · records", f"{facts.records:,}" if facts.records is not None else ""
    if quality:
        checked = quality.checked.date().isoformat()
        passed = f"{quality.rules - quality.failed}/{quality.rules} ({checked})"
        yield "Quy tắc chất lượng đạt · quality rules passed", passed
    used = "" if facts.consumers is None else str(facts.consumers)
    yield "Cơ quan đang dùng · agencies that use it", used
    for user in entry.users:
        told = "; ".join(user.purposes)
        yield "", f"{user.name} ({user.member}){': ' if told else ''}{told}"
    yield "Xin quyền · how to ask for access", how_to_ask(entry)


def how_to_ask(entry: CatalogueEntry) -> str:
    """What an agency does to get access, in one line."""
    if entry.service:
        return f"lienthong agreement propose STATE --service {entry.service} …"
    if entry.landing_page:
        return entry.landing_page
    return f"Chưa có dịch vụ; liên hệ {entry.owner_name}. No service yet; ask the owner."


def _print_history(kept: list[Kept]) -> None:
    table = Table("Lúc · time", "Việc · act", "Phiên bản · version", "Nút · node", "SHA-256")
    for each in kept:
        said = each.publication
        when = said.time.isoformat()
        table.add_row(when, said.act.value, said.version, said.node, said.digest[:16])
    Console(highlight=False).print(table)
