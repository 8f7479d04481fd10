"""The nation in a box, from an empty folder to its end, as a user runs it."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from lienthong.demo.public_commands import program
from lienthong.demo.tour import STEPS
from tests.fixtures.ports import free_ports

PEOPLE = "2000"
PATIENCE_SECONDS = 240  # two shared cores, other tests beside


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "NO_COLOR": "1"}


def _processes_below(folder: Path) -> list[str]:
    """Command lines of processes that name a folder of this test."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue  # it has just ended
        if str(folder).encode() in line:
            found.append(line.decode(errors="replace"))
    return found


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("n")


def test_every_step_of_the_tour_gives_what_it_should(nation: Path) -> None:
    done = subprocess.run(
        [
            *(*program(), "demo", "run", "--once", "--json"),
            *("--people", PEOPLE, "--state", str(nation / "s")),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=_environment(nation),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    report = json.loads(done.stdout)
    assert report["ok"]
    assert len(report["steps"]) == len(STEPS)
    assert _processes_below(nation) == []


def test_starts_again_on_its_folder_stays_up_and_ends_at_ctrl_c(nation: Path) -> None:
    log = nation / "output"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [*program(), "demo", "run", "--state", str(nation / "s")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(nation),
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Ctrl-C" not in (text := log.read_text(errors="replace")):
            assert demo.poll() is None and time.monotonic() < deadline, text[-8000:]
            time.sleep(0.2)
        assert "lienthong node init" not in text  # done by the first run
        ports = json.loads((nation / "s" / "demo.json").read_text())["ports"]
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[4]}/health") as health:
            assert health.status == 200
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_SECONDS) == 0
    finally:
        demo.kill()
        demo.wait()
    assert _processes_below(nation) == []


def test_leaves_nothing_behind_in_a_temporary_folder_when_it_is_stopped_early(
    tmp_path: Path,
) -> None:
    first = free_ports(20)[0]
    with (tmp_path / "output").open("wb") as output:
        demo = subprocess.Popen(
            [*program(), "demo", "run", "--people", PEOPLE, "--first-port", str(first)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(tmp_path),
        )
    while not list(tmp_path.glob("lienthong-demo-*/demo.json")):
        assert demo.poll() is None, (tmp_path / "output").read_text(errors="replace")
        time.sleep(0.1)
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(PATIENCE_SECONDS) != 0
    assert list(tmp_path.glob("lienthong-demo-*")) == []
    assert _processes_below(tmp_path) == []
