"""Take every check away, one by one, and see a test fail (``make test-hostile``).

    python -m tools.remove_checks                    all checks, by the recorded tests
    python -m tools.remove_checks --only ledger/     checks whose name begins so
    python -m tools.remove_checks --learn            find tests for checks that have none

``tests/hostile/checks.json`` names for each check a test that fails without it. A check is
removed in a copy of the package, which a process of its own then tests. Where the recorded test
passes all the same, the check has survived: the run lists it and exits with 1.

``--learn`` first runs the tests on a copy that notes which test reaches which check, then tries
the tests that reach each check, quickest first, and writes what it found.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tools.checks import PACKAGE, ROOT, Check, all_checks, replaced

RECORD = ROOT / "tests" / "hostile" / "checks.json"
LONGEST_TEST_SECONDS = 300.0
MOST_TRIED = 40  # tests of one check
KINDS = ("unit", "spec", "property", "hostile", "federation", "fault")
_NOTER = """
import os
_seen = set()
def hit(name):
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    own = os.environ.get("REACH_PROCESS") == str(os.getpid())
    line = f"{name}\\t{test if own else test.partition('::')[0]}\\n"
    if line not in _seen:
        _seen.add(line)
        with open(os.environ["REACH_FILE"], "a") as file:
            file.write(line)
"""


class Copy:
    """A copy of the package in which one check may be missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "lienthong"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE, self.package, ignore=ignored)
        self.checks = all_checks(self.package)  # of the copy: the checkout may change meanwhile
        self._original = {
            file: (self.package / file).read_text(encoding="utf-8")
            for file in {check.file for check in self.checks}
        }

    def without(self, check: Check) -> None:
        """Write the check's file without it."""
        self.put(check.file, replaced(self._original[check.file], check, "pass"))

    def restore(self, check: Check) -> None:
        self.put(check.file, self._original[check.file])

    def noting(self, checks: Iterable[Check]) -> None:
        """Let every check say that it was reached, before it refuses."""
        (self.folder / "reach_noter.py").write_text(_NOTER, encoding="utf-8")
        by_file: dict[str, list[Check]] = defaultdict(list)
        for check in checks:
            by_file[check.file].append(check)
        for file, found in by_file.items():
            lines = self._original[file].splitlines(keepends=True)
            for check in found:
                text = lines[check.line - 1]
                note = f"__import__('reach_noter').hit({check.name!r}); "
                lines[check.line - 1] = text[: check.column] + note + text[check.column :]
            self.put(file, "".join(lines))

    def put(self, file: str, text: str) -> None:
        (self.package / file).write_text(text, encoding="utf-8")
        # Bytecode is told apart by second and size: too coarse for changes as quick as these.
        for stale in (self.package / file).parent.glob(f"__pycache__/{Path(file).stem}.*.pyc"):
            stale.unlink()


def run_tests(copy: Copy, tests: list[str], **environment: str) -> bool:
    """Run tests on the copy in a process of its own; return whether all passed."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ.update(environment, PYTHONPATH=str(copy.folder), PYTHONHASHSEED="0")
        os.environ["REACH_PROCESS"] = str(os.getpid())
        os._exit(_pytest(copy, tests))
    deadline = time.monotonic() + LONGEST_TEST_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)  # its own session: the nodes that it started end too
    os.waitpid(child, 0)
    return False


def _pytest(copy: Copy, tests: list[str]) -> int:
    import pytest

    output = os.open(os.environ.get("TEST_OUTPUT", os.devnull), os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.path.insert(0, str(copy.folder))
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    try:
        return int(pytest.main([*options, *tests]))
    except BaseException:
        return 99


def preload() -> None:
    """Import once what every test process needs; never the package itself."""
    import cryptography.x509  # noqa: F401
    import fastapi  # noqa: F401
    import hypothesis.strategies  # noqa: F401
    import pytest  # noqa: F401
    import sqlalchemy.dialects.sqlite  # noqa: F401
    import tuf.api.metadata  # noqa: F401
    import typer  # noqa: F401

    assert "lienthong" not in sys.modules, "a child would test the wrong package"


# --- learning ------------------------------------------------------------------------------


def reached(copy: Copy, checks: list[Check], files: list[str]) -> dict[str, list[str]]:
    """Which tests reach each check; of tests with processes of their own the whole file."""
    copy.noting(checks)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for file in files:
        notes = copy.folder / "notes"
        notes.unlink(missing_ok=True)
        started = time.monotonic()
        _run_whole(copy, file, notes)
        seconds = time.monotonic() - started
        print(f"{seconds:6.1f} s  {file}", flush=True)
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
        for name, _, test in (line.partition("\t") for line in lines):
            found[name].setdefault(test or file, seconds)
    for check in checks:
        copy.restore(check)
    return {name: sorted(tests, key=tests.__getitem__) for name, tests in found.items()}


def _run_whole(copy: Copy, file: str, notes: Path) -> None:
    run_tests(copy, ["--maxfail=1000", file], REACH_FILE=str(notes))


def test_files(kinds: Iterable[str]) -> Iterator[str]:
    for kind in kinds:
        pattern = f"{kind}/test_*.py" if "/" not in kind else kind
        for path in sorted((ROOT / "tests").glob(pattern)):
            if path.name != "test_removed_checks.py":  # it would run this run
                yield path.relative_to(ROOT).as_posix()


def learn(copy: Copy, check: Check, tests: list[str], sound: dict[str, bool]) -> str | None:
    """The quickest test found that fails without the check, and passes with it."""
    for test in tests[:MOST_TRIED]:
        copy.without(check)
        failed = not run_tests(copy, [test])
        copy.restore(check)
        if failed and sound.setdefault(test, run_tests(copy, [test])):
            return test
    return None


# --- the run -------------------------------------------------------------------------------


def read_record() -> dict[str, Any]:
    """``tests``: check → test; ``kept``: check → why no test can fail without it."""
    empty: dict[str, Any] = {"kept": {}, "tests": {}}
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else empty


def write_record(record: dict[str, Any]) -> None:
    names = {check.name for check in all_checks()}
    for part in record:  # checks that are no longer in the code
        record[part] = {name: value for name, value in record[part].items() if name in names}
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    RECORD.write_text(text + "\n", encoding="utf-8")


def survivors(copy: Copy, checks: list[Check], tests: dict[str, str]) -> list[str]:
    """The checks without which their recorded test passes, or that have none."""
    found = []
    known = {tests[check.name] for check in checks if check.name in tests}
    if not run_tests(copy, sorted(known)):
        raise SystemExit("the recorded tests do not pass with every check in place")
    for check in checks:
        test = tests.get(check.name)
        copy.without(check)
        if test is None or run_tests(copy, [test]):
            found.append(check.name)
            print(f"SURVIVED {check.name}  {test or 'no test recorded'}", flush=True)
        copy.restore(check)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Return 1 when a check survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="checks whose name begins so")
    parser.add_argument("--learn", action="store_true", help="find tests where none is recorded")
    help_ = "folders or files below tests/ to learn from"
    parser.add_argument("--kinds", default=",".join(KINDS), help=help_)
    options = parser.parse_args(arguments)
    preload()
    record = read_record()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        wanted = [check for check in copy.checks if check.name.startswith(options.only)]
        checks = [check for check in wanted if check.name not in record["kept"]]
        if options.learn:
            return _learn_all(copy, checks, record, options.kinds.split(","))
        lost = survivors(copy, checks, record["tests"])
    kept = len(record["kept"])
    print(f"checks removed: {len(checks)}, survivors: {len(lost)}, kept without a test: {kept}")
    return 1 if lost else 0


def _learn_all(copy: Copy, checks: list[Check], record: dict[str, Any], kinds: list[str]) -> int:
    missing = [check for check in checks if check.name not in record["tests"]]
    if not missing:
        return 0
    found = reached(copy, missing, list(test_files(kinds)))
    lost, sound = [], dict[str, bool]()
    for check in missing:
        test = learn(copy, check, found.get(check.name, []), sound)
        if test is None:
            lost.append(check.name)
            print(f"SURVIVED {check.name}  ({len(found.get(check.name, []))} tests)", flush=True)
        else:
            record["tests"][check.name] = test
            write_record(record)
    print(f"checks learned: {len(missing) - len(lost)}, survivors: {len(lost)}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
