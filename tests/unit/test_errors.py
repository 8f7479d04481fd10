"""Every error that leaves a room has a code, a text in both languages, and its facts."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import lienthong
from lienthong import errors
from lienthong.errors import LienthongError, UnknownSetting, error_texts

SOURCE = Path(lienthong.__file__).parent
FIELDS = {"vi", "en", "cause", "remedy_vi", "remedy_en"}
VIETNAMESE = re.compile(
    "[àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ]", re.I
)


def descendants(error: type[LienthongError]) -> Iterator[type[LienthongError]]:
    for child in error.__subclasses__():
        yield child
        yield from descendants(child)


def import_everything() -> None:
    for module in pkgutil.walk_packages(lienthong.__path__, "lienthong."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


ERRORS = [
    LienthongError,
    *(e for e in descendants(LienthongError) if e.__module__ == errors.__name__),
]
BY_NAME = {error.__name__: error for error in ERRORS}
RAISED = [  # (place, error, names of the facts given; None among them stands for **facts)
    (
        f"{path.relative_to(SOURCE)}:{call.lineno}",
        BY_NAME[call.func.id],
        {keyword.arg for keyword in call.keywords},
    )
    for path in sorted(SOURCE.rglob("*.py"))
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in BY_NAME
]


def placeholders(text: str) -> set[str]:
    return {name.split(".")[0].split("[")[0] for _, name, _, _ in Formatter().parse(text) if name}


def name_of(error: type[LienthongError]) -> str:
    return error.__name__


def test_errors_are_declared_in_one_file() -> None:
    import_everything()
    elsewhere = {e for e in descendants(LienthongError) if e.__module__.startswith("lienthong")}
    assert {e.__qualname__ for e in elsewhere if e.__module__ != errors.__name__} == set()


def test_codes_are_unique_and_well_formed() -> None:
    codes = [error.code for error in ERRORS]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code) for code in codes)


def test_every_text_belongs_to_an_error() -> None:
    assert error_texts().keys() - {error.code for error in ERRORS} == set()


@pytest.mark.parametrize("error", ERRORS, ids=name_of)
class TestEachError:
    def test_has_all_its_texts(self, error: type[LienthongError]) -> None:
        texts = error_texts()[error.code]
        assert texts.keys() == FIELDS
        assert all(text.strip() for text in texts.values())

    def test_speaks_vietnamese(self, error: type[LienthongError]) -> None:
        texts = error_texts()[error.code]
        assert VIETNAMESE.search(texts["vi"])
        assert VIETNAMESE.search(texts["remedy_vi"])

    def test_tells_the_same_facts_in_both_languages(self, error: type[LienthongError]) -> None:
        texts = error_texts()[error.code]
        assert placeholders(texts["vi"]) == placeholders(texts["en"])
        assert placeholders(texts["remedy_vi"]) == placeholders(texts["remedy_en"])

    def test_has_an_http_status_and_an_exit_code(self, error: type[LienthongError]) -> None:
        assert 400 <= error.status <= 599
        assert 1 <= error.exit_code <= 63
        assert re.fullmatch(r"[A-Za-z.]+", error.xroad)


def test_each_branch_of_the_drawn_tree_has_the_exit_code_that_it_says() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) .*exit (\d+)$", errors.__doc__ or "", re.MULTILINE))
    branches = {
        branch.__name__: str(branch.exit_code) for branch in LienthongError.__subclasses__()
    }
    assert drawn == branches


def test_whoever_raises_an_error_gives_the_facts_that_its_texts_name() -> None:
    missing = {}
    for place, error, given in RAISED:
        texts = error_texts().get(error.code, {})
        named = {name for key in FIELDS - {"cause"} for name in placeholders(texts.get(key, ""))}
        if None not in given and named - given:
            missing[place] = (error.__name__, named - given)
    assert missing == {}


def test_a_fact_that_was_left_out_shows_as_a_question_mark() -> None:
    assert "?" in UnknownSetting(name="colour").message("en")


def test_an_error_is_shown_in_vietnamese_unless_asked_otherwise() -> None:
    error = UnknownSetting(name="mau", place="node.toml")
    assert error.message() == 'Không có thiết lập tên "mau" (trong node.toml).'
    assert error.message("en") == 'There is no setting named "mau" (in node.toml).'
    assert str(error).startswith("configuration.unknown_setting: ")
    assert error.remedy() != error.remedy("en")
