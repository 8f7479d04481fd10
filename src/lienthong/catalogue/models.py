"""What the catalogue keeps of a dataset, and what a node says when it publishes one.

An entry is one contract in its version in force. Entries of our own nodes are named
``<owner>/<contract id>``, so that nobody takes a name that is another's; harvested ones
``harvested:<source>/<their id>``.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lienthong.contracts.classification import Classification, highest

OWN = "own"  # the ``source`` of what our own nodes published
# Keys and owners of harvested entries begin so; no identifier of ours may hold a colon.
HARVESTED = "harvested:"
STATE_AGENCY = "GOV"  # the class of members whose names may stand among a dataset's users
MOST_USERS = 500  # named in one publication; the others are counted
MOST_RESULTS = 300  # of rules in one publication; the largest register that we ship has 90

Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=10**15)]


class EntryField(msgspec.Struct, frozen=True):
    """One field as the catalogue shows it; the contract itself says more.

    ``name`` is a path for a part of a nested value (``dia_chi.xa``, ``con[].ten``), and for a field
    of an object of the contract that is not served (``ho.ma_ho``).
    """

    name: str
    title: str
    type: str
    classification: Classification
    description: str = ""

    @property
    def can_be_asked_for(self) -> bool:
        """Whether an agreement can be about it: a field of the served object, whole."""
        return not set(self.name) & set(".[{")


class RuleResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one rule came to in the source; no value of the data is in it.

    ``found`` and ``expected`` are written as people read them (``3``, ``≤ 5 %``); ``samples`` is
    how many keys of rows that break the rule were noted at the source, where they stay.
    """

    rule: Annotated[str, Meta(min_length=1, max_length=300)]
    outcome: Literal["passed", "failed", "warned", "not-measured", "left-out"]
    fields: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=20)] = ()
    expected: Annotated[str, Meta(max_length=100)] = ""
    found: Annotated[str, Meta(max_length=60)] = ""
    samples: Annotated[int, Meta(ge=0, le=10**6)] = 0
    reason_vi: Annotated[str, Meta(max_length=300)] = ""
    reason_en: Annotated[str, Meta(max_length=300)] = ""


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The last run of the contract's quality rules at the owner's node.

    ``results`` may be fewer than ``rules``: those that failed come first.
    """

    rules: Count
    failed: Count
    checked: Moment
    results: Annotated[tuple[RuleResult, ...], Meta(max_length=MOST_RESULTS)] = ()

    def __post_init__(self) -> None:
        if self.failed > self.rules:
            raise ValueError("more rules failed than there are")

    @property
    def passed(self) -> bool:
        return self.rules > 0 and self.failed == 0


class DataUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A state agency that may use the data: its systems, and what for, as its agreements say.

    Never a person: members of other classes are counted only, and a purpose that holds a number
    of somebody or something is left out by the node (``node/data_users.py``).
    """

    member: Annotated[str, Meta(min_length=1, max_length=400)]
    systems: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(max_length=5)
    ] = ()
    purposes: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=5)
    ] = ()


class NamedUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same as the catalogue shows it, with the name that the directory has."""

    member: str
    name: str
    systems: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the owner's node knows of the data today; None where it does not know.

    ``records``: rows in the source. ``updated``: the last change of the data. ``consumers``:
    members with an agreement in force, counted; ``users``: the state agencies among them by name,
    which the owner may keep to itself (setting ``catalogue_users``). Left out of the JSON where
    there are none to name, so that a publication without them is what it was in earlier releases.
    """

    records: Count | None = None
    updated: Moment | None = None
    quality: Quality | None = None
    consumers: Count | None = None
    users: Annotated[tuple[DataUser, ...], Meta(max_length=MOST_USERS)] | msgspec.UnsetType = (
        msgspec.UNSET
    )

    def __post_init__(self) -> None:
        named = [each.member for each in self.users or ()]
        if len(set(named)) != len(named):
            raise ValueError("a user is named twice")
        if len(named) > (self.consumers or 0):
            raise ValueError("more users are named than counted")


class Distribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One form in which a harvested dataset can be had at its source; at least one address."""

    title: str = ""
    format: str = ""  # CSV, JSON, … as its source says it
    access_url: str = ""
    download_url: str = ""
    licence: str = ""  # an address, or a name

    @property
    def url(self) -> str:
        """Where the data itself is, or else where it is told how to get it."""
        return self.download_url or self.access_url

    @property
    def has_licence_address(self) -> bool:
        return self.licence.startswith(("https://", "http://"))


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One dataset as it is searched and shown; ``published`` and ``modified`` are UTC."""

    key: str
    contract_id: str
    version: str
    title: str
    owner: str  # member id; of a harvested one whatever its source says
    owner_name: str
    published: datetime  # this contract's first version
    modified: datetime  # what is shown here
    description: str = ""
    status: str = ""
    domain: str = ""
    tags: tuple[str, ...] = ()
    legal_basis: tuple[str, ...] = ()
    fields: tuple[EntryField, ...] = ()
    unit: str = ""  # code of a province; empty for bodies of the whole country
    unit_name: str = ""
    frequency: str = ""
    facts: Facts = Facts()
    node: str = ""
    service: str = ""
    source: str = OWN  # or the address it was harvested from
    landing_page: str = ""  # of a harvested one: where it is at home
    digest: str = ""  # SHA-256 of the contract; ``CatalogueStore.contract`` has its bytes
    title_en: str = ""
    description_en: str = ""
    distributions: tuple[Distribution, ...] = ()  # of a harvested one
    users: tuple[NamedUser, ...] = ()  # state agencies with an agreement in force
    contact: str = ""  # where the owner can be asked: an http, https or mailto address

    @property
    def classification(self) -> Classification:
        """The most closed class of its fields, also of objects that are only described."""
        return highest(field.classification for field in self.fields)

    @property
    def is_own(self) -> bool:
        return self.source == OWN

    @property
    def standing(self) -> int:
        """0 to 31: which of two equally good matches comes first.

        Most for how many agencies use it; then our own before harvested, callable before
        described, checked before unchecked. Nothing in it is for sale or set by the owner's
        words: only ``consumers`` and ``quality``, which the owner's node signs.
        """
        facts = self.facts
        used = min(12, 2 * (facts.consumers or 0).bit_length())
        checked = 2 if facts.quality is None else 4 * facts.quality.passed
        known = 2 * (facts.records is not None) + 2 * (facts.updated is not None)
        return used + checked + known + 8 * self.is_own + 3 * bool(self.service)


class Act(StrEnum):
    """What a publication says."""

    PUBLISH = "publish"
    WITHDRAW = "withdraw"


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's signed word about one contract, given for the contract's owner.

    ``digest`` is the SHA-256 of the contract's bytes, which travel beside it.
    """

    type: Literal["lienthong-publication-1"] = "lienthong-publication-1"
    act: Act
    owner: Annotated[str, Meta(min_length=1, max_length=400)]
    contract_id: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Annotated[str, Meta(min_length=1, max_length=100)]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    service: Annotated[str, Meta(max_length=600)] = ""
    facts: Facts = Facts()
    reason: Annotated[str, Meta(max_length=2000)] = ""  # of a withdrawal
    node: Annotated[str, Meta(min_length=1, max_length=500)]
    key_id: Annotated[str, Meta(min_length=1, max_length=200)]
    algorithm: Annotated[str, Meta(min_length=1, max_length=100)]
    time: Moment
    signature: bytes = b""

    @property
    def key(self) -> str:
        """The name of its entry."""
        return entry_key(self.owner, self.contract_id)


class Kept(msgspec.Struct, frozen=True):
    """One line of an entry's history: a publication as it was received."""

    number: int
    publication: Publication
    received: datetime


def entry_key(owner: str, contract_id: str) -> str:
    return f"{owner}/{contract_id}"
