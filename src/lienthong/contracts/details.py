"""The rest of ODCS 3.2, typed: rules of quality, service levels, roles, relationships, servers.

The exchange needs fields, key and table (``models.py``); comparison, tests of quality and the
catalogue need everything that a contract says. All values are frozen; ``Contract.raw`` stays the
source of truth, and what has no type of its own here is kept in ``custom`` or ``options``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Scalar = str | int | float | bool | None
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Metric(StrEnum):
    """The metrics of ODCS's library of quality rules."""

    ROW_COUNT = "rowCount"
    NULL_VALUES = "nullValues"
    MISSING_VALUES = "missingValues"
    INVALID_VALUES = "invalidValues"
    DUPLICATE_VALUES = "duplicateValues"


class Operator(StrEnum):
    """How the number that a rule measures is compared with its bound."""

    MUST_BE = "mustBe"
    MUST_NOT_BE = "mustNotBe"
    GREATER = "mustBeGreaterThan"
    GREATER_OR_EQUAL = "mustBeGreaterOrEqualTo"
    LESS = "mustBeLessThan"
    LESS_OR_EQUAL = "mustBeLessOrEqualTo"
    BETWEEN = "mustBeBetween"
    NOT_BETWEEN = "mustNotBeBetween"


class PersonalData(StrEnum):
    """What a personal field holds (``lienthong:personalData``)."""

    CITIZEN_NUMBER = "citizen-number"
    INSURANCE_CARD = "insurance-card"
    PHONE = "phone"
    EMAIL = "email"
    NAME = "name"
    ADDRESS = "address"
    BIRTH_DATE = "birth-date"
    HEALTH = "health"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Link:
    """An authoritative definition: a law, a glossary, another page."""

    url: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule of quality, on the dataset or on one field.

    ``operator`` and ``bound`` are None for rules of type text and custom. ``bound`` is a pair for
    the two operators "between". ``unit`` is ``rows`` or ``percent``.
    """

    type: str
    on: str | None = None  # the field; None: the dataset
    name: str = ""
    description: str = ""
    metric: Metric | None = None
    operator: Operator | None = None
    bound: Any = None
    unit: str = "rows"
    arguments: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    query: str = ""
    engine: str = ""
    implementation: Any = None
    dimension: str = ""
    severity: str = ""
    business_impact: str = ""
    schedule: str = ""
    scheduler: str = ""
    tags: tuple[str, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Relationship:
    """A foreign key: fields of this dataset, and the place that their values come from.

    ``target_table`` is None where ``to`` is a path of ids, in this file or another
    (``target_text``); ``references.py`` follows either.
    """

    fields: tuple[str, ...]
    target_text: tuple[str, ...]
    target_table: str | None
    target_fields: tuple[str, ...]
    type: str = "foreignKey"
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """One promise about the service: freshness, availability, retention, …"""

    property: str
    value: Scalar
    unit: str = ""
    element: str = ""
    value_ext: Any = None
    driver: str = ""
    description: str = ""
    schedule: str = ""
    scheduler: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """Who may be given access, and who approves it."""

    name: str
    access: str = ""
    description: str = ""
    first_approvers: str = ""
    second_approvers: str = ""
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the data lies; ``options`` holds what is special about servers of its type."""

    name: str
    type: str
    environment: str = ""
    description: str = ""
    roles: tuple[Role, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the team that answers for the data."""

    username: str
    name: str = ""
    role: str = ""
    description: str = ""
    since: str = ""
    until: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Team:
    """Who answers for the data."""

    name: str = ""
    description: str = ""
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the values of a field may be (``logicalTypeOptions``); None: no limit."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    minimum: Scalar = None
    maximum: Scalar = None
    exclusive_minimum: Scalar = None
    exclusive_maximum: Scalar = None
    multiple_of: Scalar = None
    timezone: str | None = None  # of naive timestamps: ``defaultTimezone``
    min_items: int | None = None
    max_items: int | None = None
    min_properties: int | None = None
    max_properties: int | None = None
    unique_items: bool = False
    required_properties: tuple[str, ...] = ()
    # Options that say how a value is made up, such as a vector's ``dimensions``.
    shape: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class FieldDetails:
    """What a contract says of one field beyond what the exchange needs.

    ``making`` holds how its values are made and stored: partitions, transformations, encryption.
    """

    id: str = ""
    required: bool = False
    unique: bool = False
    key_position: int = 0  # from 1 within the table's primary key; 0: no part of it
    enumeration: tuple[Scalar, ...] = ()
    labels: Mapping[Any, str] = field(default_factory=lambda: NOTHING)
    limits: Limits = Limits()
    physical_type: str = ""
    unit: str = ""  # of measurement (``lienthong:unit``): km², VND, người
    personal_data: PersonalData | None = None
    deprecated: bool = False
    critical: bool = False
    semantic: str = "column"
    tags: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    quality: tuple[QualityRule, ...] = ()
    links: tuple[Link, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    stated_class: str = ""  # as written
    making: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class ContractDetails:
    """What a contract says of its dataset beyond what the exchange needs."""

    api_version: str = ""
    tenant: str = ""
    domain: str = ""
    data_product: str = ""
    created: str = ""
    purpose: str = ""
    usage: str = ""
    limitations: str = ""
    title_en: str = ""  # ``lienthong:titleEn``, for catalogues of other countries
    description_en: str = ""
    dataset: str = ""  # the name of the dataset in ``schema``
    dataset_id: str = ""
    physical_type: str = ""  # table, view, topic, file
    deprecated: bool = False
    dataset_title: str = ""
    granularity: str = ""
    tags: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    quality: tuple[QualityRule, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    service_levels: tuple[ServiceLevel, ...] = ()
    roles: tuple[Role, ...] = ()
    servers: tuple[Server, ...] = ()
    team: Team = Team()
    support: tuple[Mapping[str, Any], ...] = ()
    price: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    links: tuple[Link, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    context: Any = None  # for programs that read the data: instructions, verified statements
    words: Any = None  # of the contract alone: tags, links, properties of others
    dataset_words: Any = None  # the same of the dataset, and its context and synonyms
