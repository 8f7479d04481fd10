"""Work that one gateway does for the whole node: housekeeping, comparing heads, stamping.

    leader.leading                      # look before each turn; cheap, never blocks
    await work_while_leading(leader, "stamp", 10.0, stamp_backlog)

With SQLite a node is one process, and it leads (``AlwaysLeading``). On PostgreSQL the gateway
whose session holds the node's advisory lock leads (``gateways.GatewaySession``); when it dies
the server frees the lock and another gateway leads after a turn of its session.

``leading`` says so for a few seconds only, and less long than the server keeps the lock of a
session that went silent: two gateways do not lead at once. A turn that has begun when
leadership is lost goes on, though: what a turn writes has to bear being written twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

logger = logging.getLogger("lienthong.node.leader")


class Leader(Protocol):
    """Whether this process is the one that does the node's common work now."""

    @property
    def leading(self) -> bool: ...


class AlwaysLeading:
    """The only process of its node."""

    @property
    def leading(self) -> bool:
        return True


async def work_while_leading(
    leader: Leader, name: str, seconds: float, turn: Callable[[], Awaitable[None]]
) -> None:
    """Run ``turn`` every ``seconds`` for ever, but only while leading; a failure is logged."""
    while True:
        await asyncio.sleep(seconds)
        if not leader.leading:
            continue
        try:
            await turn()
        except Exception:
            logger.exception("leader.turn_failed", extra={"fields": {"task": name}})
