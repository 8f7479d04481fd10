"""XML of answers: any text may be put in, and what comes out is well-formed."""

from __future__ import annotations

import re

from lxml import etree

# Characters that XML 1.0 §2.2 does not allow at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Return ``text`` with what XML cannot hold replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def xml_bytes(root: etree._Element) -> bytes:
    """Return a document in UTF-8 with its declaration."""
    found: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
    return found
