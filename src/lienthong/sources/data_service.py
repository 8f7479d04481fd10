"""The data service that stands before a source: three questions, answered from a contract.

    service = DataService(contract, open_source(url, contract))
    query = service.parse("POST", "/records:lookup", "", b'{"keys": ["001090000001"]}')
    status, body = service.answer(query, granted=frozenset({"ho_ten"}))

Released is the intersection of what was asked, what is granted and what the classification
allows (law 2 of the house); everything else that was asked is named under ``withheld``, and is
never read from the source. A field of class ``sensitive`` is released only when it is asked
for by its name. State secrets cannot be here: their contract does not load.

Answers hold no key that the question did not name. A verification of a record that does not
exist looks like one whose claims are all wrong, but for ``found``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from lienthong.contracts.models import Contract
from lienthong.contracts.openapi import openapi_of
from lienthong.errors import NothingGranted, RecordFaulty
from lienthong.identity.identifiers import ServiceId
from lienthong.sources.claims import agrees
from lienthong.sources.queries import ENDPOINTS, Endpoint, Operation, Query, read_query
from lienthong.sources.source import KeyValue, Source
from lienthong.sources.values import JsonValue, Release, release

PLANS_KEPT = 256  # sets of fields that consumers ask for

Record = dict[str, JsonValue]
_encode = msgspec.json.Encoder().encode


class _Fault(NamedTuple):
    """Why a record is set aside."""

    field: str
    reason: str


class _Plan(NamedTuple):
    """How to read one set of fields: what to select, and how to release each value."""

    names: tuple[str, ...]  # to be released, in the contract's order
    selected: tuple[str, ...]  # the same and the key
    releases: tuple[tuple[str, Release], ...]


class DataService:
    """Answers for one contract from one source. Safe for use from many threads."""

    def __init__(self, contract: Contract, source: Source) -> None:
        self.contract = contract
        self.source = source
        self.endpoints: tuple[Endpoint, ...] = ENDPOINTS
        self._release_key = release(contract.key_field)
        self._plan = lru_cache(PLANS_KEPT)(self._make_plan)

    def parse(self, method: str, path: str, query: str, body: bytes) -> Query:
        """Read a question; see ``read_query`` for the form of the arguments and the errors."""
        return read_query(self.contract, method, path, query, body)

    def answer(self, query: Query, granted: frozenset[str]) -> tuple[int, bytes]:
        """Ask the source and return an HTTP status and a JSON body. Blocking.

        Raises NothingGranted before the source is touched; RecordFaulty when the one record
        asked for breaks its contract; and what the source raises.
        """
        names = query.fields & granted
        if not names:
            raise NothingGranted(fields=", ".join(self._ordered(query.fields)))
        found = self._records(self._plan(names), query.keys)
        withheld = self._ordered(query.fields - names)
        if query.operation is Operation.LOOKUP:
            return 200, _encode(_lookup_answer(query.keys, found, withheld))
        record = found.get(query.keys[0])
        if isinstance(record, _Fault):
            raise RecordFaulty(field=record.field, reason=record.reason)
        if query.operation is Operation.VERIFY:
            return 200, _encode(self._verify_answer(query, names, record, withheld))
        return 404 if record is None else 200, _encode({"record": record, "withheld": withheld})

    def openapi(self, service_id: ServiceId) -> dict[str, Any]:
        """Return the service's description in OpenAPI 3.1."""
        return openapi_of(self.contract, service_id)

    def _verify_answer(
        self, query: Query, names: frozenset[str], record: Record | None, withheld: list[str]
    ) -> dict[str, Any]:
        matches = {
            name: record is not None and agrees(self.contract.fields[name], record[name], claimed)
            for name, claimed in query.claims
            if name in names
        }
        return {"found": record is not None, "matches": matches, "withheld": withheld}

    def _records(
        self, plan: _Plan, keys: Sequence[KeyValue]
    ) -> dict[KeyValue | None, Record | _Fault]:
        """Return what the source has for ``keys``: records, and faults in place of some."""
        asked = frozenset(keys)
        key_name = self.contract.key
        found: dict[KeyValue | None, Record | _Fault] = {}
        for row in self.source.fetch(plan.selected, keys):
            key = self._key_of(row[key_name])
            if key not in asked:
                continue  # the database's collation found it, the contract did not mean it
            twice = key in found
            found[key] = (
                _Fault(key_name, "two records have this key") if twice else _record(plan, row)
            )
        return found

    def _key_of(self, value: Any) -> KeyValue | None:
        try:
            key = self._release_key(value)
        except ValueError:
            return None
        return key if isinstance(key, str | int) else None

    def _make_plan(self, names: frozenset[str]) -> _Plan:
        ordered = tuple(self._ordered(names))
        key = self.contract.key
        return _Plan(
            ordered,
            ordered if key in names else (*ordered, key),
            tuple((name, release(self.contract.fields[name])) for name in ordered),
        )

    def _ordered(self, names: frozenset[str]) -> list[str]:
        return [name for name in self.contract.fields if name in names]


def _record(plan: _Plan, row: dict[str, Any]) -> Record | _Fault:
    record: Record = {}
    for name, release_value in plan.releases:
        try:
            record[name] = release_value(row[name])
        except ValueError:
            return _Fault(name, "a value is not of its type")
    return record


def _lookup_answer(
    keys: Sequence[KeyValue],
    found: dict[KeyValue | None, Record | _Fault],
    withheld: list[str],
) -> dict[str, Any]:
    faulty = [
        {"key": key, "field": fault.field, "reason": fault.reason}
        for key in keys
        if isinstance(fault := found.get(key), _Fault)
    ]
    return {
        "records": [record for key in keys if isinstance(record := found.get(key), dict)],
        "missing": [key for key in keys if key not in found],
        "faulty": faulty,
        "withheld": withheld,
    }
