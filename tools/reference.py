"""Write docs/reference/{settings,errors,cli}.md from the program itself.

    python -m tools.reference            write the pages (`make docs`)
    python -m tools.reference --check    exit 1 and name the pages that are out of date

A test runs the check, so that the reference cannot say what the program does not do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lienthong.errors import LienthongError, error_texts
from lienthong.settings import ENVIRONMENT_PREFIX, TABLE

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the program; do not edit. -->\n\n"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the program.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    options = parser.parse_args()
    stale = [name for name, text in pages().items() if _read(FOLDER / name) != text]
    for name in stale:
        print(f"docs/reference/{name} is {'out of date' if options.check else 'written'}")
    if options.check:
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(pages()[name], encoding="utf-8")
    return 0


def pages() -> dict[str, str]:
    """Return the text of every generated page by its file name."""
    return {
        "settings.md": NOTE + "".join(_settings()),
        "errors.md": NOTE + "".join(_errors()),
        "cli.md": NOTE + "".join(_commands()),
    }


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


# --- settings ------------------------------------------------------------------------


def _settings() -> Iterator[str]:
    yield "# Settings · Thiết lập\n\n"
    yield (
        "A setting is read from the environment, else from `node.toml` in the node's state "
        "folder, else it has its default. An unknown setting stops the node.\n\n"
    )
    yield "| In `node.toml` | In the environment | Default | Meaning |\n|---|---|---|---|\n"
    for setting in TABLE:
        default = _toml(setting.default)
        meaning = f"{setting.help_vi}<br>{setting.help_en}"
        secret = " *(secret)*" if setting.secret else ""
        variable = f"`{ENVIRONMENT_PREFIX}{setting.name.upper()}`"
        yield f"| `{setting.name}`{secret} | {variable} | `{default}` | {meaning} |\n"


def _toml(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


# --- errors --------------------------------------------------------------------------


def _errors() -> Iterator[str]:
    yield "# Errors · Lỗi\n\n"
    yield (
        "Every error has a code that never changes its meaning, an HTTP status, the exit code of "
        "the command line, and the name of the same fault in X-Road. Words in braces are the "
        "facts of the case.\n"
    )
    for branch in LienthongError.__subclasses__():
        summary = (branch.__doc__ or "").splitlines()[0]
        yield f"\n## {branch.__name__}: exit code {branch.exit_code}\n\n{summary}\n"
        for error in (branch, *_descendants(branch)):
            yield from _error(error)
    yield "\n## Others\n"
    yield from _error(LienthongError)


def _descendants(error: type[LienthongError]) -> Iterator[type[LienthongError]]:
    for child in error.__subclasses__():
        if child.__module__ == LienthongError.__module__:  # not those that a test declares
            yield child
            yield from _descendants(child)


def _error(error: type[LienthongError]) -> Iterator[str]:
    texts = {key: _plain(text) for key, text in error_texts()[error.code].items()}
    yield f"\n### `{error.code}`\n\n"
    yield f"HTTP {error.status}, X-Road `{error.xroad}`\n\n"
    yield f"> {texts['vi']}<br>\n> {texts['en']}\n\n"
    yield f"**Cause.** {texts['cause']}\n\n"
    yield f"**Remedy · Cách xử lý.** {texts['remedy_vi']}<br>\n{texts['remedy_en']}\n"


# --- command line --------------------------------------------------------------------


def _commands() -> Iterator[str]:
    from lienthong.cli import program  # only this page needs the whole program

    yield "# Command line · Dòng lệnh\n"
    yield from _command(program, "lienthong", None)


def _command(command: Any, name: str, parent: Any) -> Iterator[str]:
    """Describe a command and those below it; the classes are those that Typer brings."""
    context = command.context_class(command, info_name=name.split()[-1], parent=parent)
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    children = {each: command.get_command(context, each) for each in names}
    yield f"\n{'##' if children else '###'} `{name}`\n\n"
    yield f"{_paragraphs(command.help)}\n\n"
    yield f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [record for record in records if record and "--help" not in record[0]]
    if rows:
        yield "\n| Argument or option | Meaning |\n|---|---|\n"
        yield from (f"| `{_cell(left)}` | {_plain(_cell(right))} |\n" for left, right in rows)
    for each, child in children.items():
        if not child.hidden:
            yield from _command(child, f"{name} {each}", context)


def _paragraphs(text: str | None) -> str:
    """Join the paragraphs of a help text; one marked with ``\\b`` keeps its lines."""
    paragraphs = [paragraph.strip("\n") for paragraph in (text or "").split("\n\n")]
    return "\n\n".join(
        f"```text\n{paragraph.strip(chr(8)).strip()}\n```"
        if paragraph.startswith("\b")
        else _plain(paragraph)
        for paragraph in paragraphs
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Keep words in angle brackets from being read as HTML."""
    return text.replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
