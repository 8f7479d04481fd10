"""Write requirements.txt and requirements-dev.txt: every dependency, with its hashes.

    python -m tools.lock            write both files
    python -m tools.lock --upgrade  take the newest allowed versions

One file serves Python 3.11 to 3.13 on all platforms (markers say which line applies where) and
names no index address, so that any mirror of the package index can serve it. The resolver is
``uv``; where it is missing, it is installed into a temporary environment.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWEST_PYTHON = "3.11"
HEADER = """\
# {purpose}
# Written by `make lock` from {source}; do not edit. Hashes let any mirror serve the files.
"""
FILES: dict[str, tuple[str, list[str]]] = {
    "requirements.txt": ("What Liên Thông needs at run time.", []),
    "requirements-dev.txt": (
        "What Liên Thông needs at run time, and what tests, checks and builds need.",
        ["--extra", "dev", "--constraint", "requirements.txt"],
    ),
    "requirements-assets.txt": (
        "What the web pages are served with: files are taken out of these packages.",
        ["--no-deps"],
    ),
}
SOURCES = {"requirements-assets.txt": "requirements-assets.in"}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uv = shutil.which("uv") or _install_uv(Path(folder))
        for name, (purpose, extra) in FILES.items():
            source = SOURCES.get(name, "pyproject.toml")
            more = ["--upgrade"] if options.upgrade else []
            lines = _compile(uv, source, ROOT / name, [*extra, *more])
            (ROOT / name).write_text(
                HEADER.format(purpose=purpose, source=source) + lines, encoding="utf-8"
            )
            print(f"{name}: {len(re.findall('^[a-z]', lines, re.MULTILINE))} packages")
    return 0


def _compile(uv: str, source: str, current: Path, extra: list[str]) -> str:
    """Resolve; versions already locked in ``current`` are kept where they still fit."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / current.name
        if current.exists():
            shutil.copy(current, output)
        subprocess.run(
            [
                *(uv, "pip", "compile", source, "--universal", "--quiet"),
                *("--python-version", LOWEST_PYTHON, "--generate-hashes", "--no-header"),
                *("--no-emit-index-url", "--no-annotate", "--output-file", str(output), *extra),
            ],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return output.read_text(encoding="utf-8")


def _install_uv(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "uv"], check=True)
    return str(folder / "bin" / "uv")


if __name__ == "__main__":
    sys.exit(main())
