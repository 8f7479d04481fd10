"""Have every contract that we ship or write judged by ``datacontract lint``, which others wrote.

    python -m tools.judge_contracts       run by ``make judge-contracts``

Judged are the contracts of the demonstration, of the pages of ``docs`` and of the tests, and what
``lienthong contract new`` and ``contract infer`` write (SQLite, CSV, Parquet), in the environment
``.venv-judge``. It is no part of ``make test``: it brings 48 packages. Exit code 1: one was
refused.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fixtures.people import CONTRACT_TEXT, store_in_csv, store_in_parquet, store_in_sql

ROOT = Path(__file__).resolve().parent.parent
JUDGE = ROOT / ".venv-judge" / "bin" / "datacontract"
_WORKERS = 2
_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NEW = ("--id", "vn-g01-cong-dan", "--name", "Công dân: sổ mới", "--key", "so_dinh_danh")
_TABLES = """
CREATE TABLE xa (ma TEXT PRIMARY KEY, "Tên: xã" TEXT NOT NULL);
CREATE TABLE ho (so INTEGER, ma_xa TEXT REFERENCES xa (ma), lap DATE, PRIMARY KEY (so, ma_xa));
CREATE TABLE nguoi (id INTEGER PRIMARY KEY, so INTEGER, ma_xa TEXT, "yes" BOOLEAN,
                    FOREIGN KEY (so, ma_xa) REFERENCES ho (so, ma_xa));
"""


def shipped() -> dict[str, str]:
    """Every contract that lies in the repository: its place and its text."""
    found = {"tests/fixtures/people.py": CONTRACT_TEXT}
    for folder in ("src", "tests"):
        for file in sorted((ROOT / folder).rglob("*.odcs.yaml")):
            found[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").rglob("*.md")):
        blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
        whole = [block for block in blocks if "kind: DataContract" in block and "\nid:" in block]
        for number, block in enumerate(whole, 1):
            found[f"{page.relative_to(ROOT)} #{number}"] = block
    return found


def written(folder: Path) -> dict[str, str]:
    """Every kind of contract that the commands write: how, and its text."""
    new = folder / "new.odcs.yaml"
    _lienthong("new", str(new), "--table", "dc.cong_dan", *_NEW)
    found = {"contract new": new.read_text(encoding="utf-8")}
    database = folder / "bang.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(_TABLES)
    sources = {
        "SQLite": f"sqlite:///{database}",
        "SQLite with rows": store_in_sql(f"sqlite:///{folder}/nguoi.db"),
        "CSV": store_in_csv(folder / "nguoi.csv"),
        "Parquet": store_in_parquet(folder / "nguoi.parquet"),
    }
    for name, address in sources.items():
        into = folder / name
        _lienthong("infer", address, "--into", str(into))
        for file in sorted(into.glob("*.odcs.yaml")):
            found[f"contract infer, {name}: {file.name}"] = file.read_text(encoding="utf-8")
    return found


def _lienthong(*arguments: str) -> None:
    program = [sys.executable, "-m", "lienthong.cli", "contract"]
    subprocess.run([*program, *arguments], check=True, capture_output=True, cwd=ROOT)


def judged(place: str, text: str, file: Path) -> bool:
    """Have one contract judged, and tell how it came out."""
    file.write_text(text, encoding="utf-8")
    answer = subprocess.run([JUDGE, "lint", file], capture_output=True, text=True)
    accepted = answer.returncode == 0
    told = "" if accepted else f"\n{answer.stdout}{answer.stderr}"
    print(f"{'✓' if accepted else '✗'} {place}{told}", flush=True)
    return accepted


def main() -> int:
    """Judge all; 1 if any is refused."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contracts = shipped() | written(folder)
        with ThreadPoolExecutor(_WORKERS) as pool:
            files = [folder / f"{number}.odcs.yaml" for number in range(len(contracts))]
            accepted = list(pool.map(judged, contracts, contracts.values(), files))
    refused = accepted.count(False)
    print(f"{len(accepted)} hợp đồng (contracts), {refused} bị từ chối (refused)")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
