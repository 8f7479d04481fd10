"""Open a contract file, or say everything that is wrong with it.

contract = load_contract(Path("cong-dan.odcs.yaml"))
contract.fields["ho_ten"].classification        # Classification.PERSONAL
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lienthong.contracts import properties
from lienthong.contracts.classification import Classification
from lienthong.contracts.details_reading import contract_details, field_details
from lienthong.contracts.document import LARGEST_CONTRACT_BYTES, read_document
from lienthong.contracts.models import Comparison, Contract, Field, FieldType
from lienthong.contracts.properties import own_properties, property_problems
from lienthong.contracts.rules import (
    classification_text,
    dataset_problems,
    key_names,
    secret_problems,
)
from lienthong.contracts.standard import standard_problems
from lienthong.errors import ContractError, ContractTooLarge, ContractUnreadable


def load_contract(source: Path | str | bytes) -> Contract:
    """Read a contract from a file, or from the bytes of one.

    Raises the first problem found, a ContractError; StateSecretField before all others.
    """
    raw, place = _bytes_of(source)
    document = read_document(raw, place)
    for problem in _problems(document):
        raise problem
    return _build(document, raw)


def contract_problems(source: Path | str | bytes) -> list[ContractError]:
    """Return all problems of a contract; none means that ``load_contract`` succeeds."""
    try:
        raw, place = _bytes_of(source)
        return _problems(read_document(raw, place))
    except ContractError as error:
        return [error]


def _bytes_of(source: Path | str | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "contract"
    path = Path(source)
    try:
        if path.stat().st_size > LARGEST_CONTRACT_BYTES:
            raise ContractTooLarge(what="size_bytes", limit=LARGEST_CONTRACT_BYTES)
        return path.read_bytes(), str(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ContractUnreadable(place=str(path), reason=reason) from error


def _problems(document: dict[str, Any]) -> list[ContractError]:
    """Collect problems; a later stage runs only where the earlier ones found nothing."""
    secrets = list(secret_problems(document))
    broken = [*standard_problems(document)] or [*property_problems(document)]
    return secrets + (broken or _rule_problems(document, secrets))


def _rule_problems(document: dict[str, Any], secrets: list[ContractError]) -> list[ContractError]:
    known = {(type(problem), problem.facts["field"]) for problem in secrets}
    return [
        problem
        for problem in dataset_problems(document)
        if (type(problem), problem.facts.get("field")) not in known
    ]


def _build(document: Mapping[str, Any], raw: bytes) -> Contract:
    (dataset,) = document["schema"]
    entries = dataset["properties"]
    (key,) = key_names(dataset, entries)
    basis = own_properties(document)[properties.LEGAL_BASIS]
    purpose = (document.get("description") or {}).get("purpose") or ""
    return Contract(
        id=document["id"],
        version=document["version"],
        name=document.get("name") or document["id"],
        status=document.get("status") or "",
        description=dataset.get("description") or purpose,
        legal_basis=(basis,) if isinstance(basis, str) else tuple(basis),
        fields=MappingProxyType({entry["name"]: _field(entry, key) for entry in entries}),
        key=key,
        table=_table(dataset),
        digest=sha256(raw).hexdigest(),
        raw=raw,
        details=contract_details(document),
    )


def _table(dataset: Mapping[str, Any]) -> str:
    own = own_properties(dataset).get(properties.TABLE)
    return str(own or dataset.get("physicalName") or dataset["name"])


def _field(entry: Mapping[str, Any], key: str) -> Field:
    own = own_properties(entry)
    name = entry["name"]
    classification = Classification.parse(classification_text(entry), field=name)
    # A personal key is the subject's unless the contract says otherwise: a citizen must be
    # able to see who looked, also where nobody thought of saying so.
    subject = own.get(properties.SUBJECT, name == key and classification.names_a_person)
    return Field(
        name=name,
        type=FieldType(entry["logicalType"]),
        classification=classification,
        description=entry.get("description") or "",
        column=own.get(properties.COLUMN) or entry.get("physicalName") or name,
        title=entry.get("businessName") or name,
        subject=subject,
        compare=Comparison(own.get(properties.COMPARE, Comparison.TEXT)),
        date_format=(entry.get("logicalTypeOptions") or {}).get("format"),
        examples=tuple(entry.get("examples") or ()),
        details=field_details(entry),
    )
