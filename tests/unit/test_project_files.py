"""What the project says about itself fits what it is: dependencies, locks, services."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lienthong import __version__
from lienthong.cli import program
from lienthong.node.inherited import PORTS
from lienthong.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = PROJECT["dependencies"]
DEVELOPMENT = PROJECT["optional-dependencies"]["dev"]
LOCKS = ("requirements.txt", "requirements-dev.txt")
UNITS = sorted((ROOT / "packaging" / "systemd").glob("*.service"))


def normalised(requirement: str) -> str:
    """Return the name of a requirement, as PEP 503 spells it."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_names(lock: str) -> set[str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {normalised(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def test_every_dependency_says_why_it_is_here_and_how_to_leave_it() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    described = {normalised(name) for row in rows for name in re.findall("`([^`]+)`", row[:60])}
    needed = {normalised(requirement) for requirement in (*RUNTIME, *DEVELOPMENT)}
    assert needed - described == set()
    assert all(row.count("|") == 6 and "||" not in row.replace(" ", "") for row in rows)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_every_dependency_with_hashes_and_names_no_index(lock: str) -> None:
    wanted = RUNTIME if lock == LOCKS[0] else [*RUNTIME, *DEVELOPMENT]
    assert {normalised(requirement) for requirement in wanted} - locked_names(lock) == set()
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^[\w.-]+==.*\n", text, re.MULTILINE)
    assert all(pin.endswith("\\\n") for pin in pins)
    assert len(re.findall(r"\\\n    --hash=sha256:[0-9a-f]{64}", text)) >= len(pins)


def test_both_locks_agree() -> None:
    pins = [
        set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
        for lock in LOCKS
    ]
    assert pins[0] <= pins[1]


def test_what_is_installed_with_the_program_leaves_out_what_has_a_copyleft_licence() -> None:
    assert "vietnam-provinces" not in locked_names(LOCKS[0])  # GPL-3.0-or-later since 2026


def test_no_file_of_the_repository_records_a_registry_or_another_lock() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"uv.lock", "package-lock.json"} & {Path(name).name for name in tracked} == set()


def test_publiccode_names_this_version_and_this_licence() -> None:
    described = yaml.safe_load((ROOT / "publiccode.yml").read_text(encoding="utf-8"))
    assert described["softwareVersion"] == __version__
    assert described["legal"]["license"] == PROJECT["license"] == "Apache-2.0"
    assert len(described["description"]["en"]["longDescription"]) > 150
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_runs_a_command_that_exists(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=/opt/lienthong/bin/lienthong (.*)$", text, re.MULTILINE)
    assert command
    node: Any = program  # groups of Typer, and click's own, find their commands in the same way
    words = command[1].split()
    while hasattr(node, "get_command"):
        name = words.pop(0)
        node = node.get_command(click.Context(node), name)
        assert node, f"there is no command {name}"
    options = {name for parameter in node.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_may_do_only_what_it_needs(unit: Path) -> None:
    lines = set(unit.read_text(encoding="utf-8").splitlines())
    assert {
        "User=lienthong",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "StateDirectoryMode=0700",
    } <= lines


@pytest.mark.parametrize(
    ("unit", "port", "setting"),
    [
        ("clients", "client_http", "client_http_listen"),
        ("peers", "peers", "peer_listen"),
        ("operations", "operations", "operations_listen"),
    ],
)
def test_socket_units_open_the_ports_that_a_node_would(unit: str, port: str, setting: str) -> None:
    text = (ROOT / "packaging" / "systemd" / f"lienthong-{unit}@.socket").read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert lines["ListenStream"] == getattr(load_settings(), setting)
    assert lines["FileDescriptorName"] == port
    assert port in PORTS
    assert lines["Service"] == "lienthong-node@%i.service"
    assert (ROOT / "packaging" / "systemd" / "lienthong-node@.service").exists()


def test_the_service_manager_has_room_for_every_idle_connection_of_a_node() -> None:
    text = (ROOT / "packaging" / "systemd" / "lienthong-node@.service").read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert int(lines["FileDescriptorStoreMax"]) >= load_settings().maximum_connections
    assert lines["NotifyAccess"] == "main"  # without it systemd takes nothing from the node
