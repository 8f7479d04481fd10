"""One change between two contracts: a stable code, its level, and its words in two languages.

Programs read ``code``; people read ``text("vi")``. The words are data: ``texts.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files

LONGEST_SHOWN = 80  # characters of a value that a text repeats


class Level(IntEnum):
    """Which part of the version number a change must raise."""

    NONE = 0
    PATCH = 1  # words for people
    MINOR = 2  # compatible
    MAJOR = 3  # breaking


@cache
def change_texts() -> dict[str, dict[str, str]]:
    """Return ``{code: {"level", "vi", "en"}}`` for every change that can be told."""
    text = files("lienthong.contracts.comparison").joinpath("texts.toml").read_text("utf-8")
    rooms = tomllib.loads(text)
    return {f"{part}.{leaf}": entry for part, all_ in rooms.items() for leaf, entry in all_.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """What changed, and where: ``place`` is a field, rule, role or promise; may be empty."""

    code: str
    place: str = ""
    before: str = ""
    after: str = ""

    @property
    def level(self) -> Level:
        return Level[change_texts()[self.code]["level"].upper()]

    @property
    def breaking(self) -> bool:
        return self.level is Level.MAJOR

    def text(self, language: str = "vi") -> str:
        """Say the change to a person, in ``vi`` or ``en``."""
        words = change_texts()[self.code]["en" if language == "en" else "vi"]
        if self.place and "{place}" not in words:  # said of one object of several
            words = "{place}: " + words
        shown = {
            name: _shown(getattr(self, name), language) for name in ("place", "before", "after")
        }
        return words.format_map(shown)


def _shown(value: str, language: str) -> str:
    text = "".join(each if each.isprintable() else " " for each in value)
    if not text.strip():
        return "none" if language == "en" else "không có"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
