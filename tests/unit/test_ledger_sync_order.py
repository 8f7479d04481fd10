"""The order on disk, as the kernel sees it: a record is synced before its reply is sent.

A small process records through a Committer on SQLite and replies over a socket for each record.
strace shows its system calls: between two replies there is always a sync that has returned.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

REPLIES = 20
PROGRAM = """
import asyncio, socket, sys
from tests.fixtures.ledgers import LedgerNode, event

node = LedgerNode(sys.argv[1])
here, there = socket.socketpair()

async def run():
    committer = node.committer()
    committer.start(asyncio.get_running_loop())
    for number in range(int(sys.argv[2])):
        await committer.record(event(number))
        here.send(b"REPLY %d" % number)
    await committer.close()

asyncio.run(run())
"""
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")


def trace(strace: str, folder: Path) -> list[str]:
    """Run the program; return the names of the calls that matter, each when it returned."""
    output = folder / "trace"
    calls = "trace=fsync,fdatasync,sendto,sendmsg,write"
    program = [sys.executable, "-c", PROGRAM, f"sqlite:///{folder}/node.db", str(REPLIES)]
    subprocess.run(
        [strace, "-f", "-e", calls, "-s", "32", "-o", output, *program],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path[1:]])},
        timeout=120,
    )
    return [event for line in output.read_text().splitlines() if (event := meaning(line))]


def meaning(line: str) -> str:
    """``sync`` where a sync has returned well, ``reply`` where a reply is about to be sent."""
    found = CALL.match(line)
    if found is None:
        return ""
    name, rest = found[2], found[3]
    if name in ("fsync", "fdatasync"):
        return "sync" if rest.endswith("= 0") else ""
    return "reply" if "REPLY" in rest else ""


def test_each_record_is_synced_before_its_reply_is_sent(
    strace_available: str, tmp_path: Path
) -> None:
    seen = trace(strace_available, tmp_path)
    assert seen.count("reply") == REPLIES
    synced = False
    for event in seen:
        assert event == "sync" or synced, seen
        synced = event == "sync"
