"""What a contract promises of its rows, as checks that can be measured.

    checks_of(contract)      # required, unique, enum, limits, relationships, quality, freshness

A check measures one number and judges it. What the fields say (``required``, ``unique``, ``enum``,
``logicalTypeOptions``, ``relationships``) is checked without a rule being written for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lienthong.contracts.details import (
    Metric,
    Operator,
    QualityRule,
    Relationship,
    ServiceLevel,
)
from lienthong.contracts.models import Contract, Field
from lienthong.contracts.references import Neighbours, Target, Unresolved, target_of
from lienthong.contracts.service_levels import seconds_of


class Measure(StrEnum):
    """What is counted, and so how: all but the last four in one pass over the table."""

    ROWS = "rows"
    NULLS = "nulls"
    MISSING = "missing"
    OUTSIDE = "outside"  # values that are none of a list
    PATTERN = "pattern"
    LENGTH = "length"
    RANGE = "range"
    MULTIPLE = "multiple"
    TYPE = "type"
    AGE = "age"  # seconds since the newest moment
    DUPLICATES = "duplicates"
    ORPHANS = "orphans"
    QUERY = "query"
    UNREADABLE = "unreadable"  # lines of a file that are no records
    NOTHING = "nothing"  # for people to read, or for another program


@dataclass(frozen=True, slots=True)
class Check:
    """One number to measure, and what it must be."""

    name: str
    measure: Measure
    fields: tuple[str, ...] = ()
    operator: Operator = Operator.MUST_BE
    bound: Any = 0
    percent: bool = False
    severity: str = "error"
    description: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    target: Target | None = None  # of a relationship
    query: str = ""
    obstacle: str = ""  # why it cannot be measured

    @property
    def grave(self) -> bool:
        """Whether data that fails it breaks the contract; others only warn."""
        return self.severity.casefold() not in ("info", "warning", "warn", "low", "minor")


INSIDE = "inside a nested value"


def checks_of(contract: Contract, beside: Neighbours | None = None) -> list[Check]:
    """All checks of one object of a contract, in the order in which people read them."""
    beside = beside or Neighbours()
    checks = [*_key_checks(contract)]
    for each in contract.fields.values():
        checks += _field_checks(each)
        checks += _part_checks(each)
    checks += (_orphans(contract, each, beside) for each in contract.details.relationships)
    for rule in contract.details.quality:
        checks.append(_rule_check(rule, contract))
    for each in contract.fields.values():
        checks += [_rule_check(rule, contract) for rule in each.details.quality]
    for level in contract.details.service_levels:
        if _is_about(level, contract):
            checks += filter(None, [_age(level, contract)])
    return checks


def _key_checks(contract: Contract) -> Iterator[Check]:
    key = contract.details.primary_key
    for name in key:
        yield Check(f"{name}: primaryKey", Measure.NULLS, (name,))
    if key:
        yield Check(f"{' + '.join(key)}: primaryKey, unique", Measure.DUPLICATES, key)


def _field_checks(each: Field) -> Iterator[Check]:
    name, details, limits = each.name, each.details, each.details.limits
    yield Check(f"{name}: {each.type.value}", Measure.TYPE, (name,))
    if details.required and not details.key_position:
        yield Check(f"{name}: required", Measure.NULLS, (name,))
    if details.unique and not details.key_position:
        yield Check(f"{name}: unique", Measure.DUPLICATES, (name,))
    if details.enumeration:
        values = {"validValues": details.enumeration}
        yield Check(f"{name}: enum", Measure.OUTSIDE, (name,), arguments=values)
    if limits.pattern is not None:
        pattern = {"pattern": limits.pattern}
        yield Check(f"{name}: pattern", Measure.PATTERN, (name,), arguments=pattern)
    lengths = {"low": limits.min_length, "high": limits.max_length}
    if any(value is not None for value in lengths.values()):
        yield Check(f"{name}: length", Measure.LENGTH, (name,), arguments=lengths)
    ranges = {
        "low": limits.minimum,
        "high": limits.maximum,
        "above": limits.exclusive_minimum,
        "below": limits.exclusive_maximum,
    }
    if any(value is not None for value in ranges.values()):
        yield Check(f"{name}: range", Measure.RANGE, (name,), arguments=ranges)
    if limits.multiple_of is not None:
        step = {"step": limits.multiple_of}
        yield Check(f"{name}: multipleOf", Measure.MULTIPLE, (name,), arguments=step)


def _part_checks(field: Field) -> Iterator[Check]:
    """What is said of parts of a nested value: no database measures it alike, so it is told."""
    for part in field.within():
        for rule in part.details.quality:
            what = rule.name or (rule.metric.value if rule.metric else rule.type)
            yield Check(
                f"{part.name}: {what}",
                Measure.QUERY,
                severity=rule.severity or "error",
                obstacle=INSIDE,
            )
        if part.details.required or part.details.unique or part.details.enumeration:
            yield Check(f"{part.name}: {part.type.value}", Measure.NOTHING, obstacle=INSIDE)


def _orphans(contract: Contract, link: Relationship, beside: Neighbours) -> Check:
    name = f"{' + '.join(link.fields)}: → {', '.join(link.target_text)}"
    unknown = [each for each in link.fields if each not in contract.fields]
    if unknown:
        is_part = any(f"{top}{mark}" in unknown[0] for top in contract.fields for mark in ".[{")
        obstacle = INSIDE if is_part else f"no field {unknown[0]}"
        return Check(name, Measure.ORPHANS, obstacle=obstacle)
    try:
        target = target_of(contract, link, beside)
    except Unresolved as error:
        return Check(name, Measure.ORPHANS, link.fields, obstacle=str(error))
    return Check(name, Measure.ORPHANS, link.fields, target=target)


# --- rules of quality ----------------------------------------------------------------


def _rule_check(rule: QualityRule, contract: Contract) -> Check:
    what = rule.name or (rule.metric.value if rule.metric else rule.type)
    name = f"{rule.on}: {what}" if rule.on and not rule.name else what
    measure, fields, arguments, obstacle = _measured(rule, contract)
    unknown = [each for each in fields if each not in contract.fields]
    if unknown:
        obstacle = f"no field {unknown[0]}"
    return Check(
        name=name,
        measure=measure,
        fields=fields,
        operator=rule.operator or Operator.MUST_BE,
        bound=rule.bound,
        percent=rule.unit.casefold() in ("percent", "%"),
        severity=rule.severity or "error",
        description=rule.description,
        arguments=arguments,
        query=rule.query,
        obstacle=obstacle,
    )


_Measured = tuple[Measure, tuple[str, ...], Mapping[str, Any], str]


def _measured(rule: QualityRule, contract: Contract) -> _Measured:
    field_of_rule = (rule.on,) if rule.on else ()
    if rule.type == "sql" and rule.query:
        return Measure.QUERY, field_of_rule, {}, ""
    if rule.type in ("text", "custom") and rule.metric is None:
        return Measure.NOTHING, field_of_rule, {}, "for people or another program"
    if rule.metric is Metric.ROW_COUNT:
        return Measure.ROWS, (), {}, ""
    if rule.metric is Metric.DUPLICATE_VALUES:
        named = rule.arguments.get("properties")
        fields = tuple(map(str, named)) if isinstance(named, tuple) else field_of_rule
        return Measure.DUPLICATES, fields, {}, "" if fields else "names no field"
    if rule.metric is None or not field_of_rule:
        return Measure.NOTHING, field_of_rule, {}, "names no field" if rule.metric else "unknown"
    if rule.metric is Metric.NULL_VALUES:
        return Measure.NULLS, field_of_rule, {}, ""
    if rule.metric is Metric.MISSING_VALUES:
        return Measure.MISSING, field_of_rule, rule.arguments, ""
    return _invalid(rule, contract.fields[field_of_rule[0]])


def _invalid(rule: QualityRule, each: Field) -> _Measured:
    """``invalidValues``: by the rule's arguments, or by what the field itself declares."""
    for argument, measure in (("pattern", Measure.PATTERN), ("validValues", Measure.OUTSIDE)):
        if argument in rule.arguments:
            return measure, (each.name,), rule.arguments, ""
    if each.details.enumeration:
        values = {"validValues": each.details.enumeration}
        return Measure.OUTSIDE, (each.name,), values, ""
    if each.details.limits.pattern:
        return Measure.PATTERN, (each.name,), {"pattern": each.details.limits.pattern}, ""
    return Measure.TYPE, (each.name,), {}, ""


# --- freshness -----------------------------------------------------------------------

_FRESHNESS = ("freshness", "latency", "ly")


def _is_about(level: ServiceLevel, contract: Contract) -> bool:
    """Whether a promise is one about this object: it names it, or names none and this is served."""
    owner = level.element.rpartition(".")[0]
    named = {
        name for each in contract.objects for name in (each.details.dataset, each.table) if name
    }
    if owner in named:
        return owner in (contract.details.dataset, contract.table)
    return contract.served


def _age(level: ServiceLevel, contract: Contract) -> Check | None:
    """How old the newest row is; a promise of another kind is not one about rows."""
    if level.property.casefold() not in _FRESHNESS:
        return None
    seconds = seconds_of(level.unit)
    name = level.element.rpartition(".")[2]
    obstacle = ""
    if name not in contract.fields:
        obstacle = "element names no field"
    elif seconds is None or isinstance(level.value, bool) or not _is_number(level.value):
        obstacle = "value and unit are no time"
    return Check(
        name=f"{level.property} ≤ {level.value} {level.unit}".strip(),
        measure=Measure.AGE,
        fields=(name,) if name in contract.fields else (),
        operator=Operator.LESS_OR_EQUAL,
        bound=0 if obstacle else float(str(level.value)) * (seconds or 0),
        description=level.description,
        obstacle=obstacle,
    )


def _is_number(value: Any) -> bool:
    try:
        return float(value) >= 0
    except (TypeError, ValueError):
        return False
