"""Read what a data service is asked, and refuse whatever is not exactly a question.

    query = read_query(contract, "POST", "/records:lookup", "", b'{"keys": ["001"]}')

``path`` is the path below the service, percent-decoded once and normalised: the same text
that the agreement was asked about, so that the two cannot be made to differ. ``query`` is the
part after ``?`` as it was on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from lienthong.contracts.models import Contract, Field, FieldType
from lienthong.errors import (
    DuplicateJsonKey,
    InvalidKeyValue,
    InvalidQuery,
    MethodNotAllowed,
    QueryTooLarge,
    TooManyKeys,
    UnknownEndpoint,
    UnknownField,
)
from lienthong.sources.claims import read_claim
from lienthong.sources.source import MOST_KEYS, KeyValue
from lienthong.sources.values import JsonValue

LARGEST_QUERY_BYTES = 1 << 20  # 1,000 keys of the longest kind, escaped
LONGEST_KEY = 200  # characters
_RECORD_PREFIX = "/records/"
_LOOKUP = "/records:lookup"
_VERIFY = "/records:verify"


_Body = TypeVar("_Body", bound=msgspec.Struct)


class Endpoint(NamedTuple):
    """One thing that can be asked: a method, and a pattern of paths."""

    method: str
    pattern: str


ENDPOINTS = (
    Endpoint("GET", "/records/{key}"),
    Endpoint("POST", _LOOKUP),
    Endpoint("POST", _VERIFY),
)


class Operation(StrEnum):
    """The three questions that a data service answers."""

    READ = "read"
    LOOKUP = "lookup"
    VERIFY = "verify"


class Query(msgspec.Struct, frozen=True):
    """One question: which records, which fields, on behalf of nobody in particular.

    ``fields`` is what is asked for (for a verification, what is claimed about); ``subjects``
    the numbers of the people whom it concerns, for the ledger's index.
    """

    operation: Operation
    keys: tuple[KeyValue, ...]
    fields: frozenset[str]
    claims: tuple[tuple[str, JsonValue], ...] = ()
    subjects: tuple[str, ...] = ()


class _LookupBody(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[str | int]
    fields: list[str] | None = None


class _VerifyBody(msgspec.Struct, forbid_unknown_fields=True):
    key: str | int
    claims: dict[str, Any]


def read_query(contract: Contract, method: str, path: str, query: str, body: bytes) -> Query:
    """Return the question that a request asks.

    Raises UnknownEndpoint, MethodNotAllowed, InvalidQuery, QueryTooLarge, DuplicateJsonKey,
    TooManyKeys, InvalidKeyValue, UnknownField, InvalidClaim.
    """
    if path.startswith(_RECORD_PREFIX):
        _check_method(method, "GET")
        return _read_record(contract, path.removeprefix(_RECORD_PREFIX), query, body)
    if path not in (_LOOKUP, _VERIFY):
        raise UnknownEndpoint()
    _check_method(method, "POST")
    if query:
        raise InvalidQuery(place="query", reason="this path takes none")
    return (_read_lookup if path == _LOOKUP else _read_verify)(contract, body)


def _check_method(method: str, allowed: str) -> None:
    if method != allowed:
        raise MethodNotAllowed(allowed=allowed)


def _read_record(contract: Contract, text: str, query: str, body: bytes) -> Query:
    if "/" in text:
        raise UnknownEndpoint()
    if body:
        raise InvalidQuery(place="body", reason="GET takes none")
    key = _key(contract.key_field, _key_from_path(contract.key_field, text), "path")
    names = _fields_parameter(query)
    return Query(
        Operation.READ, (key,), _asked(contract, names), subjects=_subjects(contract, (key,))
    )


def _key_from_path(field: Field, text: str) -> KeyValue:
    if field.type is not FieldType.INTEGER:
        return text
    # Only the one usual way of writing it: "007" and "٧" would be other keys for an agreement.
    if len(text) > 20 or not text.removeprefix("-").isdecimal() or str(int(text)) != text:
        raise InvalidKeyValue(place="path", wanted=field.type.value)
    return int(text)


def _fields_parameter(query: str) -> list[str] | None:
    if not query:
        return None
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=10
        )
    except ValueError as error:
        raise InvalidQuery(place="query", reason="not name=value") from error
    if [name for name, _ in pairs] != ["fields"]:
        raise InvalidQuery(place="query", reason="the one parameter is fields=a,b")
    return pairs[0][1].split(",")


def _read_lookup(contract: Contract, body: bytes) -> Query:
    request = _shaped(body, _LookupBody)
    if len(request.keys) > MOST_KEYS:
        raise TooManyKeys(count=len(request.keys), limit=MOST_KEYS)
    if not request.keys:
        raise InvalidQuery(place="keys", reason="empty")
    field = contract.key_field
    keys = tuple(_key(field, key, f"keys[{n}]") for n, key in enumerate(request.keys))
    if len(set(keys)) != len(keys):
        raise InvalidQuery(place="keys", reason="a key is there twice")
    return Query(
        Operation.LOOKUP,
        keys,
        _asked(contract, request.fields),
        subjects=_subjects(contract, keys),
    )


def _read_verify(contract: Contract, body: bytes) -> Query:
    request = _shaped(body, _VerifyBody)
    if not request.claims:
        raise InvalidQuery(place="claims", reason="empty")
    keys = (_key(contract.key_field, request.key, "key"),)
    asked = _asked(contract, request.claims)
    claims = tuple(
        (name, read_claim(contract.fields[name], value)) for name, value in request.claims.items()
    )
    return Query(Operation.VERIFY, keys, asked, claims, _subjects(contract, keys))


def _key(field: Field, value: Any, place: str) -> KeyValue:
    if field.type is FieldType.INTEGER:
        if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
            return value
    elif isinstance(value, str) and 0 < len(value) <= LONGEST_KEY and _is_plain(value):
        return value
    raise InvalidKeyValue(place=place, wanted=field.type.value)


def _is_plain(text: str) -> bool:
    # Half surrogates and control characters are no text; databases choke on NUL.
    return text.isprintable()


def _asked(contract: Contract, names: Iterable[str] | None) -> frozenset[str]:
    """The fields asked for; without names, all but those released only by name."""
    if names is None:
        return frozenset(
            field.name
            for field in contract.fields.values()
            if not field.classification.only_by_name
        )
    asked = list(names)
    for name in asked:
        if name not in contract.fields:
            raise UnknownField(field=f"{name!r:.100}"[1:-1])
    if not asked or len(set(asked)) != len(asked):
        raise InvalidQuery(place="fields", reason="empty, or a field is there twice")
    return frozenset(asked)


def _subjects(contract: Contract, keys: tuple[KeyValue, ...]) -> tuple[str, ...]:
    return tuple(map(str, keys)) if contract.key_field.subject else ()


def _shaped(body: bytes, shape: type[_Body]) -> _Body:
    try:
        return msgspec.convert(_json(body), shape)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise InvalidQuery(
            place=place.strip("`.") or "body", reason=reason.replace("`", "")[:200]
        ) from None


def check_size(size_bytes: int) -> None:
    """Refuse a question by its size, before it is read into memory. Raises QueryTooLarge."""
    if size_bytes > LARGEST_QUERY_BYTES:
        raise QueryTooLarge(what="size_bytes", limit=LARGEST_QUERY_BYTES)


def _json(body: bytes) -> Any:
    """Read JSON as the standard library does, which alone can tell of keys given twice."""
    check_size(len(body))
    try:
        text = body.decode()
        return json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_float=Decimal,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise QueryTooLarge(what="nesting", limit="2") from None
    except UnicodeDecodeError as error:
        raise InvalidQuery(place=f"byte {error.start}", reason="not UTF-8") from None
    except ValueError as error:  # syntax; also integers of thousands of digits
        place = f"character {error.pos}" if isinstance(error, json.JSONDecodeError) else "body"
        raise InvalidQuery(place=place, reason="not JSON") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise DuplicateJsonKey(key=f"{repeated!r:.100}"[1:-1])
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(name)
