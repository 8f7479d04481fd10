"""Measure what a contract promises in the source that holds its rows.

    Run(contract, checks_of(contract), session, progress).results()

For each table one pass: one SELECT with a ``SUM(CASE …)`` for every check of rows. Besides that
one statement for each key (distinct values), one anti-join for each relationship, one for each SQL
rule, and, only where a check failed, one for a few keys of rows that fail it.

Each statement sees the table as it is at its moment: rows that arrive in between may count in one
and not in another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy
from sqlalchemy import and_, case, func, select
from sqlalchemy.sql import quoted_name as exact_name

from lienthong.contracts.models import Contract
from lienthong.errors import ColumnMissing, LienthongError, SourceQueryFailed
from lienthong.reasons import in_vietnamese
from lienthong.sources.quality.checks import Check, Measure
from lienthong.sources.quality.conditions import BoundUnusable, Conditions
from lienthong.sources.quality.query_rules import QueryRefused, safe_query
from lienthong.sources.quality.results import (
    CheckResult,
    Outcome,
    holds,
    shown_key,
)
from lienthong.sources.quality.sessions import Session

MOST_SAMPLES = 5
MOST_IN_ONE_PASS = 400  # sums in one SELECT; databases allow 1,600 to 4,000 columns

Progress = Callable[[int, int], None]
_ALONE = (Measure.DUPLICATES, Measure.ORPHANS, Measure.QUERY)


class Run:
    """One test of one object: what was measured so far."""

    def __init__(
        self, contract: Contract, checks: Sequence[Check], session: Session, progress: Progress
    ) -> None:
        self._contract = contract
        self._given = checks
        self._session = session
        self._progress = progress
        self._held = session.columns()
        self._conditions = Conditions(contract, self._held, session.engine)
        self._table = session.table()
        self._broken: dict[str, Any] = {}  # conditions of rows that break a check, by its name
        self.rows: int | None = None

    def results(self) -> list[CheckResult]:
        """The results of all checks, in their order."""
        checks = self._checks()
        found = {id(check): self._obstructed(check) for check in checks}
        together = [c for c in checks if found[id(c)] is None and c.measure not in _ALONE]
        alone = [c for c in checks if found[id(c)] is None and c.measure in _ALONE]
        steps = 1 + len(alone)
        self._progress(0, steps)
        found.update(self._measure_together(together))
        for number, check in enumerate(alone, 2):
            self._progress(number - 1, steps)
            found[id(check)] = self._judged(check, partial(self._alone, check))
        self._progress(steps, steps)
        return [result for check in checks if (result := found[id(check)]) is not None]

    def _checks(self) -> list[Check]:
        checks = list(self._given)
        if self._session.unreadable() is not None:
            checks.insert(0, Check("CSV: RFC 4180", Measure.UNREADABLE))
        return checks

    def _obstructed(self, check: Check) -> CheckResult | None:
        """A result for a check that need not, or cannot, be measured."""
        if check.measure is Measure.NOTHING:
            return unmeasured(check, check.obstacle, Outcome.LEFT_OUT)
        if check.obstacle:
            return unmeasured(check, check.obstacle)
        for name in check.fields:
            column = self._contract.fields[name].column
            if column not in self._held:
                return unmeasured(check, ColumnMissing(column=column, field=name))
        if check.operator is None or (check.bound is None and check.measure is not Measure.QUERY):
            return unmeasured(check, "no operator")
        return None

    # --- one pass over the table -----------------------------------------------------

    def _measure_together(self, checks: Sequence[Check]) -> dict[int, CheckResult | None]:
        found: dict[int, CheckResult | None] = {}
        sums: list[tuple[Check, Any]] = []
        for check in checks:
            try:
                sums.append((check, self._sum(check)))
            except BoundUnusable as error:
                found[id(check)] = unmeasured(check, str(error))
        parts = [sums[i : i + MOST_IN_ONE_PASS] for i in range(0, len(sums), MOST_IN_ONE_PASS)]
        for part in parts or [[]]:
            for check, measured in self._pass(part):
                found[id(check)] = self._judged(check, measured)
        return found

    def _sum(self, check: Check) -> Any:
        """What one check asks of the pass; None where the answer is known without."""
        if check.measure is Measure.AGE:
            return self._conditions.newest(check)
        if check.measure in (Measure.ROWS, Measure.UNREADABLE):
            return None
        broken = self._conditions.breaks(check)
        if broken is None:
            return None
        self._broken[check.name] = broken
        return func.coalesce(func.sum(case((broken, 1), else_=0)), 0)

    def _pass(
        self, sums: Sequence[tuple[Check, Any]]
    ) -> list[tuple[Check, Callable[[], float | None]]]:
        """Ask for all sums at once; where that fails, for each alone, to tell which is at fault."""
        asked = [(check, each) for check, each in sums if each is not None]
        try:
            answer = self._select([each for _, each in asked])
        except SourceQueryFailed as error:
            if len(asked) < 2:
                return [(check, _raiser(error)) for check, _ in sums]
            return [pair for each in sums for pair in self._pass([each])]
        except LienthongError as error:
            return [(check, _raiser(error)) for check, _ in sums]
        self.rows = int(answer[0])
        values = {id(check): value for (check, _), value in zip(asked, answer[1:], strict=True)}
        return [(check, self._reader(check, values.get(id(check)))) for check, _ in sums]

    def _select(self, sums: Sequence[Any]) -> Sequence[Any]:
        columns: list[Any] = [
            func.count().label("n"),
            *(each.label(f"c{n}") for n, each in enumerate(sums)),
        ]
        return self._session.rows(select(*columns).select_from(self._table))[0]

    def _reader(self, check: Check, value: Any) -> Callable[[], float | None]:
        if check.measure is Measure.ROWS:
            return lambda: float(self.rows or 0)
        if check.measure is Measure.UNREADABLE:
            return lambda: float(self._session.unreadable() or 0)
        if check.measure is Measure.AGE:
            return lambda: self._age(check, value)
        return lambda: float(value or 0)

    # --- one statement each ----------------------------------------------------------

    def _alone(self, check: Check) -> Any:
        if check.measure is Measure.DUPLICATES:
            return self._duplicates(check)
        if check.measure is Measure.ORPHANS:
            return self._orphans(check)
        return self._query(check)

    def _duplicates(self, check: Check) -> float:
        """Rows beyond the first of each value; rows with NULL in the key have none."""
        groups = self._groups(check).subquery("g")
        count: Any = groups.c.n
        statement = select(func.coalesce(func.sum(count), 0), func.count()).select_from(groups)
        total, distinct = self._session.rows(statement)[0]
        return float(total) - float(distinct)

    def _groups(self, check: Check) -> Any:
        columns = [self._conditions.column(name) for name in check.fields]
        known = and_(*(column.is_not(None) for column in columns))
        counted = select(*columns, func.count().label("n")).select_from(self._table)
        return counted.where(known).group_by(*columns)

    def _orphans(self, check: Check) -> float:
        target = check.target
        assert target is not None
        is_own = target.table == self._contract.table
        place = self._session.table(None if is_own else target.table)
        columns = [self._conditions.column(name) for name in check.fields]
        names = target.columns
        shown = [self._contract.fields[each].column for each in self._shown_by()]
        own = _alias(self._table, (*(column.name for column in columns), *shown), "t")
        there = _alias(place, names, "r")
        pairs = [
            (own.c[column.name], there.c[name]) for column, name in zip(columns, names, strict=True)
        ]
        found: Any = select(sqlalchemy.literal_column("1")).select_from(there)
        matches = found.where(and_(*(theirs == mine for mine, theirs in pairs))).correlate(own)
        broken = and_(*(mine.is_not(None) for mine, _ in pairs), ~matches.exists())
        self._broken[check.name] = (own, broken)
        statement = select(func.count()).select_from(own).where(broken)
        return float(self._session.rows(statement)[0][0])

    def _query(self, check: Check) -> Any:
        table = self._session.table()
        whole = ".".join(filter(None, (table.schema, table.name)))
        places = {name: self._session.quoted(whole) for name in ("object", "table", "model")}
        if check.fields:
            column = self._contract.fields[check.fields[0]].column
            quoted = self._session.quoted(column)
            places |= dict.fromkeys(("property", "column", "field"), quoted)
        rows = self._session.rows_of_text(safe_query(check.query, self._session.dialect, places))
        value: Any = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else None
        # CSV files hold text only, and so do sums of some databases.
        is_number = isinstance(value, Decimal | str) and not isinstance(check.bound, str)
        return float(value) if is_number else value

    # --- judging ---------------------------------------------------------------------

    def _judged(self, check: Check, measure: Callable[[], Any]) -> CheckResult:
        try:
            measured = measure()
            if measured is None:
                return unmeasured(check, "no value")
            if check.percent and check.measure is not Measure.QUERY:
                measured = 100 * measured / self.rows if self.rows else 0.0
            passed = holds(check.operator, measured, check.bound)
        except QueryRefused as error:
            return unmeasured(check, str(error))
        except LienthongError as error:
            return unmeasured(check, error)
        except (TypeError, ValueError, OverflowError):
            return unmeasured(check, "value cannot be compared")
        if passed:
            return CheckResult(check, Outcome.PASSED, measured)
        outcome = Outcome.FAILED if check.grave else Outcome.WARNED
        return CheckResult(check, outcome, measured, samples=self._samples(check))

    def _samples(self, check: Check) -> tuple[str, ...]:
        """Keys of a few rows that break a check; none where that cannot be said."""
        try:
            if check.measure is Measure.DUPLICATES:
                return self._repeated(check)
            broken = self._broken.get(check.name)
            if broken is None:
                return ()
            names = self._shown_by()
            if not names:
                return ()
            key = self._contract.fields[names[0]]
            table, condition = broken if isinstance(broken, tuple) else (self._table, broken)
            column: Any = sqlalchemy.column(exact_name(key.column, True))
            column = column if table is self._table else table.c[key.column]
            statement = select(column).select_from(table).where(condition).limit(MOST_SAMPLES)
            rows = self._session.rows(statement)
        except LienthongError:
            return ()
        return tuple(shown_key(row[0], key.classification) for row in rows)

    def _shown_by(self) -> tuple[str, ...]:
        """The field by which people find a row: the key, or what the primary key begins with."""
        found = (self._contract.key, *self._contract.details.primary_key)
        return tuple(name for name in found if name in self._contract.fields)[:1]

    def _repeated(self, check: Check) -> tuple[str, ...]:
        groups = self._groups(check).having(func.count() > 1).limit(MOST_SAMPLES)
        classes = [self._contract.fields[name].classification for name in check.fields]
        return tuple(
            " + ".join(shown_key(value, c) for value, c in zip(row, classes, strict=False))
            for row in self._session.rows(groups)
        )

    def _age(self, check: Check, newest: Any) -> float | None:
        """Seconds since the newest row; a day counts to its end."""
        if newest is None:
            return None
        field = self._contract.fields[check.fields[0]]
        zone = _zone(field.details.limits.timezone)
        if self._held[field.column] == "instant":
            zone = UTC
        return (datetime.now(UTC) - _moment(newest, zone)).total_seconds()


def _alias(table: Any, names: Sequence[str], alias: str) -> Any:
    """The table under another name, with these columns."""
    columns: list[Any] = [
        sqlalchemy.column(exact_name(name, True)) for name in dict.fromkeys(names)
    ]
    return sqlalchemy.table(table.name, *columns, schema=table.schema).alias(alias)


def _zone(name: str | None) -> Any:
    # ODCS: where no zone is named, UTC.
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _moment(value: Any, zone: Any) -> datetime:
    """Raises ValueError, TypeError."""
    if isinstance(value, str):
        text = value.strip()
        value = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        start = datetime(value.year, value.month, value.day, tzinfo=zone)
        return min(start + timedelta(days=1), datetime.now(UTC))
    raise TypeError("no moment")


def _raiser(error: LienthongError) -> Callable[[], float | None]:
    def measure() -> float | None:
        raise error

    return measure


def unmeasured(
    check: Check, reason: str | LienthongError, outcome: Outcome = Outcome.NOT_MEASURED
) -> CheckResult:
    if isinstance(reason, LienthongError):
        told = {"vi": reason.message("vi"), "en": reason.message("en")}
    else:
        told = {"vi": in_vietnamese(reason), "en": reason}
    return CheckResult(check, outcome, reason_vi=told["vi"], reason_en=told["en"])
