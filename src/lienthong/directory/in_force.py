"""What is in force of a member and a node now, from the directory or from a file.

A member may have several nodes, each with its own request file. Whoever writes the next
statement has to carry on from the last one, wherever that was made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from lienthong.directory.fetch import fetch_from
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.request import (
    InForce,
    SignedMember,
    SignedNode,
    parse_member,
    parse_request,
)
from lienthong.directory.view import DirectoryView
from lienthong.errors import RequestInvalid, UnknownMember, UnknownNode

_TIMEOUT_SECONDS = 5.0  # a person waits; without an answer the files at hand have to do


def look_up(url: str, root: bytes, members: Iterable[str], node: str | None = None) -> InForce:
    """Ask the directory, with a copy of its own that is thrown away.

    A running node's copy is left alone: two processes must not take turns on it.
    Raises DirectoryUnreachable and the other DirectoryError leaves.
    """
    with TemporaryDirectory(prefix="lienthong-") as folder, _quiet():
        mirror = DirectoryMirror(Path(folder), url, root)
        mirror.refresh(fetch_from(url, _TIMEOUT_SECONDS))
        return in_force(mirror.view, members, node)


def in_force(view: DirectoryView, members: Iterable[str], node: str | None = None) -> InForce:
    """Take what a copy of the directory says."""
    found: dict[str, SignedMember] = {}
    for name in members:
        with suppress(UnknownMember):
            member = view.member(name)
            found[name] = SignedMember(member.statement, member.signatures)
    signed = None
    if node is not None:
        with suppress(UnknownNode):
            record = view.node(node)
            signed = SignedNode(record.statement, record.signatures)
    return InForce(found, signed)


def read_in_force(content: bytes) -> InForce:
    """Take statements from a file: a request, or a member's signed statement.

    Raises RequestInvalid.
    """
    try:
        members: tuple[SignedMember, ...] = (parse_member(content),)
    except RequestInvalid:
        members = parse_request(content).members
    return InForce({each.statement.id: each for each in members})


@contextmanager
def _quiet() -> Iterator[None]:
    """The caller tells what failed; the log's lines would stand on the screen beside it."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
