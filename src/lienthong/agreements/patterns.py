"""Endpoints of a service: a method and a pattern of paths.

    Endpoint.parse("GET /records/{key}").matches("GET", "/records/001")

In a pattern ``*`` stands for any characters but ``/``, ``**`` for any characters, and
``{name}`` for one part that is not empty, as in X-Road and OpenAPI. Paths are given in the
form of ``normalise_path``; patterns are written in that form too.

One wildcard a segment and one ``**``, with nothing but plain characters after it: matching
then takes time linear in the path. Patterns come from other agencies, and a regular
expression that backtracks would let one of them stop the node.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Self

import msgspec

from lienthong.agreements.paths import normalise_path
from lienthong.errors import InvalidPath, InvalidPattern

LONGEST_PATTERN = 500  # characters
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
ANY_METHOD = "*"

_WILDCARD = re.compile(r"\*\*|\*|\{[A-Za-z_][A-Za-z0-9_]*\}")
_MEANINGS = {"**": "(?s:.*)", "*": "[^/]*"}
_ONE_PART = "[^/]+"


class Endpoint(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """A method (or ``*`` for all) and a pattern. Raises InvalidPattern when it is made."""

    method: str
    pattern: str

    def __post_init__(self) -> None:
        if self.method != ANY_METHOD and self.method not in METHODS:
            raise InvalidPattern(pattern=str(self)[:LONGEST_PATTERN], reason="unknown method")
        compile_pattern(self.pattern)

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``POST /records:lookup``. Raises InvalidPattern."""
        method, separator, pattern = text.partition(" ")
        if not separator:
            raise InvalidPattern(pattern=text[:LONGEST_PATTERN], reason="no method before it")
        return cls(method.upper(), pattern.strip())

    @property
    def literal(self) -> bool:
        """Whether the pattern is one path, without any wildcard."""
        return _WILDCARD.search(self.pattern) is None

    def matches(self, method: str, path: str) -> bool:
        """Say whether a request of ``method`` for the normalised ``path`` is meant."""
        if self.method not in (method, ANY_METHOD):
            return False
        return compile_pattern(self.pattern).fullmatch(path) is not None


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern. Raises InvalidPattern."""
    _check(text)
    expression, position = "", 0
    for wildcard in _WILDCARD.finditer(text):
        expression += re.escape(text[position : wildcard.start()])
        expression += _MEANINGS.get(wildcard.group(), _ONE_PART)
        position = wildcard.end()
    return re.compile(expression + re.escape(text[position:]))


def literal_prefix(text: str) -> str:
    """Return what every path that matches the pattern begins with."""
    wildcard = _WILDCARD.search(text)
    return text if wildcard is None else text[: wildcard.start()]


def _check(text: str) -> None:
    if len(text) > LONGEST_PATTERN:
        raise InvalidPattern(pattern=text[:40], reason=f"over {LONGEST_PATTERN} characters")
    plain = _WILDCARD.sub("x", text)
    if "{" in plain or "}" in plain or "*" in plain:
        raise InvalidPattern(pattern=text, reason="wildcards are *, ** and {name}")
    _check_path(text, plain)
    before, _, after = text.partition("**")
    if _WILDCARD.search(after):
        raise InvalidPattern(pattern=text, reason="a wildcard after **")
    for segment in before.split("/"):
        if len(_WILDCARD.findall(segment)) > 1:
            raise InvalidPattern(pattern=text, reason="two wildcards in one segment")
    if "**" in text and _WILDCARD.search(before.rpartition("/")[2]):
        raise InvalidPattern(pattern=text, reason="two wildcards in one segment")


def _check_path(text: str, plain: str) -> None:
    """A pattern is written as paths are compared: decoded, without dot segments."""
    if not plain.startswith("/"):
        raise InvalidPattern(pattern=text, reason="does not begin with /")
    if plain.isascii():
        try:
            normal = normalise_path(plain)
        except InvalidPath as error:
            raise InvalidPattern(pattern=text, reason=error.facts["reason"]) from error
        if normal != plain:
            raise InvalidPattern(pattern=text, reason=f"write it as {normal}")
    elif any(character in plain for character in "%\\?#;") or not plain.isprintable():
        raise InvalidPattern(pattern=text, reason="forbidden character")
    elif {"", ".", ".."} & set(plain[1:].split("/")[:-1]):
        raise InvalidPattern(pattern=text, reason="empty or dot segment")
