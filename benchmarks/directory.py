"""What one change in the directory costs a node, against fetching the whole list again.

    python -m benchmarks.directory --members 111000 --bins 512

A real server in its own process, a real mirror on disk. Ours is the bytes on the wire of a
refresh after one agency has changed; theirs the bytes of the whole list, compressed, which is
what a directory of one file (X-Road's shared parameters) sends each time.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.form import median, print_line
from lienthong.directory.canonical import canonical, sign
from lienthong.directory.fetch import WebFetch
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.onboarding import approve
from lienthong.directory.records import (
    Member,
    Subsystem,
    encode_record,
    member_path,
)
from lienthong.directory.repository import Repository
from lienthong.directory.request import make_member, make_request, parse_member
from lienthong.directory.site import BUNDLE
from lienthong.identity.identifiers import MemberId, NodeId
from lienthong.identity.keys import Algorithm, PrivateKey

SERVE = "from lienthong.directory.commands import app; app()"
HOST = NodeId("VN", "GOV", "HOST", "n1")


class Change:
    """An agency that changes its name again and again."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._keys = (PrivateKey.generate(), PrivateKey.generate())
        self._tls_key = PrivateKey.generate(Algorithm.P256)
        self._last: bytes | None = None

    def publish(self, number: int) -> None:
        self._last = make_request(
            HOST,
            *self._keys,
            self._tls_key,
            addresses=["https://127.0.0.1:5501"],
            member_name=f"Cơ quan {number}",
            node_name="n1",
            subsystems=[],
            now=datetime.now(UTC),
            previous=self._last,
        )
        approve(self._repository, self._last)


def fill(repository: Repository, members: int) -> None:
    """Publish so many members, each with a key and a delegation of its own."""
    subsystems = [Subsystem("motcua", "Một cửa điện tử")]
    now = datetime.now(UTC)
    with repository.edit() as edit:
        for number in range(members):
            member = MemberId("VN", "GOV", f"000.00.{number // 1000:02}.H{number % 1000:03}")
            name = f"Ủy ban nhân dân xã số {number}"
            key = PrivateKey.generate()
            signed = parse_member(make_member(member, name, key, subsystems, HOST, now))
            record = Member(signed.statement, sign(canonical(signed.statement), [key]), ())
            edit.changed[member_path(str(member))] = encode_record(record)


def serve(state: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the directory's server; returns it and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", str(state), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found
    return process, found.group()


def measure(repository: Repository, url: str, folder: Path, options: argparse.Namespace) -> None:
    """Take the first copy, then one change a round, and print the line."""
    change = Change(repository)
    change.publish(0)
    root = (repository.state / "root.json").read_bytes()
    before_mib = peak_mib()
    first = WebFetch(url)
    began = time.perf_counter()
    DirectoryMirror(folder, url, root).refresh(first)
    first_seconds = time.perf_counter() - began
    began = time.perf_counter()
    mirror = DirectoryMirror(folder, url, root)
    restart_seconds = time.perf_counter() - began
    sizes, seconds, approvals = [], [], []
    for number in range(1, options.rounds + 1):
        began = time.perf_counter()
        change.publish(number)
        approvals.append(time.perf_counter() - began)
        fetch = WebFetch(url)
        began = time.perf_counter()
        assert mirror.refresh(fetch)
        seconds.append(time.perf_counter() - began)
        sizes.append(fetch.fetched_bytes / 1024)
        assert mirror.view.member(str(HOST.owner)).name == f"Cơ quan {number}"
    whole = (repository.public_folder / BUNDLE).stat().st_size / 1024
    print_line(
        benchmark="directory",
        case="one change",
        unit="KiB on the wire",
        ours=sizes,
        theirs=[whole] * len(sizes),
        theirs_is="the whole list, compressed",
        size={"members": options.members, "bins": options.bins},
        refresh_ms=median(seconds) * 1e3,
        approve_ms=median(approvals) * 1e3,
        first_copy_s=first_seconds,
        first_copy_kib=first.fetched_bytes / 1024,
        restart_s=restart_seconds,
        peak_mib=peak_mib(),
        peak_mib_before=before_mib,
    )


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--bins", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = Repository.init(folder / "directory", "VN", options.bins)
        fill(repository, options.members)
        process, url = serve(folder / "directory")
        try:
            measure(repository, url, folder / "mirror", options)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


if __name__ == "__main__":
    main()
