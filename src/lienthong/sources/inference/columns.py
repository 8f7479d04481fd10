"""From one column that was seen to one field of a proposal: name, type, limits, class."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from lienthong.contracts.classification import Classification
from lienthong.contracts.details import PersonalData, Relationship
from lienthong.contracts.drafting import DraftField
from lienthong.contracts.models import FieldType
from lienthong.contracts.rules import DATE_FORMATS
from lienthong.sources.inference.observation import ColumnSeen
from lienthong.sources.inference.persons import Finding, folded, recognise

MOST_CHOICES = 20
FEWEST_ROWS_FOR_CHOICES = 50
LONGEST_CHOICE = 60
LONGEST_NAME = 60
_CODE = re.compile(r"(?:^|_)(?:ma|so|id|code|key|mst)(?:_|$)|(?:^|_)(?:ma|id)")
_CHOICE = re.compile(
    r"(?:^|_)(?:ma|loai|trang_thai|tinh_trang|gioi_tinh|cap|nhom|type|status|kind|code)"
)
_TECHNICAL = re.compile(
    r"(?:^|_)(?:id|uuid|ma|cap_nhat|ngay_cap_nhat|ngay_tao|nguoi_tao|trang_thai|phien_ban|created|updated"
    r"|modified|deleted|status|version|timestamp|is|stt)(?:_|$)"
)
_DATE_NAME = re.compile(r"(?:^|_)(?:ngay|date|dob|ntns)(?:_|$)")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")
_BOOLEANS = {"true", "false"}
VIETNAM = "Asia/Ho_Chi_Minh"
_KIND_PERSON = (
    PersonalData.CITIZEN_NUMBER,
    PersonalData.INSURANCE_CARD,
    PersonalData.NAME,
    PersonalData.BIRTH_DATE,
)


def field_names(columns: Sequence[ColumnSeen]) -> list[str]:
    """A usable name for every column, in order: letters a-z, digits and ``_``, each once."""
    names: list[str] = []
    taken: set[str] = set()
    for column in columns:
        name = field_name(column.name)
        number = 2
        unique = name
        while unique.casefold() in taken:
            unique = f"{name[: LONGEST_NAME - 6]}_{number}"
            number += 1
        taken.add(unique.casefold())
        names.append(unique)
    return names


def field_name(name: str) -> str:
    """The name itself where it can stand in an address, else its plain letters."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", name):
        return name
    plain = re.sub(r"[^a-z0-9_]", "", folded(name))[:LONGEST_NAME]
    return plain if re.match(r"[a-z_]", plain) else f"cot_{plain}"[:LONGEST_NAME].rstrip("_")


def draft_field(
    column: ColumnSeen,
    name: str,
    finding: Finding | None,
    *,
    key_position: int,
    unique: bool,
    about_people: bool,
    is_key: bool,
    relationships: tuple[Relationship, ...],
) -> DraftField:
    """Propose one field; ``column.kind`` is not None."""
    kind, options = column_type(column, is_key=is_key)
    level, why = _classified(column, finding, about_people)
    choices = () if is_key or unique or relationships else _choices(column, kind, finding)
    return DraftField(
        name=name,
        type=kind,
        classification=level,
        why=why,
        title=_title(column, name),
        column=column.name,
        physical_type=column.declared if column.declared.isprintable() else "",
        required=column.required or bool(key_position),
        unique=unique,
        key_position=key_position,
        personal_data=finding.kind if finding else None,
        options=options,
        enumeration=choices,
        enumeration_why="" if column.choices else "thấy trong mẫu; hãy bổ sung cho đủ",
        relationships=relationships,
    )


def finding_of(column: ColumnSeen) -> Finding | None:
    """Which personal data the column seems to hold."""
    return recognise(column.name, column.known, column.comment)


def speak_of_people(findings: Collection[Finding | None]) -> bool:
    """Whether a table with these columns has one row for a person."""
    return any(finding and finding.kind in _KIND_PERSON for finding in findings)


def _classified(
    column: ColumnSeen, finding: Finding | None, about_people: bool
) -> tuple[Classification, str]:
    if finding is not None:
        word = "nhạy cảm" if finding.classification is Classification.SENSITIVE else "cá nhân"
        why = f"{word}, độ tin {finding.confidence:.2f}: {finding.why}"
        return finding.classification, why
    if about_people and not _TECHNICAL.search(folded(column.name)):
        return Classification.PERSONAL, "cá nhân, độ tin 0.50: bảng có cột nhận ra được một người"
    return Classification.INTERNAL, "nội bộ, độ tin 0.50: không thấy dữ liệu cá nhân; hãy xem lại"


def _title(column: ColumnSeen, name: str) -> str:
    comment = " ".join(column.comment.split())[:200]
    return comment or (column.name if column.name != name and column.name.isprintable() else "")


def column_type(column: ColumnSeen, *, is_key: bool = False) -> tuple[FieldType, dict[str, Any]]:
    """The type of a column by its declaration, or by its values where they must tell."""
    assert column.kind is not None
    kind: FieldType = column.kind
    options: dict[str, Any] = {}
    texts = [value for value in column.known if isinstance(value, str)]
    holds_text = bool(texts) and len(texts) == len(column.known)
    may_be_more = kind is FieldType.STRING and not is_key
    may_be_less = kind in (FieldType.DATE, FieldType.TIMESTAMP)  # SQLite keeps them as text
    if holds_text and (may_be_more or may_be_less):
        kind, options = _type_of_texts(column, texts)
    if kind is FieldType.STRING and column.max_length:
        options = {"maxLength": column.max_length}
    if kind is FieldType.TIMESTAMP and not column.has_zone:
        options = {"defaultTimezone": VIETNAM}
    return kind, options


def _type_of_texts(column: ColumnSeen, texts: list[str]) -> tuple[FieldType, dict[str, Any]]:
    plain = folded(column.name)
    for pattern, form in DATE_FORMATS.items():
        guessed = pattern == "yyyyMMdd" and not _DATE_NAME.search(plain)
        if not guessed and all(_is_date(text, form) for text in texts):
            return FieldType.DATE, {} if pattern == "yyyy-MM-dd" else {"format": pattern}
    if all(map(_is_timestamp, texts)):
        return FieldType.TIMESTAMP, {}
    if column.certain or _CODE.search(plain):
        return FieldType.STRING, {}  # declared as text, or a code: its zeros in front count
    if all(map(_INTEGER.fullmatch, texts)) and recognise(column.name, texts) is None:
        return FieldType.INTEGER, {}
    if all(map(_NUMBER.fullmatch, texts)) and recognise(column.name, texts) is None:
        return FieldType.NUMBER, {}
    if {text.lower() for text in texts} <= _BOOLEANS:
        return FieldType.BOOLEAN, {}
    return FieldType.STRING, {}


def _is_date(text: str, form: str) -> bool:
    if not 8 <= len(text) <= 10 or not text.isascii():
        return False
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - a day without a zone
    except ValueError:
        return False
    return True


def _is_timestamp(text: str) -> bool:
    if len(text) < 16 or not text.isascii():
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _choices(column: ColumnSeen, kind: FieldType, finding: Finding | None) -> tuple[Any, ...]:
    """The values of a column that has few; none of one whose values name a person."""
    if finding is not None and finding.kind is not PersonalData.OTHER:
        return ()
    if column.choices and kind is FieldType.STRING:
        return column.choices
    known = column.known
    found = set(known) if kind in (FieldType.STRING, FieldType.INTEGER) else set()
    wanted: type = str if kind is FieldType.STRING else int
    few = 1 < len(found) <= MOST_CHOICES and len(found) * 10 <= len(known)
    if not few or len(known) < FEWEST_ROWS_FOR_CHOICES:
        return ()
    if not all(type(value) is wanted and len(str(value)) <= LONGEST_CHOICE for value in found):
        return ()
    if kind is FieldType.INTEGER and not _CHOICE.search(folded(column.name)):
        return ()  # a number of children is a number
    return tuple(sorted(found))
