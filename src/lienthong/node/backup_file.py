"""The form of a backup file: members in frames, a manifest at the end, sealed when it has keys.

    with writing_backup(path, passphrase) as writer:
        writer.add("state/node.toml", [content])
        writer.finish(manifest)
    reader = BackupReader(path, passphrase)
    for name, chunks in reader.members(): ...
    reader.manifest

::

    "lienthong-backup 1\\n" ‖ length ‖ header ‖ (length ‖ frame)*      lengths: 4 bytes, big-endian
    frame: "F" name | "D" zlib(≤ 1 MiB of content) | "E" SHA-256 | "M" manifest (JSON), the last

With a passphrase each frame is sealed by libsodium's secretstream (XChaCha20-Poly1305) under a key
of Argon2id: frames cannot be changed, left out, put elsewhere or cut off unseen. Without one the
manifest's MAC, under a key of the node, does the same for the whole (``backup_manifest.py``).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, Protocol

import msgspec
from nacl import bindings, pwhash, utils
from nacl.exceptions import CryptoError

from lienthong.errors import (
    BackupCut,
    BackupDamaged,
    BackupLocked,
    NotABackup,
    PassphraseWanted,
    PathUnusable,
)
from lienthong.given_paths import telling
from lienthong.node.backup_manifest import Manifest, Member

MAGIC = b"lienthong-backup 1\n"
CHUNK_BYTES = 1 << 20
LARGEST_FRAME = CHUNK_BYTES + 65_536
LARGEST_MANIFEST = 64 << 20  # a node with a million kept bodies has about 100 bytes for each
LARGEST_HEADER = 1024
LONGEST_NAME = 1024
SHORTEST_PASSPHRASE = 12
COST = (pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE)  # of Argon2id
# A made-up header must not buy hours or all memory of the machine that reads it.
MOST_OPERATIONS = 10
MOST_MEMORY_BYTES = 1 << 30

_LENGTH = struct.Struct(">I")
_NAME, _DATA, _END, _MANIFEST = b"F", b"D", b"E", b"M"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the frames are sealed."""

    sealing: Literal["none", "secretstream"]
    salt: bytes = b""
    operations: int = 0
    memory_bytes: int = 0
    stream: bytes = b""


class Seal(Protocol):
    """What is done to each frame on its way to the disk, and back."""

    def close(self, frame: bytes, last: bool) -> bytes: ...

    def open(self, frame: bytes) -> tuple[bytes, bool]: ...


class Unsealed:
    """Frames as they are; the manifest is the last one."""

    def close(self, frame: bytes, last: bool) -> bytes:
        return frame

    def open(self, frame: bytes) -> tuple[bytes, bool]:
        return frame, frame[:1] == _MANIFEST


class SecretStream:
    """libsodium's secretstream; the file's beginning is bound into every frame."""

    def __init__(self, key: bytes, beginning: bytes, stream: bytes | None = None) -> None:
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        self._beginning = beginning
        if stream is None:
            self.stream = bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        else:
            bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, stream, key)

    def close(self, frame: bytes, last: bool) -> bytes:
        tag = (
            bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
            if last
            else bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
        )
        return bytes(
            bindings.crypto_secretstream_xchacha20poly1305_push(
                self._state, frame, self._beginning, tag
            )
        )

    def open(self, frame: bytes) -> tuple[bytes, bool]:
        opened, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(
            self._state, frame, self._beginning
        )
        return opened, tag == bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL


# --- writing -------------------------------------------------------------------------


@contextmanager
def writing_backup(path: Path, passphrase: str | None) -> Iterator[BackupWriter]:
    """Write a backup beside ``path`` and put it there whole and durably, or leave nothing.

    Raises PathUnusable, also where ``path`` exists; PassphraseWanted for a short one.
    """
    if path.exists():
        raise PathUnusable(path=path, reason="exists already")
    draft = path.with_name(f".{path.name}.part")
    with telling(path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            writer = BackupWriter(file, passphrase)
            yield writer
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


class BackupWriter:
    """Puts members into an open file."""

    def __init__(
        self, file: IO[bytes], passphrase: str | None, cost: tuple[int, int] = COST
    ) -> None:
        self._file = file
        self.members: list[Member] = []
        header, self._seal = _new_seal(passphrase, cost)
        content = msgspec.json.encode(header)
        file.write(MAGIC + _LENGTH.pack(len(content)) + content)

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add one member; its content may come in pieces of any size."""
        self._write(_NAME + name.encode())
        digest, size = sha256(), 0
        for chunk in chunks:
            for start in range(0, len(chunk), CHUNK_BYTES):
                piece = bytes(chunk[start : start + CHUNK_BYTES])
                digest.update(piece)
                size += len(piece)
                self._write(_DATA + zlib.compress(piece, 1))
        self._write(_END + digest.digest())
        self.members.append(Member(name, size, digest.hexdigest()))

    def finish(self, manifest: Manifest) -> None:
        self._write(_MANIFEST + msgspec.json.encode(manifest), last=True)

    def _write(self, frame: bytes, *, last: bool = False) -> None:
        sealed = self._seal.close(frame, last)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)


def _new_seal(passphrase: str | None, cost: tuple[int, int]) -> tuple[Header, Seal]:
    if passphrase is None:
        return Header("none"), Unsealed()
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise PassphraseWanted(least=SHORTEST_PASSPHRASE)
    salt = utils.random(pwhash.argon2id.SALTBYTES)
    parameters = (salt, *cost)
    seal = SecretStream(_key(passphrase, *parameters), _beginning(*parameters))
    return Header("secretstream", *parameters, seal.stream), seal


# --- reading -------------------------------------------------------------------------


class BackupReader:
    """Reads a backup from its beginning to its end, and checks all of it on the way.

    Raises NotABackup, BackupLocked, BackupCut, BackupDamaged, PathUnusable.
    """

    def __init__(self, path: Path, passphrase: str | None) -> None:
        self._path = path
        self._passphrase = passphrase
        self._first = True
        self._last = False
        self.position = 0  # bytes of the file that were read
        self.manifest: Manifest | None = None

    @property
    def size(self) -> int:
        with telling(self._path):
            return self._path.stat().st_size

    def members(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each member's name and content; what is left unread of one is read over."""
        with telling(self._path), self._path.open("rb") as file:
            header = self.read_header(file)
            self._seal = _known_seal(header, self._passphrase, self._path)
            found: list[Member] = []
            names: set[str] = set()
            while True:
                kind, content = self._frame(file)
                if kind == _MANIFEST:
                    self._finish(file, content, found)
                    return
                name = _checked_name(kind, content)
                if name in names:
                    raise BackupDamaged(reason=f"two members {name}")
                names.add(name)
                chunks = self._chunks(file, name, found)
                yield name, chunks
                for _ in chunks:
                    pass

    def read_header(self, file: IO[bytes]) -> Header:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                raise BackupCut(path=self._path)
            raise NotABackup(path=self._path)
        try:
            return msgspec.json.decode(self._piece(file, LARGEST_HEADER), type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BackupDamaged(reason="header") from error

    def _piece(self, file: IO[bytes], limit: int) -> bytes:
        """What stands behind a length."""
        length = file.read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            raise BackupCut(path=self._path)
        (size,) = _LENGTH.unpack(length)
        if size > limit:
            raise BackupDamaged(reason="a frame is too long")
        content = file.read(size)
        if len(content) < size:
            raise BackupCut(path=self._path)
        self.position += _LENGTH.size + size
        return content

    def _frame(self, file: IO[bytes]) -> tuple[bytes, bytes]:
        sealed = self._piece(file, LARGEST_MANIFEST)
        try:
            frame, self._last = self._seal.open(sealed)
        except (CryptoError, ValueError) as error:
            if self._first:
                raise BackupLocked(path=self._path) from error
            raise BackupDamaged(reason="a frame was changed") from error
        self._first = False
        kind, content = frame[:1], frame[1:]
        if self._last != (kind == _MANIFEST) or (
            kind != _MANIFEST and len(content) > LARGEST_FRAME
        ):
            raise BackupDamaged(reason="frames out of order")
        return kind, content

    def _chunks(self, file: IO[bytes], name: str, found: list[Member]) -> Iterator[bytes]:
        digest, size = sha256(), 0
        while True:
            kind, content = self._frame(file)
            if kind == _END:
                break
            if kind != _DATA:
                raise BackupDamaged(reason=f"{name} does not end")
            chunk = _inflated(content, name)
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if content != digest.digest():
            raise BackupDamaged(reason=f"checksum of {name}")
        found.append(Member(name, size, digest.hexdigest()))

    def _finish(self, file: IO[bytes], content: bytes, found: list[Member]) -> None:
        if file.read(1):
            raise BackupDamaged(reason="something follows the manifest")
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BackupDamaged(reason="manifest") from error
        if list(manifest.members) != found:
            raise BackupDamaged(reason="the manifest names other members")
        self.manifest = manifest


def is_sealed(path: Path) -> bool:
    """Whether a passphrase is needed. Raises NotABackup, BackupCut, BackupDamaged, PathUnusable."""
    reader = BackupReader(path, None)
    with telling(path), path.open("rb") as file:
        return reader.read_header(file).sealing != "none"


def _known_seal(header: Header, passphrase: str | None, path: Path) -> Seal:
    if header.sealing == "none":
        if header != Header("none"):
            raise BackupDamaged(reason="header")
        return Unsealed()
    if passphrase is None:
        raise BackupLocked(path=path)
    parameters: tuple[Any, Any, Any] = (header.salt, header.operations, header.memory_bytes)
    if not (
        len(header.salt) == pwhash.argon2id.SALTBYTES
        and 1 <= header.operations <= MOST_OPERATIONS
        and pwhash.argon2id.MEMLIMIT_MIN <= header.memory_bytes <= MOST_MEMORY_BYTES
        and len(header.stream) == bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
    ):
        raise BackupDamaged(reason="header")
    return SecretStream(_key(passphrase, *parameters), _beginning(*parameters), header.stream)


def _key(passphrase: str, salt: bytes, operations: int, memory_bytes: int) -> bytes:
    return bytes(
        pwhash.argon2id.kdf(
            bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES,
            passphrase.encode(),
            salt,
            operations,
            memory_bytes,
        )
    )


def _beginning(salt: bytes, operations: int, memory_bytes: int) -> bytes:
    return MAGIC + b"%b %d %d" % (salt, operations, memory_bytes)


def _inflated(content: bytes, name: str) -> bytes:
    """One chunk; a small frame cannot become a large one (decompression bombs)."""
    try:
        inflater = zlib.decompressobj()
        chunk = inflater.decompress(content, CHUNK_BYTES)
    except zlib.error as error:
        raise BackupDamaged(reason=f"{name} cannot be unpacked") from error
    if not inflater.eof or inflater.unused_data:
        raise BackupDamaged(reason=f"{name} cannot be unpacked")
    return chunk


def _checked_name(kind: bytes, content: bytes) -> str:
    """The name of a member: a path that stays where it is put. Raises BackupDamaged."""
    try:
        name = content.decode("utf-8") if kind == _NAME else ""
    except UnicodeDecodeError:
        name = ""
    path = PurePosixPath(name)
    if (
        not 0 < len(name) <= LONGEST_NAME
        or path.is_absolute()
        or ".." in path.parts
        or str(path) != name
        or not name.isprintable()
        or "\\" in name
        or path.parts[0] not in {"state", "database"}
        or len(path.parts) < 2
    ):
        raise BackupDamaged(reason="a member's name")
    return name


def sync_folder(folder: Path) -> None:
    """Make what a folder names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
