"""Turn a checked ODCS document into the frozen values of ``details.py``.

    details = contract_details(document)
    fields = {entry["name"]: field_details(entry) for entry in entries}

Only documents that satisfy the standard's JSON Schema come here, so shapes are not checked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lienthong.contracts import properties
from lienthong.contracts.details import (
    ContractDetails,
    FieldDetails,
    Limits,
    Link,
    Member,
    Metric,
    Operator,
    PersonalData,
    QualityRule,
    Relationship,
    Role,
    Server,
    ServiceLevel,
    Team,
)
from lienthong.contracts.properties import DESCRIPTION_EN, TITLE_EN, own_properties

_MAKING = (
    "partitioned",
    "partitionKeyPosition",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
)
# Options with a place of their own in ``Limits``; of the others, any change is one of form.
_LIMITS = {
    "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "defaultTimezone", "minItems", "maxItems", "uniqueItems",
    "minProperties", "maxProperties", "required",
}  # fmt: skip
_SERVER_BASE = {"id", "server", "type", "description", "environment", "roles", "customProperties"}


def frozen(value: Any) -> Any:
    """Return the same JSON value, of which nothing can be changed."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(child) for key, child in value.items()})
    if isinstance(value, list):
        return tuple(map(frozen, value))
    return value


def contract_details(document: Mapping[str, Any], dataset: Mapping[str, Any]) -> ContractDetails:
    """Read everything that the document says of one of its datasets."""
    entries = dataset.get("properties") or []
    element = document.get("slaDefaultElement") or ""
    description = document.get("description") or {}
    return ContractDetails(
        api_version=document["apiVersion"],
        tenant=document.get("tenant") or "",
        domain=document.get("domain") or "",
        data_product=document.get("dataProduct") or "",
        created=document.get("contractCreatedTs") or "",
        purpose=description.get("purpose") or "",
        usage=description.get("usage") or "",
        limitations=description.get("limitations") or "",
        dataset=dataset["name"],
        dataset_id=dataset.get("id") or "",
        physical_type=dataset.get("physicalType") or "",
        deprecated=bool(dataset.get("deprecated")),
        dataset_title=dataset.get("businessName") or "",
        granularity=dataset.get("dataGranularityDescription") or "",
        tags=(*(document.get("tags") or ()), *(dataset.get("tags") or ())),
        synonyms=_synonyms(dataset),
        primary_key=_primary_key(entries),
        quality=tuple(_quality_rule(rule, None) for rule in dataset.get("quality") or ()),
        relationships=tuple(_relationships(dataset)),
        service_levels=tuple(
            _service_level(level, element) for level in document.get("slaProperties") or ()
        ),
        roles=tuple(map(_role, document.get("roles") or ())),
        servers=tuple(map(_server, document.get("servers") or ())),
        team=_team(document.get("team")),
        support=frozen(document.get("support") or []),
        price=frozen(document.get("price") or {}),
        links=_links(document) + _links(dataset),
        title_en=own_properties(document).get(TITLE_EN, ""),
        description_en=own_properties(document).get(DESCRIPTION_EN, ""),
        custom=MappingProxyType({**_custom(document), **_custom(dataset)}),
        context=frozen(document.get("context")),
        words=_words(document),
        dataset_words=(_words(dataset), frozen(dataset.get("context"))),
    )


def _words(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    listed = (entry.get("tags") or (), entry.get("synonyms") or ())
    return (*map(frozen, listed), _links(entry), _custom(entry))


def field_details(entry: Mapping[str, Any], path: str) -> FieldDetails:
    """Read everything that one entry of ``properties`` says of its field, or of a part of one."""
    own = own_properties(entry)
    values = entry.get("enum") or ()
    personal = own.get(properties.PERSONAL_DATA)
    return FieldDetails(
        id=entry.get("id") or "",
        required=bool(entry.get("required")),
        unique=bool(entry.get("unique")),
        key_position=_key_position(entry),
        enumeration=tuple(frozen(item["value"]) for item in values),
        labels=MappingProxyType(
            {item["value"]: item["label"] for item in values if item.get("label")}
        ),
        limits=_limits(entry.get("logicalTypeOptions") or {}),
        physical_type=entry.get("physicalType") or "",
        unit=own.get(properties.UNIT) or "",
        personal_data=PersonalData(personal) if personal else None,
        deprecated=bool(entry.get("deprecated")),
        critical=bool(entry.get("criticalDataElement")),
        semantic=entry.get("semanticType") or "column",
        tags=tuple(entry.get("tags") or ()),
        synonyms=_synonyms(entry),
        quality=tuple(_quality_rule(rule, path) for rule in entry.get("quality") or ()),
        links=_links(entry),
        custom=_custom(entry),
        stated_class=entry.get("classification") or "",
        making=frozen({name: entry[name] for name in _MAKING if name in entry}),
    )


def _key_position(entry: Mapping[str, Any]) -> int:
    if not entry.get("primaryKey"):
        return 0
    return max(1, entry.get("primaryKeyPosition") or 1)


def _primary_key(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    parts = [(_key_position(entry), entry["name"]) for entry in entries if entry.get("primaryKey")]
    return tuple(name for _, name in sorted(parts, key=lambda part: part[0]))


def _limits(options: Mapping[str, Any]) -> Limits:
    return Limits(
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        pattern=options.get("pattern"),
        format=options.get("format"),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        exclusive_minimum=options.get("exclusiveMinimum"),
        exclusive_maximum=options.get("exclusiveMaximum"),
        multiple_of=options.get("multipleOf"),
        timezone=options.get("defaultTimezone"),
        min_items=options.get("minItems"),
        max_items=options.get("maxItems"),
        min_properties=options.get("minProperties"),
        max_properties=options.get("maxProperties"),
        unique_items=bool(options.get("uniqueItems")),
        required_properties=tuple(options.get("required") or ()),
        shape=frozen({name: each for name, each in options.items() if name not in _LIMITS}),
    )


def _quality_rule(rule: Mapping[str, Any], field: str | None) -> QualityRule:
    # ODCS 3.0 wrote the metric as ``rule``; the type is ``library`` where none is given.
    metric = rule.get("metric") or rule.get("rule")
    operator = next((each for each in Operator if each in rule), None)
    return QualityRule(
        type=rule.get("type") or "library",
        on=field,
        name=rule.get("name") or "",
        description=rule.get("description") or "",
        metric=Metric(metric) if metric in list(Metric) else None,
        operator=operator,
        bound=frozen(rule[operator]) if operator else None,
        unit=rule.get("unit") or "rows",
        arguments=frozen(rule.get("arguments") or {}),
        query=rule.get("query") or "",
        engine=rule.get("engine") or "",
        implementation=frozen(rule.get("implementation")),
        dimension=rule.get("dimension") or "",
        severity=rule.get("severity") or "",
        business_impact=rule.get("businessImpact") or "",
        schedule=rule.get("schedule") or "",
        scheduler=rule.get("scheduler") or "",
        tags=tuple(rule.get("tags") or ()),
        custom=_custom(rule),
    )


def _relationships(dataset: Mapping[str, Any]) -> Iterator[Relationship]:
    entries = dataset.get("properties") or ()
    named = {entry.get("id"): entry["name"] for entry in entries if entry.get("id")}
    known = {entry["name"] for entry in entries}
    for item in dataset.get("relationships") or ():
        last = [_last_name(each) for each in _texts(item["from"])]
        names = (name if name in known else named.get(name, name) for name in last)
        yield _relationship(tuple(names), item)
    for entry in entries:
        yield from _of_field(entry, entry["name"])


def _of_field(entry: Mapping[str, Any], path: str) -> Iterator[Relationship]:
    """Relationships of one field and of its parts, at every depth."""
    for item in entry.get("relationships") or ():
        yield _relationship((path,), item)
    for child in entry.get("properties") or ():
        yield from _of_field(child, f"{path}.{child['name']}")
    if entry.get("items"):
        yield from _of_field(entry["items"], f"{path}[]")
    for part, mark in (("key", "{key}"), ("value", "{}")):
        if entry.get("map"):
            yield from _of_field(entry["map"][part], path + mark)


def _relationship(fields: tuple[str, ...], item: Mapping[str, Any]) -> Relationship:
    targets = _texts(item["to"])
    tables = {target.rpartition(".")[0] for target in targets if "/" not in target}
    is_plain = len(tables) == 1 and all("/" not in target for target in targets)
    return Relationship(
        fields=fields,
        target_text=targets,
        target_table=tables.pop() if is_plain else None,
        target_fields=tuple(map(_last_name, targets)),
        type=item.get("type") or "foreignKey",
        custom=_custom(item),
    )


def _texts(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _last_name(reference: str) -> str:
    return reference.replace("/", ".").rpartition(".")[2]


def _service_level(item: Mapping[str, Any], element: str) -> ServiceLevel:
    return ServiceLevel(
        property=item["property"],
        value=frozen(item["value"]),
        unit=item.get("unit") or "",
        element=item.get("element") or element,
        value_ext=frozen(item.get("valueExt")),
        driver=item.get("driver") or "",
        description=item.get("description") or "",
        schedule=item.get("schedule") or "",
        scheduler=item.get("scheduler") or "",
    )


def _role(item: Mapping[str, Any]) -> Role:
    return Role(
        name=item["role"],
        access=item.get("access") or "",
        description=item.get("description") or "",
        first_approvers=item.get("firstLevelApprovers") or "",
        second_approvers=item.get("secondLevelApprovers") or "",
        custom=_custom(item),
    )


def _server(item: Mapping[str, Any]) -> Server:
    options = {key: value for key, value in item.items() if key not in _SERVER_BASE}
    return Server(
        name=item["server"],
        type=item["type"],
        environment=item.get("environment") or "",
        description=item.get("description") or "",
        roles=tuple(map(_role, item.get("roles") or ())),
        options=frozen(options),
    )


def _team(team: Any) -> Team:
    if isinstance(team, list):  # the form of ODCS 3.0
        return Team(members=tuple(map(_member, team)))
    team = team or {}
    return Team(
        name=team.get("name") or "",
        description=team.get("description") or "",
        members=tuple(map(_member, team.get("members") or ())),
    )


def _member(item: Mapping[str, Any]) -> Member:
    return Member(
        username=item["username"],
        name=item.get("name") or "",
        role=item.get("role") or "",
        description=item.get("description") or "",
        since=item.get("dateIn") or "",
        until=item.get("dateOut") or "",
        replaced_by=item.get("replacedByUsername") or "",
    )


def _links(entry: Mapping[str, Any]) -> tuple[Link, ...]:
    return tuple(
        Link(item["url"], item["type"], item.get("description") or "")
        for item in entry.get("authoritativeDefinitions") or ()
    )


def _synonyms(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(item["synonym"] for item in entry.get("synonyms") or ())


def _custom(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Properties of others; ours have places of their own."""
    ours = own_properties(entry)
    return MappingProxyType(
        {
            item["property"]: frozen(item.get("value"))
            for item in entry.get("customProperties") or ()
            if item["property"] not in ours
        }
    )
