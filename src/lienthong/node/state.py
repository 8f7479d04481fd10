"""The state folder of one node: what lies where, and who the node is.

state = StateFolder(Path("/var/lib/lienthong/g01"))
identity = state.read_identity()
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from lienthong.errors import InvalidIdentifier, NodeNotInitialised, NodeStateDamaged
from lienthong.given_paths import make_given_folder
from lienthong.identity.identifiers import NodeId


class HostedSubsystem(msgspec.Struct, frozen=True):
    """One information system of a hosted member."""

    code: str
    name: str


class HostedMember(msgspec.Struct, frozen=True):
    """A member for which this node speaks. Its key is here only if it was made here."""

    id: str
    name: str
    subsystems: tuple[HostedSubsystem, ...] = ()


class Identity(msgspec.Struct, frozen=True):
    """Who a node is; the first of ``members`` owns it."""

    node: str
    name: str
    addresses: tuple[str, ...]
    members: tuple[HostedMember, ...]

    @property
    def node_id(self) -> NodeId:
        return NodeId(*self.node.split("/"))

    @property
    def owner(self) -> HostedMember:
        return self.members[0]

    def hosts(self, subsystem_id: str) -> bool:
        """Whether a subsystem is one of those that this node speaks for."""
        member, _, code = subsystem_id.rpartition("/")
        return any(
            each.id == member and code in {subsystem.code for subsystem in each.subsystems}
            for each in self.members
        )


class StateFolder:
    """Paths within a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.keys = self.folder / "keys"
        self.settings = self.folder / "node.toml"
        self.identity = self.folder / "identity.json"
        self.request = self.folder / "request.json"
        self.root = self.folder / "root.json"
        self.directory = self.folder / "directory"
        self.bodies = self.folder / "bodies"
        self.spool = self.folder / "spool"
        self.contracts = self.folder / "contracts"
        self.log = self.folder / "log"
        self.database = self.folder / "node.db"
        self.admin_socket = self.folder / "admin.sock"
        self.lock = self.folder / "node.lock"
        self.maintenance = self.folder / "maintenance"
        self.workers = self.folder / "workers"
        self.signing_key = self.keys / "signing.pem"
        self.tls_key = self.keys / "tls.pem"
        self.tls_certificate = self.keys / "tls.crt"
        self.client_tls_certificate = self.keys / "client-tls.crt"
        self.index_key = self.keys / "index.key"

    def member_key(self, member_id: str) -> Path:
        """Key file of a hosted member (``member-GOV-G01.pem``)."""
        _, member_class, code = member_id.split("/")
        return self.keys / f"member-{member_class}-{code}.pem"

    @staticmethod
    def next_key(path: Path) -> Path:
        """Where the key waits that is to take the place of ``path`` (``signing.next.pem``)."""
        return path.with_name(f"{path.stem}.next{path.suffix}")

    def promote(self, following: Path, path: Path) -> None:
        """Let the next key take its place, durably; the former file is gone."""
        following.replace(path)
        _sync_folder(path.parent)

    def create(self) -> None:
        """Make the folders, readable by their owner only. Raises PathUnusable."""
        for folder in (self.folder, self.keys, self.spool, self.bodies, self.contracts):
            make_given_folder(folder, 0o700)

    def read_identity(self) -> Identity:
        """Raises NodeNotInitialised, NodeStateDamaged."""
        try:
            content = self.identity.read_bytes()
        except OSError as error:
            raise NodeNotInitialised(path=self.folder) from error
        try:
            identity = msgspec.json.decode(content, type=Identity)
            if identity.owner.id != str(identity.node_id.owner):
                raise ValueError("owner")
        except (
            msgspec.MsgspecError,
            InvalidIdentifier,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise NodeStateDamaged(path=self.identity) from error
        return identity

    def write(self, path: Path, content: bytes, mode: int = 0o600) -> None:
        """Replace a file whole and durably, or leave the old one."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")  # workers may write at once
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
