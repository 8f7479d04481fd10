"""Bringing agreements to the other nodes, now or as soon as they are back.

What is to be delivered is kept in the store before the step is acknowledged, so a restart
forgets nothing. A node answers with the agreement as it knows it: one exchange brings both
to the same statements, and a node restored from a backup learns what was withdrawn meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Protocol

from lienthong.agreements.documents import envelope_bytes
from lienthong.agreements.store import AgreementStore, Delivery
from lienthong.errors import LienthongError, TransportError

DELIVERY_TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 900.0
MOST_AT_ONCE = 16  # a thousand nodes away must not hold a thousand connections

_log = logging.getLogger(__name__)


class PeerLink(Protocol):
    """Carries an envelope to a node and its answer back; raises LienthongError."""

    async def deliver(self, node_id: str, document: bytes) -> bytes: ...


class InMemoryLink:
    """Nodes of one process, for tests: those in ``away`` cannot be reached."""

    def __init__(self, node_id: str, nodes: dict[str, Callable[..., Awaitable[bytes]]]) -> None:
        self._node_id = node_id
        self._nodes = nodes
        self.away: set[str] = set()

    async def deliver(self, node_id: str, document: bytes) -> bytes:
        if node_id in self.away or node_id not in self._nodes:
            raise TransportError(reason=f"{node_id} is away")
        return await self._nodes[node_id](document, self._node_id)


class Courier:
    """Works off the queue of deliveries; ``learn`` takes in what a node answered."""

    def __init__(
        self,
        store: AgreementStore,
        link: PeerLink,
        learn: Callable[[bytes, str], Awaitable[object]],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._link = link
        self._learn = learn
        self._clock = clock
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def deliver(self, agreement_ids: Iterable[str] | None = None) -> int:
        """Try what is due, or all of the agreements named; return how many arrived."""
        wanted = None if agreement_ids is None else set(agreement_ids)
        now = self._clock().timestamp()
        due = [
            each
            for each in await asyncio.to_thread(self._store.deliveries)
            if (each.due <= now if wanted is None else each.agreement_id in wanted)
        ]
        return sum(await asyncio.gather(*(self._try(each) for each in due)))

    async def _try(self, delivery: Delivery) -> bool:
        async with self._slots:
            try:
                async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
                    await self._exchange(delivery)
            except (LienthongError, OSError, TimeoutError) as error:
                await self._postpone(delivery, error)
                return False
        return True

    async def _exchange(self, delivery: Delivery) -> None:
        agreement = await asyncio.to_thread(self._store.get, delivery.agreement_id)
        if agreement is not None and agreement.document.valid_until > self._clock():
            answer = await self._link.deliver(delivery.node, envelope_bytes(agreement))
            await self._learn(answer, delivery.node)
        await asyncio.to_thread(self._store.delivered, delivery)

    async def _postpone(self, delivery: Delivery, error: Exception) -> None:
        pause = min(FIRST_PAUSE_SECONDS * 2**delivery.attempts, LONGEST_PAUSE_SECONDS)
        reason = str(error) or type(error).__name__
        _log.warning(
            "agreement %s not delivered to %s: %s", delivery.agreement_id, delivery.node, reason
        )
        due = self._clock().timestamp() + pause
        await asyncio.to_thread(self._store.postpone, delivery, due, reason)
