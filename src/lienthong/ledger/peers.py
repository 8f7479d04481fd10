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

    def save(self) -> list[str]:
        """Write heads that are new since the last call, beside what other gateways saw.

        Returns origins that showed another gateway of this node another history than us.
        Raises LedgerUnavailable.
        """
        with self._lock:
            unsaved, self._unsaved = self._unsaved, set()
        try:
            return self._write(sorted(unsaved))
        except LedgerUnavailable:
            with self._lock:
                self._unsaved |= unsaved
            raise

    def follow(self) -> list[str]:
        """Learn what other gateways of this node saw; returns as ``save``.

        Raises LedgerUnavailable.
        """
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.peer_heads)).all()
        self._forked |= {origin for origin, _, _ in self.forks()}
        return self._forks_in([self._merge_locked(row) for row in rows])

    def _write(self, origins: list[str]) -> list[str]:
        if not origins:
            return []
        table = tables.peer_heads
        mine = table.c.origin.in_(origins)
        with writing(self._engine) as connection:
            query = select(table).where(mine).order_by(table.c.origin).with_for_update()
            found = [self._merge_locked(row) for row in connection.execute(query).all()]
            connection.execute(delete(table).where(mine))
            connection.execute(insert(table), [_row(self._heads[origin]) for origin in origins])
        return self._forks_in(found)

    def _merge_locked(self, row: Any) -> tuple[str, str, str] | None:
        stored = _peer(row)
        with self._lock:
            return self._merge(stored)

    def _merge(self, stored: PeerHead) -> tuple[str, str, str] | None:
        """Take the newer of what is stored and what we hold; a contradiction is returned."""
        known = self._heads.get(stored.head.origin)
        if known is None:
            self._heads[stored.head.origin] = stored
            return None
        if stored.head.size > known.head.size:
            known = replace(known, head=stored.head, note=stored.note)
        if stored.consistent.size > known.consistent.size:
            known = replace(
                known, consistent=stored.consistent, consistent_note=stored.consistent_note
            )
        held, self._heads[known.head.origin] = self._heads[known.head.origin], known
        if held.head.origin not in self._forked and contradict(held.head, stored.head):
            return held.head.origin, held.note, stored.note
        return None

    def _forks_in(self, found: list[tuple[str, str, str] | None]) -> list[str]:
        forks = [each for each in found if each is not None]
        for origin, first, second in forks:
            self._forked.add(origin)
            self._keep_fork(origin, first, second)
        return [origin for origin, _, _ in forks]

    def _remember(self, peer: PeerHead) -> None:
        with self._lock:
            self._heads[peer.head.origin] = peer
            self._unsaved.add(peer.head.origin)

    def _load(self) -> None:
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.peer_heads)).all()
        for row in rows:
            self._heads[row.origin] = _peer(row)
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


def _peer(row: Any) -> PeerHead:
    return PeerHead(
        parse_head(row.head), row.head, parse_head(row.consistent_head), row.consistent_head
    )


def _row(peer: PeerHead) -> dict[str, Any]:
    return {
        "origin": peer.head.origin,
        "size": peer.head.size,
        "head": peer.note,
        "consistent_size": peer.consistent.size,
        "consistent_head": peer.consistent_note,
    }
