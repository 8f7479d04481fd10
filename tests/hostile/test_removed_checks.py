"""Removing any check makes a test fail: a sample of it; ``make test-hostile`` removes them all.

``checks.json`` names a test for every check. A check that is new has none yet:
``python -m tools.remove_checks --learn`` finds one, or shows that a test is missing.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.checks import PACKAGE, ROOT, all_checks, checks_of, replaced
from tools.remove_checks import read_record

# Of every room one whose test is quick; all of them are removed by ``make test-hostile``.
SAMPLE = (
    "agreements/paths.py:_decode:InvalidPath#6",
    "identity/identifiers.py:_check_part:InvalidIdentifier#3",
    "ledger/heads.py:verify_head:SignatureInvalid#2",
)


def test_most_checks_have_a_test_that_is_known_to_miss_them() -> None:
    """``make test-hostile`` removes every check; the record of which test misses which is made
    there (``tools.remove_checks --learn``) and printed with what is not known yet."""
    record = read_record()
    known = {**record["tests"], **record["kept"]}
    names = [check.name for check in all_checks(PACKAGE)]
    unknown = [name for name in names if name not in known]
    print(f"checks: {len(names)}, without a recorded test: {len(unknown)}")
    assert len(names) > 400
    assert all(len(reason) > 20 for reason in record["kept"].values())
    assert len(record["kept"]) < len(names) // 10, "few may stand without a test"


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
