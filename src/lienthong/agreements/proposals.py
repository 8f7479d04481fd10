"""From what a person asks for to the document that both sides sign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import msgspec

from lienthong.agreements.documents import parse_document
from lienthong.agreements.models import (
    CONTRACT_ENDPOINTS,
    AgreementDocument,
    ContractReference,
    Kind,
    Party,
    Rate,
    whole_second,
)
from lienthong.agreements.patterns import Endpoint
from lienthong.errors import EndpointWanted, ServiceMismatch


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The terms wanted. With ``fields`` it is about a contract service, without a relay.

    ``endpoints`` may be left out for a contract service: its three operations. The first of
    ``purposes`` is the one meant when a request names none. ``burst`` is ``rate`` if None.
    """

    consumer: str
    service: str
    purposes: tuple[str, ...]
    legal_basis: str
    valid_from: datetime
    valid_until: datetime
    fields: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    contract: ContractReference | None = None
    rate: int | None = None
    burst: int | None = None
    daily_quota: int | None = None


class OfferedService(msgspec.Struct, frozen=True):
    """What a provider's node says about a service that it offers."""

    kind: Kind
    contract: ContractReference | None = None
    fields: frozenset[str] = frozenset()


Offers = Callable[[str], OfferedService | None]


def draft(proposal: Proposal, proposed_by: Party) -> AgreementDocument:
    """Write the document. Raises InvalidAgreementDocument, EndpointWanted."""
    if not proposal.fields and not proposal.endpoints:
        raise EndpointWanted()
    kind = Kind.CONTRACT if proposal.fields else Kind.RELAY
    rate = None
    if proposal.rate is not None:
        rate = Rate(proposal.rate, proposal.burst or proposal.rate)
    document = AgreementDocument(
        id=str(uuid4()),
        proposed_by=proposed_by,
        consumer=proposal.consumer,
        service=proposal.service,
        kind=kind,
        contract=proposal.contract,
        endpoints=proposal.endpoints or (CONTRACT_ENDPOINTS if proposal.fields else ()),
        fields=proposal.fields,
        purposes=proposal.purposes,
        legal_basis=proposal.legal_basis,
        valid_from=whole_second(proposal.valid_from),
        valid_until=whole_second(proposal.valid_until),
        rate=rate,
        daily_quota=proposal.daily_quota,
    )
    return parse_document(document.canonical)  # limits of length and number are checked here


def check_offered(document: AgreementDocument, offers: Offers | None) -> None:
    """Check the terms against what the provider really offers. Raises ServiceMismatch."""
    if offers is None:
        return
    offered = offers(document.service)
    if offered is None:
        raise ServiceMismatch(service=document.service, reason="it is not offered here")
    if offered.kind is not document.kind:
        raise ServiceMismatch(service=document.service, reason=f"it is a {offered.kind}")
    unknown = sorted(set(document.fields) - offered.fields)
    if unknown:
        raise ServiceMismatch(
            service=document.service, reason=f"its contract has no field {', '.join(unknown)}"
        )
    if document.contract is not None and document.contract != offered.contract:
        raise ServiceMismatch(service=document.service, reason="its contract is another version")
