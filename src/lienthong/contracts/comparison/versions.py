"""Version numbers of contracts: Semantic Versioning 2.0.0 (https://semver.org).

Version.parse("1.4.2").raised(Level.MAJOR)      # 2.0.0
Version.parse("0.4.2").raised(Level.MAJOR)      # 0.5.0: before 1.0 nothing is promised
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import NamedTuple, Self

from lienthong.contracts.comparison.changes import Level
from lienthong.errors import VersionNumberInvalid

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_WORD = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+[0-9A-Za-z.-]+)?"
)
LONGEST_VERSION = 100  # characters; the pattern is linear, its words need no more


class _Parts(NamedTuple):
    major: int
    minor: int
    patch: int
    words: str = ""  # of a pre-release


@total_ordering
class Version:
    """A version number that can be compared, as rule 11 of Semantic Versioning has it."""

    def __init__(self, major: int, minor: int, patch: int, words: str = "") -> None:
        self._parts = _Parts(major, minor, patch, words)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises VersionNumberInvalid."""
        found = _VERSION.fullmatch(text) if len(text) <= LONGEST_VERSION else None
        if found is None:
            raise VersionNumberInvalid(version=text[:40])
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "")

    def raised(self, level: Level) -> Version:
        """The next release by a change of this level; without a change, the same."""
        major, minor, patch, _ = self._parts
        if level is Level.NONE:
            return self
        if level is Level.MAJOR and major:
            return Version(major + 1, 0, 0)
        if level is Level.PATCH:
            return Version(major, minor, patch + 1)
        return Version(major, minor + 1, 0)

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __str__(self) -> str:
        major, minor, patch, words = self._parts
        return f"{major}.{minor}.{patch}" + (f"-{words}" if words else "")

    def _order(self) -> tuple[object, ...]:
        words = self._parts.words
        # Numbers come before words, and a release after all of its pre-releases.
        keys = [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in words.split(".") if w]
        return (*self._parts[:3], not words, keys)
