"""Claims: what a consumer believes a field holds, to be confirmed or not.

    agrees(field, held="Nguyễn Văn A", claimed="NGUYỄN VĂN A")      # True

The rule of comparison, by type:
- **string**: both sides in Unicode NFC, letters in any case, spaces at the ends dropped and
  runs of spaces taken as one, because names are typed by people. Diacritics count: *Hoà* is
  not *Hoa*. With ``lienthong:compare: exact`` in the contract only NFC is applied.
- **number**: as decimals, so "1.50" equals 1.5; **timestamp**: as moments, whatever the zone.
- **integer, boolean, date, time**: equal; **object, array, map, vector**: equal in every part.
- **null** agrees with a field that holds nothing, and with nothing else.
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

from lienthong.contracts.models import Comparison, Field, FieldType
from lienthong.errors import InvalidClaim
from lienthong.sources.values import JsonValue, release_claim

_JSON_TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.STRING: (str,),
    FieldType.INTEGER: (int,),
    FieldType.NUMBER: (str, int, Decimal),
    FieldType.BOOLEAN: (bool,),
    FieldType.DATE: (str,),
    FieldType.TIMESTAMP: (str,),
    FieldType.TIME: (str,),
    FieldType.OBJECT: (dict,),
    FieldType.ARRAY: (list,),
    FieldType.MAP: (dict,),
    FieldType.VECTOR: (list,),
}


def read_claim(field: Field, value: Any) -> JsonValue:
    """Return a claim in canonical form. Raises InvalidClaim when it is not of the type."""
    if value is None:
        return None
    right_kind = isinstance(value, _JSON_TYPES[field.type])
    if not right_kind or (isinstance(value, bool) and field.type is not FieldType.BOOLEAN):
        raise InvalidClaim(field=field.name, wanted=field.type.value)
    try:
        return release_claim(field)(value)
    except ValueError:
        raise InvalidClaim(field=field.name, wanted=field.type.value) from None


def agrees(field: Field, held: JsonValue, claimed: JsonValue) -> bool:
    """Tell whether ``claimed`` says what ``held`` is; both in canonical form."""
    if isinstance(held, str) and isinstance(claimed, str) and field.type is FieldType.STRING:
        return _comparable(field, held) == _comparable(field, claimed)
    return held == claimed


def _comparable(field: Field, text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if field.compare is Comparison.EXACT:
        return composed
    return unicodedata.normalize("NFC", " ".join(composed.casefold().split()))
