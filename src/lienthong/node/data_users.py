"""Who uses the data of a service, as the owner's node tells the catalogue.

    consumers, users = users_of(documents, named=True)

Every member with an agreement in force is counted. State agencies are named, with their systems and
purposes, unless the owner keeps that to itself; companies, organisations and whoever else has a
member's identifier are only counted, as a name of theirs may be a person's. A purpose with a long
number in it may be about one person's file, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lienthong.agreements.models import AgreementDocument
from lienthong.catalogue.models import MOST_USERS, STATE_AGENCY, DataUser
from lienthong.identity.identifiers import SubsystemId

MOST_SHOWN = 5  # systems and purposes of one agency
_LONGEST_SYSTEM = 100
_NUMBER = re.compile(r"\d(?:[ ./-]?\d){7,}")  # eight digits: citizens, telephones, cases, accounts


def users_of(
    documents: Iterable[AgreementDocument], *, named: bool
) -> tuple[int, tuple[DataUser, ...]]:
    """Return how many members the agreements are with, and the state agencies among them."""
    consumers: dict[str, list[AgreementDocument]] = {}
    for document in documents:
        member = str(SubsystemId.parse(document.consumer).member)
        consumers.setdefault(member, []).append(document)
    if not named:
        return len(consumers), ()
    users = (_user(member, consumers[member]) for member in sorted(consumers))
    return len(consumers), tuple(user for user in users if user is not None)[:MOST_USERS]


def _user(member: str, documents: Iterable[AgreementDocument]) -> DataUser | None:
    listed = sorted(documents, key=lambda each: (each.consumer, each.purposes))
    systems = [SubsystemId.parse(each.consumer) for each in listed]
    if systems[0].member_class != STATE_AGENCY:
        return None
    codes = (each.subsystem for each in systems if len(each.subsystem) <= _LONGEST_SYSTEM)
    purposes = (text for each in listed for text in each.purposes if not _NUMBER.search(text))
    return DataUser(member, _first(codes), _first(purposes))


def _first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))[:MOST_SHOWN]
