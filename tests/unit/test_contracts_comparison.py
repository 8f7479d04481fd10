"""Two versions of a contract: every change has its code, its level and its words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lienthong import errors
from lienthong.contracts.comparison import Difference, Level, Version, compare
from lienthong.contracts.comparison.changes import change_texts
from lienthong.contracts.loading import load_contract
from tests.fixtures.people import CONTRACT_TEXT

Document = dict[str, Any]
RULE = {"metric": "rowCount", "name": "đủ", "mustBeGreaterThan": 10}
LEVEL = {"property": "latency", "value": 24, "unit": "h"}
LINK = {"type": "foreignKey", "to": "xa.ma"}


def whole() -> Document:
    """A contract in which everything that can change is there."""
    document: Document = yaml.safe_load(CONTRACT_TEXT)
    dataset = document["schema"][0]
    document |= {
        "slaProperties": [copy.deepcopy(LEVEL)],
        "roles": [{"role": "đọc", "access": "read"}],
        "servers": [
            {
                "server": "chính",
                "type": "postgresql",
                "host": "a",
                "port": 5432,
                "database": "d",
                "schema": "s",
            }
        ],
        "team": {"name": "Cục A"},
        "price": {"priceAmount": 1, "priceCurrency": "VND"},
    }
    dataset["quality"] = [copy.deepcopy(RULE)]
    dataset["dataGranularityDescription"] = "một người"
    field = dataset["properties"][4]
    field |= {
        "required": True,
        "unique": True,
        "enum": [{"value": 1}, {"value": 2}],
        "logicalTypeOptions": {"maximum": 20},
        "relationships": [copy.deepcopy(LINK)],
        "physicalType": "INT",
    }
    dataset["properties"][3]["customProperties"] = [{"property": "lienthong:unit", "value": "VND"}]
    return document


def differ(edit: Callable[[Document, Document, list[Document]], Any]) -> Difference:
    new = whole()
    edit(new, new["schema"][0], new["schema"][0]["properties"])
    return compare(load_contract(_bytes(whole())), load_contract(_bytes(new)))


def _bytes(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


CASES: dict[str, Callable[[Document, Document, list[Document]], Any]] = {
    "contract.id_changed": lambda c, d, f: c.update(id="khac"),
    "contract.retired": lambda c, d, f: c.update(status="retired"),
    "contract.status_changed": lambda c, d, f: c.update(status="draft"),
    "contract.legal_basis_changed": lambda c, d, f: c["customProperties"][0].update(value="Luật"),
    "contract.owner_changed": lambda c, d, f: c["team"].update(name="Cục B"),
    "contract.words_changed": lambda c, d, f: c.update(tags=["mới"]),
    "contract.other_changed": lambda c, d, f: c.update(context={"instructions": "x"}),
    "key.changed": lambda c, d, f: (f[0].pop("primaryKey"), f[1].update(primaryKey=True)),
    "key.primary_changed": lambda c, d, f: (
        f[1].update(primaryKey=True, primaryKeyPosition=2),
        d.update(customProperties=[{"property": "lienthong:key", "value": "so_dinh_danh"}]),
    ),
    "dataset.name_changed": lambda c, d, f: d.update(name="nguoi_2"),
    "dataset.table_changed": lambda c, d, f: d.update(physicalName="nguoi_2"),
    "dataset.granularity_changed": lambda c, d, f: d.update(dataGranularityDescription="một hộ"),
    "dataset.added": lambda c, d, f: c["schema"].append({"name": "ho"}),
    "dataset.kind_changed": lambda c, d, f: d.update(physicalType="view"),
    "dataset.deprecated": lambda c, d, f: d.update(deprecated=True),
    "dataset.words_changed": lambda c, d, f: d.update(tags=["mới"]),
    "field.removed": lambda c, d, f: f.pop(6),
    "field.renamed": lambda c, d, f: f[2].update(name="sinh", physicalName="ngay_sinh"),
    "field.added": lambda c, d, f: f.append(dict(f[2], name="moi", physicalName="moi")),
    "field.type_narrowed": lambda c, d, f: f[1].update(logicalType="integer", examples=[]),
    "field.type_changed": lambda c, d, f: f[5].update(logicalType="string"),
    "field.classification_raised": lambda c, d, f: f[1].update(classification="sensitive"),
    "field.classification_lowered": lambda c, d, f: f[3].update(classification="personal"),
    "field.personal_data_changed": lambda c, d, f: f[1].update(
        customProperties=[{"property": "lienthong:personalData", "value": "name"}]
    ),
    "field.required_added": lambda c, d, f: f[1].update(required=True),
    "field.required_removed": lambda c, d, f: f[4].update(required=False),
    "field.unique_added": lambda c, d, f: f[1].update(unique=True),
    "field.unique_removed": lambda c, d, f: f[4].pop("unique"),
    "field.enumeration_narrowed": lambda c, d, f: f[4]["enum"].pop(),
    "field.enumeration_widened": lambda c, d, f: f[4]["enum"].append({"value": 3}),
    "field.enumeration_introduced": lambda c, d, f: f[1].update(enum=[{"value": "a"}]),
    "field.enumeration_dropped": lambda c, d, f: f[4].pop("enum"),
    "field.limit_narrowed": lambda c, d, f: f[4].update(logicalTypeOptions={"maximum": 9}),
    "field.limit_widened": lambda c, d, f: f[4].pop("logicalTypeOptions"),
    "field.format_changed": lambda c, d, f: f[1].update(logicalTypeOptions={"format": "uri"}),
    "field.timezone_changed": lambda c, d, f: f[6].update(
        logicalTypeOptions={"defaultTimezone": "Asia/Ho_Chi_Minh"}
    ),
    "field.unit_changed": lambda c, d, f: f[3]["customProperties"][0].update(value="USD"),
    "field.unit_stated": lambda c, d, f: f[4].update(
        customProperties=[{"property": "lienthong:unit", "value": "người"}]
    ),
    "field.compare_narrowed": lambda c, d, f: f[1].update(
        customProperties=[{"property": "lienthong:compare", "value": "exact"}]
    ),
    "field.subject_added": lambda c, d, f: f[1].update(
        customProperties=[{"property": "lienthong:subject", "value": True}]
    ),
    "field.subject_removed": lambda c, d, f: f[0].update(
        customProperties=[{"property": "lienthong:subject", "value": False}]
    ),
    "field.source_changed": lambda c, d, f: f[2].update(physicalName="NS"),
    "field.physical_type_changed": lambda c, d, f: f[4].update(physicalType="BIGINT"),
    "field.making_changed": lambda c, d, f: f[4].update(transformLogic="a + b"),
    "field.deprecated": lambda c, d, f: f[1].update(deprecated=True),
    "field.meaning_changed": lambda c, d, f: f[4].update(semanticType="measure"),
    "field.words_changed": lambda c, d, f: f[1].update(description="mới"),
    "quality.rule_removed": lambda c, d, f: d.pop("quality"),
    "quality.rule_loosened": lambda c, d, f: d["quality"][0].update(mustBeGreaterThan=5),
    "quality.rule_tightened": lambda c, d, f: d["quality"][0].update(mustBeGreaterThan=50),
    "quality.rule_changed": lambda c, d, f: d["quality"][0].update(unit="percent"),
    "quality.rule_added": lambda c, d, f: d["quality"].append(dict(RULE, name="khác")),
    "quality.words_changed": lambda c, d, f: d["quality"][0].update(description="mới"),
    "service_level.removed": lambda c, d, f: c.pop("slaProperties"),
    "service_level.lowered": lambda c, d, f: c["slaProperties"][0].update(value=2, unit="d"),
    "service_level.raised": lambda c, d, f: c["slaProperties"][0].update(value=30, unit="phút"),
    "service_level.changed": lambda c, d, f: c["slaProperties"][0].update(unit="chuyến"),
    "service_level.added": lambda c, d, f: c["slaProperties"].append(
        {"property": "availability", "value": 99, "unit": "%"}
    ),
    "service_level.words_changed": lambda c, d, f: c["slaProperties"][0].update(value=1, unit="d"),
    "relationship.removed": lambda c, d, f: f[4].pop("relationships"),
    "relationship.added": lambda c, d, f: f[1].update(relationships=[dict(LINK)]),
    "role.removed": lambda c, d, f: c.pop("roles"),
    "role.changed": lambda c, d, f: c["roles"][0].update(access="write"),
    "role.added": lambda c, d, f: c["roles"].append({"role": "ghi"}),
    "server.changed": lambda c, d, f: c["servers"][0].update(host="b"),
    "price.changed": lambda c, d, f: c["price"].update(priceAmount=2),
}


@pytest.mark.parametrize("code", CASES)
def test_each_change_is_found_and_told_in_both_languages(code: str) -> None:
    difference = differ(CASES[code])
    (change,) = [each for each in difference.changes if each.code == code]
    assert change.text("vi") != change.text("en")
    assert "{" not in change.text("vi") + change.text("en")
    assert change.breaking == (change_texts()[code]["level"] == "major")


@pytest.mark.parametrize("code", sorted(CASES.keys() - {"key.changed", "field.type_narrowed"}))
def test_a_change_is_not_told_as_several(code: str) -> None:
    assert [change.code for change in differ(CASES[code]).changes] == [code]


def test_every_change_that_has_words_is_tried_here() -> None:
    assert change_texts().keys() - CASES.keys() == {
        "field.compare_widened",  # the reverse
        *("dataset.removed", "dataset.served_changed"),  # test_contracts_objects.py
    }


def test_a_rule_that_accepts_more_or_warns_only_is_looser() -> None:
    for edit in ({"mustBeGreaterThan": 5}, {"severity": "warning"}):
        difference = differ(lambda c, d, f, edit=edit: d["quality"][0].update(edit))  # type: ignore[misc]
        assert [change.code for change in difference.changes] == ["quality.rule_loosened"]


@pytest.mark.parametrize(
    ("old", "code", "needed"),
    [
        ("1.4.2", "field.removed", "2.0.0"),
        ("1.4.2", "field.added", "1.5.0"),
        ("1.4.2", "field.words_changed", "1.4.3"),
        ("0.4.2", "field.removed", "0.5.0"),
        ("2.0.0-beta.1", "field.removed", "3.0.0"),
    ],
)
def test_the_lowest_version_follows_from_the_changes(old: str, code: str, needed: str) -> None:
    before, after = whole(), whole()
    CASES[code](after, after["schema"][0], after["schema"][0]["properties"])
    before["version"] = after["version"] = old
    first = load_contract(_bytes(before))
    difference = compare(first, load_contract(_bytes(after)))
    assert (difference.needed, difference.fits) == (needed, False)
    with pytest.raises(errors.VersionRuleBroken):
        difference.check_version()
    after["version"] = needed
    compare(first, load_contract(_bytes(after))).check_version()


def test_a_version_that_is_no_number_is_refused() -> None:
    for text in ("1", "1.0", "01.0.0", "1.0.0-", "x" * 200, "1.0.0\n"):
        with pytest.raises(errors.VersionNumberInvalid):
            Version.parse(text)


def test_versions_are_ordered_as_semantic_versioning_has_it() -> None:
    texts = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
        "2.0.0",
    ]
    versions = list(map(Version.parse, texts))
    backwards = list(reversed(versions))
    assert versions == sorted(backwards)
    assert Version.parse("1.2.3").raised(Level.NONE) == Version.parse("v1.2.3")


def test_all_parts_of_the_standard_are_kept() -> None:
    loaded = load_contract(_bytes(whole()))
    details = loaded.details
    assert details.roles[0].access == "read"
    assert details.servers[0].options["port"] == 5432
    assert details.service_levels[0].value == 24
    assert details.relationships[0].target_table == "xa"
    assert details.quality[0].bound == 10
    assert loaded.fields["so_con"].details.enumeration == (1, 2)
    with pytest.raises(TypeError):
        details.servers[0].options["port"] = 1  # type: ignore[index]
