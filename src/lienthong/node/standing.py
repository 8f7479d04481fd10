"""How a node and its members stand in the directory now: what the next request carries on from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from lienthong.directory.in_force import look_up, read_in_force
from lienthong.directory.request import NOTHING_IN_FORCE, InForce
from lienthong.errors import DirectoryUnreachable
from lienthong.given_paths import read_given
from lienthong.node.state import Identity, StateFolder
from lienthong.settings import load_settings

UNREACHABLE = (
    "Không nối được danh bạ: viết tiếp từ tệp có ở đây. Nếu cơ quan có nút khác, dùng --previous.\n"
    "The directory cannot be reached: carried on from the files here. If the member has another "
    "node, use --previous."
)


def standing_in(state: StateFolder, identity: Identity, previous: Path | None) -> InForce:
    """Ask for all members of an existing node, with the node's own settings.

    Raises DirectoryError leaves, PathUnusable, RequestInvalid.
    """
    settings = load_settings(state.settings, os.environ)
    members = [each.id for each in identity.members]
    root = read_given(state.root)
    return standing_of(members, identity.node, settings.directory_url, root, previous)


def standing_of(
    members: Iterable[str], node: str | None, url: str, root: bytes, previous: Path | None
) -> InForce:
    """Read a file where one is given; else ask the directory; nothing when it is away.

    Raises DirectoryError leaves, PathUnusable, RequestInvalid.
    """
    if previous is not None:
        return read_in_force(read_given(previous))
    if not url:
        return NOTHING_IN_FORCE
    try:
        return look_up(url, root, members, node)
    except DirectoryUnreachable:
        print(UNREACHABLE, file=sys.stderr)
        return NOTHING_IN_FORCE
