"""Proof that a node showed two histories of one ledger: two heads that it signed itself.

    content = make_fork_bundle(fork, node, directory, clock)
    verdict = verify_fork(content, trusted_root)         # offline; raises EvidenceRejected

Two heads of one origin contradict each other when they have the same size and different roots,
or when the larger is the earlier by its own time. Nobody but the holder of the node's key can
make such a pair. Specification: docs/protocols/0006-time-and-witnesses.md §6.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.view import DirectoryView
from lienthong.errors import EvidenceMalformed, EvidenceRejected, LienthongError
from lienthong.identity.identifiers import NodeId
from lienthong.ledger.clock import Clock
from lienthong.ledger.heads import LONGEST_HEAD, Head, format_time, parse_head, verify_head
from lienthong.ledger.peers import contradict

FORK_FORMAT = "lienthong-fork-1"
LARGEST_FORK = 8 * 1024 * 1024  # bytes; nearly all of it is the directory's part

_Note = Annotated[str, msgspec.Meta(max_length=LONGEST_HEAD)]


class ForkBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that accuses a node."""

    format: str
    exported_by: str
    exported_at: str
    directory: dict[str, Any]
    first: _Note
    second: _Note


class _Form(msgspec.Struct):
    format: str = ""


class ForkVerdict(NamedTuple):
    """Whom a bundle accuses, and of what."""

    node: str
    first: Head
    second: Head


def make_fork_bundle(
    first: str, second: str, exported_by: str, directory: DirectoryMirror, clock: Clock
) -> bytes:
    """The proof against the node that signed both heads. Raises the directory's errors."""
    node = NodeId(*parse_head(first).node.split("/"))
    bundle = ForkBundle(
        format=FORK_FORMAT,
        exported_by=exported_by,
        exported_at=format_time(clock.now()),
        directory=directory.proof([str(node.owner)], [str(node)]),
        first=first,
        second=second,
    )
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def best_first(forks: list[tuple[str, str, str]], node: str) -> list[tuple[str, str, str]]:
    """The pairs kept against a node; first those that convince others too."""

    def convinces(pair: tuple[str, str, str]) -> bool:
        return contradict(parse_head(pair[1]), parse_head(pair[2]))

    against = [pair for pair in forks if parse_head(pair[1]).node == node]
    return sorted(against, key=convinces, reverse=True)


def is_fork_bundle(content: bytes) -> bool:
    """Whether a file says that it is of this form; it is not judged."""
    try:
        return msgspec.json.decode(content[:LARGEST_FORK], type=_Form).format == FORK_FORMAT
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def verify_fork(content: bytes, trusted_root: bytes) -> ForkVerdict:
    """Judge an accusation against ``trusted_root``.

    1. It has its form. 2. Its directory leads to the root given. 3. Both heads are of one
    origin, and its node signed each with a key in force at the head's time. 4. They contradict
    each other. Raises EvidenceMalformed, EvidenceRejected.
    """
    bundle = _read(content)  # (1)
    try:
        view = verify_directory_proof(trusted_root, bundle.directory)  # (2)
        first, second = _signed(bundle.first, view), _signed(bundle.second, view)  # (3)
    except LienthongError as error:
        raise EvidenceRejected(reason=f"{error.code}: {error.message('en')}") from error
    if first.origin != second.origin:
        raise EvidenceRejected(reason="the two heads are of two ledgers")
    if not contradict(first, second):  # (4)
        raise EvidenceRejected(reason="one ledger can have both heads")
    return ForkVerdict(first.node, first, second)


def _read(content: bytes) -> ForkBundle:
    if len(content) > LARGEST_FORK:
        raise EvidenceMalformed(reason=f"over {LARGEST_FORK} bytes")
    try:
        bundle = msgspec.json.decode(content, type=ForkBundle)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceMalformed(reason=str(error)[:200]) from error
    if bundle.format != FORK_FORMAT:
        raise EvidenceMalformed(reason="unknown format")
    return bundle


def _signed(note: str, view: DirectoryView) -> Head:
    head = parse_head(note)
    verify_head(note, head, view.signing_key(head.node, head.key_id, head.time))
    return head
