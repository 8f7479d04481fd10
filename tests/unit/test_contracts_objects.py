"""Contracts with several objects and nested values: all that ODCS 3.2 can say."""

from __future__ import annotations

import contextlib
import copy
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lienthong import errors
from lienthong.contracts.classification import Classification
from lienthong.contracts.comparison import Level, compare
from lienthong.contracts.loading import contract_problems, load_contract, read_contract
from lienthong.contracts.models import FieldType
from lienthong.contracts.openapi import openapi_of
from lienthong.contracts.places import place_of
from lienthong.contracts.references import Neighbours
from lienthong.identity.identifiers import ServiceId
from lienthong.sources.data_service import DataService
from lienthong.sources.quality import Outcome, QualityReport, measure_quality
from lienthong.sources.source import open_source

FOLDER = Path(__file__).parent.parent / "fixtures" / "contracts"
HOUSEHOLDS = FOLDER / "ho-gia-dinh.odcs.yaml"
Document = dict[str, Any]
EVERY = 5  # of the entries, one is taken out in each run over them: all would take half a minute
Edit = Callable[[Document], Any]


def edited(edit: Edit = lambda document: None) -> bytes:
    document: Document = yaml.safe_load(HOUSEHOLDS.read_text(encoding="utf-8"))
    edit(document)
    return json.dumps(document, ensure_ascii=False, default=str).encode()


def fields_of(document: Document, number: int = 0) -> Document:
    return {each["name"]: each for each in document["schema"][number]["properties"]}


# --- loading -------------------------------------------------------------------------


def test_all_objects_and_all_types_are_read() -> None:
    contract = load_contract(HOUSEHOLDS)
    assert [each.details.dataset for each in contract.objects] == ["ho", "nguoi", "su_kien"]
    assert [each.table for each in contract.objects] == ["HO", "nguoi", "su_kien"]
    kinds = {field.type for each in contract.objects for field in each.fields.values()}
    kinds |= {p.type for f in contract.fields.values() for p in f.within()}
    assert kinds == set(FieldType)
    vehicles = contract.fields["xe"]
    assert [part.name for part in vehicles.within()] == ["xe[]", "xe[].bien_so", "xe[].nam"]
    assert vehicles.details.limits.max_items == 9
    assert vehicles.details.limits.unique_items
    assert contract.fields["dac_trung"].details.limits.shape["dimensions"] == 3
    assert contract.fields["dia_chi"].details.limits.required_properties == ("ma_xa",)
    assert contract.fields["loai"].details.making["transformLogic"] == "upper(loai)"


def test_a_map_without_a_type_is_a_map() -> None:
    contract = load_contract(edited(lambda d: fields_of(d)["dien_tich"].pop("logicalType")))
    assert contract.fields["dien_tich"].type is FieldType.MAP


def entries_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = enumerate(value) if isinstance(value, list) else ()
    for key, child in value.items() if isinstance(value, dict) else items:
        yield (*path, key)
        yield from entries_of(child, (*path, key))


def test_without_any_of_its_entries_it_is_refused_or_the_change_is_told() -> None:
    whole = load_contract(HOUSEHOLDS)
    document = yaml.safe_load(HOUSEHOLDS.read_text(encoding="utf-8"))
    for path in list(entries_of(document))[::EVERY]:
        remove(changed := copy.deepcopy(document), path)
        with contextlib.suppress(errors.ContractError):
            loaded = load_contract(json.dumps(changed).encode())
            assert compare(whole, loaded).changes, path


def remove(document: Document, path: tuple[Any, ...]) -> None:
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]


def test_every_object_knows_the_others() -> None:
    contract = load_contract(HOUSEHOLDS)
    for each in contract.objects:
        assert [o.details.dataset for o in each.objects] == ["ho", "nguoi", "su_kien"]
        assert each.served == (each.details.dataset == "ho")


def test_what_concerns_the_whole_contract_is_read() -> None:
    details = load_contract(HOUSEHOLDS).details
    assert [each.type for each in details.servers] == ["postgresql", "s3", "kafka", "custom"]
    assert [each.element for each in details.service_levels] == [
        "nguoi.sinh_luc", "ho.ma_ho", "nguoi.sinh_luc",
    ]  # fmt: skip
    assert details.team.members[1].replaced_by == "an"
    assert details.roles[0].second_approvers == "Cục trưởng"
    assert details.price["priceCurrency"] == "VND"
    assert details.support[0]["scope"] == "issues"


def test_a_nested_value_is_as_closed_as_its_most_closed_part() -> None:
    fields = load_contract(HOUSEHOLDS).fields
    assert fields["dia_chi"].classification is Classification.PERSONAL
    parts = {part.name: part.classification for part in fields["dia_chi"].within()}
    assert (
        parts["dia_chi.ma_xa"] is Classification.INTERNAL
    )  # what it does not state is its owner's


SECRETS: list[Edit] = [
    lambda d: fields_of(d)["dia_chi"]["properties"][0].update(classification="mật"),
    lambda d: fields_of(d)["xe"]["items"].update(tags=["tối mật"]),
    lambda d: fields_of(d)["xe"]["items"]["properties"][1].update(classification="Top Secret"),
    lambda d: fields_of(d)["dien_tich"]["map"]["value"].update(classification="tuyệt mật"),
    lambda d: fields_of(d, 2)["ngay"].update(classification="độ mật: mật"),
    lambda d: d["schema"][2].update(tags=["mật"]),
]


@pytest.mark.parametrize("edit", SECRETS)
def test_a_state_secret_is_refused_however_deep_it_lies(edit: Edit) -> None:
    for read in (load_contract, read_contract):
        with pytest.raises(errors.StateSecretField):
            read(edited(edit))


FAULTS: list[tuple[Edit, type[errors.ContractError]]] = [
    (lambda d: d["schema"].append(copy.deepcopy(d["schema"][0])), errors.ContractSchemaMismatch),
    (
        lambda d: fields_of(d)["dia_chi"]["properties"].append(
            {"name": "ma_xa", "logicalType": "string"}
        ),
        errors.ContractSchemaMismatch,
    ),
    (lambda d: fields_of(d)["dien_tich"].pop("map"), errors.ContractSchemaMismatch),
    (lambda d: fields_of(d)["xe"]["items"].pop("logicalType"), errors.FieldTypeUnsupported),
    (
        lambda d: fields_of(d)["dia_chi"]["properties"][0].update(classification="gì đó"),
        errors.ClassificationUnknown,
    ),
    (lambda d: fields_of(d, 1)["ma_xa"].pop("classification"), errors.ClassificationMissing),
    (
        lambda d: fields_of(d)["dia_chi"]["properties"][0].update(
            customProperties=[{"property": "lienthong:source.column", "value": "x"}]
        ),
        errors.UnknownContractProperty,
    ),
    (lambda d: serve(d, 0) or serve(d, 1), errors.InvalidContractProperty),
]


def serve(document: Document, number: int) -> None:
    own = [{"property": "lienthong:served", "value": True}]
    document["schema"][number]["customProperties"] = own


@pytest.mark.parametrize(("edit", "wanted"), FAULTS)
def test_a_fault_inside_is_refused_with_its_own_error(
    edit: Edit, wanted: type[errors.ContractError]
) -> None:
    assert wanted in {type(problem) for problem in contract_problems(edited(edit))}


def test_a_fault_inside_is_told_at_its_line() -> None:
    text = HOUSEHOLDS.read_text(encoding="utf-8")
    faults = (
        ("{name: bien_so, logicalType: string, classification: personal}",
         "{name: bien_so, logicalType: string, classification: gì đó}",
         "schema[0].properties[3].items.properties[0]"),
        ("{name: nam, logicalType: integer}", "{name: bien_so, logicalType: integer}",
         "schema[0].properties[3].items.properties[1]"),
    )  # fmt: skip
    for old, new, path in faults:
        content = text.replace(old, new).encode()
        (problem,) = contract_problems(content)
        line = text[: text.index(old)].count("\n") + 1
        assert place_of(problem, content) == (path, line)


def test_any_contract_of_the_standard_can_be_compared_and_tested() -> None:
    def foreign(document: Document) -> None:
        document.pop("customProperties")
        fields_of(document)["ma_ho"].update(classification="restricted")
        fields_of(document)["loai"].pop("classification")

    content = edited(foreign)
    kinds = {type(problem) for problem in contract_problems(content)}
    assert kinds == {
        errors.LegalBasisMissing, errors.ClassificationMissing, errors.ClassificationUnknown,
    }  # fmt: skip
    fields = read_contract(content).fields
    assert fields["ma_ho"].classification is fields["loai"].classification
    assert fields["loai"].classification is Classification.SENSITIVE


def test_a_contract_may_describe_nothing_yet() -> None:
    contract = load_contract(edited(lambda document: document.pop("schema")))
    assert (contract.objects, dict(contract.fields), contract.table) == ((), {}, "")
    assert compare(contract, load_contract(HOUSEHOLDS)).needed == "1.3.0"


# --- comparing -----------------------------------------------------------------------

CHANGES: list[tuple[Edit, str, str, Level]] = [
    (lambda d: d["schema"].pop(2), "dataset.removed", "su_kien", Level.MAJOR),
    (lambda d: d["schema"].append({"name": "moi"}), "dataset.added", "moi", Level.MINOR),
    (lambda d: serve(d, 1), "dataset.served_changed", "", Level.MAJOR),
    (lambda d: d["schema"][1].update(name="ca_nhan", physicalName="nguoi"),
     "dataset.name_changed", "nguoi", Level.MAJOR),
    (lambda d: fields_of(d, 1)["ma_xa"].update(required=True),
     "field.required_added", "nguoi.ma_xa", Level.MAJOR),
    (lambda d: fields_of(d)["xe"]["items"]["properties"].pop(1),
     "field.removed", "ho.xe[].nam", Level.MAJOR),
    (lambda d: fields_of(d)["xe"]["items"]["properties"].append(
        {"name": "mau", "logicalType": "string"}),
     "field.added", "ho.xe[].mau", Level.MINOR),
    (lambda d: fields_of(d)["xe"]["items"]["properties"][1].update(logicalType="number"),
     "field.type_changed", "ho.xe[].nam", Level.MAJOR),
    (lambda d: fields_of(d)["xe"].update(logicalTypeOptions={"maxItems": 5, "uniqueItems": True,
                                                            "minItems": 0}),
     "field.limit_narrowed", "ho.xe", Level.MAJOR),
    (lambda d: fields_of(d)["xe"]["logicalTypeOptions"].pop("uniqueItems"),
     "field.limit_widened", "ho.xe", Level.MINOR),
    (lambda d: fields_of(d)["dia_chi"]["logicalTypeOptions"].update(required=["ma_xa", "so_nha"]),
     "field.limit_narrowed", "ho.dia_chi", Level.MAJOR),
    (lambda d: fields_of(d)["dien_tich"]["map"]["value"].update(logicalType="integer"),
     "field.type_narrowed", "ho.dien_tich{}", Level.MAJOR),
    (lambda d: fields_of(d)["dac_trung"]["logicalTypeOptions"].update(dimensions=4),
     "field.format_changed", "ho.dac_trung", Level.MAJOR),
    (lambda d: fields_of(d)["dia_chi"]["properties"][1]["quality"].clear(),
     "quality.rule_removed", "ho.dia_chi.so_nha: nullValues", Level.MAJOR),
    (lambda d: fields_of(d, 1)["ma_ho"].pop("relationships"),
     "relationship.removed", "nguoi.ma_ho", Level.MAJOR),
    (lambda d: d["schema"][1]["relationships"].pop(0),
     "relationship.removed", "nguoi.ma_ho + ma_xa", Level.MAJOR),
    (lambda d: fields_of(d)["loai"].update(partitioned=False),
     "field.making_changed", "ho.loai", Level.MINOR),
    (lambda d: d["schema"][2].update(deprecated=True),
     "dataset.deprecated", "su_kien", Level.MINOR),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "code", "place", "level"), CHANGES)
def test_a_change_deep_inside_is_found_with_its_place_and_level(
    edit: Edit, code: str, place: str, level: Level
) -> None:
    difference = compare(load_contract(HOUSEHOLDS), load_contract(edited(edit)))
    assert [(each.code, each.place) for each in difference.changes] == [(code, place)]
    (change,) = difference.changes
    assert change.level is level
    assert place in change.text("vi")
    assert change.text("vi") != change.text("en")


def test_the_same_contract_has_no_changes() -> None:
    contract = load_contract(HOUSEHOLDS)
    assert compare(contract, contract).changes == ()


# --- measuring -----------------------------------------------------------------------

TABLES = """
CREATE TABLE HO (MA_HO TEXT PRIMARY KEY, dia_chi TEXT, ma_xa TEXT, xe TEXT, dien_tich TEXT,
                 dac_trung TEXT, loai TEXT);
INSERT INTO HO VALUES
  ('H1', '{"ma_xa": "01", "so_nha": "5", "ghi_chu": "kín"}', '01',
   '[{"bien_so": "29A", "nam": 2020, "mau": "đỏ"}]', '{"nhà": 50.50}', '[0.5, 1, 2]', 'A'),
  ('H2', '[]', '09', NULL, NULL, 'x', 'B');
CREATE TABLE nguoi (so_dinh_danh TEXT, ma_ho TEXT, ma_xa TEXT, sinh_luc TEXT);
INSERT INTO nguoi VALUES ('001090000001', 'H1', '01', '1990-01-01 08:00'),
                         ('001090000002', 'H1', '02', '1991-01-01 08:00'),
                         ('001090000003', 'H7', '01', NULL);
CREATE TABLE DM_XA (MA TEXT, ten TEXT); INSERT INTO DM_XA VALUES ('01', 'Xã Một');
"""


@pytest.fixture
def address(tmp_path: Path) -> str:
    database = sqlite3.connect(tmp_path / "ho.db")
    database.executescript(TABLES)
    database.close()
    return f"sqlite:///{tmp_path}/ho.db"


def named(report: QualityReport, outcome: Outcome) -> dict[str, Any]:
    return {r.check.name: r.measured for r in report.results if r.outcome is outcome}


def test_each_object_is_measured_and_so_are_relationships_of_every_form(address: str) -> None:
    report = measure_quality(load_contract(HOUSEHOLDS), address, beside=Neighbours(FOLDER))
    assert named(report, Outcome.FAILED) == {
        "ho · dia_chi: object": 1,
        "ho · dac_trung: vector": 1,
        "ho · ma_xa: → dm-xa.odcs.yaml#schema/dm_xa/properties/ma_xa": 1,
        "nguoi · ma_ho: → ho.ma_ho": 1,
        "nguoi · ma_ho: → schema/ho_obj/properties/ma_ho_prop": 1,
        "nguoi · ma_ho + ma_xa: → ho.ma_ho, ho.ma_xa": 2,
    }
    assert report.objects == {"ho": 2, "nguoi": 3, "su_kien": None}
    assert report.rows == 2
    unmeasured = {r.check.name: r.reason_vi for r in report.results
                  if r.outcome is Outcome.NOT_MEASURED}  # fmt: skip
    assert {name for name in unmeasured if not name.startswith("su_kien")} == {
        "ho · dia_chi.ma_xa: → dm-xa.odcs.yaml#schema/dm_xa/properties/ma_xa",
        "ho · dia_chi.so_nha: nullValues",
    }
    assert all("su_kien" in unmeasured[f"su_kien · {n}"] for n in ("luc: time", "dung: boolean"))
    assert any(name.startswith("nguoi · latency") for name in named(report, Outcome.PASSED))


def test_one_pass_and_one_count_for_each_object_and_one_anti_join_for_each_relationship(
    address: str,
) -> None:
    def sound(document: Document) -> None:
        document["schema"].pop()
        document["schema"][0]["properties"] = [fields_of(document)["ma_ho"]]
        del document["schema"][1]["relationships"]
        fields_of(document, 1)["ma_ho"]["relationships"] = [{"to": "nguoi.ma_ho"}]

    report = measure_quality(load_contract(edited(sound)), address)
    assert named(report, Outcome.FAILED) == {}
    assert report.queries == 2 + 2 + 1


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        (Neighbours(), "không được đưa vào"),
        (Neighbours(FOLDER.parent), "không được đưa vào"),
        (Neighbours(given=[FOLDER / "dm-xa.odcs.yaml"]), ""),
    ],
)
def test_a_relationship_to_another_contract_is_measured_where_its_file_is_at_hand(
    address: str, beside: Neighbours, told: str
) -> None:
    report = measure_quality(load_contract(HOUSEHOLDS), address, beside=beside)
    (result,) = [r for r in report.results if r.check.name.startswith("ho · ma_xa: →")]
    assert (result.outcome is Outcome.NOT_MEASURED) == bool(told)
    assert told in result.reason_vi


def test_a_target_whose_table_is_elsewhere_or_that_does_not_exist_is_said(
    tmp_path: Path, address: str
) -> None:
    with sqlite3.connect(tmp_path / "ho.db") as database:
        database.execute("DROP TABLE DM_XA")
    path = "dm-xa.odcs.yaml#schema/dm_xa/properties/khong_co"
    links = [{"to": "dm-xa.odcs.yaml#schema/dm_xa/properties/ma_xa"}, {"to": path},
             {"to": "https://example.vn/dm-xa.yaml#schema/a/properties/b"}]  # fmt: skip
    content = edited(lambda d: fields_of(d)["ma_xa"].update(relationships=links))
    report = measure_quality(load_contract(content), address, beside=Neighbours(FOLDER))
    told = [r.reason_vi for r in report.results if r.check.name.startswith("ho · ma_xa: →")]
    assert "DM_XA" in told[0]
    assert told[1] == f"không có đích {path}"
    assert "không được đưa vào" in told[2]


def test_a_contract_outside_the_folder_is_never_read(tmp_path: Path) -> None:
    inside = tmp_path / "trong"
    inside.mkdir()
    (tmp_path / "dm.yaml").write_text((FOLDER / "dm-xa.odcs.yaml").read_text())
    (inside / "noi.yaml").symlink_to(tmp_path / "dm.yaml")
    beside = Neighbours(inside)
    for name in ("../dm.yaml", str(tmp_path / "dm.yaml"), "noi.yaml"):
        with pytest.raises(Exception, match="neither given nor beside"):
            beside.find(name)


def test_objects_in_files_lie_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "HO.csv").write_text("MA_HO\nH1\n", encoding="utf-8")
    (tmp_path / "nguoi.csv").write_text("so_dinh_danh,ma_ho\n01,H1\n02,H2\n", encoding="utf-8")

    def small(document: Document) -> None:
        document["schema"][0]["properties"] = [fields_of(document)["ma_ho"]]
        document["schema"][1]["properties"] = document["schema"][1]["properties"][:2]
        del document["schema"][1]["relationships"]

    report = measure_quality(load_contract(edited(small)), f"csv://{tmp_path}/HO.csv")
    assert named(report, Outcome.FAILED) == {"nguoi · ma_ho: → ho.ma_ho": 1}
    assert report.objects == {"ho": 1, "nguoi": 2, "su_kien": None}


def test_where_no_object_can_be_measured_the_source_is_at_fault(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "leer.db").close()
    with pytest.raises(errors.TableMissing):
        measure_quality(load_contract(HOUSEHOLDS), f"sqlite:///{tmp_path}/leer.db")


# --- serving -------------------------------------------------------------------------


def test_nested_columns_are_answered_as_json_of_what_the_contract_describes(address: str) -> None:
    contract = load_contract(HOUSEHOLDS)
    service = DataService(contract, open_source(address, contract))
    query = service.parse("GET", "/records/H1", "fields=dia_chi,xe,dien_tich,dac_trung", b"")
    status, body = service.answer(query, granted=frozenset(contract.fields))
    assert status == 200
    assert json.loads(body)["record"] == {
        "dia_chi": {"ma_xa": "01", "so_nha": "5"},
        "xe": [{"bien_so": "29A", "nam": 2020}],
        "dien_tich": {"nhà": "50.5"},
        "dac_trung": [0.5, 1, 2],
    }


def test_a_nested_value_of_another_shape_is_a_fault_of_its_record(address: str) -> None:
    contract = load_contract(HOUSEHOLDS)
    service = DataService(contract, open_source(address, contract))
    asked = b'{"keys": ["H1", "H2"], "fields": ["dia_chi"]}'
    query = service.parse("POST", "/records:lookup", "", asked)
    _, body = service.answer(query, granted=frozenset({"dia_chi"}))
    answer = json.loads(body)
    assert [each["key"] for each in answer["faulty"]] == ["H2"]
    assert len(answer["records"]) == 1


def test_a_claim_about_a_nested_value_is_compared_in_every_part(address: str) -> None:
    contract = load_contract(HOUSEHOLDS)
    service = DataService(contract, open_source(address, contract))
    for area, agrees in (("50.50", True), (50.5, True), ("51", False)):
        claims = {"dien_tich": {"nhà": area}, "dia_chi": {"so_nha": "5", "ma_xa": "01"}}
        body = json.dumps({"key": "H1", "claims": claims}).encode()
        query = service.parse("POST", "/records:verify", "", body)
        _, answer = service.answer(query, granted=frozenset(contract.fields))
        assert json.loads(answer)["matches"] == {"dien_tich": agrees, "dia_chi": True}


def test_the_marked_object_is_served_and_described() -> None:
    contract = load_contract(edited(lambda document: serve(document, 1)))
    assert (contract.details.dataset, contract.table) == ("nguoi", "nguoi")
    with pytest.raises(errors.KeyNotDeclared):  # its primary key has two fields
        open_source("sqlite:////nowhere.db", contract)


def test_the_description_of_the_service_shows_the_parts() -> None:
    service = ServiceId.parse("VN/GOV/G01/dancu/ho")
    record = openapi_of(load_contract(HOUSEHOLDS), service)["components"]["schemas"]["Record"]
    address = record["properties"]["dia_chi"]
    assert address["type"] == ["object", "null"]
    assert address["properties"]["so_nha"]["x-lienthong-classification"] == "personal"
    vehicle = record["properties"]["xe"]["items"]["properties"]
    assert set(vehicle) == {"bien_so", "nam"}
    assert record["properties"]["dac_trung"]["maxItems"] == 3
