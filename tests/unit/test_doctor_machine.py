"""What the machine lacks: disk, inodes, open files, private keys; and checks that never end."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lienthong.node.doctor import examination, machine, peers
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.examination import examine, worst
from lienthong.node.doctor.finding import Check, Finding, State, good
from lienthong.node.state import HostedMember, Identity, StateFolder
from lienthong.settings import Settings, load_settings


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def context_of(folder: Path, **settings: object) -> Context:
    state = StateFolder(folder)
    state.create()
    member = HostedMember("VN/GOV/G01", "G01")
    identity = Identity("VN/GOV/G01/n1", "G01", ("https://127.0.0.1:1",), (member,))
    values = {**load_settings().values, **settings}
    return Context(state, identity, Settings(values), None, None, None)


def state_of(findings: Iterator[Finding]) -> str:
    return worst(findings).value


def test_a_full_disk_fails_and_one_with_room_does_not(tmp_path: Path) -> None:
    with disk(tmp_path / "full", "size=8m") as full:
        assert state_of(machine.disk_space(full)) == "failed"
    with disk(tmp_path / "roomy", "size=9g") as roomy:
        assert state_of(machine.disk_space(roomy)) == "ok"
    with disk(tmp_path / "scarce", "size=2g") as scarce:
        assert state_of(machine.disk_space(scarce)) == "warning"


def test_a_disk_without_room_for_files_fails(tmp_path: Path) -> None:
    with disk(tmp_path / "d", "size=8m,nr_inodes=20") as folder:
        assert state_of(machine.inodes(folder)) == "ok"
        for number in range(19):
            (folder / str(number)).touch()
        assert state_of(machine.inodes(folder)) == "failed"


def test_too_few_open_files_are_told(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        assert state_of(machine.open_files(context_of(tmp_path))) == "warning"
        assert state_of(machine.open_files(context_of(tmp_path, maximum_connections=50))) == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_running_process_without_free_descriptors_fails(tmp_path: Path) -> None:
    full = [
        "bash",
        "-c",
        'ulimit -n 12; for n in 3 4 5 6 7 8 9; do eval "exec $n</dev/null"; done; echo; sleep 30',
    ]
    with subprocess.Popen(full, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        context = context_of(tmp_path)
        object.__setattr__(context, "process", process.pid)
        assert state_of(machine.open_files(context)) == "failed"
        process.kill()


def test_a_key_that_others_may_read_fails(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    context.state.signing_key.touch(mode=0o600)
    assert state_of(machine.key_files(context)) == "ok"
    context.state.signing_key.chmod(0o640)
    assert state_of(machine.key_files(context)) == "failed"
    context.state.signing_key.chmod(0o600)
    context.state.keys.chmod(0o755)
    assert state_of(machine.key_files(context)) == "failed"


def test_an_incident_log_that_is_off_is_told(tmp_path: Path) -> None:
    assert state_of(machine.incident_log(context_of(tmp_path))) == "ok"
    assert state_of(machine.incident_log(context_of(tmp_path, log_file_bytes=0))) == "warning"


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (-3, "ok"), (20, "warning"), (-61, "failed"), (600, "failed")]
)
def test_a_clock_is_judged_by_the_difference_that_messages_bear(seconds: int, state: str) -> None:
    assert peers.clock("n", seconds, 60.0).state.value == state


def test_checks_run_side_by_side_and_none_is_waited_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never() -> Iterator[Finding]:
        time.sleep(60)
        yield good("a", "b", "c", "d")

    def broken() -> Iterator[Finding]:
        raise RuntimeError("x")

    def fine() -> Iterator[Finding]:
        yield good("fine", "s", "ổn", "fine")

    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.3)
    checks = [Check("never", "s", never), Check("broken", "s", broken), Check("fine", "s", fine)]
    seen: list[tuple[int, int]] = []
    findings = examine(checks, lambda done, total: seen.append((done, total)))
    assert [each.state for each in findings] == [State.FAILED, State.FAILED, State.OK]
    assert [each.check for each in findings] == ["never", "broken", "fine"]
    assert seen[-1] == (2, 3)
    assert worst([]) is State.OK
