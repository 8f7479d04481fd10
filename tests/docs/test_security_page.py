"""Every file that the security page names exists: a promise has a keeper and a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| [^*|]+ \| (.+) \| (.+) \|$", re.MULTILINE)
FILE = re.compile(r"`([a-z_/0-9]+\.py)`")


def rows(heading: str) -> list[re.Match[str]]:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.partition(f"## {heading}")[2].partition("\n## ")[0]
    return [row for row in ROW.finditer(table) if "`" in row[1]]


@pytest.mark.parametrize(("heading", "least"), [("Promises", 20), ("Attacks", 15)])
def test_every_promise_and_attack_names_files_that_keep_and_test_it(
    heading: str, least: int
) -> None:
    assert len(rows(heading)) > least
    for row in rows(heading):
        keepers = [ROOT / "src" / "lienthong" / name for name in FILE.findall(row[1])]
        tests = [ROOT / "tests" / name for name in FILE.findall(row[2])]
        assert keepers, row[0]
        assert tests, row[0]
        assert [str(path) for path in (*keepers, *tests) if not path.exists()] == []
