"""Every check of the rooms that read and verify what others sent, found in their source.

A check is a statement that refuses: it raises, returns an error or a bare ``False`` or ``None``
out of an ``if``, or reports a problem. Its name stays the same while the code around it changes:

    exchange/provider.py:ProviderEdge._check_sender:ForeignMessage#1

``tools.remove_checks`` takes them away one by one; ``tests/hostile`` counts which of them the
generated inputs reach.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "lienthong"
ROOMS = ("agreements", "directory", "exchange", "identity", "ledger", "transport")
# What in other rooms reads a file or a document that came from outside.
ELSEWHERE = (
    "contracts/wsdl_file.py",
    "node/backup_file.py",
    "node/backup_manifest.py",
    "node/counters/counts.py",
    "node/counters/documents.py",
)
# What only an operator's own command line reaches is no check of what others send.
NOT_CHECKED = ("commands.py",)
REPORTING = frozenset({"_refuse", "_fail", "_note"})
# Where a bare False or None is the refusal: nothing is raised there.
GUARDED = (
    "agreements/patterns.py",
    "directory/succession.py",
    "identity/certificates.py",
    "ledger/erasure.py",
    "ledger/merkle.py",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One statement that refuses; lines count from 1, columns from 0, in characters."""

    name: str
    file: str  # below the package
    line: int
    column: int
    end_line: int
    end_column: int


def all_checks(package: Path = PACKAGE) -> list[Check]:
    """Every check of the rooms, in the order of their files."""
    files = [path for room in ROOMS for path in sorted((package / room).rglob("*.py"))]
    files += [package / file for file in ELSEWHERE]
    return [
        check
        for path in files
        if not path.name.endswith(NOT_CHECKED)
        for check in checks_of(path, path.relative_to(package).as_posix())
    ]


def checks_of(path: Path, file: str) -> Iterator[Check]:
    """The checks of one file."""
    text = path.read_text(encoding="utf-8")
    finder = _Finder(file)
    finder.visit(ast.parse(text))
    seen: dict[str, int] = {}
    lines = text.splitlines()
    for scope, word, node in finder.found:
        key = f"{scope}:{word}"
        seen[key] = seen.get(key, 0) + 1
        yield Check(
            f"{file}:{key}#{seen[key]}",
            file,
            node.lineno,
            _characters(lines[node.lineno - 1], node.col_offset),
            node.end_lineno or node.lineno,
            _characters(lines[(node.end_lineno or node.lineno) - 1], node.end_col_offset or 0),
        )


def replaced(text: str, check: Check, statement: str) -> str:
    """``text`` with the check's statement replaced; every other line keeps its number."""
    lines = text.splitlines(keepends=True)
    rest = lines[check.end_line - 1][check.end_column :]
    lines[check.line - 1] = lines[check.line - 1][: check.column] + statement
    lines[check.line - 1] += "\n" * (check.end_line - check.line) + rest
    return "".join([*lines[: check.line], *lines[check.end_line :]])


def _characters(line: str, offset_bytes: int) -> int:
    return len(line.encode()[:offset_bytes].decode())


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str) -> None:
        self.found: list[tuple[str, str, ast.stmt]] = []
        self._guarded = file in GUARDED
        self._scope: list[str] = []

    def _within(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope.append(node.name)
        self.generic_visit(node)
        self._scope.pop()

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _within  # noqa: N815

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            self._add(_word(node.exc), node)

    def visit_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, ast.Call) and _is_error(_word(node.value)):
            self._add(_word(node.value), node)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value
        if isinstance(value, ast.Yield) and isinstance(value.value, ast.Constant | ast.JoinedStr):
            self._add("yield", node)
        elif (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in REPORTING
            and value.args
            and _is_error(_word(value.args[0]))
        ):
            self._add(_word(value.args[0]), node)

    def visit_If(self, node: ast.If) -> None:
        last = node.body[-1]
        if self._guarded and isinstance(last, ast.Return) and _is_nothing(last.value):
            self._add("nothing", last)
        self.generic_visit(node)

    def _add(self, word: str, node: ast.stmt) -> None:
        self.found.append((".".join(self._scope) or "module", word, node))


def _word(node: ast.expr) -> str:
    """The name of what is raised or called."""
    if isinstance(node, ast.Call):
        return _word(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else type(node).__name__


@lru_cache(maxsize=1)
def _error_names() -> frozenset[str]:
    """Our error classes, and the helpers that make one; read, since a copy may be under test."""
    tree = ast.parse((PACKAGE / "errors.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return frozenset(names | {"_too_large", "_head_too_large"})


def _is_error(word: str) -> bool:
    return word in _error_names()


def _is_nothing(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, False)
