"""``lienthong portal``: make a portal, run it, and manage its accounts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lienthong.errors import OptionInvalid, RoleUnknown
from lienthong.portal.roles import GRANTED, Role

if TYPE_CHECKING:
    from lienthong.portal.accounts import Accounts

app = typer.Typer(no_args_is_help=True, help="Cổng web. The web portal.")
user_app = typer.Typer(no_args_is_help=True, help="Tài khoản của cổng web. Accounts.")
app.add_typer(user_app, name="user")

State = Annotated[
    Path, typer.Argument(help="Thư mục trạng thái của cổng web. State folder of the portal.")
]
Name = Annotated[str, typer.Argument(help="Tên đăng nhập. Name to sign in with.")]


@app.command()
def init(
    state: State,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Cài đặt TÊN=GIÁ TRỊ. A setting: NAME=VALUE."),
    ] = None,
) -> None:
    """Tạo thư mục trạng thái của cổng web; chạy lại không làm mất gì.

    Make a portal's state folder; running it again loses nothing.

    Ví dụ · Example: lienthong portal init STATE --set portal_node_state=/var/lib/lienthong/g01
    """
    from lienthong.portal.folder import PortalFolder
    from lienthong.settings import load_settings

    chosen: dict[str, str] = {}
    for each in setting or ():
        name, equals, value = each.partition("=")
        if not equals:
            raise OptionInvalid(option="--set", value=each, wanted="NAME=VALUE")
        chosen[name] = value
    load_settings(environment={f"LIENTHONG_{name.upper()}": v for name, v in chosen.items()})
    PortalFolder(state).make(chosen)
    typer.echo(str(state))


@app.command()
def run(
    state: State,
    listen: Annotated[
        str, typer.Option(help="Nơi lắng nghe, thay portal_listen. Where to listen.")
    ] = "",
) -> None:
    """Chạy cổng web; lần đầu in mật khẩu một lần của người vận hành đầu tiên.

    Run the portal; the first time it prints the first administrator's one-time password.

    Ví dụ · Example: lienthong portal run STATE --listen 127.0.0.1:8090
    """
    from lienthong.portal.server import run as serve
    from lienthong.portal.site import FIRST_ADMINISTRATOR

    def tell(url: str, password: str) -> None:
        typer.echo(
            f"Tài khoản đầu tiên · first account: {FIRST_ADMINISTRATOR}\n"
            f"Mật khẩu một lần, chỉ in lần này · one-time password, printed only now: {password}\n"
            f"Đăng nhập · sign in: {url}/sign-in"
        )

    serve(state, listen, tell)


@app.command()
def migrate(
    state: State,
    to: Annotated[
        str,
        typer.Option(
            help="Phiên bản cần tới; mặc định: mới nhất. Version wanted; default: newest."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Đưa các bảng của cổng web đã dừng tới một phiên bản khác, tiến hoặc lùi.

    Bring a stopped portal's tables to another version, forward or back; `portal run` does the
    forward way by itself.

    Ví dụ · Example: lienthong portal migrate STATE --to 0001
    """
    from lienthong.ledger.database import connect_database
    from lienthong.portal.folder import PortalFolder
    from lienthong.portal.tables import SCHEMA
    from lienthong.schema.migrations import migrate as change
    from lienthong.schema.migrations import newest
    from lienthong.settings import load_settings

    folder = PortalFolder(state)
    folder.check()
    settings = load_settings(folder.settings, os.environ)
    engine = connect_database(settings.database or folder.database)
    try:
        wanted = to or newest(SCHEMA)
        before = change(engine, wanted, SCHEMA)
    finally:
        engine.dispose()
    told = {"before": before, "after": wanted}
    typer.echo(json.dumps(told) if as_json else f"{before or '–'} → {wanted}")


@user_app.command("add")
def add_user(
    state: State,
    name: Name,
    role: Annotated[
        list[str],
        typer.Option(help="Vai trò · role: citizen, officer, data_owner, operator, auditor."),
    ],
    shown_name: Annotated[str, typer.Option("--shown-name", help="Họ tên. Full name.")] = "",
    member: Annotated[
        str, typer.Option(help="Thành viên mà người này làm việc cho. Member: VN/GOV/G01.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Thêm một tài khoản; in mật khẩu dùng một lần.

    Add an account; prints a one-time password.

    Ví dụ · Example: lienthong portal user add STATE an --role officer --member VN/GOV/H37
    """
    with _accounts(state, "user.add", name) as accounts:
        password = accounts.add(name, shown_name, _roles(role), member=member)
    _tell_password(name, password, as_json)


@user_app.command("password")
def reset_password(
    state: State,
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Đặt lại mật khẩu một tài khoản; in mật khẩu dùng một lần.

    Reset an account's password; prints a one-time password.

    Ví dụ · Example: lienthong portal user password STATE an
    """
    with _accounts(state, "user.password", name) as accounts:
        password = accounts.reset_password(name)
    _tell_password(name, password, as_json)


@user_app.command("list")
def list_users(
    state: State,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Liệt kê các tài khoản và vai trò. List accounts and their roles.

    Ví dụ · Example: lienthong portal user list STATE --json
    """
    with _accounts(state) as accounts:
        found = accounts.store.all()
    if as_json:
        rows = [
            {
                "name": each.name,
                "shown_name": each.shown_name,
                "member": each.member,
                "roles": sorted(each.roles),
                "disabled": each.disabled,
                "second_factor": each.has_second_factor,
            }
            for each in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for each in found:
        typer.echo(f"{each.name}  {', '.join(sorted(each.roles))}  {each.member}".rstrip())


def _tell_password(name: str, password: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"name": name, "password": password}))
    else:
        typer.echo(f"{name}: mật khẩu một lần · one-time password: {password}")


def _roles(names: list[str]) -> list[Role]:
    for name in names:
        if name not in GRANTED:
            raise RoleUnknown(role=name)
    return [Role(name) for name in names]


@contextmanager
def _accounts(state: Path, act: str = "", subject: str = "") -> Iterator[Accounts]:
    """The accounts of a portal that may run or not; what was changed is written to the audit."""
    from lienthong.portal.account_store import AccountStore
    from lienthong.portal.accounts import Accounts
    from lienthong.portal.audit import Audit
    from lienthong.portal.folder import PortalFolder
    from lienthong.portal.sealing import read_secret
    from lienthong.portal.tables import open_portal
    from lienthong.settings import load_settings

    folder = PortalFolder(state)
    folder.check()
    settings = load_settings(folder.settings, os.environ)
    engine = open_portal(settings.database or folder.database)
    try:
        yield Accounts(AccountStore(engine), read_secret(folder.secret), time.time)
        if act:
            Audit(engine, time.time).write("-", act, subject, "done", "")
    finally:
        engine.dispose()
