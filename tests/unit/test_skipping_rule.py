"""Where nothing may be skipped, a skipped test fails the run; elsewhere it is only counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOOKS = "from tests.conftest import pytest_sessionfinish, pytest_terminal_summary\n"
PASSING = "def test_passes(): pass\n"
SKIPPED = PASSING + "import pytest\ndef test_skips(): pytest.skip('no peer')\n"
MODULE_SKIPPED = "import pytest\npytest.skip('no peer', allow_module_level=True)\n"
SHARED = SKIPPED.replace("def test_skips", "@pytest.mark.needs_shared\ndef test_skips")


def run(folder: Path, text: str, nothing_may_skip: str, *options: str) -> tuple[int, str]:
    (folder / "conftest.py").write_text(HOOKS)
    (folder / "test_other.py").write_text(PASSING)
    (folder / "test_page.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env={**os.environ, "NOTHING_MAY_SKIP": nothing_may_skip, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("text", "options"),
    [(SKIPPED, ("-n", "2")), (MODULE_SKIPPED, ())],
    ids=["a test, two processes", "a module, one process"],
)
def test_a_skip_fails_the_run_where_nothing_may_be_skipped(
    tmp_path: Path, text: str, options: tuple[str, ...]
) -> None:
    code, output = run(tmp_path, text, "1", *options)
    assert code == 1, output
    assert "skipped: 1" in output
    assert "no peer" in output


@pytest.mark.parametrize(("text", "allowed"), [(SKIPPED, "0"), (SHARED, "1"), (PASSING, "1")])
def test_other_skips_are_only_counted(tmp_path: Path, text: str, allowed: str) -> None:
    code, output = run(tmp_path, text, allowed)
    assert code == 0, output
    assert f"skipped: {int(text != PASSING)}" in output
    assert output.strip().splitlines()[-1].startswith("=")
