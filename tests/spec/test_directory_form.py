"""What protocol 0002 §2 says of the order of members, against what the program writes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from lienthong.directory import records
from lienthong.directory.canonical import Signature, canonical

PAGE = Path(__file__).parents[2] / "docs/protocols/0002-directory.md"
WRITTEN_AS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "file of a member": (records.Member,),
    "file of a node": (records.Node,),
    "`authorities.json`, `timeauthorities.json`": (records.Authorities, records.TimeAuthorities),
    "statement of a member": (records.MemberStatement,),
    "statement of a node": (records.NodeStatement,),
    "statement of authorities": (records.AuthoritiesStatement,),
    "statement of time-stamping authorities": (records.TimeAuthoritiesStatement,),
    "subsystem": (records.Subsystem,),
    "key": (records.KeyStatement,),
    "delegation": (records.Delegation,),
    "registrar": (records.Registrar,),
    "time-stamping authority": (records.TimeAuthority,),
    "revocation": (records.Revocation,),
    "signature": (Signature,),
}


def rows() -> dict[str, tuple[str, ...]]:
    """The page's table: an object's members in their order."""
    found = re.findall(r"^\| ([^|]+) \| (`[^|]+`) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    return {name: tuple(re.findall("`([^`]+)`", members)) for name, members in found}


def test_the_table_names_every_object() -> None:
    assert WRITTEN_AS.keys() <= rows().keys()


@pytest.mark.parametrize("name", WRITTEN_AS)
def test_members_stand_in_the_order_of_the_table(name: str) -> None:
    for kind in WRITTEN_AS[name]:
        assert kind.__struct_encode_fields__ == rows()[name]


def test_strings_are_escaped_as_the_page_says() -> None:
    text = '"\\\b\t\n\f\r\x01\x1f\x7f/é\u2028😀'
    assert canonical(Signature(text, "v")) == (
        '{"key_id":"\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f\x7f/é\u2028😀","value":"v"}'.encode()
    )
