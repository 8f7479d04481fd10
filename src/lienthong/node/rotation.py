"""Making keys for a state folder, and the next ones that are to take their places.

    prepare_next(state, identity, ["signing", "tls"])    # signing.next.pem, tls.next.pem
    keys = keys_to_state(state, identity)                # what the next request has to name

The request names the next keys, and ends the former ones a week later; the directory publishes
both, and the running node changes over by itself (``keys.py``, ``trust.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lienthong.directory.request import InForce
from lienthong.identity.key_files import is_in_token, open_key
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.keys import Algorithm, PrivateKey, SigningKey
from lienthong.identity.token_access import TokenAccess
from lienthong.node.state import Identity, StateFolder
from lienthong.settings import load_settings

ROLES = ("signing", "tls", "member")


class StatedKeys(NamedTuple):
    """The keys that a request names: the next ones, where they wait."""

    member: SigningKey
    former_member: SigningKey | None
    signing: SigningKey
    tls: PrivateKey


def access_of(state: StateFolder) -> TokenAccess:
    """How this node gets into tokens. Raises ConfigurationError leaves."""
    return TokenAccess.of(load_settings(state.settings, os.environ))


def make_key_file(
    state: StateFolder,
    path: Path,
    algorithm: Algorithm | None = None,
    token: KeyUri | None = None,
) -> bool:
    """Make a key unless its file is there: a PEM, or a key in a token and a file with its URI.

    Without an ``algorithm`` it is Ed25519, or the best that the token has. Returns whether one
    was made. Raises TokenError leaves.
    """
    if path.exists():
        return False
    if token is None:
        PrivateKey.generate(algorithm or Algorithm.ED25519).save(path)
        return True
    # Only who uses a token loads the libraries for it.
    from lienthong.identity.token_keys import make_key

    name = path.name.removesuffix(".pem").removesuffix(".next")
    uri = token.named(f"{token.label or 'lienthong'}-{name}-{os.urandom(4).hex()}")
    make_key(uri, access_of(state), algorithm)
    state.write(path, f"{uri.text}\n".encode())
    return True


def prepare_next(
    state: StateFolder,
    identity: Identity,
    roles: Iterable[str],
    algorithm: Algorithm | None = None,
    token: KeyUri | None = None,
) -> dict[str, bool]:
    """Make the next keys of ``roles``; ``{role: whether one was made}``, as one may wait already.

    A key that is in a token gets its successor in the same token, unless ``token`` is given.
    Without an ``algorithm`` it is that of the key in use. Raises TokenError leaves.
    """
    places = {
        "signing": state.signing_key,
        "tls": state.tls_key,
        "member": state.member_key(identity.owner.id),
    }
    made = {}
    for role in roles:
        path = places[role]
        following = state.next_key(path)
        if role == "tls":
            made[role] = make_key_file(state, following, Algorithm.P256)
            continue
        kind = algorithm or open_key(path, access_of(state)).public.algorithm
        made[role] = make_key_file(state, following, kind, token or _token_of(path))
    return made


def keys_to_state(state: StateFolder, identity: Identity) -> StatedKeys:
    """Open the keys that the next request names. Raises InvalidKey, TokenError leaves."""
    access = access_of(state)
    member = state.member_key(identity.owner.id)
    is_changing = state.next_key(member).exists()
    return StatedKeys(
        open_key(_newest(state, member), access),
        open_key(member, access) if is_changing else None,
        open_key(_newest(state, state.signing_key), access),
        PrivateKey.load(_newest(state, state.tls_key)),
    )


def promote_member_key(state: StateFolder, identity: Identity, in_force: InForce) -> None:
    """Where the directory has the member's next key, it takes the place of the former one."""
    path = state.member_key(identity.owner.id)
    following = state.next_key(path)
    known = in_force.members.get(identity.owner.id)
    if known is None or not following.exists():
        return
    key = open_key(following, access_of(state)).public.text
    if any(item.key == key for item in known.statement.keys):
        state.promote(following, path)


def _newest(state: StateFolder, path: Path) -> Path:
    following = state.next_key(path)
    return following if following.exists() else path


def _token_of(path: Path) -> KeyUri | None:
    if not is_in_token(path):
        return None
    uri = KeyUri.parse(path.read_text(encoding="utf-8").strip())
    return KeyUri(uri.token, uri.serial, uri.slot_id, "", b"", uri.module_path, uri.pin_source)
