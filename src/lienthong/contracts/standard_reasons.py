"""Why a document breaks the standard, in a closed set of our own phrases.

    reason_of(error)         # of jsonschema: "must be text, not a whole number"
    model_reason(fault)      # of pydantic
    yaml_reason(problem)     # of libyaml

The phrases have their Vietnamese in ``error_texts/reasons/vi.toml``; words of those libraries never
reach people, who would read half a sentence in a language that they did not choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lienthong.reasons import vietnamese_reasons

LONGEST_VALUE = 60  # characters of somebody's value that a reason repeats
MOST_LISTED = 12  # values of an enumeration
DEEPEST = 4  # forms within forms, of ``oneOf`` and ``anyOf``

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a group of entries",
    "null": "empty",
}
_FORMATS = {"uri": "an address", "date": "a day", "date-time": "a moment", "email": "an e-mail"}


def reason_of(error: Any, depth: int = 0) -> str:
    """Say one error of jsonschema, without repeating an instance that may be a long document."""
    rule = error.validator
    if rule in ("anyOf", "oneOf") and error.context and depth < DEEPEST:
        nearest = max(error.context, key=lambda each: len(each.absolute_path))
        return f"fits none of the forms allowed here; the nearest: {reason_of(nearest, depth + 1)}"
    say = _SAYINGS.get(rule)
    return say(error) if say else f"breaks the rule {rule} of the standard"


def model_reason(fault: Mapping[str, Any]) -> str:
    """Say one fault of the standard's model, by pydantic's name of its kind."""
    kind = str(fault["type"])
    if kind == "missing":
        return f"the entry {fault['loc'][-1]} is missing"
    if kind == "extra_forbidden":
        return f"no entry {_shown(fault['loc'][-1])} is known here"
    for beginning, wanted in _MODEL_TYPES.items():
        if kind.startswith(beginning):
            return f"must be {wanted}"
    return f"breaks the rule {kind} of the standard"


def yaml_reason(problem: str) -> str:
    """A complaint of libyaml that has its Vietnamese, or what they all come to."""
    return problem if problem in vietnamese_reasons() else "not well-formed YAML"


_MODEL_TYPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a group of entries",
    "model": "a group of entries",
}


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a group of entries"
    if isinstance(value, list):
        return "a list"
    text = str(value) if str(value).strip() else '""'
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _type(error: Any) -> str:
    wanted = error.validator_value
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return f"must be {' / '.join(_TYPES.get(each, each) for each in names)}, not {_kind(error)}"


def _kind(error: Any) -> str:
    value = error.instance
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "text", int: "a whole number", float: "a number"}
    return kinds.get(type(value)) or _shown(value)


def _missing(error: Any) -> str:
    named = (each for each in error.validator_value if error.message.startswith(repr(each)))
    return f"the entry {next(named, '?')} is missing"


def unknown_entries(error: Any) -> list[str]:
    """Names of entries that no rule allows: those that are in the error's message."""
    if error.validator not in ("additionalProperties", "unevaluatedProperties"):
        return []
    names = error.instance if isinstance(error.instance, dict) else ()
    return [name for name in names if repr(name) in error.message]


def _unknown(error: Any) -> str:
    listed = ", ".join(map(_shown, unknown_entries(error)[:MOST_LISTED]))
    return f"no entry {listed} is known here"


def _listed(error: Any) -> str:
    values = error.validator_value if error.validator == "enum" else [error.validator_value]
    listed = ", ".join(_shown(each) for each in values[:MOST_LISTED])
    return f"{_shown(error.instance)} is none of these: {listed}"


_SAYINGS: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "required": _missing,
    "additionalProperties": _unknown,
    "unevaluatedProperties": _unknown,
    "enum": _listed,
    "const": _listed,
    "pattern": lambda e: f"{_shown(e.instance)} does not fit the pattern {e.validator_value}",
    "format": lambda e: (
        f"{_shown(e.instance)} is not {_FORMATS.get(e.validator_value, e.validator_value)}"
    ),
    "minLength": lambda e: f"shorter than {e.validator_value} characters",
    "maxLength": lambda e: f"longer than {e.validator_value} characters",
    "minItems": lambda e: f"has fewer than {e.validator_value} items",
    "maxItems": lambda e: f"has more than {e.validator_value} items",
    "uniqueItems": lambda e: "holds the same item twice",
    "minimum": lambda e: f"{_shown(e.instance)} is below {e.validator_value}",
    "maximum": lambda e: f"{_shown(e.instance)} is above {e.validator_value}",
    "exclusiveMinimum": lambda e: f"{_shown(e.instance)} is not above {e.validator_value}",
    "exclusiveMaximum": lambda e: f"{_shown(e.instance)} is not below {e.validator_value}",
    "anyOf": lambda e: "fits none of the forms allowed here",
    "oneOf": lambda e: "fits several of the forms that exclude each other here",
    "not": lambda e: "has a form that is not allowed here",
}
