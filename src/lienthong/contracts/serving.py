"""Whether the records of a contract's served object can be asked for by their key.

    check_servable(contract)        # at ``lienthong service add``

A contract says more than a node can serve: objects without a key, names that cannot stand in
an address, dates written in formats of their own. Such contracts load, compare and publish;
what stands in the way of serving them is said where a service is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lienthong.contracts.models import Contract, Field, FieldType
from lienthong.contracts.rules import DATE_FORMATS
from lienthong.errors import (
    ContractError,
    DatasetCount,
    FieldNameInvalid,
    FieldTypeUnsupported,
    KeyNotDeclared,
)

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_KEY_TYPES = (FieldType.STRING, FieldType.INTEGER)


def check_servable(contract: Contract) -> None:
    """Raise the first of ``serving_problems``."""
    for problem in serving_problems(contract):
        raise problem


def serving_problems(contract: Contract) -> Iterator[ContractError]:
    """Yield what stands in the way of serving the contract's served object."""
    if not contract.objects:
        yield DatasetCount(count=0)
        return
    yield from _name_problems(contract)
    for field in contract.fields.values():
        yield from _date_problems(field)
    yield from _key_problems(contract)


def _name_problems(contract: Contract) -> Iterator[ContractError]:
    seen: set[str] = set()
    for name in contract.fields:
        if not _FIELD_NAME.match(name):
            yield FieldNameInvalid(field=name[:100], reason="letters a-z, digits and _ wanted")
        elif name.casefold() in seen:
            yield FieldNameInvalid(field=name, reason="used twice")
        seen.add(name.casefold())


def _date_problems(field: Field) -> Iterator[ContractError]:
    for each in (field, *field.within()):
        written = each.date_format
        if each.type is FieldType.DATE and written is not None and written not in DATE_FORMATS:
            yield FieldTypeUnsupported(field=each.name[:100], found=f"date {written}"[:100])


def _key_problems(contract: Contract) -> Iterator[ContractError]:
    if not contract.key:
        count = len(contract.details.primary_key)
        yield KeyNotDeclared(reason=f"{count} fields with primaryKey")
    elif contract.key not in contract.fields:
        yield KeyNotDeclared(reason=f"no field {contract.key[:100]}")
    elif contract.key_field.type not in _KEY_TYPES:
        yield KeyNotDeclared(reason=f"{contract.key[:100]} is neither string nor integer")
