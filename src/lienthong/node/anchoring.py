"""Time-stamps and witnesses of one node: put together, and started.

anchoring = Anchoring(node)
anchoring.start()               # its background work
anchoring.stamper.backlog       # groups and seconds that wait for a time-stamp
anchoring.rounds.witnesses      # who has signed our heads, when last
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lienthong.exchange.housekeeping import run_for_ever
from lienthong.exchange.time_stamping import StampingPlan, TimeStamper
from lienthong.exchange.witness_desk import (
    ADD_CHECKPOINT_PATH,
    HEAD_AT_PATH,
    HEADS_PATH,
    WitnessDesk,
)
from lienthong.exchange.witness_rounds import WitnessRounds
from lienthong.ledger.anchor_export import AnchorExporter
from lienthong.ledger.anchors import AnchorStore
from lienthong.ledger.timestamps import LARGEST_STAMP
from lienthong.ledger.witness import WitnessBook
from lienthong.node.leader import work_while_leading
from lienthong.transport.client import ConnectionPool, PoolLimits
from lienthong.transport.tls import client_context

if TYPE_CHECKING:
    from lienthong.node.node import Node

LOOK_SECONDS = 5.0  # how old what /metrics and the status say of the backlog may be
WITNESSED_RECENTLY = timedelta(minutes=10)


class Anchoring:
    """What proves the times of this node's ledger, and what it does as a witness of others."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.store = AnchorStore(node.engine)
        self.plan = StampingPlan.of(node.settings)
        context = client_context(check_hostname=True)
        limits = PoolLimits(body_bytes=2 * LARGEST_STAMP, connections_per_address=2)
        self._pool = ConnectionPool(lambda: context, limits)
        failures = node.metrics.time_stamp_failures
        self.stamper = TimeStamper(node.core, self.store, self._pool, self.plan, failures.inc)
        self.rounds = WitnessRounds(node.core, self.store)
        desk = WitnessDesk(node.core, WitnessBook(node.engine), node.keys.signing)
        node.peer_edge.offer("POST", ADD_CHECKPOINT_PATH, desk.add_checkpoint)
        node.peer_edge.offer("POST", HEADS_PATH, desk.heads)
        node.peer_edge.offer("GET", HEAD_AT_PATH, desk.head_at)
        self._watch()

    def start(self) -> list[asyncio.Task[None]]:
        """Begin the background work: turns by the node's leader, looks by every gateway."""
        node, settings = self._node, self._node.settings
        turns = (
            ("time-stamps", settings.time_stamp_interval_seconds, self.stamper.turn),
            ("witnesses", settings.witness_interval_seconds, self.rounds.turn),
        )
        looks = (
            ("time-stamp backlog", LOOK_SECONDS, self.stamper.look),
            ("witnesses seen", LOOK_SECONDS, self.rounds.look),
        )
        return [
            *(
                asyncio.create_task(work_while_leading(node.leader, name, seconds, turn), name=name)
                for name, seconds, turn in turns
            ),
            *(
                asyncio.create_task(run_for_ever(name, seconds, look), name=name)
                for name, seconds, look in looks
            ),
        ]

    def close(self) -> None:
        self._pool.close()

    def exporter(self) -> AnchorExporter:
        """What puts anchors into evidence."""
        node = self._node
        return AnchorExporter(node.store, self.store, lambda: node.trust.view, self.plan.given)

    def recent_witnesses(self) -> list[str]:
        """Who has signed one of our heads in the last minutes."""
        since = self._node.clock.now() - WITNESSED_RECENTLY
        return sorted(node for node, at in self.rounds.witnesses.items() if at >= since)

    def status(self) -> dict[str, Any]:
        """For ``node status`` and ``doctor``."""
        backlog = self.stamper.backlog
        last = backlog.last_stamp
        return {
            "time_stamps": {
                "configured": self.stamper.configured,
                "backlog_groups": backlog.groups,
                "backlog_seconds": round(backlog.seconds, 1),
                "last_stamp": None if last is None else last.isoformat(),
                "last_error": self.stamper.last_error,
                "alarm": self.stamper.alarming,
            },
            "witnesses": {
                "chosen": self.rounds.chosen(),
                "signed": {node: at.isoformat() for node, at in self.rounds.witnesses.items()},
                "refused": self.rounds.refusals,
            },
        }

    def _watch(self) -> None:
        metrics, stamper, peers = self._node.metrics, self.stamper, self._node.core.peers
        metrics.time_stamp_backlog_groups.set_function(lambda: stamper.backlog.groups)
        metrics.time_stamp_backlog_seconds.set_function(lambda: stamper.backlog.seconds)
        metrics.witnesses.set_function(lambda: len(self.recent_witnesses()))
        metrics.forked_ledgers.set_function(lambda: len(peers.forked))
