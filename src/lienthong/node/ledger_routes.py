"""Management routes of the ledger: search, evidence, purge, erase."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from lienthong.errors import NotFound
from lienthong.ledger.evidence_export import LARGEST_BODY_IN_BUNDLE, EvidenceExporter
from lienthong.ledger.fork_evidence import best_first, make_fork_bundle
from lienthong.ledger.search import Found

if TYPE_CHECKING:
    from lienthong.node.node import Node


LONGEST_DAYS = 36_500  # a hundred years; what is beyond is a slip of the keyboard


class Query(BaseModel):
    """What to look for; all conditions given must hold."""

    message: str | None = Field(default=None, max_length=1024)
    party: str | None = Field(default=None, max_length=1024)
    dossier: str | None = Field(default=None, max_length=1024)
    citizen: str | None = Field(default=None, max_length=1024)
    since: datetime | None = None
    until: datetime | None = None
    limit: int = Field(default=100, ge=1, le=10_000)


class Erasure(BaseModel):
    """Whose personal parts are to be erased from which exchange."""

    message: str = Field(max_length=1024)


class Purge(BaseModel):
    """Bodies older than this many days go; None: as set for the node."""

    days: float | None = Field(default=None, ge=0, le=LONGEST_DAYS)


def ledger_routes(node: Node) -> APIRouter:
    """Search, evidence, purge, erase."""
    router = APIRouter()

    @router.post("/ledger/search")
    async def search(query: Query) -> list[dict[str, Any]]:
        def look() -> list[Found]:
            node.index.catch_up()
            return node.index.search(**query.model_dump())

        return [_shown(found) for found in await asyncio.to_thread(look)]

    @router.get("/evidence/{message_id}")
    async def evidence(message_id: str) -> Response:
        exporter = EvidenceExporter(
            node.identity.node,
            node.store,
            node.index,
            node.receipts,
            node.trust.mirror,
            node.clock,
            _body_file_reader(node),
            node.anchoring.exporter(),
        )
        await node.housekeeping.check_consistency()  # what we export, we have compared
        content = await asyncio.to_thread(exporter.export, message_id)
        return Response(content, media_type="application/vnd.lienthong.evidence")

    @router.get("/forks")
    async def fork(node_id: str) -> Response:
        def make() -> bytes:
            for _, first, second in best_first(node.core.peers.forks(), node_id):
                return make_fork_bundle(
                    first, second, node.identity.node, node.trust.mirror, node.clock
                )
            raise NotFound(name=node_id)

        content = await asyncio.to_thread(make)
        return Response(content, media_type="application/vnd.lienthong.fork")

    @router.post("/ledger/purge")
    async def purge(wanted: Purge) -> dict[str, int]:
        days = node.settings.body_retention_days if wanted.days is None else wanted.days
        before = node.clock.now() - timedelta(days=days)
        groups = await asyncio.to_thread(node.store.purge_bodies, before)
        files = await asyncio.to_thread(node.core.bodies.purge, before)
        return {"groups": groups, "files": files}

    @router.post("/ledger/erase")
    async def erase(wanted: Erasure) -> dict[str, int]:
        def erase_all() -> int:
            node.index.catch_up()
            records = node.index.exchange(wanted.message)
            for found in records:
                node.store.erase(found.located, node.core.bodies.erase)
            node.index.forget(records)
            return len(records)

        return {"erased": await asyncio.to_thread(erase_all)}

    return router


def _body_file_reader(node: Node) -> Any:
    def read(name: str) -> bytes | None:
        body = node.core.bodies.open(name)
        return None if body is None or body.size > LARGEST_BODY_IN_BUNDLE else body.read()

    return read


def _shown(found: Found) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(found)
    shown["kind"] = found.kind.name.lower().replace("_", "-")
    shown["place"] = {
        "epoch": found.located.epoch,
        "group": found.located.position,
        "record": found.located.index,
    }
    del shown["located"]
    return shown
