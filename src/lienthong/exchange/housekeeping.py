"""What a node does beside answering: receipts, comparing heads, indexing, purging.

Each task runs for ever at its own pace; a failure is logged and tried again at the next turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from lienthong.errors import GrowthUnproven, LedgerForked, LienthongError, MessageMalformed
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.exchange.recovery import undelivered_receipts
from lienthong.exchange.witness_desk import HEAD_AT_PATH
from lienthong.ledger.heads import LONGEST_HEAD, Head, parse_head, verify_head
from lienthong.ledger.peers import PeerHead
from lienthong.ledger.receipt_store import ReceiptStore
from lienthong.ledger.search import LedgerIndex
from lienthong.transport.messages import Response

INDEX_SECONDS = 2.0
BUSY_REQUESTS = 8  # running at once: then the index waits, up to the time below
LONGEST_INDEX_LAG_SECONDS = 120.0
PURGE_SECONDS = 3600.0
LARGEST_PROOF_BODY = 65_536

logger = logging.getLogger("lienthong.exchange.housekeeping")


class Housekeeping:
    """The background tasks of one node; ``leading`` says whether this gateway does those that
    one of several gateways does for all."""

    def __init__(
        self,
        core: Core,
        index: LedgerIndex,
        receipts: ReceiptStore,
        leading: Callable[[], bool] = lambda: True,
    ) -> None:
        self._core = core
        self._leading = leading
        self._index = index
        self._receipts = receipts
        self._delivered_place: int | None = None  # None until what is owed is known
        self._read_place = -1  # up to which the ledger was read for what is owed
        self._tasks: list[asyncio.Task[None]] = []
        self._indexed = time.monotonic()
        self._contradicted: set[str] = set()  # forked origins, with proof for third parties

    def start(self) -> None:
        settings = self._core.settings
        for name, seconds, task in (
            ("receipts", settings.receipt_interval_seconds, self.deliver_receipts),
            ("consistency", settings.consistency_interval_seconds, self.check_consistency),
            ("index", INDEX_SECONDS, self.index_ledger),
            ("purge", PURGE_SECONDS, self.purge_bodies),
        ):
            self._tasks.append(asyncio.create_task(run_for_ever(name, seconds, task), name=name))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.deliver_receipts()
        await asyncio.get_running_loop().run_in_executor(None, self._core.peers.save)

    async def deliver_receipts(self) -> None:
        """Send to each provider's node what its answers are owed."""
        core = self._core
        if not self._leading():
            self._delivered_place = None  # another gateway delivers: begin anew after it
            return
        if self._delivered_place is None or core.store.shared:
            await self._recall_receipts()
        newest = max(core.receipts.newest_place, self._read_place)
        for node in core.receipts.nodes():
            parcel = core.receipts.take(node)
            try:
                await self.call(node, "POST", wire.RECEIPTS_PATH, msgspec.json.encode(parcel))
            except LienthongError as error:
                core.receipts.give_back(node, parcel)
                log_event(
                    logger, logging.WARNING, "receipts.not_delivered", peer=node, reason=str(error)
                )
        # The newest group may have answers whose receipts are not owed yet.
        if newest - 1 > (self._delivered_place or -1) and not core.receipts.nodes():
            self._delivered_place = newest - 1
            await asyncio.to_thread(self._receipts.set_delivered_place, newest - 1)

    async def _recall_receipts(self) -> None:
        """What is owed by the ledger: after a start, or by all gateways of the node."""
        core = self._core
        if self._delivered_place is None:
            self._delivered_place = await asyncio.to_thread(self._receipts.delivered_place)
            self._read_place = self._delivered_place
        if self._read_place > self._delivered_place and core.receipts.nodes():
            return  # what was read is still on its way
        read = await asyncio.to_thread(
            undelivered_receipts, core.store, core.clock.now(), self._read_place
        )
        for owed in read[0]:
            core.receipts.recall(*owed)
        self._read_place = read[1]

    async def check_consistency(self) -> None:
        """Ask nodes whose ledgers have grown to prove that they only grew."""
        core = self._core
        loop = asyncio.get_running_loop()
        for origin in await loop.run_in_executor(None, core.peers.follow):
            log_event(logger, logging.CRITICAL, "ledger.fork_seen", origin=origin)
        for peer in core.peers.pending_checks() if self._leading() else ():
            try:
                core.peers.prove(peer, await self._consistency_path(peer))
            except LedgerForked:
                await self._report_fork(peer)
            except LienthongError as error:
                log_event(
                    logger,
                    logging.WARNING,
                    "consistency.not_proven",
                    origin=peer.head.origin,
                    reason=str(error),
                )
        await asyncio.get_running_loop().run_in_executor(None, core.peers.save)

    async def _report_fork(self, peer: PeerHead) -> None:
        """Say by name who has rewritten its ledger, and get what proves it to others too."""
        first, second = peer.consistent, peer.head
        log_event(
            logger,
            logging.CRITICAL,
            "ledger.fork_seen",
            forked_node=first.node,
            origin=first.origin,
            size=first.size,
            newer_size=second.size,
        )
        if first.origin in self._contradicted:
            return
        try:
            other = await self._head_of_size(first)
            await asyncio.to_thread(self._core.peers.keep_contradiction, peer, other)
        except LienthongError as error:
            log_event(
                logger,
                logging.WARNING,
                "fork.not_proven",
                forked_node=first.node,
                reason=str(error),
            )
        else:
            self._contradicted.add(first.origin)

    async def _head_of_size(self, first: Head) -> str:
        """Another signed head of the same size as ``first``. Raises GrowthUnproven, …"""
        core = self._core
        query = f"epoch={first.epoch}&size={first.size}"
        response = await self.call(first.node, "GET", f"{HEAD_AT_PATH}?{query}", b"")
        if response.body.size > 4 * LONGEST_HEAD:
            raise MessageMalformed(reason="too large")
        note = response.body.read().decode("utf-8", "replace")
        head = parse_head(note)
        if (head.origin, head.size) != (first.origin, first.size) or head.root == first.root:
            raise GrowthUnproven(origin=first.origin)
        view = core.directory.view
        verify_head(note, head, view.signing_key(head.node, head.key_id, head.time))
        return note

    async def index_ledger(self) -> None:
        """Bring the search index up to date, in quiet moments: searches catch up by themselves."""
        if not self._leading():
            return
        late = time.monotonic() > self._indexed + LONGEST_INDEX_LAG_SECONDS
        if self._busy() and not late:
            return
        loop = asyncio.get_running_loop()
        stop = (lambda: False) if late else self._busy
        await loop.run_in_executor(None, self._index.catch_up, stop)
        if late or not self._busy():
            self._indexed = time.monotonic()

    def _busy(self) -> bool:
        return self._core.in_flight > BUSY_REQUESTS

    async def purge_bodies(self) -> None:
        """Delete bodies older than the setting; hashes stay."""
        core = self._core
        before = core.clock.now() - timedelta(days=core.settings.body_retention_days)
        loop = asyncio.get_running_loop()
        if self._leading():
            await loop.run_in_executor(None, core.store.purge_bodies, before)
        await loop.run_in_executor(None, core.bodies.purge, before)

    async def _consistency_path(self, peer: PeerHead) -> list[bytes]:
        first, second = peer.consistent, peer.head
        query = f"epoch={first.epoch}&first={first.size}&second={second.size}"
        response = await self.call(first.node, "GET", f"{wire.CONSISTENCY_PATH}?{query}", b"")
        try:
            if response.body.size > LARGEST_PROOF_BODY:
                raise ValueError("size")
            return msgspec.json.decode(response.body.read(), type=list[bytes])
        except (ValueError, msgspec.MsgspecError) as error:
            raise MessageMalformed(reason="consistency proof") from error

    async def call(self, node: str, method: str, target: str, content: bytes) -> Response:
        """Ask another node. Raises MessageMalformed for a refusal, or what transport raises."""
        response = await ask_node(self._core, node, method, target, content)
        if response.status != 200:
            raise MessageMalformed(reason=f"HTTP status {response.status} from {node}")
        return response


async def run_for_ever(name: str, seconds: float, task: Callable[[], Awaitable[None]]) -> None:
    """Run ``task`` every ``seconds``; its failures are logged, never the end of it."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await task()
        except Exception:
            logger.exception("housekeeping.failed", extra={"fields": {"task": name}})
