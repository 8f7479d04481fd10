"""Propose a contract for a table that was seen.

    text = propose(see("sqlite:///…", "cong_dan"))       # YAML, with comments that say why

The proposal loads (``load_contract``) and lints (``datacontract lint``). What a person must still
decide is marked: the legal basis, the purpose, and every class of which the program is not sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lienthong.contracts.details import PersonalData, Relationship
from lienthong.contracts.drafting import LEGAL_BASIS_WANTED, Draft, DraftField, write_draft
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import FieldType
from lienthong.contracts.rules import MOST_FIELDS
from lienthong.contracts.serving import serving_problems
from lienthong.errors import NothingToDescribe
from lienthong.sources.inference.columns import (
    draft_field,
    field_name,
    field_names,
    finding_of,
    speak_of_people,
)
from lienthong.sources.inference.observation import ColumnSeen, ForeignKeySeen, TableSeen
from lienthong.sources.inference.persons import Finding, folded

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)+")
_KEY_NAMES = re.compile(r"(?:^|_)(?:ma|so|id|key|code)(?:_|$)")


def propose(
    table: TableSeen, *, legal_basis: str = "", contract_id: str = "", owner: str = ""
) -> str:
    """Return the YAML of a contract for ``table``. Raises NothingToDescribe."""
    usable = [column for column in table.columns if _usable(column)][:MOST_FIELDS]
    if not usable:
        raise NothingToDescribe(what=table.name, reason="no column that can be exchanged")
    names = dict(zip((each.name for each in usable), field_names(usable), strict=True))
    findings = {each.name: finding_of(each) for each in usable}
    key, key_comment = _key(table, usable, findings)
    draft = Draft(
        id=contract_id or folded(table.name).replace("_", "-") or "hop-dong",
        name=" ".join(table.comment.split()) or table.name,
        dataset=field_name(table.name.rpartition(".")[2]),
        table=table.name,
        key=names[key],
        fields=tuple(_fields(table, usable, names, findings, key)),
        comments=tuple(_comments(table, usable)),
        key_comment=key_comment,
        kind=table.kind,
        legal_basis=legal_basis or LEGAL_BASIS_WANTED,
        owner=owner,
        relationships=tuple(_composite_relationships(table, names)),
    )
    text = write_draft(draft)
    content = text.encode("utf-8", "replace")
    for problem in contract_problems(content) or serving_problems(load_contract(content)):
        raise NothingToDescribe(what=table.name, reason=problem)
    return text


def _usable(column: ColumnSeen) -> bool:
    # Half of a surrogate pair cannot stand in YAML, nor NUL in the name of a column.
    can_be = column.kind is not None and not column.kind.is_nested
    return can_be and not re.search("[\0\ud800-\udfff]", column.name)


def _comments(table: TableSeen, usable: list[ColumnSeen]) -> Iterator[str]:
    yield "Đề xuất tự động: hãy đọc từng dòng trước khi dùng (proposed: read every line)."
    rows = f"{table.rows} dòng" + (" (toàn bộ)" if table.whole else " đầu")
    yield f"Đã xem {rows} của {table.name}. Phân loại do người có thẩm quyền quyết định."
    left = [column.name for column in table.columns if column not in usable]
    if left:
        yield f"Bỏ ra vì không trao đổi được (left out): {', '.join(left)[:500]}"
    yield from (
        f"Khóa ngoại không ghi được (left out): {', '.join(each.columns)} -> {each.table}"
        for each in table.foreign_keys
        if not _expressible(each)
    )


def _key(
    table: TableSeen, usable: list[ColumnSeen], findings: Mapping[str, Finding | None]
) -> tuple[str, str]:
    """The column by which records are asked for, and what is to be said about the choice."""
    able = {c.name: c for c in usable if c.kind in (FieldType.STRING, FieldType.INTEGER)}
    if not able:
        reason = "no column of text or integers to be the key"
        raise NothingToDescribe(what=table.name, reason=reason)
    primary = [name for name in table.primary_key if name in able]
    if len(table.primary_key) == 1 and primary:
        return primary[0], ""
    single = [group[0] for group in table.unique if len(group) == 1 and group[0] in able]
    for names, why in (
        (single, "bảng không có khóa chính một cột; cột này không trùng theo ràng buộc"),
        (primary, "khóa chính có nhiều cột; hỏi theo một cột thì có thể nhận nhiều bản ghi"),
        (_all_different(able), "không có khóa; giá trị của cột này không trùng trong mẫu"),
    ):
        if names:
            return _preferred(names, findings), why
    return _preferred(list(able), findings), "không có khóa, cột này có giá trị trùng: hãy chọn lại"


def _all_different(able: Mapping[str, ColumnSeen]) -> list[str]:
    return [
        name for name, column in able.items() if len(set(column.known)) == len(column.values) > 0
    ]


def _preferred(names: list[str], findings: Mapping[str, Finding | None]) -> str:
    for name in names:
        finding = findings[name]
        if finding and finding.kind is PersonalData.CITIZEN_NUMBER:
            return name
    return next((name for name in names if _KEY_NAMES.search(folded(name))), names[0])


def _fields(
    table: TableSeen,
    usable: list[ColumnSeen],
    names: Mapping[str, str],
    findings: Mapping[str, Finding | None],
    key: str,
) -> Iterator[DraftField]:
    about_people = speak_of_people(findings.values())
    positions = {name: number for number, name in enumerate(table.primary_key, 1)}
    alone = {group[0] for group in (*table.unique, table.primary_key) if len(group) == 1}
    for column in usable:
        yield draft_field(
            column,
            names[column.name],
            findings[column.name],
            key_position=positions.get(column.name, 0),
            unique=column.name in alone,
            about_people=about_people,
            is_key=column.name == key,
            relationships=tuple(_relationships_of(table, column.name)),
        )


def _relationships_of(table: TableSeen, column: str) -> Iterator[Relationship]:
    for each in table.foreign_keys:
        if each.columns == (column,) and _expressible(each):
            yield _relationship(each, ())


def _composite_relationships(table: TableSeen, names: Mapping[str, str]) -> Iterator[Relationship]:
    for each in table.foreign_keys:
        if len(each.columns) > 1 and _expressible(each) and set(each.columns) <= names.keys():
            yield _relationship(each, tuple(names[column] for column in each.columns))


def _expressible(key: ForeignKeySeen) -> bool:
    """ODCS writes ``table.column`` in plain letters only."""
    return len(key.columns) == len(key.targets) and all(
        _REFERENCE.fullmatch(f"{key.table}.{target}") for target in key.targets
    )


def _relationship(key: ForeignKeySeen, fields: tuple[str, ...]) -> Relationship:
    targets = tuple(f"{key.table}.{target}" for target in key.targets)
    return Relationship(fields or key.columns, targets, key.table, key.targets)
