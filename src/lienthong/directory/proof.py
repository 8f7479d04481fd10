"""Proofs: what the directory said of some members and nodes, as of one version, offline.

A proof holds the chain of roots, one version's metadata with the bins concerned, and the
records. It is judged against a root of trust given separately, and not by today's clock:
the view that comes out says when it was published and when it expired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from lienthong.directory.copy import Copy, assemble
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    TIME_AUTHORITIES_PATH,
    Record,
    member_path,
    node_path,
    parse_record,
)
from lienthong.directory.site import NAME, Site, history_name, metadata_name, target_name
from lienthong.directory.trust import LONG_AGO, Trust
from lienthong.directory.view import DirectoryView, ReadRecord
from lienthong.errors import (
    DirectoryError,
    DirectoryInconsistent,
    DirectoryProofInvalid,
    DirectorySignatureInvalid,
    UnknownDirectoryVersion,
    UnknownMember,
    UnknownNode,
)

FORMAT = "lienthong-directory-proof-1"
_LARGEST_FILES = 10_000  # in a proof; a real one has about ten


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof as JSON: file names as on a site, contents as text."""

    format: str
    timestamp: str
    files: dict[str, str]


def make_proof(
    site: Site,
    trusted_root: bytes,
    member_ids: Iterable[str],
    node_ids: Iterable[str],
    version: int,
    *,
    time_authorities: bool = False,
) -> dict[str, Any]:
    """Collect a proof as of snapshot ``version`` from a site's files.

    ``time_authorities``: with the record of those, if there is one; who verified before there
    were any does not know it.

    Raises UnknownDirectoryVersion, UnknownMember, UnknownNode.
    """
    timestamp = site.read(history_name(version))
    if timestamp is None:
        known = site.snapshot_versions()
        raise UnknownDirectoryVersion(version=version, known=known[-20:])
    subjects: dict[str, DirectoryError] = {
        member_path(one): UnknownMember(member=one) for one in member_ids
    }
    subjects |= {node_path(one): UnknownNode(node=one) for one in node_ids}
    copy, files = _collect(site, trusted_root, timestamp, list(subjects))
    top = [AUTHORITIES_PATH]
    if time_authorities and copy.digest(TIME_AUTHORITIES_PATH) is not None:
        top.append(TIME_AUTHORITIES_PATH)
    for path in (*top, *subjects):
        digest = copy.digest(path)
        if digest is None:
            raise subjects.get(path) or DirectoryInconsistent(part=path)
        files[target_name(path, digest)] = site.record(path, digest)
    texts = {name: data.decode() for name, data in sorted(files.items())}
    proof: dict[str, Any] = msgspec.to_builtins(Proof(FORMAT, timestamp.decode(), texts))
    return proof


def _collect(
    site: Site, trusted_root: bytes, timestamp: bytes, paths: list[str]
) -> tuple[Copy, dict[str, bytes]]:
    """Verify an old version under the root that was in force then; return the files used."""
    roots: dict[str, bytes] = {}
    while True:
        files = dict(roots)

        def read(name: str, files: dict[str, bytes] = files) -> bytes:
            files[name] = _present(site.read(name), name)
            return files[name]

        trust = _advanced(trusted_root, roots)
        try:
            trust.offer_timestamp(timestamp)
            return assemble(trust, timestamp, read, only=paths), files
        except DirectorySignatureInvalid:
            following = metadata_name("root", trust.root.version + 1)
            data = site.read(following)
            if data is None:
                raise
            roots[following] = data


def _advanced(trusted_root: bytes, files: Mapping[str, bytes]) -> Trust:
    trust = Trust(trusted_root, LONG_AGO)
    while (data := files.get(metadata_name("root", trust.root.version + 1))) is not None:
        trust.advance_root(data)
    return trust


def verify_directory_proof(trusted_root: bytes, proof: object) -> DirectoryView:
    """Judge a proof by ``trusted_root`` alone and return the part of the directory it shows.

    1. The proof is well formed.
    2. Each later root is signed by the one before it.
    3. Timestamp, snapshot, targets and bins are signed, of one version and for one instance.
    4. Every record has the hash that its bin gives; its owner's signature is checked at use.

    Nothing is judged by today's clock. Raises DirectoryError leaves.
    """
    parsed = _parse(proof)
    files = {name: text.encode() for name, text in parsed.files.items()}
    timestamp = parsed.timestamp.encode()
    trust = _advanced(trusted_root, files)
    trust.offer_timestamp(timestamp)
    paths = {_path_of(name): name for name in files if name.startswith("targets/")}
    copy = assemble(trust, timestamp, lambda name: _present(files.get(name), name), only=paths)
    index: dict[str, bytes] = {}
    for path, name in paths.items():
        digest = copy.digest(path)
        if digest is None or target_name(path, digest) != name:
            raise DirectoryInconsistent(part=name)
        index[path] = digest
    return DirectoryView(copy.facts, index, _reader(files, trust.instance))


def _parse(proof: object) -> Proof:
    try:
        parsed = msgspec.convert(proof, Proof)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise DirectoryProofInvalid(reason=str(error)[:200]) from error
    if parsed.format != FORMAT or len(parsed.files) > _LARGEST_FILES:
        raise DirectoryProofInvalid(reason="another format, or too many files")
    if not all(NAME.fullmatch(name) for name in parsed.files):
        raise DirectoryProofInvalid(reason="a file that no directory has")
    try:
        "".join((parsed.timestamp, *parsed.files.values())).encode()
    except UnicodeEncodeError as error:
        raise DirectoryProofInvalid(reason="not UTF-8") from error
    return parsed


def _path_of(name: str) -> str:
    """Return the record's path: ``targets/members/ab/<SHA-256>.<rest>`` without the hash."""
    folder, _, file = name.removeprefix("targets/").rpartition("/")
    path = file.partition(".")[2]
    return f"{folder}/{path}" if folder else path


def _reader(files: Mapping[str, bytes], instance: str) -> ReadRecord:
    def read(path: str, digest: bytes) -> Record:
        name = target_name(path, digest)
        data = _present(files.get(name), name)
        if sha256(data).digest() != digest:
            raise DirectoryInconsistent(part=name)
        return parse_record(path, data, instance)

    return read


def _present(data: bytes | None, name: str) -> bytes:
    if data is None:
        raise DirectoryProofInvalid(reason=f"{name} is missing")
    return data
