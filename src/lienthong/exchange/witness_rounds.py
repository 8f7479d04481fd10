"""Asking other agencies' nodes to cosign our heads, and comparing with them what we have seen.

    rounds = WitnessRounds(core, store)
    await rounds.turn()             # the node's leader, every minute
    rounds.witnesses                # who signed our newest head, when

A node that shows two histories is caught by any two that compare. So in each round we also show
our witnesses the newest heads that we hold of others, and take theirs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

import msgspec

from lienthong.directory.view import DirectoryView
from lienthong.errors import CosignatureInvalid, LienthongError, MessageMalformed
from lienthong.events import log_event
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.exchange.faults import PeerFault, read_peer_fault
from lienthong.exchange.witness_desk import (
    ADD_CHECKPOINT_PATH,
    HEADS_PATH,
    LARGEST_HEADS,
    MOST_HEADS,
    read_notes,
    try_to_take,
)
from lienthong.identity.identifiers import NodeId
from lienthong.ledger.anchors import AnchorStore, OwnHead
from lienthong.ledger.cosignatures import LONGEST_LINE, verify_cosignature
from lienthong.ledger.heads import Head, parse_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.records import POSITIONS_PER_EPOCH
from lienthong.ledger.witness_request import WitnessRequest, format_witness_request
from lienthong.transport.messages import Response

WITNESSES_WANTED = 3  # two may be away or fall out with us, and one is left
LONGEST_SIZE_LINE = 32


logger = logging.getLogger("lienthong.exchange.witness")


class WitnessRounds:
    """Gets our newest head cosigned."""

    def __init__(self, core: Core, store: AnchorStore) -> None:
        self._core = core
        self._store = store
        self.witnesses: dict[str, datetime] = {}  # who has signed, when last
        self.refusals: dict[str, str] = {}  # who did not in the last round, and why

    async def turn(self) -> None:
        """One round: every witness signs our newest head, and shows us what it has seen."""
        newest = await asyncio.to_thread(self._store.newest)
        chosen = self.chosen()
        self.refusals = {}
        for witness in chosen:
            try:
                if newest is not None:
                    await self._have_signed(witness, newest)
                await self._compare(witness)
            except LienthongError as error:
                self.refusals[witness] = str(error)
                log_event(
                    logger,
                    logging.WARNING,
                    "witness.not_signed",
                    witness=witness,
                    reason=str(error),
                )
        await self.look()

    async def look(self) -> None:
        """Learn from the database who has signed; another gateway may be the one that asks."""
        self.witnesses = await asyncio.to_thread(self._store.last_cosignatures)

    def chosen(self) -> list[str]:
        """The witnesses of this node: those set, or some of the agencies that it talks with."""
        named = self._core.settings.witnesses
        if named.strip():
            return [node.strip() for node in named.split(",") if node.strip()]
        peers = self._core.peers
        known = (peer.head.node for peer in peers.all() if peer.head.origin not in peers.forked)
        return choose_witnesses(self._core.node, known)

    async def _have_signed(self, witness: str, newest: OwnHead) -> None:
        """Raises CosignatureInvalid, MessageMalformed (a refusal), TransportError leaves."""
        head = parse_head(newest.note)
        place = await asyncio.to_thread(self._store.cosigned_place, witness, head.epoch)
        old_size = 0 if place is None else place % POSITIONS_PER_EPOCH + 1
        if old_size >= head.size:
            return
        response = await self._asked(witness, newest, head, old_size)
        told = _size_told(response)
        if told is not None and told != old_size and told <= head.size:
            response = await self._asked(witness, newest, head, told)
        if response.status != 200:
            raise MessageMalformed(reason=_refusal(response))
        line = _line(response)
        witnessed = verify_cosignature(line, head, self._view())
        if witnessed.node != witness:
            raise CosignatureInvalid(reason=f"{witness} did not sign this head")
        await asyncio.to_thread(self._store.put_cosignature, newest, line, witnessed)

    async def _asked(self, witness: str, newest: OwnHead, head: Head, old_size: int) -> Response:
        path = await asyncio.to_thread(self._growth, head, old_size)
        request = WitnessRequest(old_size, path, newest.note)
        content = format_witness_request(request)
        return await ask_node(self._core, witness, "POST", ADD_CHECKPOINT_PATH, content)

    def _growth(self, head: Head, old_size: int) -> list[bytes]:
        store, epoch = self._core.store, head.epoch
        if old_size == 0:
            return []
        return consistency_path(
            lambda level, i: store.subtree(epoch, level, i), old_size, head.size
        )

    async def _compare(self, witness: str) -> None:
        """Show a witness the newest heads that we hold, and take those that it holds."""
        held = [peer.note for peer in self._core.peers.all() if peer.head.node != witness]
        shown = random.sample(held, min(MOST_HEADS, len(held)))
        if not shown:
            return
        response = await ask_node(
            self._core, witness, "POST", HEADS_PATH, msgspec.json.encode(shown)
        )
        if response.status != 200 or response.body.size > LARGEST_HEADS:
            raise MessageMalformed(reason=f"HTTP status {response.status} from {witness}")
        for note in read_notes(response.body.read()):
            try_to_take(self._core, note, witness)

    def _view(self) -> DirectoryView:
        return self._core.directory.view


def choose_witnesses(node: str, known: Iterable[str]) -> list[str]:
    """Up to three nodes of as many other agencies; the same ones as long as they are known.

    Which ones follows from a hash over both names: so each node has its own, the work is spread
    over all, and a new acquaintance displaces one of them at most.
    """
    owner = _owner(node)
    by_owner: dict[str, str] = {}
    for other in sorted(set(known), key=lambda each: _rank(node, each)):
        if _owner(other) != owner:
            by_owner.setdefault(_owner(other), other)
    return list(by_owner.values())[:WITNESSES_WANTED]


def _owner(node: str) -> str:
    return str(NodeId(*node.split("/")).owner)


def _rank(node: str, other: str) -> bytes:
    return sha256(f"{node}\n{other}".encode()).digest()


def _size_told(response: Response) -> int | None:
    """The size that a witness signed last, where that is why it refused (C2SP tlog-witness)."""
    if response.status != 409 or response.header("content-type") != "text/x.tlog.size":
        return None
    if response.body.size > LONGEST_SIZE_LINE:
        return None
    text = response.body.read().decode("ascii", "replace").removesuffix("\n")
    return int(text) if text.isascii() and text.isdigit() else None


def _line(response: Response) -> str:
    if response.body.size > 4 * LONGEST_LINE:
        raise CosignatureInvalid(reason="not in the form of a cosignature")
    return response.body.read().decode("utf-8", "replace")


def _refusal(response: Response) -> str:
    fault = read_peer_fault(response)
    return fault.fault.message if isinstance(fault, PeerFault) else str(fault)
