"""A reason is given in English once, and told to people in their own language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lienthong
from lienthong import errors
from lienthong.errors import (
    InvalidAgreementDocument,
    InvalidIdentifier,
    InvalidPath,
    LienthongError,
    StatementNotAccepted,
    error_texts,
)
from lienthong.reasons import HOLE, in_vietnamese, vietnamese_reasons

SOURCE = Path(lienthong.__file__).parent
# Nothing but names and values, or too short to tell apart from another program's words.
WITHOUT_WORDS = {"{}: {}", "{} ({})", "{}://…", "101", "Transfer-Encoding", "no {}"}


def _template(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values
        )
    return None


def _told_in_vietnamese(call: ast.Call) -> bool:
    error = getattr(errors, call.func.id, None) if isinstance(call.func, ast.Name) else None
    if not isinstance(error, type) or not issubclass(error, LienthongError):
        return False
    return "{reason}" in error_texts()[error.code]["vi"]


REASONS = sorted(
    {
        template
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _told_in_vietnamese(call)
        for keyword in call.keywords
        if keyword.arg == "reason" and (template := _template(keyword.value)) is not None
    }
)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_in_the_program_has_its_vietnamese(reason: str) -> None:
    assert reason in vietnamese_reasons() | dict.fromkeys(WITHOUT_WORDS) or _is_an_option(reason)


def _is_an_option(reason: str) -> bool:
    return reason.startswith("--") and " " not in reason


def test_both_languages_have_the_same_holes() -> None:
    for english, vietnamese in vietnamese_reasons().items():
        assert english.count(HOLE) == vietnamese.count(HOLE), english
        assert english.strip(HOLE + " "), english


def test_a_reason_is_told_in_the_language_of_the_sentence() -> None:
    error = InvalidPath(reason="climbs above the root")
    assert error.message("vi") == "Đường dẫn của yêu cầu không hợp lệ: leo lên trên gốc."
    assert error.message("en") == "The path of the request is not valid: climbs above the root."


def test_what_changes_from_case_to_case_is_kept() -> None:
    assert in_vietnamese("over 100 characters") == "quá 100 ký tự"
    assert in_vietnamese("the head is from the future") == "đầu sổ ở tương lai"
    assert in_vietnamese("write it as GET /a/{so}") == "hãy viết là GET /a/{so}"


def test_another_programs_words_stay_as_they_are() -> None:
    assert in_vietnamese("SSL: WRONG_VERSION_NUMBER") == "SSL: WRONG_VERSION_NUMBER"


def test_an_error_within_an_error_speaks_the_same_language_without_a_second_full_stop() -> None:
    inner = InvalidIdentifier(identifier="VN", reason="empty part")
    outer = StatementNotAccepted(node="VN/GOV/G01/n1", act="accept", reason=inner)
    assert outer.message("vi").endswith(f"{inner.message('vi')}")
    assert "có phần để trống" in outer.message("vi")
    assert InvalidAgreementDocument(reason="It ends.").message("en").endswith("It ends.")
    assert ".." not in outer.message("vi") + outer.message("en")


@given(st.text())
def test_any_reason_is_told(reason: str) -> None:
    assert InvalidPath(reason=reason).message("vi")
