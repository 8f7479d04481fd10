"""A directory in a process of its own, and nodes' mirrors that read it over HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lienthong.directory.fetch import WebFetch
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.records import Subsystem
from lienthong.directory.request import make_member
from lienthong.errors import DirectoryMalformed, DirectoryUnreachable
from lienthong.identity.identifiers import MemberId
from lienthong.identity.keys import PrivateKey
from tests.fixtures.directory_world import World

SERVE = "from lienthong.directory.commands import app; app()"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    world.agency("G01")
    state = str(world.repository.state)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", state, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found
    yield found.group()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_mirror_follows_what_the_operator_approves(world: World, url: str) -> None:
    mirror = DirectoryMirror(world.folder / "m", url, world.root)
    assert mirror.refresh() is True
    assert mirror.view.nodes_of("VN/GOV/G01/dancu") == ("VN/GOV/G01/n1",)
    world.agency("G15")
    assert mirror.refresh() is True
    assert mirror.view.member("VN/GOV/G15").name == "Cơ quan G15"
    assert mirror.refresh() is False


def test_one_change_among_many_members_costs_little(world: World, url: str) -> None:
    host = world.agency("G02")
    keys = [PrivateKey.generate() for _ in range(100)]
    hosted = [
        make_member(
            MemberId("VN", "COM", f"xa{number}"),
            f"Xã {number}",
            key,
            [Subsystem("mc", "Một cửa")],
            host.node,
            world.clock(),
        )
        for number, key in enumerate(keys)
    ]
    world.approve(host, hosted=hosted)
    mirror = DirectoryMirror(world.folder / "m", url, world.root)
    first, change = WebFetch(url), WebFetch(url)
    mirror.refresh(first)
    world.agency("G15")
    mirror.refresh(change)
    assert mirror.view.member("VN/COM/xa99")
    assert change.fetched_bytes < first.fetched_bytes / 2


def test_names_what_the_server_does_not_have_or_sends_too_much_of(world: World, url: str) -> None:
    fetch = WebFetch(url)
    assert fetch("metadata/99.root.json", 1000) is None
    with pytest.raises(DirectoryMalformed, match="over 10 bytes"):
        fetch("metadata/1.root.json", 10)


def test_a_server_that_is_away_is_reported_by_the_caller_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("WARNING"), pytest.raises(DirectoryUnreachable):
        WebFetch("http://127.0.0.1:9")("metadata/1.root.json", 1000)
    assert caplog.records == []


def test_nothing_outside_the_public_folder_is_served(url: str) -> None:
    fetch = WebFetch(url)
    for name in ("../keys/root.pem", "%2e%2e/keys/root.pem", "..%2fdirectory.json"):
        assert fetch(name, 10_000) is None
