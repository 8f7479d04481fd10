"""What this node holds of other nodes' ledgers: last heads, forks found, acknowledgements.

book = PeerBook(engine)
book.see(head, note)                         # on every message; raises LedgerForked
book.pending_checks()                        # origins whose growth is not yet proven
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from lienthong.errors import LedgerForked, LedgerUnavailable
from lienthong.ledger import tables
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.heads import Head, parse_head
from lienthong.ledger.merkle import verify_consistency


@dataclass(frozen=True, slots=True)
class PeerHead:
    """The newest head of one origin, and up to which size its growth was proven to us."""

    head: Head
    note: str
    consistent: Head
    consistent_note: str


class PeerBook:
    """Last heads of other nodes, in memory and on disk; notices two histories."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._heads: dict[str, PeerHead] = {}
        self._forked: set[str] = set()
        self._unsaved: set[str] = set()
        self._lock = threading.Lock()
        self._load()

    def see(self, head: Head, note: str) -> None:
        """Remember ``head``. Raises LedgerForked if it contradicts what we hold of its origin,
        and from then on for every head of that origin."""
        if head.origin in self._forked:
            raise LedgerForked(origin=head.origin)
        known = self._heads.get(head.origin)
        if known is None:
            self._remember(PeerHead(head, note, head, note))
        elif contradict(head, known.head):
            self._report_fork(head.origin, known.note, note)
        elif contradict(head, known.consistent):
            self._report_fork(head.origin, known.consistent_note, note)
        elif head.size > known.head.size:
            self._remember(replace(known, head=head, note=note))

    def latest(self, origin: str) -> PeerHead | None:
        return self._heads.get(origin)

    def all(self) -> list[PeerHead]:
        return list(self._heads.values())

    def newest_of(self, node: str) -> str:
        """The newest head note of a node, over all its epochs; empty when there is none."""
        held = [peer for peer in self._heads.values() if peer.head.node == node]
        if not held:
            return ""
        return max(held, key=lambda peer: (peer.head.epoch, peer.head.size)).note

    def origins(self) -> list[str]:
        return sorted(self._heads)

    def pending_checks(self) -> list[PeerHead]:
        """Origins that have grown since their growth was last proven."""
        return [peer for peer in self._heads.values() if peer.consistent.size < peer.head.size]

    def prove(self, peer: PeerHead, path: list[bytes]) -> None:
        """Take a consistency proof between ``peer.consistent`` and ``peer.head``.

        Raises LedgerForked when the proof fails: the node has rewritten its ledger.
        """
        first, second = peer.consistent, peer.head
        if first.origin in self._forked:
            raise LedgerForked(origin=first.origin)
        if not verify_consistency(first.size, second.size, path, first.root, second.root):
            self._report_fork(first.origin, peer.consistent_note, peer.note)
        current = self._heads[first.origin]
        self._remember(replace(current, consistent=second, consistent_note=peer.note))

    @property
    def forked(self) -> frozenset[str]:
        """Origins that have shown two histories."""
        return frozenset(self._forked)

    def keep_contradiction(self, peer: PeerHead, other: str) -> None:
        """Keep ``other``, a head of the size of ``peer.consistent`` with another root, as proof.

        A failed consistency proof convinces only who asked for it; two signed heads of one size
        convince everybody. They take the place of the pair that was kept before.
        """
        with writing(self._engine) as connection:
            connection.execute(
                delete(tables.forks).where(
                    tables.forks.c.origin == peer.head.origin,
                    tables.forks.c.second_head == peer.note,
                )
            )
        self._keep_fork(peer.head.origin, peer.consistent_note, other)

    def forks(self) -> list[tuple[str, str, str]]:
        """Pairs of heads that no single ledger can have: (origin, first, second)."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.forks)).all()
        return [(row.origin, row.first_head, row.second_head) for row in rows]

    def save(self) -> None:
        """Write heads that are new since the last call. Raises LedgerUnavailable."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, set()
        try:
            self._write([self._heads[origin] for origin in unsaved])
        except LedgerUnavailable:
            with self._lock:
                self._unsaved |= unsaved
            raise

    def _write(self, peers: list[PeerHead]) -> None:
        if not peers:
            return
        origins = [peer.head.origin for peer in peers]
        with writing(self._engine) as connection:
            connection.execute(
                delete(tables.peer_heads).where(tables.peer_heads.c.origin.in_(origins))
            )
            connection.execute(insert(tables.peer_heads), [_row(peer) for peer in peers])

    def _remember(self, peer: PeerHead) -> None:
        with self._lock:
            self._heads[peer.head.origin] = peer
            self._unsaved.add(peer.head.origin)

    def _load(self) -> None:
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.peer_heads)).all()
        for row in rows:
            self._heads[row.origin] = PeerHead(
                parse_head(row.head), row.head, parse_head(row.consistent_head), row.consistent_head
            )
        self._forked = {origin for origin, _, _ in self.forks()}

    def _report_fork(self, origin: str, first: str, second: str) -> None:
        self._forked.add(origin)
        self._keep_fork(origin, first, second)
        raise LedgerForked(origin=origin)

    def _keep_fork(self, origin: str, first: str, second: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                delete(tables.forks).where(
                    tables.forks.c.origin == origin,
                    tables.forks.c.first_head == first,
                    tables.forks.c.second_head == second,
                )
            )
            connection.execute(
                insert(tables.forks).values(
                    origin=origin,
                    first_head=first,
                    second_head=second,
                    seen_ms=milliseconds(datetime.now(UTC)),
                )
            )


def contradict(one: Head, other: Head) -> bool:
    """Whether no ledger can have both: one that only grows, whose times never run backwards.

    The time gives a restored or rewritten ledger away at its first message, long before it
    has grown to a size that we hold.
    """
    if one.size == other.size:
        return one.root != other.root
    smaller, larger = (one, other) if one.size < other.size else (other, one)
    return smaller.time > larger.time


def _row(peer: PeerHead) -> dict[str, Any]:
    return {
        "origin": peer.head.origin,
        "size": peer.head.size,
        "head": peer.note,
        "consistent_size": peer.consistent.size,
        "consistent_head": peer.consistent_note,
    }
