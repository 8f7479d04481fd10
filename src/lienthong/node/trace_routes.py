"""The management route behind ``lienthong node trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lienthong.node.trace import LONGEST_ID

if TYPE_CHECKING:
    from lienthong.node.node import Node


class Wanted(BaseModel):
    """Which id is to be followed."""

    id: str = Field(min_length=1, max_length=LONGEST_ID)


def trace_routes(node: Node) -> APIRouter:
    """Follow an id through this node and its partners."""
    router = APIRouter()

    @router.post("/trace")
    async def trace(wanted: Wanted) -> dict[str, Any]:
        return await node.traces.follow(wanted.id)

    return router
