"""What is wrong with a contract is told at its line, in the language of whoever reads it."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lienthong.contracts.commands import app
from lienthong.contracts.loading import contract_problems
from lienthong.contracts.places import place_of
from lienthong.errors import ContractError, ContractSchemaMismatch
from lienthong.reasons import in_vietnamese
from tests.fixtures.people import CONTRACT_TEXT

# (what stands there, what is put in its place, where, what Vietnamese people read)
FAULTS = [
    ("version: 1.0.0", "version: 1", "version", "phải là chữ, không phải số nguyên"),
    ("id: test-nguoi\n", "", "", "thiếu mục id"),
    ("status: active", "statuss: active", "statuss", "không có mục nào tên statuss"),
    ("physicalName: nguoi\n", "physicalNam: nguoi\n", "schema[0].physicalNam",
     "không có mục nào tên physicalNam"),
    ("primaryKey: true", "primaryKey: có", "schema[0].properties[0].primaryKey",
     "phải là đúng hoặc sai (true, false), không phải chữ"),
    ("kind: DataContract", "kind: DataContract\nslaProperties: {}", "slaProperties",
     "phải là danh sách, không phải nhóm mục"),
    ("kind: DataContract", "kind: DataContract\ntags: [1]", "tags[0]", "phải là chữ"),
    ("kind: DataContract", "kind: DataContract\nservers: [{server: a, type: postgres}]",
     "servers[0]", "thiếu mục"),
    ("kind: DataContract", "kind: DataContract\nteam: 3", "team", "dạng"),
    ("logicalType: number", "logicalType: numbr", "schema[0].properties[3].logicalType",
     "numbr không nằm trong các giá trị: string"),
]  # fmt: skip


def problems_of(old: str, new: str) -> tuple[list[ContractError], bytes]:
    assert old in CONTRACT_TEXT
    content = CONTRACT_TEXT.replace(old, new, 1).encode()
    return contract_problems(content), content


def has_english_words(text: str) -> bool:
    """Whether a Vietnamese sentence holds a phrase of jsonschema, pydantic or libyaml."""
    return bool(
        re.search(
            r"\b(is not|should|property|properties were|Input|expected|while parsing|required"
            r"|Additional|does not|must|did not|missing|allowed)\b",
            text,
        )
    )


@pytest.mark.parametrize(("old", "new", "path", "told"), FAULTS, ids=[f[1][:40] for f in FAULTS])
def test_a_fault_of_the_standard_is_told_in_vietnamese_at_its_place(
    old: str, new: str, path: str, told: str
) -> None:
    problems, content = problems_of(old, new)
    found = [each for each in problems if isinstance(each, ContractSchemaMismatch)]
    assert found
    texts = [each.message("vi") for each in found]
    assert any(told in text for text in texts), texts
    assert not any(has_english_words(text) for text in texts), texts
    assert path in {place_of(each, content).path for each in found}
    assert len(found) == len({each.message("vi") for each in found})


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 'x\nb: 2", None, "tệp hết giữa chừng"),
        ("id: x\nname: a: b\n", 2, "dấu hai chấm không dùng được ở đây"),
        ("id: x\n\tname: b\n", 2, "thụt lề bằng dấu tab"),
        ("id: [1, 2\nname: b\n", None, ""),
        ("a: &x [1]\nb: *x\n", 1, "anchor"),
        ("id: x\nid: y\n", 2, "xuất hiện hai lần"),
        ("id: !!python/object:os.system x\n", 1, "tag"),
        ("- 1\n- 2\n", None, "phần trên cùng không phải"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, line: int | None, told: str) -> None:
    (problem,) = contract_problems(text.encode())
    assert told in problem.message("vi")
    assert not has_english_words(problem.message("vi").replace("anchor (&)", ""))
    found = place_of(problem, text.encode()).line
    assert line is None or found == line


def test_a_fault_of_a_field_is_told_at_the_line_of_the_field() -> None:
    problems, content = problems_of("classification: sensitive", "description: tiền")
    (problem,) = problems
    place = place_of(problem, content)
    assert place.path == "schema[0].properties[3]"
    assert place.line is not None
    assert "name: thu_nhap" in content.decode().splitlines()[place.line - 1]


def test_the_command_tells_line_and_path_in_both_languages(tmp_path: Path) -> None:
    file = tmp_path / "a.odcs.yaml"
    file.write_text(CONTRACT_TEXT.replace("primaryKey: true", "primaryKey: có"), "utf-8")
    told = CliRunner().invoke(app, ["check", str(file)])
    assert told.exit_code == 6
    assert "dòng 18, schema[0].properties[0].primaryKey: Hợp đồng sai chuẩn" in told.output
    assert "line 18, schema[0].properties[0].primaryKey: The contract breaks" in told.output
    (problem,) = json.loads(CliRunner().invoke(app, ["check", str(file), "--json"]).output)[
        "problems"
    ]
    assert (problem["line"], problem["path"]) == (18, "schema[0].properties[0].primaryKey")


_DOCUMENT = yaml.safe_load(CONTRACT_TEXT)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: (
        st.lists(each, max_size=2) | st.dictionaries(st.text(max_size=6), each, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["servers", "team", "roles", "slaProperties", "support", "price", "schema",
                        "tags", "description", "status", "customProperties"]), _VALUES)  # fmt: skip
def test_no_phrase_of_a_library_reaches_a_vietnamese_message(name: str, value: Any) -> None:
    """Whatever stands in an entry, the reason is one of ours, and has its Vietnamese."""
    content = yaml.safe_dump({**_DOCUMENT, name: value}, allow_unicode=True).encode()
    for problem in contract_problems(content):
        place_of(problem, content)
        if isinstance(problem, ContractSchemaMismatch):
            reason = str(problem.facts["reason"])
            assert in_vietnamese(reason) != reason, reason


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_whatever_is_handed_in_has_a_place_or_none(text: str) -> None:
    content = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
    for problem in contract_problems(content):
        place = place_of(problem, content)
        assert place.line is None or place.line >= 1
        assert problem.message("vi")
