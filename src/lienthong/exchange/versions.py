"""Which version of the protocol is spoken with which node: the highest that both know.

    version = await versions.common(node)

A node says what it speaks on ``GET /lienthong/versions``. One that speaks a single version itself
does not ask: there is nothing to choose. What was learned holds for some minutes; a node that was
upgraded or rolled back meanwhile answers 404 to a version that it does not know, without having
looked at the message, and is asked again. Specification: docs/protocols/0001-message.md §13.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from lienthong.errors import LienthongError, NoCommonVersion
from lienthong.exchange import wire
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.ledger.messages import PROTOCOL_VERSIONS

REMEMBERED_SECONDS = 600.0
ASKING_SECONDS = 10.0
LARGEST_LIST = 1024  # bytes
FIRST_RELEASE = (1,)  # what a node speaks that does not know the question


class Spoken(msgspec.Struct, frozen=True):
    """What a node says of itself. Later versions of this document may add members."""

    versions: tuple[int, ...]


class PeerVersions:
    """What other nodes speak. Event loop only."""

    def __init__(self, core: Core, spoken: tuple[int, ...] = PROTOCOL_VERSIONS) -> None:
        self._core = core
        self._spoken = spoken
        self._known: dict[str, tuple[int, float]] = {}
        self._asking: dict[str, asyncio.Task[int]] = {}

    async def common(self, node: str) -> int:
        """The version to speak with ``node``. Raises NoCommonVersion."""
        if len(self._spoken) == 1:
            return self._spoken[0]
        known = self._known.get(node)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        return await self._asked(node)

    async def has_changed(self, node: str, version: int) -> bool:
        """After a 404: ask again; whether another version is spoken now. Raises NoCommonVersion."""
        self._known.pop(node, None)
        return await self._asked(node) != version

    async def _asked(self, node: str) -> int:
        """Ask once, however many messages wait for the answer."""
        task = self._asking.get(node)
        if task is None:
            task = self._asking[node] = asyncio.create_task(self._ask(node))
            task.add_done_callback(lambda _: self._asking.pop(node, None))
        return await asyncio.shield(task)

    async def _ask(self, node: str) -> int:
        try:
            response = await ask_node(
                self._core, node, "GET", wire.VERSIONS_PATH, timeout_seconds=ASKING_SECONDS
            )
            if response.status == 200 and response.body.size <= LARGEST_LIST:
                theirs = msgspec.json.decode(response.body.read(), type=Spoken).versions
            elif response.status == 404:
                theirs = FIRST_RELEASE
            else:
                return self._spoken[0]
        except (LienthongError, msgspec.MsgspecError, UnicodeDecodeError):
            return self._spoken[0]  # it cannot be asked; sending will say why
        both = set(self._spoken) & set(theirs)
        if not both:
            raise NoCommonVersion(
                node=node,
                ours=", ".join(map(str, self._spoken)),
                theirs=", ".join(map(str, sorted(theirs)[:16])),
            )
        self._known[node] = (max(both), time.monotonic() + REMEMBERED_SECONDS)
        return max(both)
