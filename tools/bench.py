"""Run every benchmark, one after the other; each prints one JSON line (``make bench``).

A benchmark whose peer is missing says so on stderr and exits with 3; the others still run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
PEER_MISSING = 3


def main() -> int:
    """Run all; return 1 if one failed, else 3 if one had no peer, else 0."""
    codes = [_run(path) for path in sorted(FOLDER.glob("*.py")) if _is_benchmark(path)]
    if any(code not in {0, PEER_MISSING} for code in codes):
        return 1
    return PEER_MISSING if PEER_MISSING in codes else 0


def _is_benchmark(path: Path) -> bool:
    """A benchmark can be run; the other files of the folder are what benchmarks share."""
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def _run(path: Path) -> int:
    module = f"benchmarks.{path.stem}"
    print(f"# {module}", file=sys.stderr, flush=True)
    return subprocess.run([sys.executable, "-m", module], cwd=FOLDER.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
