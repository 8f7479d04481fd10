"""Read a contract's YAML so that it means one thing and cannot exhaust the reader.

    document = read_document(Path("cong-dan.odcs.yaml").read_bytes())

Refused: files over the limits, anchors, aliases and tags (a few lines of aliases grow to
gigabytes), keys given twice, keys that are not text. Dates stay text, as the JSON Schema of
ODCS wants them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from yaml.nodes import MappingNode

from lienthong.contracts.standard_reasons import yaml_reason
from lienthong.errors import (
    ContractError,
    ContractTooLarge,
    ContractUnreadable,
    DuplicateContractKey,
    UnsafeYaml,
)

LARGEST_CONTRACT_BYTES = 1 << 20  # a contract of 1,500 columns takes 340 kB
DEEPEST_NESTING = 40  # ODCS itself needs 12; recursion of readers ends far above


class _Loader(yaml.CSafeLoader):
    """The safe loader without timestamps, and with a complaint about keys given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value if isinstance(node, MappingNode) else ():
            line = key_node.start_mark.line + 1
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ContractUnreadable(place=f"{line}", reason=f"key {key!r:.40} is not text")
            if key in seen:
                raise DuplicateContractKey(key=key[:100], line=line)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_document(content: bytes, place: str = "contract") -> dict[str, Any]:
    """Return the mapping that ``content`` holds.

    Raises ContractTooLarge, ContractUnreadable, UnsafeYaml, DuplicateContractKey.
    """
    if len(content) > LARGEST_CONTRACT_BYTES:
        raise ContractTooLarge(what="size_bytes", limit=LARGEST_CONTRACT_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractUnreadable(place=place, reason=f"byte {error.start} not UTF-8") from error
    try:
        check_events(text)
        document = yaml.load(text, _Loader)  # noqa: S506 - a child of the safe loader
    except ContractError:
        raise
    except yaml.YAMLError as error:
        raise ContractUnreadable(place=place, reason=_reason(error)) from error
    except (ValueError, OverflowError, RecursionError) as error:  # 1e5 digits, month 13, …
        raise ContractUnreadable(place=place, reason="a value that no program can read") from error
    if not isinstance(document, dict):
        raise ContractUnreadable(place=place, reason="no mapping at the top")
    return document


def check_events(text: str) -> None:
    """Walk the flat stream of events before anything is composed from it.

    Raises UnsafeYaml, ContractTooLarge, yaml.YAMLError.
    """
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, NodeEvent):
            _check_node(event)
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEEPEST_NESTING:
                raise ContractTooLarge(what="nesting", limit=DEEPEST_NESTING)
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _check_node(event: NodeEvent) -> None:
    line = event.start_mark.line + 1 if event.start_mark else 0
    if isinstance(event, AliasEvent):
        raise UnsafeYaml(what="alias (*)", line=line)
    if event.anchor is not None:
        raise UnsafeYaml(what="anchor (&)", line=line)
    if isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None:
        raise UnsafeYaml(what="tag (!)", line=line)


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = yaml_reason(str(getattr(error, "problem", None) or error))
    return f"line {mark.line + 1}: {problem}" if mark else problem
