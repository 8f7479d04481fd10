"""The words of the pages are complete in both languages, and each is used."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import lienthong.portal
from lienthong.contracts.classification import Classification
from lienthong.portal.roles import GRANTED
from lienthong.portal.texts import texts

ROOM = Path(lienthong.portal.__file__).parent
TEMPLATES = "\n".join(path.read_text("utf-8") for path in (ROOM / "templates").glob("*.html"))
CODE = "\n".join(path.read_text("utf-8") for path in ROOM.rglob("*.py"))


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_holes() -> None:
    vietnamese, english = texts("vi"), texts("en")
    assert vietnamese.keys() == english.keys()
    assert {n for n in vietnamese if holes(vietnamese[n]) != holes(english[n])} == set()
    assert [
        name for name, text in (*vietnamese.items(), *english.items()) if not text.strip()
    ] == []


def test_every_text_that_a_template_names_exists() -> None:
    named = set(re.findall(r"\bt(?:_or)?\('([a-z_.0-9-]+[a-z0-9])'", TEMPLATES))
    assert named - texts("vi").keys() == set()


def test_every_text_is_used() -> None:
    prefixes = set(re.findall(r"'([a-z_.]+[._])' ~", TEMPLATES))
    unused = [
        name
        for name in texts("vi")
        if f"'{name}'" not in TEMPLATES
        and f'"{name}"' not in CODE
        and not any(name.startswith(prefix) for prefix in prefixes)
        and not name.startswith(("nav.", "done."))
    ]
    assert unused == []


def test_roles_and_classes_have_names() -> None:
    for role in GRANTED:
        assert f"role.{role.value}" in texts("vi")
    for each in Classification:
        assert f"classification.{each.value}" in texts("vi")


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", TEMPLATES) == []
    scripts = re.findall(r"<script[^>]*>", TEMPLATES)
    assert all("src=" in each or "ld+json" in each for each in scripts)
