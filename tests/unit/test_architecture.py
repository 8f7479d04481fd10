"""The house stands as docs/architecture.md draws it: rooms, arrows, sizes, names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "lienthong"

# From the foundation upwards. A part imports only from itself and from lower layers.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"reasons"}),
    frozenset({"errors"}),
    frozenset({"settings", "events", "given_paths"}),
    frozenset({"units", "identity", "transport", "schema"}),
    frozenset({"directory", "contracts"}),
    frozenset({"ledger"}),  # above the directory: evidence carries what it said
    frozenset({"sources", "agreements", "catalogue"}),
    frozenset({"exchange"}),
    frozenset({"node"}),
    frozenset({"portal"}),
    frozenset({"demo"}),
    frozenset({"cli"}),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

LONGEST_MODULE_LINES = 400
LONGEST_README_LINES = 50  # one screen
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|manager|common|misc|v2)(_|$)")

MODULES = sorted(SOURCE.rglob("*.py"))
ROOMS = sorted(path.parent for path in SOURCE.glob("*/__init__.py"))


def part_of(module: Path) -> str:
    """Return the room, or top-level module, that a file belongs to."""
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(module: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, part of our house) for every import of a module, wherever it stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "lienthong":
            names = [f"lienthong.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.startswith("lienthong."):
                yield node.lineno, name.split(".")[1]


def relative(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_every_room_has_its_place_in_the_layers() -> None:
    parts = {part_of(module) for module in MODULES if module.name != "__init__.py"}
    assert parts <= LEVEL.keys()


def test_imports_point_downwards_only() -> None:
    upward = [
        f"{relative(module)}:{line} imports {part}"
        for module in MODULES
        for line, part in imported_parts(module)
        if part != part_of(module) and LEVEL.get(part, 0) >= LEVEL.get(part_of(module), 0)
    ]
    assert upward == []


def test_no_relative_imports_hide_an_arrow() -> None:
    hidden = [
        f"{relative(module)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert hidden == []


def test_every_room_has_a_readme_of_one_screen() -> None:
    readmes = {room.name: room / "README.md" for room in ROOMS}
    assert [name for name, readme in readmes.items() if not readme.exists()] == []
    lengths = {name: len(readme.read_text().splitlines()) for name, readme in readmes.items()}
    assert {n: length for n, length in lengths.items() if length > LONGEST_README_LINES} == {}


def test_no_module_outgrows_its_subject() -> None:
    lengths = {relative(module): len(module.read_text().splitlines()) for module in MODULES}
    lengths.pop("errors.py")  # a flat list of declarations, kept in one file to be read as one
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        relative(module)
        for module in MODULES
        if (text := module.read_text(encoding="utf-8")).strip()
        and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_names_say_what_a_module_is_about() -> None:
    empty = [
        relative(path)
        for path in (*MODULES, *ROOMS)
        if EMPTY_NAMES.search(path.name.removesuffix(".py"))
    ]
    assert empty == []


def test_the_tree_in_the_architecture_page_equals_the_disk() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = re.search(r"^src/lienthong/\n((?:  .*\n)+)", page, re.MULTILINE)
    assert drawing, "the page has no tree that starts with src/lienthong/"
    drawn = {line.split()[0].rstrip("/") for line in drawing[1].splitlines() if line[2] != " "}
    on_disk = {room.name for room in ROOMS} | {
        path.name for path in SOURCE.glob("*.py") if path.name != "__init__.py"
    }
    assert drawn - {"error_texts"} == on_disk
