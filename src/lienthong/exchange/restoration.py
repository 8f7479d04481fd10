"""After a restore from backup: a node whose ledger was set back must not sign a second history.

    note = await find_lost_history(core, call, partners, restored=…)   # "" when nothing is missing
    await open_new_epoch(core, note)

At each start the node asks the nodes that it knows for the newest head of its own that they
hold. One that its ledger does not have proves that groups were lost: the gap is recorded with
that head as proof, and a new tree is begun, under a new origin. Requests from before that are
refused, since nobody here knows any more which of them were executed.

A database that ``lienthong restore`` brought back says so itself (``ledger/restored.py``). Then
every node of the directory is asked, for a backup may be older than the agreement with one, and
a new tree is begun whatever they say: that nobody knows of a loss does not prove that there was
none.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from lienthong.errors import HeadMalformed, LedgerForked, LienthongError, RecordNotFound
from lienthong.events import log_event
from lienthong.exchange import wire
from lienthong.exchange.core import Core
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.heads import LONGEST_HEAD, Head, parse_head, verify_head
from lienthong.ledger.messages import EventRecord, event_leaf
from lienthong.ledger.proofs import decode_proof
from lienthong.ledger.receipt_store import ReceiptStore
from lienthong.ledger.records import Entry, EntryKind, place_of
from lienthong.ledger.store import LedgerStore
from lienthong.transport.messages import Response

ASKING_SECONDS = 5.0  # a start does not wait longer for peers; one honest answer is enough
RESTORED_ASKING_SECONDS = 20.0  # once in a node's life: then all that can answer are waited for
MOST_ASKED = 200
MOST_ASKED_RESTORED = 2000

CallPeer = Callable[[str, str, str, bytes], Awaitable[Response]]

_HEAD_IN_PROOF = b'"head":"'

logger = logging.getLogger("lienthong.exchange.restoration")


async def find_lost_history(
    core: Core, call: CallPeer, partners: Iterable[str] = (), *, restored: bool = False
) -> str:
    """The newest head that this node signed and its ledger does not have; empty: none is known.

    Asked are the nodes whose heads we hold, and ``partners``: a backup may be older than the
    first exchange with them; with ``restored`` all nodes of the directory. A peer can hide what
    it holds, but cannot make anything up: the head bears our signature.
    """
    nodes = _peers(core, partners, everyone=restored)
    asked = [asyncio.create_task(_held_by(core, call, node)) for node in nodes]
    if not asked:
        return ""
    patience = RESTORED_ASKING_SECONDS if restored else ASKING_SECONDS
    done, late = await asyncio.wait(asked, timeout=patience)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    notes = {note for task in done if (note := task.result())}
    heads = {parse_head(note): note for note in notes}
    # What was lost of an older epoch was recorded when a new one was opened: at the next start,
    # or by the gateway of this node that was first, it opens no further one.
    open_heads = [head for head in heads if head.epoch >= core.committer.epoch]
    lost = [head for head in open_heads if not await asyncio.to_thread(_has, core.store, head)]
    if not lost:
        return ""
    return heads[max(lost, key=lambda head: (head.epoch, head.size))]


async def open_new_epoch(core: Core, note: str) -> None:
    """Begin a new tree whose first record says what was lost: the head ``note`` proves it.

    Without a ``note`` nobody knows of a loss: the record holds our own last head instead.
    """
    own = core.committer.head_note
    last = parse_head(note or own) if note or own else None
    if last is not None:
        # Whatever the lost groups answered is refused by its time, also under a slow clock.
        core.clock.raise_floor(last.time)
    reason = await asyncio.to_thread(_reason, core.store, last if note else None)
    epoch = await _open(core, reason)
    while last is not None and epoch <= last.epoch:
        epoch = await _open(core, reason)
    core.committer.begin(epoch)
    event = EventRecord(
        version=1,
        kind="ledger-restored",
        subject=last.origin if last is not None else core.node,
        time=core.now_text(),
        document=(note or own).encode(),
        salt=os.urandom(16),
    )
    await core.committer.record(Entry(EntryKind.EVENT, event_leaf(event), wire.encode_json(event)))
    log_event(logger, logging.CRITICAL, "ledger.restored", epoch=epoch, reason=reason)


async def _open(core: Core, reason: str) -> int:
    return await asyncio.to_thread(core.store.open_epoch, reason, core.clock.now())


def _reason(store: LedgerStore, lost: Head | None) -> str:
    """Which groups are missing, for people; the record's document proves it."""
    if lost is None:
        return "restored; no node that answered knows of a loss"
    return f"lost: {lost.origin} {store.size(lost.epoch)}-{lost.size}"


def recall_heads(core: Core, receipts: ReceiptStore) -> None:
    """After a crash: heads of other nodes that came with messages and receipts and were not
    saved. Whoever was restored meanwhile asks us for them.
    """
    since = milliseconds(core.clock.now() - 2 * core.remembered)
    newest: dict[bytes, bytes] = {}
    for group in core.store.groups(since_ms=since):
        for entry in group.entries:
            start = entry.proof.find(_HEAD_IN_PROOF)
            if start >= 0:  # the origin is the head's first line
                newest[entry.proof[start : entry.proof.find(b"\\n", start)]] = entry.proof
    notes = [decode_proof(proof).head for proof in newest.values()]
    for note in (*notes, *receipts.newest_heads(since)):
        with suppress(LedgerForked, HeadMalformed):
            core.peers.see(parse_head(note), note)


def _peers(core: Core, partners: Iterable[str], *, everyone: bool) -> list[str]:
    """Who is asked; those that we talked to last come first."""
    known = [core.peers.latest(origin) for origin in core.peers.origins()]
    nodes = {peer.head.node: peer.head.time for peer in known if peer is not None}
    recent = sorted(nodes, key=lambda node: nodes[node], reverse=True)
    others = sorted(node.id for node in core.directory.view.nodes()) if everyone else []
    found = dict.fromkeys([*recent, *sorted(partners), *others])
    found.pop(core.node, None)
    return list(found)[: MOST_ASKED_RESTORED if everyone else MOST_ASKED]


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
        log_event(logger, logging.INFO, "restoration.no_answer", peer=node, reason=str(error))
        return ""
    return note


def _has(store: LedgerStore, head: Head) -> bool:
    """Whether our ledger has the group under that head."""
    try:
        group = store.group(place_of(head.epoch, head.size - 1))
    except RecordNotFound:
        return False
    return parse_head(group.head).root == head.root
