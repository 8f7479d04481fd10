"""Management routes about the node itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel

from lienthong import __version__
from lienthong.ledger.heads import format_time
from lienthong.ledger.restored import gaps
from lienthong.node.health_checks import health_report

if TYPE_CHECKING:
    from lienthong.node.node import Node


class Maintenance(BaseModel):
    """Whether the node is to answer 503 on ``/health``, so that a balancer passes it by."""

    on: bool


def status_routes(node: Node) -> APIRouter:
    """Who the node is, where it listens, how it is."""
    router = APIRouter()

    @router.get("/status")
    async def status() -> dict[str, Any]:
        report = health_report(node)
        return {
            "node": node.identity.node,
            "version": __version__,
            "addresses": node.listeners.addresses(),
            "health": {"status": report.word, "checks": msgspec.to_builtins(report.checks)},
            "directory": {
                "instance": node.trust.view.instance,
                "version": node.trust.view.version,
                "expires": node.trust.view.expires.isoformat(),
                "alarms": [str(alarm) for alarm in node.trust.mirror.alarms],
            },
            "keys": {
                "signing": node.keys.signing.public.key_id,
                "in_token": node.keys.signing.is_remote,
                "waiting": node.keys.pending(),
            },
            "expiry": [each.facts(node.clock.now()) for each in node.expiry.items],
            "ledger": {
                "epoch": node.core.committer.epoch,
                "groups": node.core.committer.size,
                "groups_since_start": node.core.committer.groups_committed,
                "records_since_start": node.core.committer.entries_committed,
                "head": node.core.committer.head_note,
            },
            "gaps": [
                {"epoch": gap.epoch, "opened": format_time(gap.opened), "reason": gap.reason}
                for gap in await asyncio.to_thread(gaps, node.engine)
            ],
            "peers": node.core.peers.origins(),
            "forks": node.core.peers.forks(),
            **node.anchoring.status(),
            "in_flight": node.core.in_flight,
            "services": [each.id for each in node.services.all()],
            "clients": [each.subsystem for each in node.clients.all()],
        }

    @router.put("/maintenance")
    async def maintenance(wanted: Maintenance) -> dict[str, bool]:
        node.maintenance = wanted.on
        return {"on": node.maintenance}

    @router.post("/directory/refresh")
    async def refresh() -> dict[str, Any]:
        await node.follow_directory()
        return {"version": node.trust.view.version}

    return router
