"""Removing any check makes a test fail: a sample of it; ``make test-hostile`` removes them all.

``checks.json`` names the test that misses each check; ``full/`` holds it to be complete.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.checks import PACKAGE, ROOT, all_checks, checks_of, replaced

# Of every room one whose test is quick; all of them are removed by ``make test-hostile``.
SAMPLE = (
    "agreements/paths.py:_decode:InvalidPath#6",
    "identity/identifiers.py:_check_part:InvalidIdentifier#3",
    "ledger/heads.py:verify_head:SignatureInvalid#2",
)


def test_a_removed_check_leaves_every_other_line_in_its_place() -> None:
    for check in all_checks(PACKAGE):
        text = (PACKAGE / check.file).read_text(encoding="utf-8")
        without = replaced(text, check, "pass")
        assert without.count("\n") == text.count("\n")
        compile(without, check.file, "exec")
    names = [each.name for each in checks_of(PACKAGE / "ledger/heads.py", "ledger/heads.py")]
    assert len(set(names)) == len(names) > 4


@pytest.mark.parametrize("name", SAMPLE)
def test_without_a_check_its_test_fails(name: str) -> None:
    command = [sys.executable, "-m", "tools.remove_checks", "--only", name]
    environment = {**os.environ, "NOTHING_MAY_SKIP": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks removed: 1, survivors: 0" in done.stdout
