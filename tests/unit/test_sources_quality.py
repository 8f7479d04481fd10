"""Quality measured in every kind of source; what is promised of the statements; proposals."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import yaml

from lienthong import errors
from lienthong.contracts.loading import load_contract
from lienthong.contracts.models import Contract
from lienthong.sources.inference import open_look, propose
from lienthong.sources.quality import Outcome, QualityReport, measure_quality
from tests.fixtures.people import (
    CONTRACT_TEXT,
    ROWS,
    store_in_csv,
    store_in_parquet,
    store_in_sql,
)

ENGINES = ("sqlite", "postgresql", "mariadb", "csv", "parquet")


@pytest.fixture(params=ENGINES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The people of the fixture in each engine."""
    engine = request.param
    if engine == "csv":
        return store_in_csv(tmp_path / "nguoi.csv")
    if engine == "parquet":
        return store_in_parquet(tmp_path / "nguoi.parquet")
    url = f"sqlite:///{tmp_path}/nguoi.db"
    return store_in_sql(url if engine == "sqlite" else request.getfixturevalue(f"{engine}_url"))


def contract(*rules: dict[str, Any], on: str = "", **field: Any) -> Contract:
    document = yaml.safe_load(CONTRACT_TEXT)
    dataset = document["schema"][0]
    place = next((f for f in dataset["properties"] if f["name"] == on), dataset)
    place |= {"quality": list(rules), **field}
    return load_contract(json.dumps(document).encode())


def outcomes(report: QualityReport, *outcomes: Outcome) -> dict[str, Any]:
    return {r.check.name: r.measured for r in report.results if r.outcome in outcomes}


def test_people_in_order_pass_in_every_engine(address: str) -> None:
    report = measure_quality(contract(), address)
    assert report.rows == len(ROWS)
    assert outcomes(report, Outcome.FAILED, Outcome.NOT_MEASURED) == {}
    assert report.count(Outcome.PASSED) >= 9


@pytest.mark.parametrize(
    ("on", "rule", "measured"),
    [
        ("", {"metric": "rowCount", "mustBe": 4}, 3),
        ("ngay_sinh", {"metric": "nullValues", "mustBe": 0}, 1),
        ("ngay_sinh", {"metric": "nullValues", "unit": "percent", "mustBeLessThan": 30}, 100 / 3),
        ("con_song", {"metric": "missingValues", "mustBeBetween": [2, 9]}, 1),
        ("ho_ten", {"metric": "invalidValues", "arguments": {"pattern": "^[NT]"}, "mustBe": 0}, 1),
        ("so_con", {"metric": "invalidValues", "arguments": {"validValues": [0, 1]},
                    "mustBeLessOrEqualTo": 0}, 1),
        ("so_con", {"metric": "duplicateValues", "mustBeGreaterThan": 0}, 0),
        ("", {"metric": "duplicateValues", "arguments": {"properties": ["so_con", "ho_ten"]},
              "mustNotBe": 0}, 0),
        ("so_con", {"type": "sql", "query": "SELECT MAX(${property}) FROM ${object}",
                    "mustNotBeBetween": [1, 3]}, 2),
    ],
)  # fmt: skip
def test_each_metric_measures_the_same_in_every_engine(
    address: str, on: str, rule: dict[str, Any], measured: float
) -> None:
    report = measure_quality(contract(dict(rule, name="R"), on=on), address)
    assert outcomes(report, Outcome.FAILED) == {"R": pytest.approx(measured)}


@pytest.mark.parametrize(
    ("on", "field", "name"),
    [
        ("ngay_sinh", {"required": True}, "ngay_sinh: required"),
        ("so_con", {"enum": [{"value": 2}]}, "so_con: enum"),
        ("so_con", {"logicalTypeOptions": {"maximum": 1}}, "so_con: range"),
        ("so_con", {"logicalTypeOptions": {"multipleOf": 4}}, "so_con: multipleOf"),
        ("thu_nhap", {"logicalTypeOptions": {"exclusiveMinimum": 0}}, "thu_nhap: range"),
        ("ngay_sinh", {"logicalTypeOptions": {"minimum": "1950-01-01"}}, "ngay_sinh: range"),
        ("ho_ten", {"logicalTypeOptions": {"maxLength": 9}}, "ho_ten: length"),
        ("ho_ten", {"logicalTypeOptions": {"pattern": "ễ|ầ"}}, "ho_ten: pattern"),
    ],
)
def test_what_a_field_declares_is_checked_in_every_engine(
    address: str, on: str, field: dict[str, Any], name: str
) -> None:
    assert list(outcomes(measure_quality(contract(on=on, **field), address), Outcome.FAILED)) == [
        name
    ]


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every SELECT that SQLAlchemy sends to the table."""
    sent: list[str] = []

    def keep(*event: Any) -> None:
        if event[2].lstrip().startswith("SELECT") and "nguoi" in event[2]:
            sent.append(event[2])

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", keep)
    yield sent
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", keep)


def test_one_pass_one_count_for_a_key_one_anti_join_and_samples_only_of_what_failed(
    tmp_path: Path, statements: list[str]
) -> None:
    url = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    link = [{"type": "foreignKey", "to": "nguoi.so_con"}]
    whole = contract(on="so_con", relationships=link, required=False)
    statements.clear()
    assert measure_quality(whole, url).queries == len(statements) == 3
    statements.clear()
    failing = contract(on="ngay_sinh", required=True)
    report = measure_quality(failing, url)
    assert report.queries == len(statements) == 3  # the pass, the key, the samples of one rule
    (failed,) = [r for r in report.results if r.outcome is Outcome.FAILED]
    assert failed.samples == ("036*******03",)


def test_a_value_without_its_row_in_the_other_table_is_found(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "a.db")
    database.executescript(
        "CREATE TABLE xa (ma TEXT); INSERT INTO xa VALUES ('01');"
        "CREATE TABLE nguoi (so_dinh_danh TEXT, ma_xa TEXT);"
        "INSERT INTO nguoi VALUES ('001090000001', '01'), ('001090000002', '02');"
        "INSERT INTO nguoi VALUES ('001090000003', NULL);"
    )
    document = yaml.safe_load(CONTRACT_TEXT)
    fields = document["schema"][0]["properties"]
    link = {"type": "foreignKey", "to": "xa.ma"}
    fields[1:] = [{"name": "ma_xa", "logicalType": "string", "classification": "internal",
                   "relationships": [link]}]  # fmt: skip
    report = measure_quality(
        load_contract(json.dumps(document).encode()), f"sqlite:///{tmp_path}/a.db"
    )
    (failed,) = [r for r in report.results if r.outcome is Outcome.FAILED]
    assert (failed.measured, failed.samples) == (1, ("001*******02",))


def test_freshness_is_the_age_of_the_newest_row(tmp_path: Path) -> None:
    document = yaml.safe_load(CONTRACT_TEXT)
    level = {"property": "freshness", "value": 1, "unit": "d", "element": "nguoi.cap_nhat"}
    document["slaProperties"] = [level]
    address = store_in_csv(tmp_path / "nguoi.csv")
    report = measure_quality(load_contract(json.dumps(document).encode()), address)
    assert list(outcomes(report, Outcome.FAILED)) == ["freshness ≤ 1 d"]
    level |= {"value": 100, "unit": "năm"}
    report = measure_quality(load_contract(json.dumps(document).encode()), address)
    assert report.count(Outcome.FAILED) == 0


def test_a_rule_that_is_no_safe_query_is_not_run_and_the_others_are(tmp_path: Path) -> None:
    url = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    queries = ("DELETE FROM nguoi", "SELECT load_extension('x')", "SELECT 1; SELECT 2")
    rules = [{"type": "sql", "query": q, "mustBe": 1, "name": q} for q in queries]
    report = measure_quality(contract(*rules), url)
    assert set(outcomes(report, Outcome.NOT_MEASURED)) == set(queries)
    assert report.rows == len(ROWS)


def test_a_statement_over_its_time_is_stopped_and_said(tmp_path: Path) -> None:
    url = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    rule = {"type": "sql", "query": query, "mustBe": 1, "name": "lâu"}
    report = measure_quality(contract(rule), url, time_limit_seconds=0.5)
    (result,) = [r for r in report.results if r.outcome is Outcome.NOT_MEASURED]
    assert result.check.name == "lâu"


def test_a_missing_column_stops_its_own_rules_only(tmp_path: Path) -> None:
    url = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    report = measure_quality(contract(on="so_con", physicalName="KHONG_CO"), url)
    assert list(outcomes(report, Outcome.NOT_MEASURED)) == ["so_con: integer"]
    with pytest.raises(errors.TableMissing):
        text = CONTRACT_TEXT.replace("physicalName: nguoi", "physicalName: khac")
        measure_quality(load_contract(text.encode()), url)


# --- proposals -----------------------------------------------------------------------


def test_a_proposal_says_type_key_and_class_in_every_engine(address: str) -> None:
    with open_look(address) as look:
        loaded = load_contract(propose(look.see(look.tables[0])).encode())
    assert loaded.key == "so_dinh_danh"
    found = {name: (f.type.value, f.classification.value) for name, f in loaded.fields.items()}
    assert found["so_dinh_danh"] == ("string", "personal")
    assert found["ho_ten"] == ("string", "personal")
    assert found["ngay_sinh"] == ("date", "personal")
    assert found["cap_nhat"][0] == "timestamp"
    assert loaded.fields["ho_ten"].column == "Họ tên"
    assert measure_quality(loaded, address).count(Outcome.FAILED) == 0


def test_foreign_keys_enumerations_and_people_without_telling_names_are_seen(
    tmp_path: Path,
) -> None:
    database = sqlite3.connect(tmp_path / "a.db")
    database.execute("CREATE TABLE xa (ma_xa TEXT PRIMARY KEY)")
    database.execute(
        "CREATE TABLE c (C1 TEXT, C2 TEXT, C3 TEXT, C4 TEXT, C5 TEXT, C6 TEXT, loai TEXT,"
        " xa TEXT REFERENCES xa (ma_xa), anh BLOB)"
    )
    for number in range(60):
        row = (f"001090{number:06}", "Trần Thị Mẫu", "0912 345 678", "a@b.vn", "GD4010123456789",
               "Số 3, phố Huế, Hà Nội", "AB"[number % 2], None, None)  # fmt: skip
        database.execute("INSERT INTO c VALUES (?,?,?,?,?,?,?,?,?)", row)
    database.commit()
    with open_look(f"sqlite:///{tmp_path}/a.db") as look:
        text = propose(look.see("c"))
    fields = load_contract(text.encode()).fields
    kinds = {name: fields[name].details.personal_data for name in list(fields)[:6]}
    assert list(kinds.values()) == ["citizen-number", "name", "phone", "email", "insurance-card",
                                    "address"]  # fmt: skip
    assert fields["loai"].details.enumeration == ("A", "B")
    assert load_contract(text.encode()).details.relationships[0].target_text == ("xa.ma_xa",)
    assert "anh" not in fields
    assert "độ tin" in text


def test_a_file_of_json_lines_is_described(tmp_path: Path) -> None:
    file = tmp_path / "co-so.jsonl"
    file.write_text('{"ma": "01", "so_giuong": 5}\n{"ma": "02", "so_giuong": 6}\n')
    with open_look(str(file)) as look:
        loaded = load_contract(propose(look.see("co-so")).encode())
    assert {n: f.type.value for n, f in loaded.fields.items()} == {
        "ma": "string",
        "so_giuong": "integer",
    }


@pytest.mark.parametrize(
    "address", ["x.xml", "oracle://a/b", "csv://host/a.csv", "a.csv", "\0.csv"]
)
def test_a_source_that_cannot_be_looked_at_is_an_error_of_ours(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(errors.SourceError), open_look(address) as look:
        look.see(look.tables[0])
