"""Write a contract as YAML that people go on editing: with comments, in ODCS's usual order.

    draft = Draft(id="vn-g01-cong-dan", name="Công dân", table="cong_dan", fields=(…), …)
    write_draft(draft)        # text that ``load_contract`` and ``datacontract lint`` accept

Every text is quoted unless it is plainly a word, so that nothing that stands in a database can
become something else than text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lienthong.contracts import properties
from lienthong.contracts.classification import Classification
from lienthong.contracts.details import PersonalData, Relationship
from lienthong.contracts.models import FieldType

LEGAL_BASIS_WANTED = "Cần bổ sung căn cứ pháp lý"
_PLAIN = re.compile(r"[^\W\d_][\w .-]*(?<! )\Z")


@dataclass(frozen=True, slots=True)
class DraftField:
    """One field as it is proposed; ``why`` says, in a comment, what speaks for it."""

    name: str
    type: FieldType
    classification: Classification
    why: str = ""
    title: str = ""
    description: str = ""
    column: str = ""
    physical_type: str = ""
    required: bool = False
    unique: bool = False
    key_position: int = 0
    personal_data: PersonalData | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    enumeration: tuple[Any, ...] = ()
    enumeration_why: str = ""
    relationships: tuple[Relationship, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A contract as it is proposed, before a person has read it."""

    id: str
    name: str
    dataset: str
    table: str
    key: str
    fields: tuple[DraftField, ...]
    comments: tuple[str, ...] = ()
    key_comment: str = ""
    kind: str = "table"
    purpose: str = ""
    legal_basis: str = LEGAL_BASIS_WANTED
    owner: str = ""
    version: str = "0.1.0"
    relationships: tuple[Relationship, ...] = ()


def write_draft(draft: Draft) -> str:
    """Return the contract's YAML."""
    return "\n".join(_lines(draft)) + "\n"


def quoted(value: Any) -> str:
    """Write one scalar; text in quotes unless YAML reads it as the same text without."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.match(value) and _reads_as_itself(value):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _reads_as_itself(value: str) -> bool:
    return bool(value.isprintable() and yaml.safe_load(value) == value)


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter.isprintable():
        return letter
    number = ord(letter)
    # Half of a surrogate pair is no character of YAML, however it is written.
    if 0xD800 <= number <= 0xDFFF:
        return "\\uFFFD"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"


def _lines(draft: Draft) -> Iterator[str]:
    yield from _comments(draft.comments, "")
    yield "apiVersion: v3.2.0"
    yield "kind: DataContract"
    yield f"id: {quoted(draft.id)}"
    yield f"name: {quoted(draft.name)}"
    yield f"version: {draft.version}"
    yield "status: draft"
    yield "description:"
    yield f"  purpose: {quoted(draft.purpose or 'Cần bổ sung: dữ liệu dùng để làm gì, cho ai.')}"
    if draft.owner:
        yield "team:"
        yield f"  name: {quoted(draft.owner)}"
    yield "customProperties:"
    yield from _property(
        properties.LEGAL_BASIS,
        draft.legal_basis,
        "  ",
        "bắt buộc; luật, nghị định, số và năm (required: the law)",
    )
    yield "schema:"
    yield f"  - name: {quoted(draft.dataset)}"
    yield f"    physicalName: {quoted(draft.table)}"
    yield f"    physicalType: {draft.kind}"
    yield f"    description: {quoted(draft.name)}"
    yield from _dataset_key(draft)
    yield from _dataset_relationships(draft)
    yield "    properties:"
    for each in draft.fields:
        yield from _field_lines(each)


def _dataset_key(draft: Draft) -> Iterator[str]:
    if [each.name for each in draft.fields if each.key_position] != [draft.key]:
        yield "    customProperties:"
        yield from _property(properties.KEY, draft.key, "      ", draft.key_comment)
    else:
        yield from _comments([draft.key_comment] if draft.key_comment else [], "    ")


def _dataset_relationships(draft: Draft) -> Iterator[str]:
    if draft.relationships:
        yield "    relationships:"
    for each in draft.relationships:
        sources = [f"{draft.dataset}.{name}" for name in each.fields]
        yield f"      - type: {each.type}"
        yield f"        from: [{', '.join(map(quoted, sources))}]"
        yield f"        to: [{', '.join(map(quoted, each.target_text))}]"


def _field_lines(each: DraftField) -> Iterator[str]:
    yield f"      - name: {quoted(each.name)}" + _remark(each.why)
    indent = "        "
    if each.column and each.column != each.name:
        yield f"{indent}physicalName: {quoted(each.column)}"
    if each.physical_type:
        yield f"{indent}physicalType: {quoted(each.physical_type)}"
    if each.title:
        yield f"{indent}businessName: {quoted(each.title)}"
    if each.description:
        yield f"{indent}description: {quoted(each.description)}"
    yield f"{indent}logicalType: {each.type.value}"
    yield from _mapping("logicalTypeOptions", each.options, indent)
    yield f"{indent}classification: {each.classification.value}"
    if each.required:
        yield f"{indent}required: true"
    if each.unique:
        yield f"{indent}unique: true"
    if each.key_position:
        yield f"{indent}primaryKey: true"
        yield f"{indent}primaryKeyPosition: {each.key_position}"
    if each.enumeration:
        yield f"{indent}enum:" + _remark(each.enumeration_why)
        yield from (f"{indent}  - value: {quoted(value)}" for value in each.enumeration)
    if each.relationships:
        yield f"{indent}relationships:"
        for link in each.relationships:
            yield f"{indent}  - type: {link.type}"
            yield f"{indent}    to: {quoted(link.target_text[0])}"
    if each.personal_data:
        yield f"{indent}customProperties:"
        yield from _property(properties.PERSONAL_DATA, each.personal_data.value, f"{indent}  ")


def _mapping(name: str, values: Mapping[str, Any], indent: str) -> Iterator[str]:
    if values:
        yield f"{indent}{name}:"
        yield from (f"{indent}  {key}: {quoted(value)}" for key, value in values.items())


def _property(name: str, value: str, indent: str, why: str = "") -> Iterator[str]:
    yield f"{indent}- property: {name}"
    yield f"{indent}  value: {quoted(value)}" + _remark(why)


def _remark(why: str) -> str:
    return f"  # {_one_line(why)}" if why else ""


def _comments(texts: Any, indent: str) -> Iterator[str]:
    yield from (f"{indent}# {_one_line(text)}" for text in texts)


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
