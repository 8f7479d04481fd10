"""At a start: take up what the ledger says, and find out whether it was set back itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from lienthong.exchange.recovery import restore_register
from lienthong.exchange.restoration import find_lost_history, open_new_epoch, recall_heads
from lienthong.ledger.restored import clear_mark, is_restored

if TYPE_CHECKING:
    from lienthong.node.node import Node


async def recover(node: Node) -> None:
    """One gateway of a node at a time: a lost history is recorded by the first alone."""
    core = node.core
    partners = await node.agreements.partner_nodes()
    await asyncio.to_thread(recall_heads, core, node.receipts)
    restored = await asyncio.to_thread(is_restored, node.engine)
    ask = node.housekeeping.call
    lost = await find_lost_history(core, ask, partners, restored=restored)
    if lost or restored:
        await open_new_epoch(core, lost)
        await asyncio.to_thread(clear_mark, node.engine)
    await refuse_from_before_epoch(node)
    if not node.store.shared:  # there the database itself knows what was received
        await asyncio.to_thread(restore_register, core, node.once)


async def refuse_from_before_epoch(node: Node) -> None:
    """Nobody knows which requests from before a restored ledger's new epoch were executed."""
    epoch = node.core.committer.epoch
    if epoch:
        opened = await asyncio.to_thread(node.store.opened, epoch)
        skew = timedelta(seconds=node.settings.clock_skew_seconds)
        node.core.not_before = opened + skew
