"""What a CKAN client asks, read into a ``Listing``.

    listing_of({"q": "hộ tịch", "fq": "organization:vn-gov-g01 metadata_modified:[… TO *]"})

Of Solr's language: words, ``field:value``, ``field:"value"``, ``field:(a OR b)``, ranges of
``metadata_modified``, and ``+`` and ``-`` before a clause. All clauses of ``fq`` have to hold.
Fields that no entry has are refused rather than passed over: a harvester must not take all for
what it asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from lienthong.catalogue.addresses import group_name, key_of
from lienthong.catalogue.query import MOST_LISTED, Listing, Order
from lienthong.catalogue.terms import TAG
from lienthong.errors import QueryInvalid

ROWS = 10
FACET_ROWS = 50
LONGEST_FILTER = 20_000  # characters
ALWAYS = {
    "state": "active",
    "type": "dataset",
    "dataset_type": "dataset",
    "capacity": "public",
    "private": "false",
    "license_id": "notspecified",
}
FACET_FIELDS = {
    "organization": "agency",
    "groups": "domain",
    "tags": TAG,
    "classification": "classification",
    "legal_basis": "legal_basis",
    "unit": "unit",
    "source": "source",
}
_ORDERS = {
    ("score", "desc"): Order.RELEVANCE,
    ("metadata_modified", "asc"): Order.MODIFIED,
    ("metadata_modified", "desc"): Order.MODIFIED_LAST,
    ("id", "asc"): Order.KEY,
    ("id", "desc"): Order.KEY_LAST,
    ("name", "asc"): Order.KEY,
    ("name", "desc"): Order.KEY_LAST,
}
_CLAUSE = re.compile(
    r"""(?P<sign>[+-]?)(?P<field>[A-Za-z_.]+):
        (?:\[(?P<from>\S+)\s+TO\s+(?P<to>[^\s\]]+)\]
          |\((?P<many>[^()]*)\)
          |"(?P<quoted>(?:[^"\\]|\\.)*)"
          |(?P<plain>[^\s"()\[\]]+))""",
    re.VERBOSE,
)
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)')
_NOW = re.compile(r"NOW(?:/[A-Z]+)?((?:[+-][0-9]{1,5}[A-Z]+)*)(?:/[A-Z]+)?")
_STEP = re.compile(r"([+-][0-9]{1,5})([A-Z]+)")
_DAYS = {"MINUTE": 1 / 1440, "HOUR": 1 / 24, "DAY": 1.0, "MONTH": 31.0, "YEAR": 366.0}


class Filters(NamedTuple):
    """What clauses come to; ``never``: one of them holds for no entry."""

    having: dict[str, tuple[str, ...]]
    without: dict[str, tuple[str, ...]]
    since: datetime | None
    until: datetime | None
    keys: tuple[str, ...] | None
    never: bool


Domains = Callable[[], list[str]]


def listing_of(asked: Mapping[str, Any], domains: Domains, default_order: Order) -> Listing:
    """Read the parameters of ``package_search``. Raises QueryInvalid."""
    text, clauses = _split(_text(asked, "q"))
    more = [_text(asked, "fq"), *_texts(asked, "fq_list")]
    for each in more:
        rest, found = _split(each)
        if rest.strip():
            raise QueryInvalid(reason="a filter is not of the form field:value")
        clauses += found
    filters = _Reader(domains).read(clauses)
    counted = facet_fields(asked)
    return Listing(
        text=text,
        filters=filters.having,
        without=filters.without,
        since=filters.since,
        until=filters.until,
        keys=() if filters.never else filters.keys,
        limit=min(MOST_LISTED, number(asked, "rows", ROWS)),
        offset=number(asked, "start", 0),
        facet_values=_facet_rows(asked) if set(counted) - {"tags", "license_id"} else 0,
        tag_values=_facet_rows(asked) if "tags" in counted else 0,
        order=_order(_text(asked, "sort"), default_order),
        as_typed=False,
    )


def facet_fields(asked: Mapping[str, Any]) -> list[str]:
    """The fields of ``facet.field``, which is a list or its JSON. Raises QueryInvalid."""
    given = asked.get("facet.field", [])
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.lstrip().startswith("[") else [given]
        except (ValueError, RecursionError) as error:
            raise QueryInvalid(reason="facet.field is no list") from error
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise QueryInvalid(reason="facet.field is no list")
    unknown = set(given) - {*FACET_FIELDS, "license_id"}
    if unknown:
        raise QueryInvalid(reason=f"unknown filter {min(unknown)[:40]}")
    return given if truth(asked, "facet", True) else []


def number(asked: Mapping[str, Any], name: str, default: int) -> int:
    """A parameter that is a number, also as text. Raises QueryInvalid."""
    value = asked.get(name, default)
    if value is None or value == "":
        return default
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryInvalid(reason=f"{name} is not a number")
    return int(text)


def truth(asked: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A parameter that is true or false, as CKAN reads it."""
    value = asked.get(name, default)
    return str(value).strip().lower() in ("true", "yes", "on", "y", "t", "1")


def _facet_rows(asked: Mapping[str, Any]) -> int:
    if str(asked.get("facet.limit", "")).strip() == "-1":  # Solr's word for all
        return 1 << 30
    return number(asked, "facet.limit", FACET_ROWS)


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name) or ""
    if not isinstance(value, str):
        raise QueryInvalid(reason=f"{name} is not text")
    if len(value) > LONGEST_FILTER:
        raise QueryInvalid(reason=f"text over {LONGEST_FILTER} characters")
    return value


def _texts(asked: Mapping[str, Any], name: str) -> list[str]:
    value = asked.get(name) or []
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = msgspec.json.decode(value.encode("utf-8", "replace"), type=list[str])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise QueryInvalid(reason=f"{name} is not text") from error
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise QueryInvalid(reason=f"{name} is not text")
    return [_text({name: each}, name) for each in value]


def _order(text: str, default: Order) -> Order:
    """The first of the orders that are asked for; ours are total without the others."""
    first = text.split(",")[0].split()
    if not first:
        return default
    found = _ORDERS.get((first[0], (first[1:] or ["asc"])[0].lower()))
    if found is None or len(first) > 2:
        raise QueryInvalid(reason=f"cannot sort by {text[:40]}")
    return found


def _split(text: str) -> tuple[str, list[re.Match[str]]]:
    """Part a query into its clauses and the words that remain."""
    clauses = [found for found in _CLAUSE.finditer(text) if found["field"] != "*"]
    rest = _CLAUSE.sub(" ", text).replace("*:*", " ")
    if not clauses:
        return ("" if rest.strip() == "*" else rest.strip(" +")), []
    words = [word for word in rest.split() if word not in ("AND", "+", "*")]
    return " ".join(words), clauses


class _Reader:
    """Reads clauses one by one."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._having: dict[str, tuple[str, ...]] = {}
        self._without: dict[str, tuple[str, ...]] = {}
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._keys: set[str] | None = None
        self._never = False

    def read(self, clauses: list[re.Match[str]]) -> Filters:
        for clause in clauses:
            self._take(clause)
        keys = None if self._keys is None else tuple(sorted(self._keys))
        return Filters(self._having, self._without, self._since, self._until, keys, self._never)

    def _take(self, clause: re.Match[str]) -> None:
        field, minus = clause["field"], clause["sign"] == "-"
        if field == "metadata_modified" and clause["from"] and not minus:
            self._range(clause["from"], clause["to"])
            return
        values = tuple(_values(clause))
        if field in ALWAYS:
            self._never |= (ALWAYS[field] in [each.lower() for each in values]) is minus
        elif field in ("id", "name") and not minus:
            keys = {key for each in values for key in (each, key_of(each))}
            self._keys = keys if self._keys is None else self._keys & keys
        elif facet := FACET_FIELDS.get("organization" if field == "owner_org" else field):
            self._filter(facet, values, minus)
        elif field not in ("site_id", "+site_id"):
            raise QueryInvalid(reason=f"unknown filter {field[:40]}")

    def _filter(self, facet: str, values: tuple[str, ...], minus: bool) -> None:
        if values == ("*",):
            raise QueryInvalid(reason=f"unknown filter {facet}")
        if facet == "agency":
            values = tuple(each for value in values for each in (value, key_of(value)))
        if facet == "domain":
            named = {group_name(domain): domain for domain in self._domains()}
            values = tuple(named.get(value, value) for value in values)
        if minus:
            self._without[facet] = (*self._without.get(facet, ()), *values)
        elif facet in self._having:  # two clauses of one field both have to hold
            both = tuple(each for each in values if each in self._having[facet])
            self._having[facet] = both
            self._never |= not both
        else:
            self._having[facet] = values

    def _range(self, since: str, until: str) -> None:
        if since != "*":
            self._since = _moment(since)
        if until != "*":
            self._until = _moment(until)


def _values(clause: re.Match[str]) -> Iterator[str]:
    if clause["from"]:
        raise QueryInvalid(reason=f"unknown filter {clause['field'][:40]}")
    if clause["many"] is None:
        text = clause["quoted"] if clause["quoted"] is not None else clause["plain"]
        yield re.sub(r"\\(.)", r"\1", text)
        return
    for quoted, plain in _VALUE.findall(clause["many"]):
        if plain != "OR":
            if plain in ("AND", "NOT"):
                raise QueryInvalid(reason="a filter is not of the form field:value")
            yield re.sub(r"\\(.)", r"\1", quoted) or plain


def _moment(text: str) -> datetime:
    """An ISO moment, UTC where it does not say, or Solr's NOW-7DAYS. Raises QueryInvalid."""
    text = text.strip('"').replace("\\:", ":")
    try:
        if now := _NOW.fullmatch(text):
            days = sum(
                int(count) * _DAYS[unit.removesuffix("S")] for count, unit in _STEP.findall(now[1])
            )
            return datetime.now(UTC) + timedelta(days=days)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, KeyError, OverflowError) as error:
        raise QueryInvalid(reason=f"no moment: {text[:40]}") from error
