"""Every file that the security page names exists: a promise has a keeper and a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| [^*|]+ \| (.+) \| (.+) \|$", re.MULTILINE)
FILE = re.compile(r"`([a-z_/0-9]+\.py)`")


def rows() -> list[re.Match[str]]:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    promises = page.partition("## Promises")[2].partition("\n## ")[0]
    return [row for row in ROW.finditer(promises) if "`" in row[1]]


def test_every_promise_names_files_that_keep_and_test_it() -> None:
    assert len(rows()) > 20
    for row in rows():
        keepers = [ROOT / "src" / "lienthong" / name for name in FILE.findall(row[1])]
        tests = [ROOT / "tests" / name for name in FILE.findall(row[2])]
        assert keepers, row[0]
        assert tests, row[0]
        assert [str(path) for path in (*keepers, *tests) if not path.exists()] == []
