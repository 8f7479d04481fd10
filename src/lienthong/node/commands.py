"""``lienthong node``: make a node, ask for its place in the directory, run it, look at it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lienthong.given_paths import read_given, telling, write_given
from lienthong.node.key_commands import rotate
from lienthong.node.trace_commands import trace

if TYPE_CHECKING:
    from lienthong.identity.key_uri import KeyUri
    from lienthong.identity.keys import Algorithm, PrivateKey
    from lienthong.node.state import HostedSubsystem

app = typer.Typer(no_args_is_help=True, help="Nút của cơ quan. The agency's node.")

State = Annotated[
    Path, typer.Argument(help="Thư mục trạng thái của nút. State folder of the node.")
]
Previous = Annotated[
    Path | None,
    typer.Option(
        "--previous",
        help="Lời khai hoặc yêu cầu gần nhất của cơ quan, khi không nối được danh bạ. "
        "The member's last statement or request, where the directory cannot be reached.",
    ),
]
SubsystemOption = Annotated[
    list[str] | None,
    typer.Option("--subsystem", help="Hệ thống thông tin: mã=tên. Information system: code=name."),
]


@app.command()
def init(
    state: State,
    instance: Annotated[str, typer.Option(help="Liên thông nào: VN, VN-TEST. Which instance.")],
    code: Annotated[str, typer.Option(help="Mã cơ quan. Agency code.")],
    name: Annotated[str, typer.Option(help="Tên cơ quan. Name of the agency.")],
    address: Annotated[
        list[str], typer.Option(help="Địa chỉ cho các nút khác. Address for other nodes.")
    ],
    directory_url: Annotated[
        str, typer.Option("--directory-url", help="Địa chỉ danh bạ. Address of the directory.")
    ],
    root: Annotated[
        Path, typer.Option(help="Gốc tin cậy (root.json). Root of trust of the directory.")
    ],
    member_class: Annotated[
        str, typer.Option("--class", help="Nhóm cơ quan. Class of the agency.")
    ] = "GOV",
    server: Annotated[str, typer.Option(help="Mã nút. Code of the node.")] = "n1",
    subsystem: SubsystemOption = None,
    algorithm: Annotated[
        str,
        typer.Option(
            help="Thuật toán khóa. Key algorithm: ed25519, p256, rsa; "
            "empty: ed25519, or the best that the token has."
        ),
    ] = "",
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            help="Tạo khóa ký trong thiết bị: pkcs11:token=… Make the signing keys in a token.",
        ),
    ] = "",
    member_key: Annotated[
        Path | None,
        typer.Option(
            "--member-key",
            help="Khóa có sẵn của cơ quan, cho nút thứ hai. The member's key, for a further node.",
        ),
    ] = None,
    previous: Previous = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Thiết lập tên=giá trị. Setting name=value.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Tạo nút: khóa, thiết lập và tệp yêu cầu gửi người vận hành danh bạ. Chạy lại không hại gì.

    Make a node: keys, settings, and the request for the directory's operator. Idempotent.

    Ví dụ · Example:

    lienthong node init /var/lib/lienthong/g01 --instance VN --code G01 --name "Bộ Công an"
    --address https://nut.g01.example:5500 --directory-url https://danhba.example
    --root root.json --subsystem "dancu=Cơ sở dữ liệu dân cư"
    """
    from lienthong.identity.identifiers import NodeId
    from lienthong.identity.key_uri import KeyUri
    from lienthong.node.initialise import check_directory_url, check_root, initialise
    from lienthong.node.standing import standing_of
    from lienthong.node.state import StateFolder

    folder, node = StateFolder(state), NodeId(instance, member_class, code, server)
    settings = {"directory_url": directory_url, **_pairs(setting, "--set")}
    check_directory_url(settings["directory_url"])
    trusted = read_given(root)
    check_root(trusted, instance)
    identity = initialise(
        folder,
        node,
        name,
        address,
        _subsystems(subsystem),
        trusted,
        settings,
        chosen_algorithm(algorithm),
        token=KeyUri.parse(keys) if keys else None,
        member_key=None if member_key is None else _given_key(member_key),
        in_force=standing_of([str(node.owner)], str(node), directory_url, trusted, previous),
    )
    if as_json:
        typer.echo(json.dumps({"node": identity.node, "request": str(folder.request)}))
        return
    typer.echo(f"Nút · Node: {identity.node}")
    typer.echo("Gửi tệp này cho người vận hành danh bạ · Send this to the directory's operator:")
    typer.echo(f"  {folder.request}")


@app.command()
def request(
    state: State,
    subsystem: SubsystemOption = None,
    hosts: Annotated[
        list[Path] | None,
        typer.Option(help="Ủy quyền đã ký của cơ quan khác. Signed delegation of a member."),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="Chứng thư TLS (chuỗi PEM) đã được cấp. Issued certificate chain."),
    ] = None,
    previous: Previous = None,
) -> None:
    """Viết tệp yêu cầu mới: thêm hệ thống, cơ quan cùng nút, hoặc chứng thư đã được cấp.

    Write a new request: further subsystems, hosted members, an issued certificate.

    Ví dụ · Example: lienthong node request STATE --subsystem "hochieu=Hộ chiếu"
    """
    import msgspec

    from lienthong.node.initialise import with_hosted, with_subsystems, write_request
    from lienthong.node.standing import standing_in
    from lienthong.node.state import StateFolder

    folder = StateFolder(state)
    statements = [read_given(path) for path in hosts or []]
    identity = with_subsystems(folder.read_identity(), _subsystems(subsystem))
    identity = with_hosted(identity, statements)
    pem = None if certificate is None else read_given(certificate).decode("utf-8", "replace")
    in_force = standing_in(folder, identity, previous)
    path = write_request(folder, identity, statements, pem, in_force)
    folder.write(folder.identity, msgspec.json.format(msgspec.json.encode(identity)), 0o644)
    typer.echo(str(path))


@app.command()
def delegate(
    member: Annotated[str, typer.Argument(help="Cơ quan: VN/GOV/H37. The member.")],
    node: Annotated[str, typer.Option(help="Nút được ủy quyền. Node: VN/GOV/H01/n1.")],
    name: Annotated[str, typer.Option(help="Tên cơ quan. Name of the member.")],
    key: Annotated[
        Path, typer.Option(help="Khóa của cơ quan; được tạo nếu chưa có. Key; made if missing.")
    ],
    output: Annotated[Path, typer.Option(help="Tệp ủy quyền. File to write.")],
    old_key: Annotated[
        Path | None,
        typer.Option("--old-key", help="Khóa cũ, khi thay khóa. The former key, to change it."),
    ] = None,
    subsystem: SubsystemOption = None,
    directory_url: Annotated[
        str,
        typer.Option(
            "--directory-url",
            help="Danh bạ, khi cơ quan đã có trong đó. The directory, for a member that is in it.",
        ),
    ] = "",
    root: Annotated[
        Path | None, typer.Option(help="Gốc tin cậy của danh bạ. Its root of trust.")
    ] = None,
    previous: Previous = None,
) -> None:
    """Ký ủy quyền cho nút của cơ quan khác; có thể làm trên máy không nối mạng.

    Sign a member's delegation to a node; works offline. Hand the file to the node's operator.
    A member that is in the directory already carries on from there: --directory-url with
    --root, or --previous with its last request or statement.

    Ví dụ · Example: lienthong node delegate VN/GOV/H37.02 --node VN/GOV/H37/n1
    --name "Sở Y tế" --key so-y-te.pem --subsystem "yte=Y tế" --output so-y-te.json
    """
    from lienthong.directory.records import Subsystem
    from lienthong.directory.request import make_member
    from lienthong.identity.identifiers import MemberId, NodeId
    from lienthong.identity.key_files import open_key
    from lienthong.identity.key_uri import is_key_uri
    from lienthong.identity.keys import PrivateKey
    from lienthong.node.initialise import check_directory_url
    from lienthong.node.standing import standing_of

    identifier, wanted = MemberId.parse(member), NodeId.parse(node)
    if bool(directory_url) != (root is not None):
        raise typer.BadParameter("--directory-url, --root")
    if directory_url:
        check_directory_url(directory_url)
    trusted = b"" if root is None else read_given(root)
    in_force = standing_of([member], None, directory_url, trusted, previous)
    last = read_given(output) if output.exists() else None
    with telling(key):
        if not is_key_uri(str(key)) and not key.exists():
            PrivateKey.generate().save(key)
    content = make_member(
        identifier,
        name,
        open_key(key),
        [Subsystem(each.code, each.name) for each in _subsystems(subsystem)],
        wanted,
        datetime.now(UTC),
        previous=last,
        in_force=in_force.members.get(member),
        old_key=None if old_key is None else open_key(old_key),
    )
    write_given(output, content)
    typer.echo(str(output))


@app.command()
def run(
    state: State,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Số tiến trình trên máy này; trên 1 thì cần PostgreSQL. "
            "Processes on this machine; above 1 they need PostgreSQL.",
        ),
    ] = 1,
    worker: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Chạy nút đến khi nhận SIGTERM hoặc Ctrl-C; chờ danh bạ chấp thuận nếu cần.

    Run the node until SIGTERM or Ctrl-C; waits for the directory's approval if need be.

    Ví dụ · Example: lienthong node run /var/lib/lienthong/g01 --workers 4
    """
    from lienthong.node.process import run as run_process
    from lienthong.node.worker import Worker
    from lienthong.node.workers import run_workers

    if worker:
        run_process(state, Worker.of(worker))
    elif workers > 1:
        raise typer.Exit(run_workers(state, workers))
    else:
        run_process(state)


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
    """Đưa các bảng của nút đã dừng tới một phiên bản khác, tiến hoặc lùi.

    Bring a stopped node's tables to another version, forward or back; `node run` does the forward
    way by itself.

    Ví dụ · Example: lienthong node migrate /var/lib/lienthong/g01 --to 0001
    """
    from lienthong.node.migration import migrate_node
    from lienthong.node.state import StateFolder

    change = migrate_node(StateFolder(state), to or None)
    if as_json:
        typer.echo(json.dumps(change._asdict()))
    else:
        typer.echo(f"{change.before or '–'} → {change.after}")


@app.command()
def status(
    state: State,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Xem nút đang chạy: địa chỉ, danh bạ, sổ, dịch vụ. Look at the running node.

    Ví dụ · Example: lienthong node status /var/lib/lienthong/g01 --json
    """
    from lienthong.node.admin_client import call
    from lienthong.node.status_view import show_status

    found = call(state, "GET", "/status")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        show_status(found)


@app.command()
def maintenance(
    state: State,
    switch: Annotated[str, typer.Argument(help="on | off")],
) -> None:
    """Bật/tắt bảo trì: /health trả 503 để bộ cân bằng tải bỏ qua nút. Answer 503 on /health.

    Ví dụ · Example: lienthong node maintenance STATE on
    """
    from lienthong.node.admin_client import call

    if switch not in {"on", "off"}:
        raise typer.BadParameter("on | off")
    typer.echo(json.dumps(call(state, "PUT", "/maintenance", {"on": switch == "on"})))


app.command()(trace)


def _subsystems(options: list[str] | None) -> list[HostedSubsystem]:
    from lienthong.node.state import HostedSubsystem

    return [HostedSubsystem(code, name) for code, name in _pairs(options, "--subsystem").items()]


def _pairs(options: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in options or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{option} {text!r}: name=value")
        pairs[name.strip()] = value.strip()
    return pairs


def chosen_algorithm(name: str) -> Algorithm | None:
    """The algorithm of an option; None where it is left to the program."""
    from lienthong.identity.keys import ALGORITHM_WORDS

    if name and name not in ALGORITHM_WORDS:
        raise typer.BadParameter(f"--algorithm: {', '.join(ALGORITHM_WORDS)}")
    return ALGORITHM_WORDS.get(name)


def _given_key(place: Path) -> PrivateKey | KeyUri:
    from lienthong.identity.key_uri import KeyUri, is_key_uri
    from lienthong.identity.keys import PrivateKey

    return KeyUri.parse(str(place)) if is_key_uri(str(place)) else PrivateKey.load(place)


app.command()(rotate)
