"""Measure every object of a contract in the source that holds its rows.

    report = measure_quality(contract, "postgresql://…")

Each object is one table: one pass, one count for each key, one anti-join for each relationship,
also between objects of the contract and to those of other contracts whose files are at hand. In a
source of files the object lies in the file of its table's name, beside the one that is named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from lienthong.contracts.models import Contract
from lienthong.contracts.references import Neighbours
from lienthong.errors import FileUnreadable, TableMissing
from lienthong.sources.file_readers import file_beside, file_of
from lienthong.sources.quality.checks import Check, checks_of
from lienthong.sources.quality.results import CheckResult, QualityReport
from lienthong.sources.quality.running import Progress, Run, unmeasured
from lienthong.sources.quality.sessions import open_session

TIME_LIMIT_SECONDS = 300.0  # of one statement


@dataclass(slots=True)
class _Measured:
    """What was measured so far, over all objects."""

    results: list[CheckResult] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)
    queries: int = 0


def measure_quality(
    contract: Contract,
    address: str,
    *,
    beside: Neighbours | None = None,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    progress: Progress = lambda done, of: None,
) -> QualityReport:
    """Measure every check of ``contract`` in the source at ``address``.

    ``beside`` finds the contracts that relationships lead to. Raises SourceAddressInvalid,
    SourceUnreachable, TableMissing, FileUnreadable, the last two only where no object can be
    measured. What goes wrong with one check, or one object of several, stands in the results.
    """
    started = time.monotonic()
    found, faults = _Measured(), []
    several = len(contract.objects) > 1
    for each in contract.objects:
        checks = checks_of(each, beside)
        name = each.details.dataset
        try:
            results = _object(each, checks, address, time_limit_seconds, progress, found)
        except (TableMissing, FileUnreadable) as error:
            faults.append(error)
            found.rows[name] = None
            results = [unmeasured(check, error) for check in checks]
        found.results += [_named(result, name) for result in results] if several else results
    if faults and len(faults) == len(contract.objects):
        raise faults[0]
    seconds = time.monotonic() - started
    rows = found.rows.get(contract.details.dataset)
    results_of_all = tuple(found.results)
    return QualityReport(
        contract.id, contract.version, rows, seconds, found.queries, results_of_all, found.rows
    )


def _object(
    contract: Contract,
    checks: Sequence[Check],
    address: str,
    time_limit_seconds: float,
    progress: Progress,
    found: _Measured,
) -> list[CheckResult]:
    others = [
        check.target.table
        for check in checks
        if check.target and check.target.table != contract.table
    ]
    place = _place(contract, address)
    session = open_session(place, contract.table, others, time_limit_seconds)
    try:
        run = Run(contract, checks, session, progress)
        results = run.results()
        found.rows[contract.details.dataset] = run.rows
        found.queries += session.queries
        return results
    finally:
        session.close()


def _place(contract: Contract, address: str) -> str:
    """The address of the object: of files the one of its table's name, if there are several."""
    file = file_of(address)
    if file is None or len(contract.objects) == 1:
        return address
    kind, path = file
    names = [each.table for each in contract.objects]
    # The named file is the served object's where it bears no object's name.
    if contract.table == path.stem or (contract.served and path.stem not in names):
        return address
    beside = file_beside(path, contract.table)
    if beside is None:
        raise TableMissing(table=contract.table)
    return f"{kind}://{quote(str(beside))}"


def _named(result: CheckResult, name: str) -> CheckResult:
    return replace(result, check=replace(result.check, name=f"{name} · {result.check.name}"))
