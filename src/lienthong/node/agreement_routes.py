"""The management API's agreements: list, show, propose, accept, refuse, withdraw.

    app.include_router(agreement_routes(service))

Errors leave as LienthongError; the application answers them as RFC 9457 problems.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict

from lienthong.agreements.models import Agreement, ContractReference, Statement
from lienthong.agreements.patterns import Endpoint
from lienthong.agreements.proposals import Proposal
from lienthong.agreements.service import AgreementService
from lienthong.agreements.store import Delivery


class ContractBody(BaseModel):
    """The contract that the proposer has before them."""

    model_config = ConfigDict(extra="forbid")
    id: str
    version: str
    digest: str

    def reference(self) -> ContractReference:
        return ContractReference(self.id, self.version, self.digest)


class ProposalBody(BaseModel):
    """Terms of a proposal; endpoints as ``POST /records:lookup``."""

    model_config = ConfigDict(extra="forbid")
    consumer: str
    service: str
    purposes: list[str]
    legal_basis: str
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    fields: list[str] = []
    endpoints: list[str] = []
    contract: ContractBody | None = None
    rate: int | None = None
    burst: int | None = None
    daily_quota: int | None = None

    def proposal(self) -> Proposal:
        """Raises InvalidPattern."""
        return Proposal(
            consumer=self.consumer,
            service=self.service,
            purposes=tuple(self.purposes),
            legal_basis=self.legal_basis,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            fields=tuple(self.fields),
            endpoints=tuple(Endpoint.parse(text) for text in self.endpoints),
            contract=None if self.contract is None else self.contract.reference(),
            rate=self.rate,
            burst=self.burst,
            daily_quota=self.daily_quota,
        )


class ReasonBody(BaseModel):
    """Why a right is refused or ended; the other party reads it."""

    model_config = ConfigDict(extra="forbid")
    reason: str


def agreement_routes(service: AgreementService) -> APIRouter:
    """Return the routes over ``service``."""
    routes = APIRouter(prefix="/agreements", tags=["agreements"])

    async def shown(agreement: Agreement) -> dict[str, Any]:
        waiting = [
            each for each in await service.undelivered() if each.agreement_id == agreement.id
        ]
        return _view(agreement, waiting, service)

    @routes.get("")
    async def list_agreements() -> dict[str, Any]:
        waiting = await service.undelivered()
        agreements = await service.agreements()
        return {
            "agreements": [
                _view(each, [item for item in waiting if item.agreement_id == each.id], service)
                for each in agreements
            ]
        }

    @routes.post("", status_code=201)
    async def propose(body: ProposalBody) -> dict[str, Any]:
        return await shown(await service.propose(body.proposal()))

    @routes.get("/{agreement_id}")
    async def show(agreement_id: str) -> dict[str, Any]:
        return await shown(await service.agreement(agreement_id))

    @routes.post("/{agreement_id}/accept")
    async def accept(agreement_id: str) -> dict[str, Any]:
        return await shown(await service.accept(agreement_id))

    @routes.post("/{agreement_id}/refuse")
    async def refuse(agreement_id: str, body: ReasonBody) -> dict[str, Any]:
        return await shown(await service.refuse(agreement_id, body.reason))

    @routes.post("/{agreement_id}/withdraw")
    async def withdraw(agreement_id: str, body: ReasonBody) -> dict[str, Any]:
        return await shown(await service.withdraw(agreement_id, body.reason))

    return routes


def _view(
    agreement: Agreement, waiting: list[Delivery], service: AgreementService
) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(agreement.document)
    del document["type"]
    return {
        **document,
        "endpoints": [str(endpoint) for endpoint in agreement.document.endpoints],
        "digest": agreement.document.digest,
        "status": agreement.status(service.now()).value,
        "statements": [_statement(statement) for statement in agreement.statements],
        "undelivered": [
            {"node": each.node, "attempts": each.attempts, "last_error": each.last_error}
            for each in waiting
        ],
    }


def _statement(statement: Statement) -> dict[str, Any]:
    shown = ("act", "party", "node", "key_id", "time", "reason")
    members: dict[str, Any] = msgspec.to_builtins(statement)
    return {name: members[name] for name in shown}
