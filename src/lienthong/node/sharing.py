"""Keeping one gateway in step with the others of its node: what they changed is taken up here.

News (``gateways.py``) makes a change take effect at once; every two seconds a gateway compares
what it has with the database, in case some did not arrive.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from lienthong.ledger.requests import RequestBook
from lienthong.node.gateways import EVERYTHING
from lienthong.node.recovery import refuse_from_before_epoch

if TYPE_CHECKING:
    from lienthong.node.node import Node

FORGET_SECONDS = 60.0

SERVICES = "services"  # services or client systems
DIRECTORY = "directory"
AGREEMENT = "agreement"  # with its id


class Sharing:
    """Takes up for one gateway what the others did."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: object = None
        self._forget_at = 0.0

    async def take(self, news: str) -> None:
        """What another gateway has told."""
        node = self._node
        if not node.started:
            return  # everything is read when the start is done
        kind, _, name = news.partition(" ")
        if kind in {SERVICES, EVERYTHING}:
            await node.administration.follow()
        if kind == AGREEMENT:
            await node.agreements.follow(name)
        if kind == EVERYTHING:
            await node.agreements.follow_all()
        if kind == DIRECTORY:
            await node.follow_directory()

    async def each_turn(self) -> None:
        """What has changed in the database since the last look."""
        node = self._node
        if not node.started:
            return
        await self._follow_ledger()
        seen = await asyncio.to_thread(self._fingerprint)
        if seen != self._seen:
            await self.take(EVERYTHING)
            self._seen = seen
        if node.leader.leading and time.monotonic() > self._forget_at:
            self._forget_at = time.monotonic() + FORGET_SECONDS
            longest = 2 * node.core.remembered.total_seconds()
            await asyncio.to_thread(RequestBook(node.engine).forget, longest)

    async def _follow_ledger(self) -> None:
        node = self._node
        committer = node.core.committer
        epoch = committer.epoch
        edge = await asyncio.to_thread(node.store.newest_edge)
        if edge is not None:
            committer.follow(edge)
        if committer.epoch != epoch:
            await refuse_from_before_epoch(node)

    def _fingerprint(self) -> object:
        return (self._node.node_store.fingerprint(), self._node.agreement_store.fingerprint())
