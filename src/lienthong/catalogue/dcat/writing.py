"""Flat nodes written as JSON-LD or as Turtle.

    write_json_ld(nodes), write_turtle(nodes)

Both say the same triples; a test reads both with another program and compares. Written by hand:
a library of graphs takes a hundred times as long, and a page must not be slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from lienthong.catalogue.dcat.vocabulary import PREFIXES, Node

JSON_LD = "application/ld+json"
TURTLE = "text/turtle"

_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def once(nodes: Iterable[Node]) -> list[Node]:
    """Leave out nodes that were there before, such as a publisher of many datasets."""
    seen: dict[str, list[Node]] = {}
    for node in nodes:
        same = seen.setdefault(node["@id"], [])
        if node not in same:
            same.append(node)
    return [node for same in seen.values() for node in same]


def write_json_ld(nodes: Iterable[Node]) -> bytes:
    return msgspec.json.encode({"@context": PREFIXES, "@graph": once(nodes)})


def write_turtle(nodes: Iterable[Node]) -> bytes:
    prefixes = [f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items()]
    return "".join((*prefixes, *map(_block, once(nodes)))).encode("utf-8", "replace")


WRITERS: dict[str, Callable[[Iterable[Node]], bytes]] = {
    JSON_LD: write_json_ld,
    TURTLE: write_turtle,
}


def _block(node: Node) -> str:
    lines = " ;\n".join(_statements(node))
    return f"\n<{node['@id']}>\n{lines} .\n"


def _statements(node: Node) -> Iterator[str]:
    for name, value in node.items():
        if name == "@type":
            types = value if isinstance(value, list) else [value]
            yield f"    a {', '.join(types)}"
        elif name != "@id":
            values = value if isinstance(value, list) else [value]
            yield f"    {name} {', '.join(map(_term, values))}"


def _term(value: Any) -> str:
    if isinstance(value, str):
        return _literal(value)
    if isinstance(value, int):
        return str(value)
    if "@id" in value:
        return f"<{value['@id']}>"
    if "@language" in value:
        return f"{_literal(value['@value'])}@{value['@language']}"
    return f"{_literal(value['@value'])}^^{value['@type']}"


def _literal(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04X}"
