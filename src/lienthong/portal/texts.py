"""The words of the pages, in Vietnamese and English: ``texts/vi.toml``, ``texts/en.toml``.

text("vi", "home.title")
text("vi", "catalogue.found", number="3.000")
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("vi", "en")


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language by their dotted names."""
    content = files("lienthong.portal").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(content), ""))


def text(language: str, name: str, /, **facts: object) -> str:
    """One text. Raises KeyError for a name that no file has: a defect that tests find."""
    found = texts(language)[name]
    return found.format(**facts) if facts else found


def has_text(language: str, name: str) -> bool:
    return name in texts(language)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)
