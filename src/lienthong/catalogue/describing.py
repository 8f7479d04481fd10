"""An entry from a contract: what the catalogue shows of it.

entry_of(contract, publication, owner_name="Bộ Công an", now=now)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import lru_cache

from lienthong.catalogue.models import CatalogueEntry, EntryField, NamedUser, Publication
from lienthong.contracts.models import Contract
from lienthong.errors import UnitError
from lienthong.identity.identifiers import MemberId
from lienthong.units.agencies import AgencyCode
from lienthong.units.maps import LAST_OLD_DAY
from lienthong.units.service import find, roll

_CONTACT = re.compile(r"(https?://|mailto:)[^\s<>\"{}|\\^`]{1,500}")
FREQUENCY = "frequency"  # the service level of ODCS that says how often data is brought up to date


def entry_of(
    contract: Contract,
    publication: Publication,
    *,
    owner_name: str,
    now: datetime,
    first: datetime | None = None,
    name_of: Callable[[str], str] = lambda member: "",
) -> CatalogueEntry:
    """Return the entry of a publication; ``first``: when the contract was first published.

    ``name_of`` returns what the directory calls a member; empty for one that it does not know,
    who is then not shown among the users.
    """
    unit, unit_name = unit_of(publication.owner, now.date())
    details = contract.details
    return CatalogueEntry(
        key=publication.key,
        contract_id=contract.id,
        version=contract.version,
        status=contract.status,
        title=contract.name,
        description=contract.description,
        owner=publication.owner,
        owner_name=owner_name,
        domain=details.domain,
        tags=details.tags,
        legal_basis=tuple(
            part.strip()
            for text in contract.legal_basis
            for part in text.split(";")
            if part.strip()
        ),
        fields=tuple(_fields(contract)),
        unit=unit,
        unit_name=unit_name,
        frequency=frequency_of(contract),
        facts=publication.facts,
        users=tuple(
            NamedUser(each.member, name, each.systems, each.purposes)
            for each in publication.facts.users or ()
            if (name := name_of(each.member))
        ),
        published=first or publication.time,
        modified=now.replace(microsecond=0),
        node=publication.node,
        service=publication.service,
        digest=contract.digest,
        title_en=details.title_en,
        description_en=details.description_en,
        contact=_contact(contract),
    )


def _fields(contract: Contract) -> Iterator[EntryField]:
    """Fields that can be asked for, then their parts, then those of the other objects."""
    for each in (contract, *contract.others):
        prefix = "" if each is contract else f"{each.details.dataset}."
        for field in each.fields.values():
            for part in (field, *field.within()):
                kind, level = part.type.value, part.classification
                yield EntryField(prefix + part.name, part.title, kind, level, part.description)


def frequency_of(contract: Contract) -> str:
    """How often the data is brought up to date, in the contract's own words."""
    for level in contract.details.service_levels:
        if level.property.casefold() == FREQUENCY and level.value is not None:
            return f"{level.value} {level.unit}".strip()
    return ""


def _contact(contract: Contract) -> str:
    """The first address of the contract's support channels that a program can follow."""
    addresses = (str(channel.get("url", "")) for channel in contract.details.support)
    return next((each for each in addresses if _CONTACT.fullmatch(each)), "")


@lru_cache(4_096)
def unit_of(owner: str, day: date) -> tuple[str, str]:
    """Return code and name of the province that an agency belongs to; empty for the rest.

    Codes of provinces lead to the map of 63; the province of ``day`` is where that one lies now.
    """
    try:
        agency = AgencyCode.parse(MemberId.parse(owner).code).agency
        if agency is None or agency.province is None:
            return "", ""
        rolled = roll(agency.province, LAST_OLD_DAY, day).dominant
        unit = rolled or find(agency.province, day)
    except UnitError:  # a member's code need not be one of the state's agency codes
        return "", ""
    return unit.code, unit.name
