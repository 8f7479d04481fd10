"""Writes the demo's databases: real SQLite files and one CSV file, as agencies have them.

    write_registers(folder, people=100_000)

Each file is built under a temporary name and renamed when it is whole, so that a file that
exists is a file that can be used; an interrupted run leaves nothing half-written.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from lienthong.demo.clinic import (
    DEPARTMENTS,
    Encounter,
    Facility,
    Patient,
    encounters,
    facilities,
    patients,
)
from lienthong.demo.people import Birth, Marriage, Person, Population
from lienthong.demo.personas import PERSONA_BIRTH, PERSONA_MARRIAGE, PERSONAS

PATIENTS = 2_000
NOTE = (
    "Dữ liệu sinh tự động để trình diễn; không có người nào ở đây là thật. "
    "Generated for demonstration; nobody here is real."
)


@dataclass(frozen=True)
class Registers:
    """Where the demo's data lies."""

    folder: Path

    @property
    def population(self) -> Path:
        return self.folder / "population.db"

    @property
    def civil_status(self) -> Path:
        return self.folder / "civil-status.db"

    @property
    def hospital(self) -> Path:
        return self.folder / "hospital.db"

    @property
    def facilities(self) -> Path:
        return self.folder / "facilities.csv"

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        files = (self.population, self.civil_status, self.hospital, self.facilities)
        return all(file.exists() for file in files)


@dataclass
class _Nation:
    people: list[Person] = field(default_factory=lambda: list(PERSONAS))
    births: list[Birth] = field(default_factory=lambda: [PERSONA_BIRTH])
    marriages: list[Marriage] = field(default_factory=lambda: [PERSONA_MARRIAGE])


class _Table(NamedTuple):
    name: str
    row: type[NamedTuple]
    key: str
    rows: Iterable[tuple[object, ...]]
    indexes: tuple[str, ...] = ()


def write_registers(folder: Path, people: int, seed: int = 2026) -> Registers:
    """Write all registers with at least ``people`` people; the same seed gives the same data."""
    folder.mkdir(parents=True, exist_ok=True)
    registers, nation = Registers(folder), _generate(people, seed)
    _write_database(
        registers.civil_status,
        _Table("khai_sinh", Birth, "so_dinh_danh", nation.births),
        _Table("ket_hon", Marriage, "so_dang_ky", nation.marriages, ("so_dinh_danh_chong",)),
    )
    _write_hospital(registers.hospital, nation.people, seed)
    _write_facilities(registers.facilities, seed)
    _write_database(
        registers.population,
        _Table("cong_dan", Person, "so_dinh_danh", nation.people, ("so_ho",)),
    )
    return registers


def _generate(people: int, seed: int) -> _Nation:
    nation = _Nation()
    for household in Population(seed).households():
        if len(nation.people) >= people:
            break
        nation.people += household.people
        nation.births += household.births
        nation.marriages += household.marriages
    return nation


def _write_hospital(path: Path, people: Sequence[Person], seed: int) -> None:
    random = Random(seed)  # noqa: S311 - fiction, not secrets
    step = max(1, len(people) // PATIENTS)
    known = patients(people[::step][:PATIENTS])
    _write_database(
        path,
        _Table("benh_nhan", Patient, "ma_bn", known, ("so_dinh_danh",)),
        _Table("dot_kham", Encounter, "ma_lk", encounters(known, random), ("ma_bn", "ngay_vao")),
        _Table("khoa", Department, "ma_khoa", DEPARTMENTS.items()),
    )


class Department(NamedTuple):
    """One department of the hospital."""

    ma_khoa: str
    ten_khoa: str


def _write_facilities(path: Path, seed: int) -> None:
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Facility._fields)
        writer.writerows(facilities(Random(seed)))  # noqa: S311 - fiction, not secrets
    partial.rename(path)


def _write_database(path: Path, *tables: _Table) -> None:
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial, isolation_level=None)) as database:
        # Nothing to protect while the file is still being made; it is renamed when whole.
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        database.execute("CREATE TABLE ghi_chu (noi_dung TEXT NOT NULL)")
        database.execute("INSERT INTO ghi_chu VALUES (?)", (NOTE,))
        for table in tables:
            _write_table(database, table)
        database.execute("COMMIT")
        database.execute("ANALYZE")
    partial.rename(path)


def _write_table(database: sqlite3.Connection, table: _Table) -> None:
    columns = table.row._fields
    types = table.row.__annotations__
    declared = ", ".join(
        f"{column} {'INTEGER' if types[column] == 'int' else 'TEXT'} NOT NULL" for column in columns
    )
    database.execute(f"CREATE TABLE {table.name} ({declared}, PRIMARY KEY ({table.key}))")
    marks = ", ".join("?" * len(columns))
    database.executemany(f"INSERT INTO {table.name} VALUES ({marks})", table.rows)
    for column in table.indexes:
        database.execute(f"CREATE INDEX {table.name}_{column} ON {table.name} ({column})")
