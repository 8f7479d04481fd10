"""Check a document against the Open Data Contract Standard itself.

The Python model of ODCS drops unknown entries of fields in silence and takes any
``apiVersion``; the JSON Schema of the same package catches both. So the document must satisfy
the schema and the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from lienthong.contracts.standard_reasons import model_reason, reason_of, unknown_entries
from lienthong.errors import (
    ContractError,
    ContractSchemaMismatch,
    ContractVersionUnsupported,
    FieldTypeUnsupported,
)

_PLACES_OF_FIELDS = ("properties", "items", "key", "value")
MOST_SHOWN = 20  # problems of one file; the rest are consequences as a rule


def standard_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    """Yield where ``document`` breaks ODCS 3: version, then JSON Schema, then model."""
    version = document.get("apiVersion")
    kind = document.get("kind")
    if not (isinstance(version, str) and version.startswith("v3.") and kind == "DataContract"):
        yield ContractVersionUnsupported(found=f"{version!s:.40}", kind=f"{kind!s:.40}")
        return
    found = False
    seen: set[tuple[str, str]] = set()  # two rules of the schema may find the same fault
    for error in _first_errors(document):
        found = True
        if _lacks_type(error):
            yield FieldTypeUnsupported(field=f"{error.instance.get('name')!s:.100}", found="-")
            continue
        path = [*error.absolute_path, *unknown_entries(error)[:1]]
        told = ("contract" + "".join(map(_step, path)))[:200], reason_of(error)[:400]
        if told not in seen:
            seen.add(told)
            yield ContractSchemaMismatch(place=told[0], reason=told[1])
    if not found:
        yield from _model_problems(document)


@cache
def _validator() -> Any:
    # Imported late: pydantic and jsonschema take a third of a second that most commands
    # of the program never need.
    from jsonschema import Draft201909Validator

    schema = files("open_data_contract_standard").joinpath("schema.json")
    return Draft201909Validator(json.loads(schema.read_text(encoding="utf-8")))


def _first_errors(document: Mapping[str, Any]) -> list[Any]:
    errors = []
    for error in _validator().iter_errors(document):
        errors.append(error)
        if len(errors) == MOST_SHOWN:
            break
    return sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])


def _model_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    try:
        OpenDataContractStandard.model_validate(dict(document))
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False)[:MOST_SHOWN]:
            place = "contract" + "".join(_step(part) for part in fault["loc"])
            yield ContractSchemaMismatch(place=place[:200], reason=model_reason(fault)[:400])


def _lacks_type(error: Any) -> bool:
    """Tell whether a field without logicalType is behind this error.

    The schema's ``if logicalType is map`` also holds where there is none, and then complains
    of a missing ``map``.
    """
    path = [part for part in error.absolute_path if isinstance(part, str)]
    is_field = path[:2] == ["schema", "properties"] and path[-1] in _PLACES_OF_FIELDS
    return is_field and error.validator == "required" and "logicalType" not in error.instance


def _step(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"
