"""Making a node's state folder, and the request that it sends to the directory's operator.

Every step is idempotent: what is there already is kept, and a request that says nothing new is
the same file, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import msgspec

from lienthong.directory.records import Subsystem
from lienthong.directory.request import (
    NOTHING_IN_FORCE,
    InForce,
    make_request,
    parse_member,
)
from lienthong.directory.trust import LONG_AGO, Trust
from lienthong.errors import (
    DirectoryError,
    InvalidAddress,
    InvalidCertificate,
    MemberKeyWanted,
    NodeConflict,
    NotDelegated,
    OptionInvalid,
    RootUnusable,
)
from lienthong.identity.certificates import certificate_key, read_chain
from lienthong.identity.identifiers import MemberId, NodeId, SubsystemId
from lienthong.identity.key_files import open_key
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.ledger.index_key import KEY_BYTES
from lienthong.node.rotation import (
    access_of,
    keys_to_state,
    make_key_file,
    promote_member_key,
)
from lienthong.node.state import HostedMember, HostedSubsystem, Identity, StateFolder
from lienthong.settings import load_settings
from lienthong.transport.client import Address


def initialise(
    state: StateFolder,
    node: NodeId,
    name: str,
    addresses: Sequence[str],
    subsystems: Sequence[HostedSubsystem],
    root: bytes,
    settings: Mapping[str, str],
    algorithm: Algorithm | None = None,
    *,
    token: KeyUri | None = None,
    member_key: PrivateKey | KeyUri | None = None,
    in_force: InForce = NOTHING_IN_FORCE,
) -> Identity:
    """Make keys, settings and identity; write the request file.

    A further node of a member gets ``member_key``, and carries on from what is ``in_force``.
    Raises NodeConflict when the folder holds another node or member key, MemberKeyWanted;
    ConfigurationError, DirectoryError.
    """
    check_root(root, node.instance)
    _check(node.owner, addresses, subsystems)
    owner = HostedMember(str(node.owner), name, tuple(subsystems))
    identity = Identity(str(node), name, tuple(addresses), (owner,))
    if state.identity.exists():
        identity = _continued(state.read_identity(), identity)
    elif member_key is None and str(node.owner) in in_force.members:
        raise MemberKeyWanted(member=node.owner)
    chosen = settings_text(state.settings, settings)
    state.create()
    if chosen is not None:
        state.write(state.settings, chosen.encode())
    if member_key is not None:
        _bring_member_key(state, state.member_key(str(node.owner)), member_key)
    _make_keys(state, node.owner, algorithm, token)
    state.write(state.root, root, 0o644)
    state.write(state.identity, msgspec.json.format(msgspec.json.encode(identity)), 0o644)
    write_request(state, identity, in_force=in_force)
    return identity


def check_root(root: bytes, instance: str) -> None:
    """Raises RootUnusable, OptionInvalid (it is another instance's)."""
    try:
        found = Trust(root, LONG_AGO).instance
    except DirectoryError as error:
        raise RootUnusable(reason=error.facts.get("reason", error.code)) from error
    if found != instance:
        raise OptionInvalid(option="--instance", value=instance, wanted=f"{found} (--root)")


def check_directory_url(url: str) -> None:
    """Raises OptionInvalid unless it is ``http://host…`` or ``https://host…``."""
    try:
        Address.parse(url)
    except InvalidAddress as error:
        wanted = "http://…, https://…"
        raise OptionInvalid(option="--directory-url", value=url, wanted=wanted) from error


def write_request(
    state: StateFolder,
    identity: Identity,
    hosted: Iterable[bytes] = (),
    certificate: str | None = None,
    in_force: InForce = NOTHING_IN_FORCE,
) -> Path:
    """Write ``request.json``; unchanged when nothing differs.

    Raises RequestInvalid, InvalidKey, InvalidCertificate (for another key than the node's).
    """
    node = identity.node_id
    promote_member_key(state, identity, in_force)
    keys = keys_to_state(state, identity)
    if certificate is not None and certificate_key(read_chain(certificate)[0]) != keys.tls.public:
        raise InvalidCertificate(name="--certificate", reason="it is for another key than tls.pem")
    previous = state.request.read_bytes() if state.request.exists() else None
    content = make_request(
        node,
        keys.member,
        keys.signing,
        keys.tls,
        addresses=identity.addresses,
        member_name=identity.owner.name,
        node_name=identity.name,
        subsystems=[Subsystem(each.code, each.name) for each in identity.owner.subsystems],
        now=datetime.now(UTC),
        hosted=hosted,
        previous=previous,
        in_force=in_force,
        certificate=certificate,
        old_member_key=keys.former_member,
    )
    if content != previous:
        state.write(state.request, content, 0o644)
    return state.request


def with_hosted(identity: Identity, statements: Iterable[bytes]) -> Identity:
    """The identity with members that delegated to this node by their own signed statements."""
    members = {member.id: member for member in identity.members}
    for content in statements:
        statement = parse_member(content).statement
        delegations = [each for each in statement.delegations if each.node == identity.node]
        if not delegations:
            raise NotDelegated(node=identity.node, member=statement.id, reason="--hosts")
        systems = tuple(
            HostedSubsystem(each.code, each.name)
            for each in statement.subsystems
            if each.code in delegations[0].subsystems  # the others are other nodes' matter
        )
        members[statement.id] = HostedMember(statement.id, statement.name, systems)
    return msgspec.structs.replace(identity, members=tuple(members.values()))


def with_subsystems(identity: Identity, subsystems: Sequence[HostedSubsystem]) -> Identity:
    """The identity whose owner has further subsystems, or new names for old ones."""
    owner = identity.owner
    known = {each.code: each for each in owner.subsystems} | {
        each.code: each for each in subsystems
    }
    owner = msgspec.structs.replace(owner, subsystems=tuple(known.values()))
    _check(identity.node_id.owner, identity.addresses, owner.subsystems)
    return msgspec.structs.replace(identity, members=(owner, *identity.members[1:]))


def settings_text(file: Path, chosen: Mapping[str, str]) -> str | None:
    """What ``node.toml`` is to hold: the settings chosen over those already there.

    None when it stays. Raises ConfigurationError leaves before anything is written.
    """
    if "token_pin" in chosen:  # other users of the machine see what stands in a command
        raise OptionInvalid(option="--set", value="token_pin=…", wanted="token_pin_file=PATH")
    if not chosen and file.exists():
        return None
    before = _read_lines(file)
    merged = {**before, **{name: _toml(value) for name, value in chosen.items()}}
    text = "# Thiết lập của nút · settings of the node: docs/reference/settings.md\n"
    text += "".join(f"{name} = {value}\n" for name, value in sorted(merged.items()))
    with TemporaryDirectory(prefix="lienthong-") as folder:
        draft = Path(folder, file.name)
        draft.write_text(text, encoding="utf-8")
        load_settings(draft)
    return text


def _read_lines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    load_settings(path)
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _toml(value: str) -> str:
    return msgspec.json.encode(value).decode()  # a JSON string is a TOML basic string


def _check(
    owner: MemberId, addresses: Sequence[str], subsystems: Sequence[HostedSubsystem]
) -> None:
    for each in subsystems:
        SubsystemId(owner.instance, owner.member_class, owner.code, each.code)
    for address in addresses or [""]:
        parsed = Address.parse(address) if address.startswith("https://") else None
        if parsed is None or urlsplit(address).netloc != address.removeprefix("https://"):
            raise OptionInvalid(option="--address", value=address, wanted="https://HOST:PORT")
        if urlsplit(address).port is None:
            raise OptionInvalid(option="--address", value=address, wanted=f"{address}:5500")


def _continued(known: Identity, wanted: Identity) -> Identity:
    """The same node again: new names, addresses and subsystems are taken, hosted members stay."""
    if known.node != wanted.node:
        raise NodeConflict(reason=f"the folder holds the node {known.node}")
    return msgspec.structs.replace(wanted, members=(wanted.owner, *known.members[1:]))


def _bring_member_key(state: StateFolder, path: Path, key: PrivateKey | KeyUri) -> None:
    """A key that the member has already, from a file or in a token."""
    access = access_of(state)
    brought = key if isinstance(key, PrivateKey) else open_key(key.text, access)
    if path.exists():
        if open_key(path, access).public != brought.public:
            raise NodeConflict(reason=f"{path} is another key")
    elif isinstance(key, PrivateKey):
        key.save(path)
    else:
        state.write(path, f"{key.text}\n".encode())


def _make_keys(
    state: StateFolder, owner: MemberId, algorithm: Algorithm | None, token: KeyUri | None
) -> None:
    for path in (state.member_key(str(owner)), state.signing_key):
        make_key_file(state, path, algorithm, token)
    make_key_file(state, state.tls_key, Algorithm.P256)  # see certificates.py
    if not state.index_key.exists():
        state.write(state.index_key, os.urandom(KEY_BYTES))
