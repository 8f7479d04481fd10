"""Management routes about the node itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lienthong import __version__
from lienthong.directory.view import DirectoryView
from lienthong.errors import LienthongError
from lienthong.ledger.heads import format_time
from lienthong.ledger.restored import gaps
from lienthong.node.health_checks import health_report

if TYPE_CHECKING:
    from lienthong.node.node import Node

MEMBER_PARTS = 3  # instance, class, code


class Maintenance(BaseModel):
    """Whether the node is to answer 503 on ``/health``, so that a balancer passes it by."""

    on: bool


class Names(BaseModel):
    """Members and subsystems whose names are wanted."""

    ids: list[Annotated[str, Field(max_length=600)]] = Field(max_length=1000)


def names_of(view: DirectoryView, ids: list[str]) -> dict[str, str]:
    """What the directory calls members and their subsystems; those it has not are left out."""
    found = {}
    for each in ids:
        member_id, code = "/".join(each.split("/")[:MEMBER_PARTS]), each.split("/")[MEMBER_PARTS:]
        try:
            statement = view.member(member_id).statement
        except LienthongError:
            continue
        systems = {system.code: system.name for system in statement.subsystems}
        name = systems.get(code[0]) if code else statement.name
        if name and len(code) < 2:
            found[each] = name
    return found


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
            "health": {"status": report.word, "checks": [each.facts() for each in report.checks]},
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

    @router.post("/directory/names")
    async def names(wanted: Names) -> dict[str, str]:
        return await asyncio.to_thread(names_of, node.trust.view, wanted.ids)

    @router.post("/directory/refresh")
    async def refresh() -> dict[str, Any]:
        await node.follow_directory()
        return {"version": node.trust.view.version}

    return router
