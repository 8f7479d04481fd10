"""``lienthong node rotate``: the next keys of a node, without a pause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

TEXT = {
    "signing": "khóa ký · signing key",
    "tls": "khóa TLS · TLS key",
    "member": "khóa của cơ quan · member key",
}


def rotate(
    state: Annotated[Path, typer.Argument(help="Thư mục trạng thái. State folder of the node.")],
    signing: Annotated[bool, typer.Option("--signing", help="Khóa ký. The signing key.")] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Khóa TLS và chứng thư. The TLS key and certificate.")
    ] = False,
    member: Annotated[
        bool,
        typer.Option("--member", help="Khóa của cơ quan; khóa cũ ký. The member key."),
    ] = False,
    keys: Annotated[
        str,
        typer.Option(
            "--keys", help="Thiết bị giữ khóa: pkcs11:token=… Token for the new signing keys."
        ),
    ] = "",
    algorithm: Annotated[
        str, typer.Option(help="Thuật toán: ed25519, p256, rsa; để trống: như khóa cũ. As before.")
    ] = "",
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous",
            help="Lời khai hoặc yêu cầu gần nhất, khi không nối được danh bạ. "
            "The last statement or request, where the directory cannot be reached.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Thay khóa mà không dừng nút: tạo khóa kế tiếp và tệp yêu cầu; nút tự đổi khi danh bạ đã có.

    Change keys without a pause: make the next ones and the request that names them. Once the
    directory has them, the running node changes over by itself; the former keys end a week later.
    Give it again to write the same request again.

    Ví dụ · Example: lienthong node rotate /var/lib/lienthong/g01 --signing --tls
    """
    from lienthong.errors import OneOptionWanted
    from lienthong.identity.key_uri import KeyUri
    from lienthong.node.commands import chosen_algorithm
    from lienthong.node.initialise import write_request
    from lienthong.node.rotation import prepare_next
    from lienthong.node.standing import standing_in
    from lienthong.node.state import StateFolder

    asked = {"signing": signing, "tls": tls, "member": member}
    roles = [role for role, wanted in asked.items() if wanted]
    if not roles:
        raise OneOptionWanted(options="--signing, --tls, --member")
    folder = StateFolder(state)
    identity = folder.read_identity()
    in_force = standing_in(folder, identity, previous)
    token = KeyUri.parse(keys) if keys else None
    made = prepare_next(folder, identity, roles, chosen_algorithm(algorithm), token)
    path = write_request(folder, identity, in_force=in_force)
    if as_json:
        typer.echo(json.dumps({"request": str(path), "made": made}))
        return
    for role, is_new in made.items():
        state_of = "đã tạo · made" if is_new else "đang chờ · waits already"
        typer.echo(f"{TEXT[role]}: {state_of}")
    typer.echo("Gửi tệp này cho người vận hành danh bạ · Send this to the directory's operator:")
    typer.echo(f"  {path}")
