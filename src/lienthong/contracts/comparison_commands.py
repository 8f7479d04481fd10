"""``lienthong contract diff`` and ``new``: versions compared, a first file to fill in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lienthong.contracts.classification import Classification
from lienthong.contracts.comparison import Change, Difference, Level, compare
from lienthong.contracts.drafting import LEGAL_BASIS_WANTED, Draft, DraftField, write_draft
from lienthong.contracts.loading import load_contract, read_contract
from lienthong.contracts.models import FieldType
from lienthong.errors import BreakingChange, PathUnusable
from lienthong.given_paths import write_given

JsonOption = Annotated[bool, typer.Option("--json", help="In kết quả dạng JSON. Print JSON.")]
_MARKS = {Level.MAJOR: "✗", Level.MINOR: "+", Level.PATCH: "·"}


def diff(
    old: Annotated[Path, typer.Argument(help="Bản cũ. The old version.")],
    new: Annotated[Path, typer.Argument(help="Bản mới. The new version.")],
    refuse_breaking: Annotated[
        bool,
        typer.Option(
            "--refuse-breaking",
            help="Báo lỗi khi có thay đổi phá vỡ. Fail at any breaking change.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """So sánh hai phiên bản của một hợp đồng: thay đổi gì, phá vỡ ai, cần số phiên bản nào.

    Compare two versions of a contract: what changed, whom it breaks, which number it needs.
    Exits with 6 if the new version number is too low.

    Ví dụ (example): lienthong contract diff cong-dan-1.odcs.yaml cong-dan-2.odcs.yaml
    """
    difference = compare(read_contract(old), read_contract(new))
    if as_json:
        typer.echo(json.dumps(_difference(difference), ensure_ascii=False))
    else:
        _print_difference(difference)
    difference.check_version()
    if refuse_breaking and difference.breaking:
        raise BreakingChange(count=sum(change.breaking for change in difference.changes))


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "old": difference.old_version,
        "new": difference.new_version,
        "breaking": difference.breaking,
        "needed": difference.needed,
        "fits": difference.fits,
        "changes": list(map(_change, difference.changes)),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "code": change.code,
        "level": change.level.name.lower(),
        "breaking": change.breaking,
        "place": change.place,
        "before": change.before,
        "after": change.after,
        "text_vi": change.text("vi"),
        "text_en": change.text("en"),
    }


def _print_difference(difference: Difference) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{difference.old_version} → {difference.new_version}", style="bold")
    for change in difference.changes:
        console.print(f"{_MARKS[change.level]} [{change.code}] {change.text('vi')}")
        console.print(f"  {change.text('en')}", style="dim")
    if not difference.changes:
        console.print("Không có thay đổi. Nothing changed.")
    word = "Phá vỡ tương thích (breaking)" if difference.breaking else "Tương thích (compatible)"
    console.print(f"{word}; phiên bản thấp nhất (lowest version): {difference.needed}")


def new(
    file: Annotated[Path, typer.Argument(help="Tệp sẽ viết. The file to write.")],
    contract_id: Annotated[str, typer.Option("--id", help="Mã hợp đồng. The contract's id.")],
    name: Annotated[str, typer.Option(help="Tên của dữ liệu. What the data is called.")],
    table: Annotated[str, typer.Option(help="Bảng nguồn. The source's table.")],
    key: Annotated[
        str, typer.Option(help="Trường khóa. The key's field, in letters a-z, digits and _.")
    ],
    legal_basis: Annotated[str, typer.Option(help="Căn cứ pháp lý. The law.")] = "",
    owner: Annotated[str, typer.Option(help="Đơn vị phụ trách. Who answers for it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Viết một hợp đồng mới, có chú thích, để điền tiếp.

    Write a new contract, with comments, to be filled in. A file that exists is left alone.

    Ví dụ (example): lienthong contract new cong-dan.odcs.yaml --id vn-g01-cong-dan
    --name "Công dân" --table cong_dan --key so_dinh_danh
    """
    why = "khóa; đặt lại phân loại cho đúng (the key; set its class)"
    field = DraftField(
        key, FieldType.STRING, Classification.PERSONAL, why=why, required=True, key_position=1
    )
    draft = Draft(
        id=contract_id,
        name=name,
        dataset=table.rpartition(".")[2],
        table=table,
        key=key,
        fields=(field,),
        comments=("Hợp đồng mới: thêm các trường (a new contract: add the fields).",),
        owner=owner,
        legal_basis=legal_basis or LEGAL_BASIS_WANTED,
    )
    content = write_draft(draft).encode()
    loaded = load_contract(content)
    write_new(file, content)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "id": loaded.id, "version": loaded.version}))
    else:
        typer.echo(f"✓ {file}")


def write_new(file: Path, content: bytes) -> None:
    """Write a file that is not there yet. Raises PathUnusable."""
    if file.exists():
        raise PathUnusable(path=file, reason="exists already")
    write_given(file, content)
