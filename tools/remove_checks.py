"""Take every check away, one by one, and see a test fail (``make test-hostile``).

    python -m tools.remove_checks                    all checks, by the recorded tests
    python -m tools.remove_checks --only ledger/     checks whose name begins so
    python -m tools.remove_checks --learn            find tests for checks that have none

``tests/hostile/checks.json`` names for each check a test that fails without it. The tests run on
a copy of the package in which every check has a switch. Each file of tests has a process of its
own, forked from one that has imported everything; there a test runs again for each check that it
has to miss. Tests that start nodes run as a whole file for each check, since a node that runs
already keeps its checks. Where the recorded test passes all the same, the check has survived:
the run lists it and exits with 1.

``--learn`` runs each test, notes which checks it reaches, and runs it again without each of those
that no test has missed so far; what it finds is written.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tools.checks import PACKAGE, ROOT, Check, all_checks

RECORD = ROOT / "tests" / "hostile" / "checks.json"
LONGEST_SECONDS = 300.0  # of one test: it hangs, and so misses its check
SLOW_SECONDS = 30.0  # a slower test is tried for no check that others may miss
SPOILT = 77  # the exit code of a process in which a test fails from now on
KINDS = ("unit", "spec", "property", "hostile")
STARTS_NODES = ("tests/federation/", "tests/fault/")
Kills = dict[str, str]  # check → test
Given = TypeVar("Given")
Found = TypeVar("Found")
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
        with _output_to(os.environ.get("TEST_OUTPUT", os.devnull)):
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


class _output_to:  # noqa: N801 — read as a verb
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


# --- in the process of one file of tests ---------------------------------------------------


class Removing:
    """A plugin of pytest: runs each test once as it is, and then without checks.

    ``wanted`` names the checks that a test has to miss; None: those that it reaches. Lines of
    ``notes`` say what was begun and what became of it, for the process that waits.
    """

    def __init__(self, notes: Path, wanted: dict[str, list[str]] | None, known: set[str]) -> None:
        self._notes = notes
        self._wanted = wanted
        self._known = known  # checks that need no test any more

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
        last = _last_class().from_parent(item.parent, name="last")
        reached = self._notes.with_suffix(".reached")
        reached.unlink(missing_ok=True)
        os.environ["REACH_FILE"] = str(reached)
        started = time.monotonic()
        sound = self._passes(item, last)
        del os.environ["REACH_FILE"]
        slow = time.monotonic() - started > SLOW_SECONDS
        found = reached.read_text("utf-8").split("\n") if reached.exists() else []
        if self._wanted is None:
            names = [] if slow else list(dict.fromkeys(filter(None, found)))
        else:
            names = self._wanted.get(item.nodeid, [])
        for name in names if sound else ():
            if name not in self._known:
                self._without(name, item, last)
        if not sound:
            self._note("unsound", "-", item)
        item.session._setupstate.teardown_exact(nextitem)
        return True

    def _without(self, name: str, item: Any, last: Any) -> None:
        self._note("begun", name, item)
        os.environ["REMOVED_CHECK"] = name
        passed = self._passes(item, last)
        del os.environ["REMOVED_CHECK"]
        if passed:
            return
        self._known.add(name)
        # What was left behind may be why it failed: then it fails with every check too.
        if self._passes(item, last):
            self._note("missed", name, item)
        else:
            self._note("spoilt", name, item)
            os._exit(SPOILT)

    def _passes(self, item: Any, following: Any) -> bool:
        from _pytest.runner import runtestprotocol

        reports = runtestprotocol(item, log=False, nextitem=following)
        return all(report.passed for report in reports)

    def _note(self, what: str, name: str, item: Any) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(f"{what}\t{name}\t{item.nodeid}\n")


def _last_class() -> Any:
    import pytest

    class _Last(pytest.Item):
        """What is said to follow: the test itself ends, and the fixtures of its file stay."""

        def runtest(self) -> None:
            raise NotImplementedError

    return _Last


def _pytest(tests: list[str], plugins: list[Any]) -> int:
    import pytest

    _output_to(os.environ.get("TEST_OUTPUT", os.devnull)).__enter__()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    try:
        return int(pytest.main([*options, *tests], plugins=plugins))
    except BaseException:
        return 99


def _forked(work: Callable[[], int], alive: Callable[[], float]) -> int | None:
    """``work``'s exit code in a process of its own; None when it hung.

    ``alive`` tells when it last did something, in seconds of the monotonic clock.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(work())
    while time.monotonic() - alive() < LONGEST_SECONDS:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)  # its own session: the nodes that it started end too
    os.waitpid(child, 0)
    return None


def run_file(
    file: str, wanted: dict[str, list[str]] | None, known: set[str], folder: Path
) -> tuple[str, Kills, list[str]]:
    """Run a file's tests without checks; return which tests missed which, and unsound tests."""
    tests = [file] if wanted is None else sorted(wanted)
    kills: Kills = {}
    tried = set(known)
    while True:
        code, lines = _run_removing(tests, wanted, tried, folder)
        kills |= {name: test for what, name, test in lines if what == "missed"}
        unsound = [test for what, _, test in lines if what == "unsound"]
        tried |= kills.keys()
        if code not in (None, SPOILT) or not lines or lines[-1][1] in tried:
            return file, kills, unsound
        _, name, test = lines[-1]
        tried.add(name)
        # Without this check the test never ends, or leaves a process behind that fails: then
        # one that has done nothing else decides.
        if code is None or _run_removing([test], {test: [name]}, set(), folder)[1][-1:] != [
            ["begun", name, test]
        ]:
            kills[name] = test


def _run_removing(
    tests: list[str], wanted: dict[str, list[str]] | None, known: set[str], folder: Path
) -> tuple[int | None, list[list[str]]]:
    notes = folder / f"notes-{os.getpid()}"
    notes.write_text("")
    plugin = Removing(notes, wanted, known)
    code = _forked(lambda: _pytest(tests, [plugin]), lambda: _changed(notes))
    return code, [line.split("\t") for line in notes.read_text("utf-8").splitlines()]


_BEGAN = time.monotonic() - time.time()


def _changed(notes: Path) -> float:
    """When something was noted last, by the monotonic clock."""
    return notes.stat().st_mtime + _BEGAN


def run_whole(file: str, check: str) -> bool:
    """Whether a file whose tests start nodes fails without the check."""
    started = time.monotonic()

    def work() -> int:
        os.environ["REMOVED_CHECK"] = check
        return _pytest(["-x", file], [])

    return _forked(work, lambda: started) != 0


def in_processes(work: Callable[[Given], Found], of: list[Given], jobs: int) -> Iterator[Found]:
    """``work`` on each, ``jobs`` at once, as they are done."""
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(work, of)


def test_files(kinds: Iterable[str]) -> Iterator[str]:
    for kind in kinds:
        pattern = f"{kind}/test_*.py" if "/" not in kind else kind
        for path in sorted((ROOT / "tests").glob(pattern)):
            if path.name != "test_removed_checks.py":  # it would run this run
                yield path.relative_to(ROOT).as_posix()


# --- the run -------------------------------------------------------------------------------


def read_record() -> dict[str, Any]:
    """``tests``: check → test; ``kept``: check → why no test can fail without it."""
    empty: dict[str, Any] = {"kept": {}, "tests": {}}
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else empty


def write_record(record: dict[str, Any]) -> None:
    names = {check.name for check in all_checks()}
    for part in record.values():
        for name in part.keys() - names:  # checks that are no longer in the code
            del part[name]
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    RECORD.write_text(text + "\n", encoding="utf-8")


def judge(tests: Kills, folder: Path, jobs: int) -> Kills:
    """Of these checks and tests those where the test fails without the check."""
    by_file: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, test in tests.items():
        by_file[test.partition("::")[0]][test].append(name)
    files = [file for file in sorted(by_file) if not file.startswith(STARTS_NODES)]
    work = partial(_judge_file, by_file={f: dict(by_file[f]) for f in files}, folder=folder)
    kills: Kills = {}
    for file, found, unsound in in_processes(work, files, jobs):
        kills |= found
        print(f"{len(found):4} missed by {file}", flush=True)
        for test in unsound:
            print(f"FAILS with every check in place: {test}")
    for name, test in tests.items():
        if test.startswith(STARTS_NODES) and run_whole(test, name):
            kills[name] = test
    return kills


def _judge_file(file: str, by_file: dict[str, Any], folder: Path) -> tuple[str, Kills, list[str]]:
    return run_file(file, by_file[file], set(), folder)


def _learn_file(file: str, folder: Path, known: set[str]) -> tuple[str, Kills, list[str]]:
    return run_file(file, None, known, folder)


def main(arguments: list[str] | None = None) -> int:
    """Return 1 when a check survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="checks whose name begins so")
    parser.add_argument("--learn", action="store_true", help="find tests where none is recorded")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    help_ = "folders or files below tests/ to learn from"
    parser.add_argument("--kinds", default=",".join(KINDS), help=help_)
    options = parser.parse_args(arguments)
    record = read_record()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        wanted = [check for check in copy.checks if check.name.startswith(options.only)]
        names = [check.name for check in wanted if check.name not in record["kept"]]
        if options.learn:
            return _learn(copy, names, record, options)
        tests = {name: record["tests"][name] for name in names if name in record["tests"]}
        copy.enter(sorted({test.partition("::")[0] for test in tests.values()}))
        missed = judge(tests, copy.folder, options.jobs)
    lost = [name for name in names if name not in missed]
    for name in lost:
        print(f"SURVIVED {name}  {tests.get(name, 'no test recorded')}")
    kept = len(record["kept"])
    print(f"checks removed: {len(names)}, survivors: {len(lost)}, kept without a test: {kept}")
    return 1 if lost else 0


def _learn(copy: Copy, names: list[str], record: dict[str, Any], options: Any) -> int:
    known: Kills = record["tests"]
    lost = {name for name in names if name not in known}
    if not lost:
        return 0
    files = list(test_files(options.kinds.split(",")))
    copy.enter(files)
    others = {check.name for check in copy.checks} - lost
    work = partial(_learn_file, folder=copy.folder, known=others)
    for file, found, _ in in_processes(work, files, options.jobs):
        print(f"{len(found):4} missed by {file}", flush=True)
        for name, test in found.items():
            known.setdefault(name, test)
        lost -= found.keys()
        write_record(record)
    for name in sorted(lost):
        print(f"SURVIVED {name}")
    print(f"checks learned: {len(names) - len(lost)}, survivors: {len(lost)}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
