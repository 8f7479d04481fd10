"""After a restore from backup: a node whose ledger was set back must not sign a second history.

    note = await find_lost_history(core, call, partners)      # "" when nothing is missing
    await open_new_epoch(core, note)

At each start the node asks the nodes that it knows for the newest head of its own that they
hold. One that its ledger does not have proves that groups were lost: the gap is recorded with
that head as proof, and a new tree is begun, under a new origin. Requests from before that are
refused, since nobody here knows any more which of them were executed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable

from lienthong.errors import LienthongError, RecordNotFound
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.core import Core
from lienthong.ledger.heads import LONGEST_HEAD, Head, parse_head, verify_head
from lienthong.ledger.messages import EventRecord, event_leaf
from lienthong.ledger.records import Entry, EntryKind, place_of
from lienthong.ledger.store import LedgerStore
from lienthong.transport.messages import Response

ASKING_SECONDS = 5.0  # a start does not wait longer for peers; one honest answer is enough
MOST_ASKED = 200

CallPeer = Callable[[str, str, str, bytes], Awaitable[Response]]

logger = logging.getLogger("lienthong.exchange.restoration")


async def find_lost_history(core: Core, call: CallPeer, partners: Iterable[str] = ()) -> str:
    """The newest head that this node signed and its ledger does not have; empty: none is known.

    Asked are the nodes whose heads we hold, and ``partners``: a backup may be older than the
    first exchange with them. A peer can hide what it holds, but cannot make anything up: the
    head bears our signature.
    """
    asked = [asyncio.create_task(_held_by(core, call, node)) for node in _peers(core, partners)]
    if not asked:
        return ""
    done, late = await asyncio.wait(asked, timeout=ASKING_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    notes = {note for task in done if (note := task.result())}
    heads = {parse_head(note): note for note in notes}
    lost = [head for head in heads if not await asyncio.to_thread(_has, core.store, head)]
    if not lost:
        return ""
    return heads[max(lost, key=lambda head: (head.epoch, head.size))]


async def open_new_epoch(core: Core, note: str) -> None:
    """Begin a new tree whose first record says what was lost: the head ``note`` proves it."""
    lost = parse_head(note)
    core.clock.raise_floor(lost.time)
    epoch = await asyncio.to_thread(core.store.open_epoch, f"lost: {lost.origin} {lost.size}")
    while epoch <= lost.epoch:
        epoch = await asyncio.to_thread(core.store.open_epoch, f"after {lost.origin}")
    core.committer.begin(epoch)
    event = EventRecord(
        version=1,
        kind="ledger-restored",
        subject=lost.origin,
        time=core.now_text(),
        document=note.encode(),
        salt=os.urandom(16),
    )
    await core.committer.record(Entry(EntryKind.EVENT, event_leaf(event), wire.encode_json(event)))
    log_event(logger, logging.CRITICAL, "ledger.restored", lost=lost.origin, epoch=epoch)


def _peers(core: Core, partners: Iterable[str]) -> list[str]:
    """Who is asked; those that we talked to last come first."""
    known = [core.peers.latest(origin) for origin in core.peers.origins()]
    nodes = {peer.head.node: peer.head.time for peer in known if peer is not None}
    recent = sorted(nodes, key=lambda node: nodes[node], reverse=True)
    return list(dict.fromkeys([*recent, *sorted(partners)]))[:MOST_ASKED]


async def _held_by(core: Core, call: CallPeer, node: str) -> str:
    """Our newest head that ``node`` holds, if it is one; empty when it says nothing of use."""
    try:
        response = await call(node, "GET", wire.HELD_PATH, b"")
        if response.body.size > 4 * LONGEST_HEAD:
            return ""
        note = response.body.read().decode("utf-8", errors="replace")
        head = parse_head(note)
        if head.node != core.node:
            return ""
        key = core.directory.view.signing_key(core.node, head.key_id, head.time)
        verify_head(note, head, key)
    except LienthongError as error:
        log_event(logger, logging.INFO, "restoration.no_answer", node=node, reason=str(error))
        return ""
    return note


def _has(store: LedgerStore, head: Head) -> bool:
    """Whether our ledger has the group under that head."""
    try:
        group = store.group(place_of(head.epoch, head.size - 1))
    except RecordNotFound:
        return False
    return parse_head(group.head).root == head.root
