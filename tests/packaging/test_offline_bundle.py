"""The archive for closed networks installs with no network and refuses a changed file."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tools import offline_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive. Without a package registry it cannot be made."""
    folder = tmp_path_factory.mktemp("bundle")
    try:
        archive = offline_bundle.build(folder)
    except subprocess.CalledProcessError as error:
        if os.environ.get("NOTHING_MAY_SKIP") == "1":
            raise
        pytest.skip(f"the package registry was not reached: {error}")
    with tarfile.open(archive) as tar:
        # Debian 12 has Python 3.11.2, which does not know filters yet; the archive is our own.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **safely)  # type: ignore[arg-type]
    return folder / archive.stem


def install(bundle: Path, target: Path) -> subprocess.CompletedProcess[str]:
    # An index that refuses every call stands for the closed network.
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    return subprocess.run(
        [bundle / "install.sh", target],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_installs_without_a_network_and_once_more_over_itself(bundle: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = install(bundle, tmp_path / "installed")
        assert done.returncode == 0, done.stderr
    program = [tmp_path / "installed" / "bin" / "lienthong", "--help"]
    assert "Liên Thông" in subprocess.run(program, capture_output=True, text=True).stdout


def test_refuses_an_archive_of_which_one_byte_was_changed(bundle: Path, tmp_path: Path) -> None:
    wheel = next((bundle / "wheels").glob("msgspec-*.whl"))
    original = wheel.read_bytes()
    try:
        wheel.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        done = install(bundle, tmp_path / "installed")
    finally:
        wheel.write_bytes(original)
    assert done.returncode != 0
    assert not (tmp_path / "installed").exists()


def test_names_no_host_and_no_path_of_the_machine_that_made_it(bundle: Path) -> None:
    for path in bundle.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            assert str(offline_bundle.ROOT) not in path.read_text(encoding="utf-8")
