"""In which encoding an XML document is written, decided before a parser sees it.

PR-MESS 2.6: ``charset`` of the Content-Type; without it UTF-8. Where the document itself says
something else than the header, two programs would read two documents: that is refused.
"""

from __future__ import annotations

import codecs
import re

from lienthong.errors import SoapEncodingUnusable

_DECLARED = re.compile(rb"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings in which markup has one form only; UTF-7 and the like hide it from other programs.
_ALLOWED = frozenset(
    {"utf-8", "utf-16", "ascii", "iso8859-1", "iso8859-15"}
    | {f"cp125{digit}" for digit in range(9)}
)


def encoding_of(content: bytes, charset: str | None) -> str:
    """Return Python's name of it. Raises SoapEncodingUnusable."""
    mark = next((name for bom, name in _BOMS if content.startswith(bom)), None)
    declared = _declared(content, mark)
    said = [_known(name) for name in (charset, mark, declared) if name]
    if len(set(said)) > 1:
        raise SoapEncodingUnusable(reason="the document and its Content-Type disagree")
    return said[0] if said else "utf-8"


def _declared(content: bytes, mark: str | None) -> str | None:
    if mark == "utf-16":
        head = content[:600].decode("utf-16", "replace").encode("utf-8", "replace")
    else:
        head = content[:300].removeprefix(codecs.BOM_UTF8)
    found = _DECLARED.match(head)
    return found[1].decode("ascii") if found else None


def _known(name: str) -> str:
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise SoapEncodingUnusable(reason="an unknown encoding") from error
    if known not in _ALLOWED:
        raise SoapEncodingUnusable(reason="an encoding that is not allowed")
    return known
