"""What the fault suite takes for its own time of the machine, and what for that of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.faults.machine_time import LEAST_TICKS, MachineTime
from tests.fixtures.federation import eventually

BURNT_SECONDS = 0.5
BURN = f"import time\nwhile time.process_time() < {BURNT_SECONDS}: pass\n"
START_TICKS = 15  # of Python's start, which the time of the process counts too
TICKS = BURNT_SECONDS * os.sysconf("SC_CLK_TCK") * 0.8  # each reading is cut down to whole ticks


def test_what_a_process_of_ours_used_is_ours_also_when_it_has_ended() -> None:
    before = MachineTime.now()
    subprocess.run([sys.executable, "-c", BURN], check=True)
    after = MachineTime.now()
    assert after.ours - before.ours >= TICKS
    assert after.used - before.used >= TICKS


def test_what_a_process_of_somebody_else_used_is_the_share_of_others(tmp_path: Path) -> None:
    begin, done = tmp_path / "begin", tmp_path / "done"
    orphan = (
        f"import os, time\nwhile not os.path.exists({str(begin)!r}): time.sleep(0.05)\n"
        f"{BURN}open({str(done)!r}, 'w').close()\n"
    )
    # Its parent ends at once, so that it belongs to the machine's first process.
    leave = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {orphan!r}])\n"
    subprocess.run([sys.executable, "-c", leave], check=True)
    before = MachineTime.now()
    begin.touch()
    assert eventually(done.exists)
    after = MachineTime.now()
    others = (after.used - before.used) - (after.ours - before.ours)
    assert others >= TICKS - START_TICKS
    assert 0 < after.share_of_others(before) <= 1


def test_a_share_is_told_of_all_processors() -> None:
    before = MachineTime(all=1000, used=500, ours=100)
    assert MachineTime(1200, 600, 150).share_of_others(before) == 0.25
    assert MachineTime(1200, 600, 200).share_of_others(before) == 0.0
    assert before.share_of_others(before) == 0.0
    few = LEAST_TICKS - 1
    assert MachineTime(1000 + few, 500 + few, 100).share_of_others(before) == 0.0
