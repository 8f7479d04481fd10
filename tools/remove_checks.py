"""Take every check away, one by one, and see a test fail (``make test-hostile``).

    python -m tools.remove_checks                    all checks, by the recorded tests
    python -m tools.remove_checks --only ledger/     checks whose name begins so
    python -m tools.remove_checks --forget           and strike out records that are wrong
    python -m tools.remove_checks --learn            find tests for checks that have none

``tests/hostile/checks.json`` names for each check a test that fails without it. The tests run on
a copy of the package in which every check has a switch. Each check is switched off in a process
of its own, forked from one that has imported everything; what the test starts inherits that. Where
the recorded test passes all the same, the check has survived: the run lists it and exits with 1.
So it does for a recorded test that fails with every check in place, which would prove nothing.

``--learn`` first notes which tests reach which checks and how long they take (it keeps that in
``artifacts/reached.json`` and asks again only for files of tests that changed). Then, for each
check without a test, the quickest of those that reach it run until one fails.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from tools.checked_copy import Copy, output_to
from tools.checks import ROOT, all_checks

RECORD = ROOT / "tests" / "hostile" / "checks.json"
REACHED = ROOT / "artifacts" / "reached.json"
LONGEST_SECONDS = 120.0  # of one test: it hangs
LONGEST_REACH_SECONDS = 900.0  # the same where a test that starts nodes runs with every check
LONGEST_SEARCH_SECONDS = 90.0  # all tests that are tried for one check, by what they took before
KINDS = ("unit", "spec", "property", "hostile")
Kills = dict[str, str]  # check → test
Given = TypeVar("Given")
Found = TypeVar("Found")


# --- tests in a process of their own -------------------------------------------------------


class Noting:
    """A plugin of pytest: one line of ``notes`` for each test that begins, and how it ended.

    ``reached`` is where the switches write; what was added meanwhile is this test's.
    """

    def __init__(self, notes: Path, reached: Path | None) -> None:
        self._notes = notes
        self._reached = reached
        self._read_bytes = 0
        self._seconds: dict[str, float] = {}
        self._outcome = "passed"

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._seconds, self._outcome = {}, "passed"
        self._note({"began": nodeid})

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._seconds[report.when] = report.duration
        if not report.passed:
            self._outcome = report.outcome

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        ended = {"ended": nodeid, "outcome": self._outcome, "checks": self._new()}
        self._note({**ended, "seconds": [round(each, 2) for each in self._seconds.values()]})

    def _new(self) -> list[str]:
        if self._reached is None or not self._reached.exists():
            return []
        with self._reached.open(encoding="utf-8") as file:
            file.seek(self._read_bytes)
            names = file.read().split()
            self._read_bytes = file.tell()
        return list(dict.fromkeys(names))

    def _note(self, what: dict[str, Any]) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


def run_tests(
    tests: list[str],
    folder: Path,
    *,
    without: str | None = None,
    reached: Path | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> list[dict[str, Any]]:
    """The notes of these tests, run in this order up to the first that fails without the check.

    A test that began and did not end has hung, or ended its process: it is noted as ``failed``.
    """
    notes = folder / f"notes-{os.getpid()}"
    notes.write_text("")

    def work() -> int:
        if without is not None:
            os.environ["REMOVED_CHECK"] = without
        if reached is not None:
            os.environ["REACH_FILE"] = str(reached)
        stop = [] if without is None else ["-x"]
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *stop]
        return _pytest([*options, *tests], [Noting(notes, reached)])

    _forked(work, lambda: _changed(notes), longest_seconds)
    lines = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
    if lines and "began" in lines[-1]:
        print(f"NEVER ENDED {lines[-1]['began']} without {without}", flush=True)
        lost = {"outcome": "failed", "checks": [], "seconds": [longest_seconds]}
        lines.append({"ended": lines[-1]["began"], **lost})
    return [line for line in lines if "ended" in line]


def _pytest(arguments: list[str], plugins: list[Any]) -> int:
    import pytest

    output_to(os.environ.get("TEST_OUTPUT", os.devnull)).__enter__()
    try:
        return int(pytest.main(arguments, plugins=plugins))
    except BaseException:
        return 99


def _forked(work: Callable[[], int], alive: Callable[[], float], longest_seconds: float) -> None:
    """Do ``work`` in a process of its own, and end it when it hangs.

    ``alive`` tells when it last did something, in seconds of the monotonic clock.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(work())
    while time.monotonic() - alive() < longest_seconds:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)  # its own session: the nodes that it started end too
    os.waitpid(child, 0)


_BEGAN = time.monotonic() - time.time()


def _changed(notes: Path) -> float:
    """When something was noted last, by the monotonic clock."""
    return notes.stat().st_mtime + _BEGAN


def in_processes(work: Callable[[Given], Found], of: list[Given], jobs: int) -> Iterator[Found]:
    """``work`` on each, ``jobs`` at once, as they are done."""
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(work, of)


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


def file_of(test: str) -> str:
    return test.partition("::")[0]


def failing(tests: Iterable[str], folder: Path, jobs: int) -> set[str]:
    """Of these tests those that do not pass with every check in place."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in sorted(set(tests)):
        by_file[file_of(test)].append(test)
    passed: set[str] = set()
    work = partial(run_tests, folder=folder)
    for notes in in_processes(work, list(by_file.values()), jobs):
        passed |= {note["ended"] for note in notes if note["outcome"] == "passed"}
    return {test for tests in by_file.values() for test in tests} - passed


def judge(tests: Kills, folder: Path, jobs: int) -> set[str]:
    """Of these checks those whose test fails without them, and passes with them."""
    unsound = failing(tests.values(), folder, jobs)
    for test in sorted(unsound):
        print(f"FAILS with every check in place: {test}")
    pairs = [(name, [test]) for name, test in tests.items() if test not in unsound]
    work = partial(first_to_miss, folder=folder)
    missed = set()
    for count, (name, found) in enumerate(in_processes(work, pairs, jobs), 1):
        missed |= {name} if found else set()
        if count % 50 == 0:
            print(f"{count} of {len(pairs)} checks removed", flush=True)
    return missed


def first_to_miss(pair: tuple[str, list[str]], folder: Path) -> tuple[str, str | None]:
    """The check, and the first of the tests that fails without it."""
    name, tests = pair
    notes = run_tests(tests, folder, without=name)
    return name, next((note["ended"] for note in notes if note["outcome"] == "failed"), None)


def main(arguments: list[str] | None = None) -> int:
    """Return 1 when a check survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="checks whose name begins so")
    parser.add_argument("--forget", action="store_true", help="strike out records that are wrong")
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
            return learn(copy, names, record, options)
        tests = {name: record["tests"][name] for name in names if name in record["tests"]}
        copy.enter(sorted({file_of(test) for test in tests.values()}))
        missed = judge(tests, copy.folder, options.jobs)
    lost = [name for name in names if name not in missed]
    for name in lost:
        print(f"SURVIVED {name}  {tests.get(name, 'no test recorded')}")
    if options.forget:
        write_record({**record, "tests": _without(record["tests"], lost)})
    kept = len(record["kept"])
    print(f"checks removed: {len(names)}, survivors: {len(lost)}, kept without a test: {kept}")
    return 1 if lost else 0


def _without(tests: Kills, names: Iterable[str]) -> Kills:
    return {name: test for name, test in tests.items() if name not in set(names)}


# --- learning ------------------------------------------------------------------------------


def learn(copy: Copy, names: list[str], record: dict[str, Any], options: Any) -> int:
    lost = {name for name in names if name not in record["tests"]}
    if not lost:
        return 0
    files = list(test_files(options.kinds.split(",")))
    copy.enter(files)
    tests = candidates(reaching(files, copy.folder, options.jobs), lost)
    work = partial(first_to_miss, folder=copy.folder)
    for name, test in in_processes(work, list(tests.items()), options.jobs):
        print(f"{name}  {test or '-'}", flush=True)
        if test is not None:
            record["tests"][name] = test
            lost.discard(name)
            write_record(record)
    for name in sorted(lost):
        print(f"SURVIVED {name}  {len(tests.get(name, ()))} tests reach it")
    print(f"checks learned: {len(names) - len(lost)}, survivors: {len(lost)}")
    return 1 if lost else 0


def test_files(kinds: Iterable[str]) -> Iterator[str]:
    for kind in kinds:
        pattern = f"{kind}/test_*.py" if "/" not in kind else kind
        for path in sorted((ROOT / "tests").glob(pattern)):
            if path.name != "test_removed_checks.py":  # it would run this run
                yield path.relative_to(ROOT).as_posix()


def reaching(files: list[str], folder: Path, jobs: int) -> dict[str, list[dict[str, Any]]]:
    """The notes of every test of these files, by file; those of unchanged files from before."""
    known = json.loads(REACHED.read_text("utf-8")) if REACHED.exists() else {}
    new = [file for file in files if known.get(file, {}).get("sha256") != _digest(file)]
    print(f"{len(new)} files of tests run to see which checks they reach", flush=True)
    for file, notes in in_processes(partial(_reach, folder=folder), new, jobs):
        known[file] = {"sha256": _digest(file), "tests": notes}
        REACHED.parent.mkdir(exist_ok=True)
        REACHED.write_text(json.dumps(known, indent=1), encoding="utf-8")
        failed = [note["ended"] for note in notes if note["outcome"] == "failed"]
        if failed:
            print(f"{len(failed)} FAIL with every check in place: {failed[0]} …", flush=True)
    return {file: known[file]["tests"] for file in files}


def _reach(file: str, folder: Path) -> tuple[str, list[dict[str, Any]]]:
    reached = folder / f"reached-{os.getpid()}"
    return file, run_tests([file], folder, reached=reached, longest_seconds=LONGEST_REACH_SECONDS)


def _digest(file: str) -> str:
    return sha256((ROOT / file).read_bytes()).hexdigest()


def candidates(notes: dict[str, list[dict[str, Any]]], lost: set[str]) -> dict[str, list[str]]:
    """For each of these checks the tests that reach it, quickest first, as many as are bearable."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for tests in notes.values():
        # What the first test of a file sets up for all of them must be set up for any of them.
        setup = max((test["seconds"][0] for test in tests), default=0.0)
        for test in tests:
            for name in lost.intersection(test["checks"]) if test["outcome"] == "passed" else ():
                found[name].append((setup + sum(test["seconds"][1:]), test["ended"]))
    return {name: _bearable(sorted(tests)) for name, tests in found.items()}


def _bearable(tests: list[tuple[float, str]]) -> list[str]:
    """The first always; then those that together are not too slow."""
    chosen: list[str] = []
    spent = 0.0
    for seconds, test in tests:
        spent += seconds
        if not chosen or spent < LONGEST_SEARCH_SECONDS:
            chosen.append(test)
    return chosen


if __name__ == "__main__":
    sys.exit(main())
