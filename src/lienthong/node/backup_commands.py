"""``lienthong backup`` and ``lienthong restore``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lienthong.given_paths import read_given_text

app = typer.Typer(no_args_is_help=True)
restore_app = typer.Typer(no_args_is_help=True)

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Tệp có cụm mật khẩu ở dòng đầu; không có thì hỏi. "
        "File whose first line is the passphrase; without it you are asked.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]


@app.command()
def backup(
    state: Annotated[
        Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
    ],
    output: Annotated[Path, typer.Option(help="Tệp sao lưu cần viết. Backup file to write.")],
    passphrase_file: PassphraseFile = None,
    without_keys: Annotated[
        bool,
        typer.Option(
            "--without-keys",
            help="Không kèm khóa, không mã hóa. Leave the keys out, and do not encrypt.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Sao lưu nút vào một tệp, kể cả khi nút đang chạy; có khóa thì tệp được mã hóa.

    Back a node up into one file, also while it runs; with its keys the file is encrypted.

    Ví dụ · Example: lienthong backup STATE --output g01.backup
    --passphrase-file /etc/lienthong/g01.passphrase
    """
    from lienthong.node.backup import back_up
    from lienthong.node.state import StateFolder

    passphrase = None
    if not without_keys or passphrase_file is not None:
        passphrase = _passphrase(passphrase_file, new=True)
    taken = back_up(StateFolder(state), output, passphrase)
    if as_json:
        typer.echo(json.dumps({**taken._asdict(), "file": str(taken.file)}))
        return
    keys = "có khóa · with keys" if taken.keys else "không có khóa · without keys"
    typer.echo(f"{taken.file}: {taken.bytes:,} B, {taken.members} phần · members, {keys}")


@restore_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="Tệp sao lưu. Backup file.")],
    state: Annotated[
        Path,
        typer.Argument(help="Thư mục trạng thái mới, trống. New, empty state folder."),
    ],
    passphrase_file: PassphraseFile = None,
    keys: Annotated[
        Path | None,
        typer.Option(help="Thư mục khóa, cho bản sao không kèm khóa. Folder of the node's keys."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            help="Cơ sở dữ liệu PostgreSQL khác, trống. Another, empty PostgreSQL database.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Khôi phục nút từ bản sao lưu: kiểm tra hết trước, không ghi đè, không để lại dở dang.

    Bring a node back: everything is checked first, nothing overwritten, nothing left half-done.

    Ví dụ · Example: lienthong restore g01.backup /var/lib/lienthong/g01
    --passphrase-file /etc/lienthong/g01.passphrase
    """
    from lienthong.node.backup_file import is_sealed
    from lienthong.node.restore import restore as bring_back

    passphrase = _passphrase(passphrase_file, new=False) if is_sealed(file) else None
    restored = bring_back(file, state, passphrase, keys, database_url)
    if as_json:
        typer.echo(json.dumps(restored._asdict(), ensure_ascii=False))
        return
    typer.echo(f"{restored.node}: {restored.made}, {restored.groups} nhóm · groups, ✓")
    typer.echo("Khởi động khi có mạng: nút hỏi các nút khác nó đã mất gì · Start it with the")
    typer.echo("network on: the node asks the others what it lost.")


def _passphrase(file: Path | None, *, new: bool) -> str:
    """From the file's first line, or from the person at the terminal. Raises PassphraseWanted."""
    from lienthong.errors import PassphraseWanted
    from lienthong.node.backup_file import SHORTEST_PASSPHRASE

    if file is not None:
        return (read_given_text(file).splitlines() or [""])[0]
    if not sys.stdin.isatty():
        raise PassphraseWanted(least=SHORTEST_PASSPHRASE)
    return str(
        typer.prompt(
            "Cụm mật khẩu · passphrase", hide_input=True, confirmation_prompt=new, err=True
        )
    )
