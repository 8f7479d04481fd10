"""Mistakes on the command line are told as such, with a code of their own; never a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lienthong.cli import main
from lienthong.demo.public_commands import program
from tests.fixtures.federation import run

PATH = "configuration.path_unusable"
OPTION = "configuration.option_invalid"
INIT = (
    *("--instance", "VN", "--code", "G01", "--name", "A", "--root", "{root}"),
    *("--address", "https://127.0.0.1:5500", "--directory-url", "http://127.0.0.1:1"),
)
DELEGATE = (
    *("node", "delegate", "VN/GOV/H37", "--node", "VN/GOV/H01/n1", "--name", "A"),
    *("--key", "{folder}/new.pem"),
)

MISTAKES = [
    ("usage", "directory", "approve", "{directory}", "{file}", "--days", "-3"),
    ("usage", "directory", "approve", "{directory}", "{file}", "--days", "0"),
    ("usage", "directory", "approve", "{directory}", "{file}", "--days", "99999"),
    (PATH, "directory", "approve", "{directory}", "/nonexist"),
    (PATH, "directory", "approve", "{directory}", "{folder}"),
    ("directory.request_invalid", "directory", "approve", "{directory}", "{file}"),
    (PATH, "directory", "init", "/proc/x", "--instance", "VN"),
    (PATH, "directory", "init", "{file}", "--instance", "VN"),
    ("directory.*", "directory", "init", "{folder}/d", "--instance", "VN", "--bins", "-1"),
    ("directory.*", "directory", "init", "{folder}/d", "--instance", "V/N"),
    *(
        ("directory.*", "directory", "init", "{folder}/d", "--instance", "VN", *hours)
        for hours in (("--timestamp-hours", "nan"), ("--timestamp-hours", "-1"))
    ),
    ("directory.state_invalid", "directory", "show", "{folder}"),
    ("directory.state_invalid", "directory", "publish", "{file}"),
    (OPTION, "directory", "serve", "{directory}", "--listen", "7000"),
    (OPTION, "directory", "serve", "{directory}", "--listen", "127.0.0.1:99999"),
    ("transport.*", "directory", "serve", "{directory}", "--listen", "khong.co.example:1"),
    (OPTION, "directory", "revoke", "{directory}", "--node", "VN/GOV/G01/n1", "--reason", " "),
    ("configuration.one_option_wanted", "directory", "revoke", "{directory}", "--reason", "thử"),
    (PATH, "directory", "authority", "add", "{directory}", "/nonexist"),
    ("identity.*", "directory", "authority", "add", "{directory}", "{file}"),
    ("identity.*", "directory", "registrar", "add", "{directory}", "--name", "A", "--key", "x"),
    (
        *(PATH, "directory", "registrar", "countersign", "/nonexist"),
        *("--key", "{key}", "--output", "{folder}/o"),
    ),
    (PATH, "node", "init", "/proc/x", *INIT),
    (PATH, "node", "init", "{file}", *INIT),
    (PATH, "node", "init", "{folder}/n", *INIT, "--root", "/nonexist"),
    ("configuration.root_unusable", "node", "init", "{folder}/n", *INIT, "--root", "{file}"),
    (OPTION, "node", "init", "{folder}/n", *INIT, "--directory-url", "ftp://x"),
    (OPTION, "node", "init", "{folder}/n", *INIT, "--directory-url", "http://[x"),
    (OPTION, "node", "init", "{folder}/n", *INIT, "--instance", "VN-TEST"),
    ("identity.invalid_identifier", "node", "init", "{folder}/n", *INIT, "--code", "a/b"),
    ("identity.invalid_identifier", "node", "init", "{folder}/n", *INIT, "--subsystem", "a/b=A"),
    ("identity.*", "node", "init", "{folder}/n", *INIT, "--member-key", "{file}"),
    ("directory.request_invalid", "node", "init", "{folder}/n", *INIT, "--previous", "{file}"),
    ("usage", "node", "init", "{folder}/n", *INIT, "--algorithm", "md5"),
    ("usage", "node", "init", "{folder}/n", *INIT, "--set", "x"),
    (PATH, *DELEGATE, "--output", "/nonexist/o.json"),
    (PATH, *DELEGATE, "--output", "{folder}"),
    (PATH, *DELEGATE, "--output", "{folder}/o.json", "--key", "/nonexist/k.pem"),
    ("usage", *DELEGATE, "--output", "{folder}/o.json", "--root", "{root}"),
    (PATH, *DELEGATE, "--output", "{folder}/o.json", "--previous", "/nonexist"),
    ("identity.*", *DELEGATE, "--output", "{folder}/o.json", "--node", "H01"),
    ("node.not_initialised", "node", "run", "/nonexist"),
    ("node.not_initialised", "node", "request", "{file}"),
    ("node.state_damaged", "node", "status", "{damaged}"),
    ("node.state_damaged", "node", "run", "{damaged}"),
    ("node.not_running", "node", "status", "{node}"),
    ("identity.invalid_certificate", "node", "request", "{node}", "--certificate", "{foreign}"),
    ("identity.invalid_certificate", "node", "request", "{node}", "--certificate", "{file}"),
    ("configuration.*", "node", "init", "{folder}/n", *INIT, "--set", "khong_co=1"),
    (
        "configuration.one_option_wanted",
        "service",
        "add",
        "{node}",
        "--subsystem",
        "a",
        "--code",
        "b",
    ),
    (
        *("identity.invalid_identifier", "service", "add", "{node}", "--subsystem", "a"),
        *("--code", "a/b", "--relay", "http://127.0.0.1:9"),
    ),
    (PATH, "client", "add", "{node}", "--subsystem", "a", "--certificate", "/nonexist"),
    (
        "agreements.endpoint_wanted",
        "agreement",
        "propose",
        "{node}",
        *(
            *("--consumer", "VN/GOV/H37/a", "--service", "VN/GOV/G01/a/b", "--purpose", "p"),
            *("--legal-basis", "Luật", "--from", "2026-01-01", "--until", "2036-01-01"),
        ),
    ),
    ("contracts.unreadable", "contract", "check", "/nonexist"),
    (PATH, "evidence", "verify", "--trust", "/nonexist", "{file}"),
    (PATH, "evidence", "verify", "--trust", "{root}", "{folder}"),
    ("node.not_initialised", "evidence", "export", "{folder}", "x", "--output", "/nonexist/z"),
    (PATH, "demo", "run", "--once", "--state", "/dev/null/x"),
    ("usage", "demo", "run", "--once", "--first-port", "99999"),
    ("demo.folder_in_use", "demo", "run", "--once", "--state", "{damaged}"),
    (PATH, "demo", "data", "/proc/x"),
    (PATH, "demo", "data", "{file}", "--people", "10"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A directory, a node that never ran, and files that are not what they should be."""
    folder = tmp_path_factory.mktemp("m")
    run("directory", "init", str(folder / "directory"), "--instance", "VN")
    names = {
        "folder": folder,
        "directory": folder / "directory",
        "root": folder / "directory" / "root.json",
        "foreign": folder / "directory" / "authority.crt",
        "key": folder / "directory" / "keys" / "bins.pem",
        "file": folder / "hong.txt",
        "node": folder / "node",
        "damaged": folder / "damaged",
    }
    names["file"].write_text("không phải")
    names["damaged"].mkdir()
    (names["damaged"] / "identity.json").write_text("{")
    (names["damaged"] / "demo.json").write_text("[]")
    run("node", "init", str(names["node"]), *(word.format(**names) for word in INIT))
    return {name: str(path) for name, path in names.items()}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: " ".join(mistake[1:]))
def test_a_mistake_is_told_with_its_own_code(
    world: dict[str, str],
    mistake: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected, arguments = mistake[0], [word.format(**world) for word in mistake[1:]]
    request = Path(world["node"], "request.json").read_bytes()
    monkeypatch.setattr("sys.argv", ["lienthong", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code not in {None, 0, 1}
    shown = capsys.readouterr().err
    if expected == "usage":
        assert left.value.code == 2
    else:
        code = shown.rstrip().rpartition("[")[2].rstrip("]")
        assert code.startswith(expected.rstrip("*")), shown
    assert Path(world["node"], "request.json").read_bytes() == request
    assert not Path(world["folder"], "n").exists()


# One for each way in which an error comes to the top.
@pytest.mark.parametrize(
    "arguments",
    [
        ("directory", "approve", "{directory}", "{file}", "--days", "-3"),
        ("directory", "init", "/proc/x", "--instance", "VN"),
        ("node", "status", "{damaged}"),
        ("demo", "data", "/proc/x"),
    ],
    ids=" ".join,
)
def test_the_executable_itself_leaves_without_a_traceback(
    world: dict[str, str], arguments: tuple[str, ...]
) -> None:
    command = [*program(), *(word.format(**world) for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.stderr
    assert done.returncode not in {0, 1}
