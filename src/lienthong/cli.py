"""The command ``lienthong``: one sub-command a room, loaded only when it is called.

An error of ours is printed with its remedy, in Vietnamese and English, and gives the exit code
of its kind (see ``lienthong.errors``).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from lienthong import __version__
from lienthong.errors import LienthongError
from lienthong.given_paths import path_unusable


class _Room(NamedTuple):
    """Where a sub-command's Typer application is, and its line in ``--help``."""

    module: str
    attribute: str
    summary: str


ROOMS = {
    "demo": _Room("lienthong.demo.commands", "app", "Một quốc gia thu nhỏ · a nation in a box"),
    "node": _Room("lienthong.node.commands", "app", "Nút của cơ quan · the agency's node"),
    "directory": _Room("lienthong.directory.commands", "app", "Danh bạ · the directory"),
    "service": _Room("lienthong.node.service_commands", "app", "Dịch vụ · services of a node"),
    "client": _Room(
        "lienthong.node.service_commands", "client_app", "Hệ thống gọi nút · client systems"
    ),
    "agreement": _Room("lienthong.node.agreement_commands", "app", "Thỏa thuận · agreements"),
    "contract": _Room(
        "lienthong.node.contract_commands", "app", "Hợp đồng dữ liệu · data contracts"
    ),
    "catalogue": _Room(
        "lienthong.node.catalogue_commands", "app", "Danh mục dữ liệu · the catalogue"
    ),
    "portal": _Room("lienthong.portal.commands", "app", "Cổng web · the web portal"),
    "ledger": _Room("lienthong.node.ledger_commands", "app", "Sổ nhật ký · the ledger"),
    "evidence": _Room("lienthong.node.ledger_commands", "evidence_app", "Bằng chứng · evidence"),
    "backup": _Room("lienthong.node.backup_commands", "app", "Sao lưu nút · back a node up"),
    "restore": _Room(
        "lienthong.node.backup_commands", "restore_app", "Khôi phục nút · bring a node back"
    ),
    "doctor": _Room(
        "lienthong.node.doctor.commands", "app", "Khám nút · what is wrong, what to do"
    ),
    "network": _Room(
        "lienthong.node.counters.network_commands", "app", "Toàn mạng · the whole network"
    ),
    "token": _Room("lienthong.identity.token_commands", "app", "Thiết bị giữ khóa · tokens"),
    "units": _Room("lienthong.units.commands", "app", "Đơn vị hành chính, mã cơ quan · units"),
}


class _Rooms(TyperGroup):
    """Imports a room's commands when they are asked for: most calls need one room only.

    It has to be one of Typer's groups: Typer brings a click of its own, whose exits and usage
    errors a group of the package ``click`` would not know.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        room = ROOMS.get(cmd_name)
        if room is None:
            return None
        application = getattr(import_module(room.module), room.attribute)
        return typer.main.get_command(application)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Lệnh · Commands"):
            formatter.write_dl([(name, room.summary) for name, room in ROOMS.items()])


_application = typer.Typer(
    cls=_Rooms,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # the list of rooms comes from the table, not from the rooms
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lienthong, version {__version__}")
        raise typer.Exit


@_application.callback()
def _describe(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Phiên bản. Version."
        ),
    ] = False,
) -> None:
    """Liên Thông: kết nối, chia sẻ và chứng minh dữ liệu giữa các cơ quan nhà nước.

    Connects the databases of state agencies; proves what they shared.

    Ví dụ · Example: lienthong demo run
    """


program = typer.main.get_command(_application)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        program(prog_name="lienthong")
    except LienthongError as error:
        tell(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        unusable = path_unusable(error)
        if unusable is None:
            raise
        tell(unusable)
        sys.exit(unusable.exit_code)


def tell(error: LienthongError) -> None:
    """Print an error for a person: what, what to do, and its code."""
    order = ("en", "vi") if os.environ.get("LIENTHONG_LANGUAGE") == "en" else ("vi", "en")
    for language in order:
        print(f"{error.message(language)} {error.remedy(language)}", file=sys.stderr)
    print(f"[{error.code}]", file=sys.stderr)


if __name__ == "__main__":
    main()
