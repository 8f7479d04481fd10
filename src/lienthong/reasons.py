"""Vietnamese of the reasons that errors carry.

    in_vietnamese("over 100 characters") == "quá 100 ký tự"

Code gives a reason once, in English, where it finds the fault; ``error_texts/reasons/vi.toml``
has its Vietnamese. What is not in the table, such as another program's words, stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

HOLE = "{}"
LONGEST_REASON = 500  # characters; a longer one is somebody else's text


@cache
def vietnamese_reasons() -> dict[str, str]:
    """Return ``{English: Vietnamese}``, both with the same number of holes."""
    place = files("lienthong").joinpath("error_texts", "reasons", "vi.toml")
    return tomllib.loads(place.read_text(encoding="utf-8"))


@lru_cache(maxsize=1024)
def in_vietnamese(reason: str) -> str:
    """Return the Vietnamese of a reason, or the reason itself."""
    known = vietnamese_reasons().get(reason)
    if known is not None:
        return known
    if len(reason) > LONGEST_REASON:
        return reason
    for form, text in _forms():
        found = form.fullmatch(reason)
        if found is not None:
            return _filled(text, [in_vietnamese(part) for part in found.groups()])
    return reason


@cache
def _forms() -> list[tuple[re.Pattern[str], str]]:
    """Reasons with holes, those with the most words of their own first."""
    listed = [(key, text) for key, text in vietnamese_reasons().items() if HOLE in key]
    listed.sort(key=lambda pair: len(pair[0]), reverse=True)
    return [(_form(key), text) for key, text in listed]


def _form(key: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, key.split(HOLE))), re.DOTALL)


def _filled(text: str, parts: list[str]) -> str:
    """Put the parts into the holes; a part may hold braces of its own."""
    own = text.split(HOLE)
    return own[0] + "".join(part + words for part, words in zip(parts, own[1:], strict=True))
