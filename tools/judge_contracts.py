"""Have every contract that we ship judged by ``datacontract lint``, which others wrote.

    python -m tools.judge_contracts       run by ``make judge-contracts``

Judged are the contracts of the demonstration, those in the pages of ``docs`` and those of the
tests, in the environment ``.venv-judge``. It is no part of ``make test``: it brings 48 packages.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fixtures.people import CONTRACT_TEXT

ROOT = Path(__file__).resolve().parent.parent
JUDGE = ROOT / ".venv-judge" / "bin" / "datacontract"
_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def contracts() -> dict[str, str]:
    """Every contract that we ship: its place and its text."""
    found = {"tests/fixtures/people.py": CONTRACT_TEXT}
    for file in sorted((ROOT / "src").rglob("*.odcs.yaml")):
        found[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").rglob("*.md")):
        blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
        whole = [block for block in blocks if "kind: DataContract" in block and "\nid:" in block]
        for number, block in enumerate(whole, 1):
            found[f"{page.relative_to(ROOT)} #{number}"] = block
    return found


def main() -> int:
    """Judge all; the exit code is the number of contracts refused."""
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contract.odcs.yaml"
        for place, text in contracts().items():
            file.write_text(text, encoding="utf-8")
            judged = subprocess.run([JUDGE, "lint", file], capture_output=True, text=True)
            refused += judged.returncode != 0
            print(f"{'✓' if judged.returncode == 0 else '✗'} {place}", flush=True)
            if judged.returncode:
                print(judged.stdout + judged.stderr)
    return refused


if __name__ == "__main__":
    sys.exit(main())
