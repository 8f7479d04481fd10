"""``lienthong directory …``: the operator's commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from lienthong.directory.authorities import add_authority, add_registrar
from lienthong.directory.hosting import host
from lienthong.directory.metadata import Periods
from lienthong.directory.onboarding import approve
from lienthong.directory.overview import Overview
from lienthong.directory.repository import ROLES, Repository
from lienthong.directory.request import countersign
from lienthong.directory.revocation import revoke
from lienthong.directory.time_authorities import add_time_authority, end_time_authority
from lienthong.errors import OneOptionWanted, OptionInvalid
from lienthong.given_paths import read_given, write_given
from lienthong.identity.key_files import open_key

app = typer.Typer(
    no_args_is_help=True,
    help="Danh bạ có chữ ký của thành viên và nút. The signed directory of members and nodes.",
)
authority_app = typer.Typer(
    no_args_is_help=True,
    help="Cơ quan cấp chứng thư được chấp nhận. Approved certificate authorities.",
)
registrar_app = typer.Typer(
    no_args_is_help=True,
    help="Đơn vị đăng ký, cùng nhau thay khóa đã mất. Registrars, who together replace lost keys.",
)
time_app = typer.Typer(
    no_args_is_help=True,
    help="Cơ quan cấp dấu thời gian (RFC 3161). Time-stamping authorities whose stamps count.",
)
app.add_typer(authority_app, name="authority")
app.add_typer(time_app, name="time-authority")
app.add_typer(registrar_app, name="registrar")

LONGEST_DAYS = 3650  # the development authority's own certificate counts no longer

State = Annotated[
    Path, typer.Argument(metavar="STATE", help="Thư mục trạng thái. The directory's state folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]


@app.command()
def init(
    state: State,
    instance: Annotated[str, typer.Option(help="Tên hệ thống, ví dụ VN. Name of the instance.")],
    bins: Annotated[
        int, typer.Option(help="Số ngăn, lũy thừa của 2. Bins: 16, or 512 for a nation.")
    ] = 16,
    timestamp_hours: Annotated[
        float, typer.Option(help="Hạn của dấu thời gian. How long nodes go on without us.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Tạo danh bạ mới: khóa, gốc tin cậy root.json, cơ quan cấp chứng thư thử nghiệm.

    Make a new directory: keys, the root of trust root.json, a development authority.

    Ví dụ (example): lienthong directory init /var/lib/lienthong/directory --instance VN
    """
    periods = Periods(timestamp_hours=timestamp_hours)
    repository = Repository.init(state, instance, bins, periods)
    root = state / "root.json"
    _say(
        {"instance": instance, "version": repository.version, "root": str(root)},
        as_json,
        f"Danh bạ {instance} sẵn sàng; giao {root} cho các nút. "
        f"The directory {instance} is ready; give {root} to the nodes.",
    )


@app.command("approve")
def approve_request(
    state: State,
    request: Annotated[Path, typer.Argument(help="Tệp request.json của nút. A node's request.")],
    days: Annotated[
        int, typer.Option(min=1, max=LONGEST_DAYS, help="Hạn chứng thư. Days of the certificate.")
    ] = 365,
    as_json: AsJson = False,
) -> None:
    """Kiểm tra và phê duyệt yêu cầu của một nút, rồi phát hành danh bạ.

    Check and approve a node's request and publish the directory. May be repeated.

    Ví dụ (example): lienthong directory approve /var/lib/lienthong/directory request.json
    """
    done = approve(Repository.open(state), read_given(request), days)
    what = "đã duyệt / approved" if done.changed else "đã duyệt từ trước / approved before"
    _say(
        {
            "node": done.node,
            "members": list(done.members),
            "changed": done.changed,
            "version": done.version,
        },
        as_json,
        f"{done.node}: {what}; thành viên / members: {', '.join(done.members)}; "
        f"phiên bản / version {done.version}",
    )


@app.command()
def publish(state: State, as_json: AsJson = False) -> None:
    """Ký lại danh bạ trước khi hết hạn. Chạy định kỳ nếu không dùng "serve".

    Sign the directory anew before it expires. Run it by a timer where "serve" is not used.

    Ví dụ (example): lienthong directory publish /var/lib/lienthong/directory
    """
    repository = Repository.open(state)
    renewed = repository.publish()
    version = repository.version
    _say(
        {"version": version, "new_snapshot": renewed},
        as_json,
        f"Đã ký lại phiên bản {version}. Version {version} is signed anew.",
    )


@app.command()
def rotate(
    state: State,
    role: Annotated[str, typer.Option(help="root, targets, bins, snapshot, timestamp.")],
    as_json: AsJson = False,
) -> None:
    """Thay một khóa của danh bạ; các nút theo ở lần làm mới kế tiếp, không cần làm gì.

    Change one of the directory's own keys; nodes follow at their next refresh by themselves.
    The key of root has to be here, for the bins that of targets. May be repeated if cut short.

    Ví dụ (example): lienthong directory rotate /var/lib/lienthong/directory --role timestamp
    """
    if role not in ROLES:
        raise OptionInvalid(option="--role", value=role, wanted=", ".join(ROLES))
    repository = Repository.open(state)
    key_id = repository.rotate(role)
    _say(
        {"role": role, "key": key_id, "version": repository.version},
        as_json,
        f"Khóa mới của / new key of {role}: {key_id}",
    )


@app.command("revoke")
def revoke_something(
    state: State,
    reason: Annotated[str, typer.Option(help="Lý do. Why.")],
    node: Annotated[str | None, typer.Option(help="Nút. A node.")] = None,
    member: Annotated[str | None, typer.Option(help="Thành viên. A member.")] = None,
    key: Annotated[str | None, typer.Option(help="Khóa theo mã. A key by its id.")] = None,
    certificate: Annotated[
        str | None, typer.Option(help="Chứng thư theo SHA-256. A certificate by its SHA-256.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Thu hồi một nút, thành viên, khóa, chứng thư; --member kèm --node: chỉ ủy quyền.

    Revoke a node, member, key or certificate; --member with --node: that delegation only.

    Ví dụ (example): lienthong directory revoke STATE --key 1f2e… --reason "lộ khóa"
    """
    if not reason.strip():
        raise OptionInvalid(option="--reason", value=reason, wanted="lý do · a reason")
    kind, identifier = _subject(node, member, key, certificate)
    version = revoke(Repository.open(state), kind, identifier, reason)
    _say(
        {"kind": kind, "id": identifier, "version": version},
        as_json,
        f"Đã thu hồi {kind} {identifier}; phiên bản {version}. Revoked; version {version}.",
    )


@app.command()
def serve(
    state: State,
    listen: Annotated[str, typer.Option(help="Địa chỉ. Address and port.")] = "127.0.0.1:7000",
) -> None:
    """Phục vụ danh bạ qua HTTP và tự ký lại định kỳ, đến khi nhận SIGTERM.

    Serve the directory over HTTP and keep it signed, until SIGTERM.

    Ví dụ (example): lienthong directory serve /var/lib/lienthong/directory --listen 0.0.0.0:7000
    """
    repository = Repository.open(state)
    address, _, port = listen.rpartition(":")
    if not address or not port.isdigit() or int(port) > 65_535:
        raise OptionInvalid(option="--listen", value=listen, wanted="HOST:PORT")
    bare = address.strip("[]")

    def ready(number: int) -> None:
        typer.echo(f"Danh bạ {repository.instance}: http://{address}:{number}")

    uvloop.run(host(repository, bare, int(port), ready))


@app.command()
def show(state: State, as_json: AsJson = False) -> None:
    """Liệt kê thành viên, nút, khóa và những gì đã thu hồi.

    List members, nodes, keys and what is revoked.

    Ví dụ (example): lienthong directory show /var/lib/lienthong/directory --json
    """
    repository = Repository.open(state)
    overview = Overview.of(repository)
    if as_json:
        typer.echo(json.dumps(overview.facts(), ensure_ascii=False))
    else:
        # Agencies wrote the names: they are text, not markup.
        Console(markup=False, highlight=False).print(*overview.tables())


@authority_app.command("add")
def authority_add(
    state: State,
    certificate: Annotated[Path, typer.Argument(help="Chứng thư PEM. Its certificate in PEM.")],
    as_json: AsJson = False,
) -> None:
    """Chấp nhận thêm một cơ quan cấp chứng thư.

    Approve one more certificate authority.

    Ví dụ (example): lienthong directory authority add STATE national-ca.pem
    """
    pem = read_given(certificate).decode("ascii", "replace")
    version = add_authority(Repository.open(state), pem)
    _say({"version": version}, as_json, f"Đã chấp nhận. Approved; version {version}.")


@time_app.command("add")
def time_authority_add(
    state: State,
    certificates: Annotated[
        Path,
        typer.Argument(help="Chuỗi chứng thư PEM, gốc cuối cùng. PEM chain, the root last."),
    ],
    name: Annotated[str, typer.Option(help="Tên cơ quan. Name of the authority.")],
    since: Annotated[
        datetime | None, typer.Option(help="Tính từ (UTC); mặc định: bây giờ. From when.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Công nhận dấu thời gian của một cơ quan (RFC 3161). Thêm lần nữa không đổi gì.

    Let the time-stamps of an authority count. To add it again changes nothing.

    Ví dụ (example): lienthong directory time-authority add STATE tsa-chain.pem --name "TSA"
    """
    pem = read_given(certificates).decode("ascii", "replace")
    version = add_time_authority(Repository.open(state), name, pem, _in_utc(since))
    _say({"version": version}, as_json, f"Đã công nhận. Approved; version {version}.")


@time_app.command("end")
def time_authority_end(
    state: State,
    name: Annotated[str, typer.Argument(help="Tên cơ quan. Name of the authority.")],
    at: Annotated[
        datetime | None, typer.Option(help="Từ lúc (UTC); mặc định: bây giờ. From when on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Thôi công nhận dấu thời gian sau một thời điểm; dấu có trước vẫn còn giá trị.

    Let stamps from after a moment count no more; earlier ones stay valid.

    Ví dụ (example): lienthong directory time-authority end STATE "TSA" --at 2026-11-01T00:00:00
    """
    version = end_time_authority(Repository.open(state), name, _in_utc(at))
    _say({"version": version}, as_json, f"Đã thôi công nhận. Ended; version {version}.")


@registrar_app.command("add")
def registrar_add(
    state: State,
    name: Annotated[str, typer.Option(help="Tên đơn vị. Name of the registrar.")],
    key: Annotated[str, typer.Option(help="Khóa công khai, dạng ed25519:…. Its public key.")],
    signed_with: Annotated[
        list[Path] | None,
        typer.Option(help="Khóa của đơn vị đăng ký cũ. Key files of two known registrars."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Thêm một đơn vị đăng ký; từ đơn vị thứ ba cần chữ ký của hai đơn vị cũ.

    Add a registrar; from the third on, two known registrars have to sign.

    Ví dụ (example): lienthong directory registrar add STATE --name "Cục CĐSQG" --key ed25519:MCow…
    """
    keys = [open_key(path) for path in signed_with or ()]
    version = add_registrar(Repository.open(state), name, key, keys)
    _say({"version": version}, as_json, f"Đã thêm. Added; version {version}.")


@registrar_app.command("countersign")
def registrar_countersign(
    request: Annotated[Path, typer.Argument(help="Tệp request.json. The request file.")],
    key: Annotated[Path, typer.Option(help="Tệp khóa của đơn vị đăng ký. A registrar's key file.")],
    output: Annotated[Path, typer.Option(help="Tệp kết quả. The file to write.")],
) -> None:
    """Ký xác nhận yêu cầu của một cơ quan đã mất khóa; cần hai đơn vị đăng ký.

    Vouch for the request of an agency that lost its key; two registrars are needed.

    Ví dụ (example): lienthong directory registrar countersign r.json --key 1.pem --output r1.json
    """
    write_given(output, countersign(read_given(request), open_key(key)))
    typer.echo(str(output))


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _subject(
    node: str | None, member: str | None, key: str | None, certificate: str | None
) -> tuple[str, str]:
    given = [
        (kind, value)
        for kind, value in (
            ("node", node),
            ("member", member),
            ("key", key),
            ("certificate", certificate),
        )
        if value is not None
    ]
    if node is not None and member is not None and len(given) == 2:
        return "delegation", f"{member} {node}"
    if len(given) != 1:
        raise OneOptionWanted(options="--node, --member, --key, --certificate")
    return given[0]


def _say(facts: dict[str, Any], as_json: bool, text: str) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)
