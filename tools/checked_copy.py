"""A copy of the package in which every check has a switch, and the tests imported beside it.

The environment says which check is off (``REMOVED_CHECK``) and where to write the names of those
that were reached (``REACH_FILE``): so it holds for what a test starts as well.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tools.checks import PACKAGE, ROOT, Check, all_checks

_SWITCH = '''
"""Whether a check refuses; it is asked only where it would."""
import os
def on(name):
    if "REACH_FILE" in os.environ:
        with open(os.environ["REACH_FILE"], "a") as file:
            file.write(name + "\\n")
    return name != os.environ.get("REMOVED_CHECK")
'''


class Copy:
    """A copy of the package in which every check asks whether it is switched on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "lienthong"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        self.checks = all_checks(package)  # of the copy: the checkout may change meanwhile
        (folder / "check_switch.py").write_text(_SWITCH, encoding="utf-8")
        by_file: dict[str, list[Check]] = defaultdict(list)
        for check in self.checks:
            by_file[check.file].append(check)
        for file, found in by_file.items():
            path = package / file
            path.write_text(switched(path.read_text(encoding="utf-8"), found), encoding="utf-8")
        assert [each.name for each in all_checks(package)] == [each.name for each in self.checks]

    def enter(self, files: list[str]) -> None:
        """Import the copy and these files of tests, once for every process that is forked."""
        import pytest

        os.environ.update(PYTHONPATH=f"{self.folder}:{ROOT}", PYTHONHASHSEED="0")
        sys.path.insert(0, str(self.folder))
        sys.dont_write_bytecode = True
        with output_to(os.environ.get("TEST_OUTPUT", os.devnull)):
            code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *files])
        if code:
            raise SystemExit(f"the tests cannot be collected: pytest's exit code {int(code)}")
        import lienthong

        assert Path(lienthong.__file__).is_relative_to(self.folder), "the wrong package"
        assert threading.active_count() == 1, "a process with threads cannot be forked"


def switched(text: str, checks: Iterable[Check]) -> str:
    """``text`` with a switch before every check; every line keeps its number."""
    lines = text.splitlines(keepends=True)
    for check in checks:
        line = lines[check.line - 1]
        assert not line[: check.column].strip(), f"{check.name} does not begin its line"
        switch = f"if __import__('check_switch').on({check.name!r}): "
        lines[check.line - 1] = line[: check.column] + switch + line[check.column :]
    return "".join(lines)


class output_to:  # noqa: N801 — read as a verb
    """Both outputs into a file meanwhile."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._own = (os.dup(1), os.dup(2))

    def __enter__(self) -> None:
        sys.stdout.flush()
        os.dup2(self._file, 1)
        os.dup2(self._file, 2)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        for number, own in enumerate(self._own, 1):
            os.dup2(own, number)
            os.close(own)
        os.close(self._file)
