"""What changed in what a contract promises: quality, service levels, relationships, roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lienthong.contracts.comparison.changes import Change
from lienthong.contracts.comparison.intervals import accepted, covers
from lienthong.contracts.details import QualityRule, Relationship, Role, Scalar, ServiceLevel
from lienthong.contracts.models import Contract
from lienthong.contracts.service_levels import seconds_of

# By the names of ODCS; the first letter's case and the short names are levelled by ``_kind``.
_MORE_IS_BETTER = {"availability", "throughput", "retention", "endofsupport", "endoflife"}
_LESS_IS_BETTER = {
    "latency",
    "freshness",
    "errorrate",
    "frequency",
    "generalavailability",
    "timetodetect",
    "timetonotify",
    "timetorepair",
    "timeofavailability",
}
_SHORT = {
    "av": "availability",
    "th": "throughput",
    "re": "retention",
    "es": "endofsupport",
    "el": "endoflife",
    "ly": "latency",
    "er": "errorrate",
    "fy": "frequency",
    "ga": "generalavailability",
    "td": "timetodetect",
    "tn": "timetonotify",
    "tr": "timetorepair",
}
_MILD = {"info", "warning", "warn", "low", "minor"}


def object_promise_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of what is promised of the rows of one object."""
    yield from _quality_changes(old, new)
    yield from _relationship_changes(old.details.relationships, new.details.relationships)


def promise_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of what is promised of the contract as a whole."""
    yield from _service_level_changes(old.details.service_levels, new.details.service_levels)
    yield from _role_changes(old.details.roles, new.details.roles)
    if old.details.servers != new.details.servers:
        yield Change("server.changed")
    if old.details.price != new.details.price:
        yield Change("price.changed", "", _price(old), _price(new))


def _price(contract: Contract) -> str:
    return " ".join(str(value) for value in contract.details.price.values())


# --- quality -------------------------------------------------------------------------


def rules_of(contract: Contract) -> list[QualityRule]:
    """All rules of quality, of the dataset, its fields and their parts."""
    fields = [each for field in contract.fields.values() for each in (field, *field.within())]
    return [
        *contract.details.quality,
        *(rule for field in fields for rule in field.details.quality),
    ]


def _quality_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = _numbered(rules_of(old)), _numbered(rules_of(new))
    for key, rule in before.items():
        if key not in after:
            yield Change("quality.rule_removed", rule_name(rule), _bound(rule))
        else:
            yield from _rule_changes(rule, after[key])
    for key, rule in after.items():
        if key not in before:
            yield Change("quality.rule_added", rule_name(rule), after=_bound(rule))


def _numbered(rules: Sequence[QualityRule]) -> dict[tuple[Any, ...], QualityRule]:
    """Rules by what they are; two alike are told apart by their order."""
    found: dict[tuple[Any, ...], QualityRule] = {}
    for rule in rules:
        key: tuple[Any, ...] = (rule.on, rule.name or (rule.type, rule.metric, rule.query))
        number = 0
        while (*key, number) in found:
            number += 1
        found[(*key, number)] = rule
    return found


def _rule_changes(old: QualityRule, new: QualityRule) -> Iterator[Change]:
    if _measured(old) != _measured(new):
        yield Change("quality.rule_changed", rule_name(old), _bound(old), _bound(new))
        return
    code = _strictness(old, new)
    if code:
        yield Change(code, rule_name(old), _bound(old), _bound(new))
    elif replace(old, operator=None, bound=None) != replace(new, operator=None, bound=None):
        yield Change("quality.words_changed", rule_name(old))


def _measured(rule: QualityRule) -> tuple[Any, ...]:
    """What a rule measures, without how the number is judged."""
    judged = (rule.type, rule.metric, rule.query, rule.engine, rule.unit)
    return (*judged, dict(rule.arguments), rule.implementation)


def _strictness(old: QualityRule, new: QualityRule) -> str | None:
    looser, tighter = _severity(new) < _severity(old), _severity(new) > _severity(old)
    if (old.operator, old.bound) != (new.operator, new.bound):
        before, after = accepted(old.operator, old.bound), accepted(new.operator, new.bound)
        if before is None or after is None:
            return "quality.rule_changed"
        wider, narrower = covers(after, before), covers(before, after)
        if not (wider or narrower):
            return "quality.rule_changed"
        looser, tighter = looser or not narrower, tighter or not wider
    if looser:
        return "quality.rule_loosened"
    return "quality.rule_tightened" if tighter else None


def _severity(rule: QualityRule) -> int:
    return 0 if rule.severity.casefold() in _MILD else 1


def rule_name(rule: QualityRule) -> str:
    """How people are told which rule is meant."""
    what = rule.name or (rule.metric.value if rule.metric else rule.type)
    return f"{rule.on}: {what}" if rule.on else what


def _bound(rule: QualityRule) -> str:
    bound = "–".join(map(str, rule.bound)) if isinstance(rule.bound, tuple) else rule.bound
    parts = (rule.operator or "", "" if bound is None else bound, rule.severity)
    return " ".join(str(part) for part in parts if part != "")


# --- service levels ------------------------------------------------------------------


def _kind(level: ServiceLevel) -> str:
    name = level.property.replace("_", "").replace("-", "").replace(" ", "").casefold()
    return _SHORT.get(name, name)


def _service_level_changes(
    old: Sequence[ServiceLevel], new: Sequence[ServiceLevel]
) -> Iterator[Change]:
    before, after = _levels(old), _levels(new)
    for key, level in before.items():
        if key not in after:
            yield Change("service_level.removed", level.property, _value(level))
        elif level != after[key]:
            code = _level_change(level, after[key])
            yield Change(code, level.property, _value(level), _value(after[key]))
    for key, level in after.items():
        if key not in before:
            yield Change("service_level.added", level.property, after=_value(level))


def _levels(levels: Sequence[ServiceLevel]) -> dict[tuple[str, str, int], ServiceLevel]:
    found: dict[tuple[str, str, int], ServiceLevel] = {}
    for level in levels:
        number = 0
        while (_kind(level), level.element, number) in found:
            number += 1
        found[_kind(level), level.element, number] = level
    return found


def _level_change(old: ServiceLevel, new: ServiceLevel) -> str:
    if (old.value, old.unit, old.value_ext) == (new.value, new.unit, new.value_ext):
        return "service_level.words_changed"
    before, after = _amount(old), _amount(new)
    if type(before) is not type(after) or before is None or old.value_ext != new.value_ext:
        return "service_level.changed"
    if before == after:  # 24 hours are a day
        return "service_level.words_changed"
    kind, more = _kind(old), after > before  # type: ignore[operator]  # both numbers or texts
    if kind not in _MORE_IS_BETTER | _LESS_IS_BETTER:
        return "service_level.changed"
    raised = more if kind in _MORE_IS_BETTER else not more
    return "service_level.raised" if raised else "service_level.lowered"


def _amount(level: ServiceLevel) -> float | str | None:
    """The promise as a number (times in seconds), or as the text of a day."""
    number = _number(level.value)
    if number is None:
        return level.value if isinstance(level.value, str) else None
    seconds = seconds_of(level.unit)
    if seconds is not None:
        return number * seconds
    return number if not level.unit or level.unit in ("%", "percent") else None


def _number(value: Scalar) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _value(level: ServiceLevel) -> str:
    return f"{level.value} {level.unit}".strip()


# --- relationships and roles ---------------------------------------------------------


def _relationship_changes(
    old: Sequence[Relationship], new: Sequence[Relationship]
) -> Iterator[Change]:
    for one, other, code in ((old, new, "removed"), (new, old, "added")):
        for relationship in one:
            if relationship not in other:
                place = " + ".join(relationship.fields)
                target = " + ".join(relationship.target_text)
                yield Change(f"relationship.{code}", place, target, target)


def _role_changes(old: Sequence[Role], new: Sequence[Role]) -> Iterator[Change]:
    before: Mapping[str, Role] = {role.name: role for role in old}
    after: Mapping[str, Role] = {role.name: role for role in new}
    for name, role in before.items():
        if name not in after:
            yield Change("role.removed", name, role.access)
        elif role != after[name]:
            yield Change("role.changed", name, role.access, after[name].access)
    for name in after:
        if name not in before:
            yield Change("role.added", name, after=after[name].access)
