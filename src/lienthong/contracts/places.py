"""Where in a contract's file a problem lies: its path in the document, and its line.

    for problem in contract_problems(content):
        place = place_of(problem, content)
        place.path, place.line                # "schema[0].properties[2]", 31

A path is as deep as the document goes; the line of something that is missing is that of what should
have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lienthong.contracts.document import check_events
from lienthong.errors import (
    ContractError,
    ContractVersionUnsupported,
    DatasetCount,
    KeyNotDeclared,
    LegalBasisMissing,
    VersionNumberInvalid,
    VersionRuleBroken,
)

_LINE = re.compile(r"line ([0-9]{1,9})\b")
_STEP = re.compile(r"\[([0-9]{1,6})\]|\.?([^.\[\]]+)")
_HOMES: dict[type[ContractError], str] = {
    ContractVersionUnsupported: "apiVersion",
    DatasetCount: "schema",
    KeyNotDeclared: "schema[0]",
    LegalBasisMissing: "customProperties",
    VersionNumberInvalid: "version",
    VersionRuleBroken: "version",
}


class Place(NamedTuple):
    """``path`` is empty, and ``line`` None, where a problem lies nowhere in particular."""

    path: str
    line: int | None

    def text(self, language: str) -> str:
        """As it stands before a message: ``dòng 31, schema[0].properties[2]``."""
        word = "line" if language == "en" else "dòng"
        parts = [f"{word} {self.line}"] if self.line is not None else []
        return ", ".join([*parts, self.path] if self.path else parts)


def place_of(problem: ContractError, content: bytes) -> Place:
    """Return the place; of content that is no YAML, the line that its reader names."""
    line = problem.facts.get("line")
    if isinstance(line, int) and line > 0:
        return Place("", line)
    told = _LINE.match(str(problem.facts.get("reason", "")))
    if told:
        return Place("", int(told[1]))
    root = _root(content)
    if root is None:
        return Place("", None)
    path = _path_of(problem, root)
    return Place(path, _line_of(root, path) if path else None)


def _root(content: bytes) -> Node | None:
    """The document as nodes that know their lines; None for what ``read_document`` refuses."""
    try:
        text = content.decode("utf-8-sig")
        check_events(text)
        return yaml.compose(text, yaml.CSafeLoader)
    except (ContractError, yaml.YAMLError, ValueError, RecursionError):
        return None


def _path_of(problem: ContractError, root: Node) -> str:
    told = str(problem.facts.get("place", ""))
    if told.startswith("contract"):
        return told.removeprefix("contract").removeprefix(".")
    field = problem.facts.get("field")
    if field:
        return _path_of_field(root, str(field))
    return next((home for kind, home in _HOMES.items() if isinstance(problem, kind)), "")


def _path_of_field(root: Node, name: str) -> str:
    """The path of a field, or of a part of one, which is named by its own path (``con[].ten``)."""
    direct = next(_paths_to(root, name, ""), None)
    if direct is not None:
        return direct[0]
    path, node = "", root
    for part in re.split(r"[.\[\]{}]+", name):
        found = next(_paths_to(node, part, path), None) if part else None
        if found is not None:
            path, node = found
    return path


def _paths_to(node: Node, name: str, path: str) -> Iterator[tuple[str, Node]]:
    """Paths of mappings whose ``name`` is that (cut as errors cut it), outermost first."""
    if isinstance(node, MappingNode):
        entries = list(_entries(node))
        if any(key == "name" and _is(value, name) for key, value in entries):
            yield path, node
        for key, value in entries:
            yield from _paths_to(value, name, f"{path}.{key}" if path else key)
    elif isinstance(node, SequenceNode):
        for number, value in enumerate(node.value):
            yield from _paths_to(value, name, f"{path}[{number}]")


def _is(node: Node, name: str) -> bool:
    return isinstance(node, ScalarNode) and str(node.value)[: max(100, len(name))] == name


def _entries(node: MappingNode) -> Iterator[tuple[str, Node]]:
    for key, value in node.value:
        if isinstance(key, ScalarNode):
            yield str(key.value), value


def _line_of(root: Node, path: str) -> int:
    """The line of the deepest part of ``path`` that there is."""
    line, node = 1, root
    for step in _steps(path):
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _steps(path: str) -> Sequence[str | int]:
    return [int(number) if number else name for number, name in _STEP.findall(path)]


def _child(node: Node, step: str | int) -> tuple[int, Node] | None:
    """A child and the line on which it begins: of an entry, that of its name."""
    if isinstance(step, int) and isinstance(node, SequenceNode) and step < len(node.value):
        child = node.value[step]
        return child.start_mark.line + 1, child
    if isinstance(step, str) and isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == step:
                return key.start_mark.line + 1, value
    return None
