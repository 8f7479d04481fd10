"""``lienthong token``: look into PKCS#11 tokens and make keys in them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, help="Thiết bị giữ khóa (PKCS#11). Tokens that hold keys (PKCS#11)."
)


@app.command("list")
def list_tokens(
    module: Annotated[
        str,
        typer.Option(help="Thư viện PKCS#11 (.so); để trống: LIENTHONG_TOKEN_MODULE. Library."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Liệt kê thiết bị: nhãn, số sê-ri, thuật toán ký được. Không cần mã PIN.

    List the tokens behind a library: labels, serial numbers, what they can sign with. No PIN.

    Ví dụ · Example: lienthong token list --module /usr/lib/softhsm/libsofthsm2.so
    """
    from lienthong.identity.key_uri import KeyUri
    from lienthong.identity.token_access import TokenAccess
    from lienthong.identity.tokens import described_tokens

    path = TokenAccess.of_environment().module_of(KeyUri(module_path=module))
    found = described_tokens(path)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found:
        typer.echo(f"{each['uri']}\n  {each['model']} · {', '.join(each['algorithms']) or '–'}")
    if not found:
        typer.echo("Không thấy thiết bị nào. No token is there.")


@app.command("new-key")
def new_key(
    uri: Annotated[str, typer.Argument(help="pkcs11:token=…;object=TÊN. URI of the new key.")],
    algorithm: Annotated[
        str, typer.Option(help="ed25519, p256, rsa; để trống: tốt nhất. Empty: the best it has.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")] = False,
) -> None:
    """Tạo khóa ký trong thiết bị; khóa không ra khỏi đó được. Mã PIN không nằm trong lệnh.

    Make a signing key in a token, which it never leaves. The PIN comes from pin-source= in the
    URI, LIENTHONG_TOKEN_PIN_FILE, LIENTHONG_TOKEN_PIN or the systemd credential token-pin.

    Ví dụ · Example: lienthong token new-key "pkcs11:token=g01;object=ky?pin-source=/etc/pin"
    """
    from lienthong.identity.key_uri import KeyUri
    from lienthong.identity.keys import ALGORITHM_WORDS
    from lienthong.identity.token_access import TokenAccess
    from lienthong.identity.token_keys import make_key

    if algorithm and algorithm not in ALGORITHM_WORDS:
        raise typer.BadParameter(f"--algorithm: {', '.join(ALGORITHM_WORDS)}")
    chosen = ALGORITHM_WORDS.get(algorithm)
    key = make_key(KeyUri.parse(uri), TokenAccess.of_environment(), chosen)
    public = key.public
    facts: dict[str, Any] = {"uri": key.uri.text, "id": public.key_id, "public": public.text}
    typer.echo(json.dumps(facts) if as_json else f"{facts['id']}\n{facts['public']}")
