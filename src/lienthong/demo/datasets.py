"""Contracts of datasets that do not exist: for showing, testing and measuring the catalogue.

    entries = generated_entries(3_000, seed=2026)
    contract_of(entry)      # the ODCS file that the entry describes

Titles, agencies, laws and fields fit together: a province's department of justice has registers
of births, not of fishing boats. The same seed gives the same entries.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any

import yaml

from lienthong.catalogue.models import CatalogueEntry, EntryField, Facts, Quality, entry_key
from lienthong.catalogue.words import fold
from lienthong.contracts.classification import Classification
from lienthong.units.agencies import agencies
from lienthong.units.models import Level, Unit
from lienthong.units.service import units_on

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
LAST_DAY = datetime(2026, 9, 1, tzinfo=UTC)
_SHARE_OF_CENTRAL = 0.15
_SHARE_WITH_SERVICE = 0.4


@dataclass(frozen=True, slots=True)
class _Domain:
    code: str
    name: str
    laws: tuple[str, ...]
    subjects: tuple[str, ...]
    fields: tuple[EntryField, ...]


@dataclass(frozen=True, slots=True)
class _Owner:
    member: str
    name: str
    unit: str
    unit_name: str


class _Parts:
    """What entries are made of, read once."""

    def __init__(self) -> None:
        text = files("lienthong.demo").joinpath("data/datasets.toml").read_text(encoding="utf-8")
        data = tomllib.loads(text)
        self.kinds: list[str] = data["kinds"]
        self.frequencies: list[str] = data["frequencies"]
        self.purposes: list[str] = data["purposes"]
        self.common = tuple(
            EntryField(
                each["name"],
                each["title"],
                each.get("type", "string"),
                Classification(each["class"]),
            )
            for each in data["common_field"]
        )
        self.domains = tuple(map(_domain, data["domain"]))
        # A few domains have most of the datasets, as in life.
        self.weights = list(accumulate(1 / (rank + 2) for rank in range(len(self.domains))))
        self.central = tuple(
            _Owner(f"VN/GOV/{each.code}", each.name, "", "")
            for each in agencies().values()
            if each.code.startswith("G") and each.valid_until is None
        )
        self.provinces = units_on(LAST_DAY.date(), Level.PROVINCE)
        self.departments: list[str] = data["departments"]
        self.communes: dict[str, list[Unit]] = {}
        for unit in units_on(LAST_DAY.date(), Level.COMMUNE):
            self.communes.setdefault(unit.province, []).append(unit)

    def owner(self, random: Random) -> tuple[_Owner, Unit | None]:
        if random.random() < _SHARE_OF_CENTRAL:
            return random.choice(self.central), None
        number = random.randrange(len(self.provinces))
        province, department = self.provinces[number], random.randrange(len(self.departments))
        owner = _Owner(
            f"VN/GOV/H{number + 1:02}.{department + 1:02}",
            f"{self.departments[department]} {province.name}",
            province.code,
            province.name,
        )
        return owner, random.choice(self.communes[province.code])


def generated_entries(count: int, seed: int = 2026) -> Iterator[CatalogueEntry]:
    """Yield ``count`` entries with distinct keys."""
    parts, random = _parts(), Random(seed)  # noqa: S311 - nothing secret is drawn
    for number in range(count):
        yield _entry(parts, random, number)


def contract_of(entry: CatalogueEntry) -> bytes:
    """Return an ODCS contract that says what ``entry`` says."""
    document: dict[str, Any] = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": entry.contract_id,
        "name": entry.title,
        "version": entry.version,
        "status": entry.status,
        "domain": entry.domain,
        "tags": list(entry.tags),
        "description": {"purpose": entry.description},
        "team": {"name": entry.owner_name},
        "slaProperties": [{"property": "frequency", "value": entry.frequency}],
        "customProperties": [
            {"property": "lienthong:legalBasis", "value": list(entry.legal_basis)}
        ],
        "schema": [_schema(entry)],
    }
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()


def _schema(entry: CatalogueEntry) -> dict[str, Any]:
    table = "_".join(fold(entry.title)[:6])
    return {
        "name": table,
        "physicalName": table,
        "physicalType": "table",
        "description": entry.description,
        "properties": [
            {
                "name": field.name,
                "businessName": field.title,
                "logicalType": field.type,
                "classification": field.classification.value,
                **({"primaryKey": True, "primaryKeyPosition": 1} if number == 0 else {}),
            }
            for number, field in enumerate(entry.fields)
        ],
    }


def _entry(parts: _Parts, random: Random, number: int) -> CatalogueEntry:
    (domain,) = random.choices(parts.domains, cum_weights=parts.weights)
    owner, commune = parts.owner(random)
    subject, kind, year = random.choice(domain.subjects), random.choice(parts.kinds), 0
    title = f"{kind} {subject}"
    if random.random() < 0.5:
        year = random.randint(2015, 2026)
        title += f" năm {year}"
    if commune is not None and random.random() < 0.6:
        title += f" {commune.name}"
    contract_id = f"{'-'.join(fold(subject)[:4])}-{number + 1:07}"
    published = FIRST_DAY + timedelta(minutes=random.randrange(1_400_000))
    modified = min(LAST_DAY, published + timedelta(minutes=random.randrange(400_000)))
    node = f"{owner.member}/n1"
    callable_ = random.random() < _SHARE_WITH_SERVICE
    return CatalogueEntry(
        key=entry_key(owner.member, contract_id),
        contract_id=contract_id,
        version=f"{random.randint(1, 3)}.{random.randint(0, 9)}.0",
        status="active",
        title=title,
        description=_description(parts, random, domain, subject, owner, year),
        owner=owner.member,
        owner_name=owner.name,
        domain=domain.name,
        tags=(domain.code, "-".join(fold(subject))),
        legal_basis=tuple(random.sample(domain.laws, random.randint(1, len(domain.laws)))),
        fields=_fields(parts, random, domain),
        unit=owner.unit,
        unit_name=owner.unit_name,
        frequency=random.choice(parts.frequencies),
        facts=_facts(random, modified),
        published=published,
        modified=modified,
        node=node,
        service=f"{owner.member}/{domain.code}/{contract_id}" if callable_ else "",
    )


def _description(
    parts: _Parts, random: Random, domain: _Domain, subject: str, owner: _Owner, year: int
) -> str:
    when = f" trong năm {year}" if year else ""
    return (
        f"Thông tin về {subject}{when} do {owner.name} quản lý, {random.choice(parts.purposes)}. "
        f"Thuộc lĩnh vực {domain.name.lower()}; cập nhật {random.choice(parts.frequencies)}."
    )


def _fields(parts: _Parts, random: Random, domain: _Domain) -> tuple[EntryField, ...]:
    own = random.sample(domain.fields, random.randint(2, len(domain.fields)))
    common = random.sample(parts.common, random.randint(1, 6))
    if random.random() < 0.3:  # open data: nothing in it is about a person
        common = [each for each in common if each.classification is Classification.PUBLIC]
        own = [each for each in own if each.classification is Classification.PUBLIC] or own[:1]
    return (*own, *common)


def _facts(random: Random, modified: datetime) -> Facts:
    rules = random.randint(0, 12)
    failed = 0 if random.random() < 0.8 else random.randint(0, rules)
    return Facts(
        records=int(10 ** random.uniform(1, 8)),
        updated=modified,
        quality=Quality(rules, failed, modified) if rules else None,
        consumers=int(random.paretovariate(1.0)) - 1,
    )


def _domain(data: dict[str, Any]) -> _Domain:
    return _Domain(
        data["code"],
        data["name"],
        tuple(data["laws"]),
        tuple(data["subjects"]),
        tuple(_field(*text.split(":")) for text in data["fields"]),
    )


def _field(name: str, title: str, classification: str = "public") -> EntryField:
    return EntryField(name, title, "string", Classification(classification))


@cache
def _parts() -> _Parts:
    return _Parts()
