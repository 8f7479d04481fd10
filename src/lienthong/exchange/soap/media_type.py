"""``Content-Type``, read strictly: what two programs could read in two ways is refused.

media_type('multipart/related; boundary="b"; start="<a>"').parameters["start"] == "<a>"
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lienthong.errors import SoapContentType

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_UNQUOTED = r"[^\s;,\"\\]+"  # more than a token: some programs write type=text/xml
_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER = re.compile(rf'\s*({_WORD})\s*=\s*("(?:[^"\\]|\\.)*"|{_UNQUOTED})\s*')
_ESCAPED = re.compile(r"\\(.)")
LONGEST = 1000  # characters of a header; bounds what is kept of it


class MediaType(NamedTuple):
    """``name`` and the names of parameters in lower case; values as they are."""

    name: str
    parameters: dict[str, str]


@lru_cache(maxsize=256)
def media_type(text: str) -> MediaType:
    """Read it. Raises SoapContentType."""
    found = _TYPE.match(text) if len(text) <= LONGEST else None
    if found is None:
        raise SoapContentType(found=text[:100], reason="not type/subtype")
    parameters: dict[str, str] = {}
    position = found.end()
    while position < len(text):
        if text[position] != ";":
            raise SoapContentType(found=text[:100], reason="a parameter cannot be read")
        if not text[position + 1 :].strip():
            break  # one semicolon at the end, as some programs write it
        parameter = _PARAMETER.match(text, position + 1)
        if parameter is None:
            raise SoapContentType(found=text[:100], reason="a parameter cannot be read")
        name, value = parameter[1].lower(), parameter[2]
        if name in parameters:
            raise SoapContentType(found=text[:100], reason="a parameter stands twice")
        parameters[name] = _ESCAPED.sub(r"\1", value[1:-1]) if value[0] == '"' else value
        position = parameter.end()
    return MediaType(found[1].lower(), parameters)
