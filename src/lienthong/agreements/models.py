"""What an agreement is: a document that never changes, and signed statements about it.

    agreement.status(now)      # Status.ACTIVE
    agreement.document.fields  # ("ho_ten", "noi_thuong_tru")

Statements are only ever added, so two nodes that know the same ones see the same status, in
whatever order they arrived. To change terms, parties make a new agreement and withdraw the
old one; several may be in force side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from lienthong.agreements.canonical import canonical_json
from lienthong.agreements.patterns import Endpoint
from lienthong.errors import InvalidAgreementDocument, InvalidIdentifier
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId

# Signing keys also sign heads and messages; no text of another kind begins like this.
_SIGNED_PREFIX = b"lienthong-agreement-statement-1\n"
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]")

CONTRACT_ENDPOINTS = (
    Endpoint("GET", "/records/{key}"),
    Endpoint("POST", "/records:lookup"),
    Endpoint("POST", "/records:verify"),
)

ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(min_length=1, max_length=2000)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Instant = Annotated[datetime, Meta(tz=True)]


class Kind(StrEnum):
    """What answers: fields of a contract, which are filtered, or a service passed whole."""

    CONTRACT = "contract"
    RELAY = "relay"


class Party(StrEnum):
    """The two sides."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Party:
        return Party.PROVIDER if self is Party.CONSUMER else Party.CONSUMER


class Act(StrEnum):
    """What a statement says."""

    PROPOSE = "propose"
    ACCEPT = "accept"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


class Status(StrEnum):
    """Where an agreement stands; only an active one gives a right."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class ContractReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contract that the parties had before them; ``digest`` is the file's SHA-256."""

    id: ShortText
    version: ShortText
    digest: Digest


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests a second in the long run, and how many may come at once."""

    per_second: Count
    burst: Count


class AgreementDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms. Raises InvalidAgreementDocument when they contradict each other.

    ``valid_until`` is the first instant at which the agreement no longer holds.
    ``daily_quota`` counts keys asked about in a calendar day of Vietnam.
    """

    type: Literal["lienthong-agreement-1"] = "lienthong-agreement-1"
    id: str
    proposed_by: Party
    consumer: str
    service: str
    kind: Kind
    contract: ContractReference | None
    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1, max_length=100)]
    fields: Annotated[tuple[ShortText, ...], Meta(max_length=1000)]
    purposes: Annotated[tuple[ShortText, ...], Meta(min_length=1, max_length=100)]
    legal_basis: LongText
    valid_from: Instant
    valid_until: Instant
    rate: Rate | None
    daily_quota: Count | None

    def __post_init__(self) -> None:
        _check_uuid(self.id)
        _check_identifiers(self)
        _check_texts((*self.fields, *self.purposes, self.legal_basis))
        _check_distinct("fields", self.fields)
        _check_distinct("purposes", self.purposes)
        check_instant("valid_from", self.valid_from)
        check_instant("valid_until", self.valid_until)
        if self.valid_from >= self.valid_until:
            raise InvalidAgreementDocument(reason="valid_until is not after valid_from")
        if (self.kind is Kind.CONTRACT) != bool(self.fields):
            raise InvalidAgreementDocument(reason="fields belong to contract services, and only")
        if self.kind is Kind.RELAY and self.contract is not None:
            raise InvalidAgreementDocument(reason="a relay has no contract")

    @property
    def provider(self) -> str:
        """The provider's subsystem."""
        return str(ServiceId.parse(self.service).provider)

    def subsystem_of(self, party: Party) -> str:
        return self.consumer if party is Party.CONSUMER else self.provider

    def member_of(self, party: Party) -> str:
        return str(SubsystemId.parse(self.subsystem_of(party)).member)

    @property
    def canonical(self) -> bytes:
        return canonical_json(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical document, in hexadecimal."""
        return sha256(self.canonical).hexdigest()


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side's signed word about one document, given by a node under its delegation."""

    type: Literal["lienthong-agreement-statement-1"] = "lienthong-agreement-statement-1"
    agreement: str
    digest: Digest
    act: Act
    party: Party
    node: str
    key_id: ShortText
    algorithm: ShortText
    time: Instant
    reason: Annotated[str, Meta(max_length=2000)] = ""
    signature: bytes = b""

    def __post_init__(self) -> None:
        check_instant("time", self.time)
        _check_texts((self.reason,))
        try:
            NodeId.parse(self.node)
        except InvalidIdentifier as error:
            raise InvalidAgreementDocument(reason=f"node: {error.facts['reason']}") from error

    @property
    def canonical(self) -> bytes:
        return canonical_json(self)

    @property
    def signed_bytes(self) -> bytes:
        """What the signature covers: all but itself, and through ``digest`` the document."""
        members = msgspec.to_builtins(self)
        del members["signature"]
        return _SIGNED_PREFIX + canonical_json(members)


class Agreement(msgspec.Struct, frozen=True):
    """A document with the statements known about it, at most one a party and act."""

    document: AgreementDocument
    statements: tuple[Statement, ...]

    @property
    def id(self) -> str:
        return self.document.id

    def status(self, now: datetime) -> Status:
        """Return the status. What ends a right always wins over what gives it."""
        acts = {statement.act for statement in self.statements}
        if Act.WITHDRAW in acts:
            return Status.WITHDRAWN
        if Act.REFUSE in acts:
            return Status.REFUSED
        if now >= self.document.valid_until:
            return Status.EXPIRED
        return Status.ACTIVE if {Act.PROPOSE, Act.ACCEPT} <= acts else Status.PROPOSED

    def statement(self, party: Party, act: Act) -> Statement | None:
        for statement in self.statements:
            if (statement.party, statement.act) == (party, act):
                return statement
        return None

    def with_statements(self, statements: Iterable[Statement]) -> Agreement:
        """Return the agreement with those of ``statements`` added that are new to it."""
        known = {(each.party, each.act): each for each in self.statements}
        for statement in statements:
            known.setdefault((statement.party, statement.act), statement)
        ordered = sorted(known.values(), key=lambda each: (each.time, each.act, each.party))
        return Agreement(self.document, tuple(ordered))


def check_instant(name: str, instant: datetime) -> None:
    """Times are written in UTC and whole seconds, so that each has one spelling."""
    if instant.tzinfo is None or instant.utcoffset() or instant.microsecond:
        raise InvalidAgreementDocument(reason=f"{name} is not in whole seconds of UTC")


def whole_second(instant: datetime) -> datetime:
    """Return the instant in UTC without its fraction of a second.

    Raises InvalidAgreementDocument at the ends of the calendar, which have no UTC.
    """
    try:
        return instant.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        reason = f"{instant.isoformat()} is not a date like 2026-01-01"
        raise InvalidAgreementDocument(reason=reason) from error


def _check_uuid(text: str) -> None:
    try:
        canonical = str(UUID(text))
    except ValueError as error:
        raise InvalidAgreementDocument(reason="id is not a UUID") from error
    if canonical != text:
        raise InvalidAgreementDocument(reason="id is not a UUID in lower case")


def _check_identifiers(document: AgreementDocument) -> None:
    try:
        consumer = SubsystemId.parse(document.consumer)
        service = ServiceId.parse(document.service)
    except InvalidIdentifier as error:
        raise InvalidAgreementDocument(reason=error) from error
    if (str(consumer), str(service)) != (document.consumer, document.service):
        raise InvalidAgreementDocument(reason="identifiers are percent-encoded")
    if consumer.instance != service.instance:
        raise InvalidAgreementDocument(reason="the parties belong to two instances")


def _check_texts(texts: tuple[str, ...]) -> None:
    for text in texts:
        if _FORBIDDEN.search(text) or text != text.strip():
            raise InvalidAgreementDocument(
                reason="control character, or white space at an end of a text"
            )


def _check_distinct(name: str, texts: tuple[str, ...]) -> None:
    if len(set(texts)) != len(texts):
        raise InvalidAgreementDocument(reason=f"{name} are named twice")
