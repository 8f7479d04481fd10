"""What the documentation shows is true: code runs, links lead somewhere, reference is current."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.fixtures.markdown_pages import Block, blocks_of, commands_of, matches, run_page
from tools import reference

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NEEDS = re.compile(r"^<!-- needs: (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.runs for b in blocks_of(page))], ids=relative
)
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in NEEDS.findall(page.read_text(encoding="utf-8")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: see tools/test_machine.sh")
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_links_of_a_page_lead_to_a_file(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [page.parent / unquote(link) for link in LINK.findall(text)]
    assert [str(target) for target in targets if not target.exists()] == []


def test_no_page_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert [relative(p) for p in PAGES if f"{ROOT}{os.sep}" in p.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", ["settings.md", "errors.md", "cli.md"])
def test_the_generated_reference_is_current(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], "run `make docs`"


def test_the_reference_names_every_recipe_and_every_recipe_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*## .+$", makefile, re.MULTILINE))


# --- the runner itself ---------------------------------------------------------------


def test_a_block_can_be_a_file_or_be_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: names.txt -->\n```text\nLan\n```\n\n"
        "```console\n$ cat \\\n    names.txt\nLan\n$ echo many words\nmany…\n```\n"
        "<!-- no-run: it deletes the disk -->\n```console\n$ false\n```\n"
        "```python\nnumber = 1\n```\n```python\nassert number == 1\n```\n"
    )
    run_page(page, tmp_path)
    assert [block.runs for block in blocks_of(page)] == [False, True, False, True, True]


@pytest.mark.parametrize(
    "text",
    ["```console\n$ false\n```\n", "```console\n$ echo 1\n2\n```\n", "```python\nassert 0\n```\n"],
)
def test_a_page_that_is_not_true_fails(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError):
        run_page(page, tmp_path)


def test_commands_and_what_they_print_are_told_apart() -> None:
    block = Block("console", "$ a \\\n  b\none\n\ntwo\n$ c\n", 1, None, True)
    assert list(commands_of(block.text)) == [("a \\\n  b", "one\n\ntwo"), ("c", "")]


def test_dots_stand_for_anything_and_line_ends_for_nothing() -> None:
    assert matches("a … z", "a b  \nc z\n")
    assert not matches("a", "a b")
