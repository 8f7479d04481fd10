"""Make an archive from which Liên Thông installs on a machine without a network.

    python -m tools.offline_bundle [--output FOLDER]

The archive holds the wheels of every locked dependency for this kind of machine and this
Python, the program's own wheel, the systemd units, a checksum of each file and ``install.sh``.
Make it on a machine of the same kind (processor, Python) as the one that it is for.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from lienthong import __version__

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VERSION = "{}.{}".format(*sys.version_info)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make an archive that installs offline.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the archive")
    print(build(parser.parse_args().output))
    return 0


def build(output: Path) -> Path:
    """Write the archive into ``output`` and return its path."""
    output.mkdir(parents=True, exist_ok=True)
    platform = sysconfig.get_platform().replace("-", "_")
    name = f"lienthong-{__version__}-offline-{platform}-python{PYTHON_VERSION}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        _fill(folder)
        archive = output / f"{name}.tar"  # wheels are compressed already
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, arcname=name, filter=_owned_by_root)
    return archive


def _fill(folder: Path) -> None:
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    _pip("download", "--require-hashes", "--only-binary", ":all:", "--dest", str(wheels),
         "--requirement", str(ROOT / "requirements.txt"))  # fmt: skip
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    shutil.copy(ROOT / "requirements.txt", folder)
    shutil.copy(ROOT / "packaging" / "offline" / "install.sh", folder)
    shutil.copy(ROOT / "LICENSE", folder)
    shutil.copytree(ROOT / "packaging" / "systemd", folder / "systemd")
    (folder / "PYTHON_VERSION").write_text(f"{PYTHON_VERSION}\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _pip(*arguments: str) -> None:
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)
    subprocess.run([*command, "--quiet", "--no-deps"], check=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the archive; it is nobody's business and differs between machines."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


if __name__ == "__main__":
    sys.exit(main())
