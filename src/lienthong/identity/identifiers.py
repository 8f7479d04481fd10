"""Identifiers in X-Road's form: ``VN/GOV/G01/dancu/cong-dan``.

    SubsystemId.parse("VN/GOV/H37/motcua").member == MemberId("VN", "GOV", "H37")

Each part is percent-encoded by itself in URLs and headers (PR-REST 4.8). The instance is a
part of every identifier, so that a test instance can never reach production.
"""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import quote, unquote

import msgspec

from lienthong.errors import InvalidIdentifier

# X-Road's security server forbids these in identifiers (SpringFirewallValidationRules); then
# Unicode's line separators and changes of direction, which make a name look like another.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f%:;/\\\\\u200b\ufeff\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
LONGEST_PART = 100  # characters; keeps hostile identifiers out of indexes and logs


def _check_part(part: str, whole: str) -> None:
    if not part:
        raise InvalidIdentifier(identifier=whole, reason="empty part")
    if len(part) > LONGEST_PART:
        raise InvalidIdentifier(
            identifier=whole[:LONGEST_PART], reason=f"part over {LONGEST_PART} characters"
        )
    if part in {".", ".."} or _FORBIDDEN.search(part) or part != part.strip():
        raise InvalidIdentifier(identifier=whole, reason="forbidden character")


class _Identifier(msgspec.Struct, frozen=True, order=True):
    """An identifier of fixed parts; checked when it is made, printed with slashes."""

    def __post_init__(self) -> None:
        whole = str(self)
        for part in msgspec.structs.astuple(self):
            _check_part(part, whole)

    def __str__(self) -> str:
        return "/".join(msgspec.structs.astuple(self))

    @property
    def encoded(self) -> str:
        """The form used in URLs and X-Road headers: each part percent-encoded."""
        return "/".join(quote(part, safe="") for part in msgspec.structs.astuple(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the percent-encoded form. Raises InvalidIdentifier."""
        parts = text.split("/")
        if len(parts) != len(cls.__struct_fields__):
            raise InvalidIdentifier(
                identifier=text[:LONGEST_PART],
                reason=f"{len(cls.__struct_fields__)} parts wanted, {len(parts)} found",
            )
        try:
            return cls(*(unquote(part, errors="strict") for part in parts))
        except UnicodeDecodeError as error:
            raise InvalidIdentifier(identifier=text[:LONGEST_PART], reason="not UTF-8") from error


class MemberId(_Identifier, frozen=True, order=True):
    """An agency: instance, class (GOV, COM, …), code (``G01``, ``000.00.00.G14``)."""

    instance: str
    member_class: str
    code: str


class SubsystemId(_Identifier, frozen=True, order=True):
    """One information system of an agency."""

    instance: str
    member_class: str
    code: str
    subsystem: str

    @property
    def member(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.code)


class ServiceId(_Identifier, frozen=True, order=True):
    """One service of an information system."""

    instance: str
    member_class: str
    code: str
    subsystem: str
    service: str

    @property
    def provider(self) -> SubsystemId:
        return SubsystemId(self.instance, self.member_class, self.code, self.subsystem)


class NodeId(_Identifier, frozen=True, order=True):
    """One node, named by its owner and a server code, as X-Road names security servers."""

    instance: str
    member_class: str
    code: str
    server: str

    @property
    def owner(self) -> MemberId:
        return MemberId(self.instance, self.member_class, self.code)
