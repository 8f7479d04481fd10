"""The management API's way to the catalogue: publish, withdraw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from lienthong.catalogue.models import MOST_RESULTS, Facts, Quality
from lienthong.errors import NothingToPublish
from lienthong.node.publishing import Publishing

if TYPE_CHECKING:
    from lienthong.node.node import Node


class QualityBody(BaseModel):
    """The last run of the contract's quality rules."""

    model_config = ConfigDict(extra="forbid")
    rules: int = Field(ge=0, le=10**6)
    failed: int = Field(ge=0, le=10**6)
    checked: AwareDatetime
    results: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_RESULTS)

    def quality(self) -> Quality:
        """Raises NothingToPublish when its parts contradict each other."""
        try:
            return msgspec.convert(self.model_dump(), Quality)
        except msgspec.ValidationError as error:
            raise NothingToPublish(reason=str(error)) from error


class FactsBody(BaseModel):
    """What the owner knows of the data today."""

    model_config = ConfigDict(extra="forbid")
    records: int | None = Field(default=None, ge=0, le=10**15)
    updated: AwareDatetime | None = None
    quality: QualityBody | None = None

    def facts(self) -> Facts:
        """Raises NothingToPublish when they contradict each other."""
        quality = None if self.quality is None else self.quality.quality()
        return Facts(records=self.records, updated=self.updated, quality=quality)


class PublishBody(BaseModel):
    """A service of this node, or the text of a contract and its owner.

    With both, the contract takes the place of the one that the service keeps to. ``measure``: the
    node measures the service's source itself before it publishes.
    """

    model_config = ConfigDict(extra="forbid")
    service: str = Field(default="", max_length=600)
    contract: str = ""
    owner: str = Field(default="", max_length=400)
    facts: FactsBody = FactsBody()
    measure: bool = False
    catalogue: str = Field(default="", max_length=1000)


class WithdrawBody(BaseModel):
    """The contract as it was published, its owner, and why it goes."""

    model_config = ConfigDict(extra="forbid")
    contract: str = Field(min_length=1)
    owner: str = Field(max_length=400)
    reason: str = Field(max_length=2000)
    catalogue: str = Field(default="", max_length=1000)


def catalogue_routes(node: Node) -> APIRouter:
    """Return the routes over ``node``."""
    routes = APIRouter(prefix="/catalogue", tags=["catalogue"])
    publishing = Publishing(node)

    @routes.post("/publish")
    async def publish(body: PublishBody) -> dict[str, Any]:
        facts = body.facts.facts()
        if body.service and body.contract:
            answer = await publishing.publish_version(body.service, body.contract, body.catalogue)
        elif body.service and body.measure:
            answer = await publishing.publish_measured(body.service, body.catalogue)
        elif body.service:
            answer = await publishing.publish_service(body.service, facts, body.catalogue)
        elif body.contract and body.owner:
            answer = await publishing.publish_contract(
                body.contract.encode(), body.owner, facts, body.catalogue
            )
        else:
            raise NothingToPublish(reason="neither a service nor a contract with its owner")
        return dict(msgspec.to_builtins(answer))

    @routes.post("/withdraw")
    async def withdraw(body: WithdrawBody) -> dict[str, Any]:
        return await publishing.withdraw(
            body.contract.encode(), body.owner, body.reason, body.catalogue
        )

    return routes
