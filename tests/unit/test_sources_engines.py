"""Sources: one suite over every engine, then what is special about each."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from lienthong import errors
from lienthong.sources.files import FileSource, SetAside
from lienthong.sources.source import MOST_KEYS, Source, open_source
from lienthong.sources.sql import SqlSource
from lienthong.sources.values import release
from tests.fixtures.people import (
    ALL_FIELDS,
    RECORDS,
    ROWS,
    people_contract,
    store_in_csv,
    store_in_parquet,
    store_in_sql,
)

ENGINES = ("sqlite", "postgresql", "mariadb", "csv", "parquet")
KEYS = [str(record["so_dinh_danh"]) for record in RECORDS]
Store = Callable[..., str]


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Put rows into an engine and return the address of the source."""
    engine = request.param
    if engine == "csv":
        return lambda rows=None: store_in_csv(tmp_path / "nguoi.csv", rows)
    if engine == "parquet":
        return lambda rows=None: store_in_parquet(tmp_path / "nguoi.parquet", rows)
    url = f"sqlite:///{tmp_path}/nguoi.db"
    if engine != "sqlite":
        url = request.getfixturevalue(f"{engine}_url")
    return lambda rows=None: store_in_sql(url, rows)


@pytest.fixture
def source(store: Store) -> Iterator[Source]:
    opened = open_source(store(), people_contract())
    yield opened
    opened.close()


def _released(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fields = people_contract().fields
    released = [{name: release(fields[name])(row[name]) for name in row} for row in rows]
    return sorted(released, key=lambda record: record["so_dinh_danh"])


def test_every_engine_gives_the_same_records(source: Source) -> None:
    assert _released(source.fetch(sorted(ALL_FIELDS), KEYS)) == RECORDS


def test_reads_only_the_fields_asked_for(source: Source) -> None:
    (row,) = source.fetch(("ho_ten", "so_dinh_danh"), KEYS[:1])
    assert row == {"ho_ten": "Nguyễn Văn Mẫu", "so_dinh_danh": "001090000001"}


def test_takes_as_many_keys_as_one_request_may_hold(source: Source) -> None:
    others = [f"{number:012}" for number in range(MOST_KEYS - len(KEYS))]
    assert len(source.fetch(("so_dinh_danh",), others + KEYS)) == len(KEYS)


def test_a_key_is_a_value_and_never_a_part_of_the_query(source: Source) -> None:
    hostile = ["' OR '1'='1", "x'; DROP TABLE nguoi; --", "%s", ":k0", "?", "\\"]
    assert source.fetch(("so_dinh_danh",), hostile) == []
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)


def test_check_passes_while_the_source_answers(source: Source) -> None:
    source.check()


def test_is_closed_more_than_once_without_complaint(source: Source) -> None:
    source.close()
    source.close()


def test_a_missing_column_is_named_when_the_source_is_opened(store: Store) -> None:
    contract = people_contract(lambda text: text.replace("name: so_con", "name: so_chau"))
    with pytest.raises(errors.ColumnMissing) as caught:
        open_source(store(), contract)
    assert caught.value.facts == {"column": "so_chau", "field": "so_chau"}


# Columns of CSV files have no type.
@pytest.mark.parametrize("store", [name for name in ENGINES if name != "csv"], indirect=True)
def test_a_text_key_in_a_numeric_column_is_refused(store: Store) -> None:
    def change(text: str) -> str:
        text = text.replace("        primaryKey: true\n", "")
        return text.replace(
            "name: so_con\n        logicalType: integer",
            "name: so_con\n        logicalType: string\n        primaryKey: true",
        )

    with pytest.raises(errors.KeyTypeMismatch):
        open_source(store(), people_contract(change))


SQL_ENGINES = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=SQL_ENGINES)
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/nguoi.db"
    return str(request.getfixturevalue(f"{request.param}_url"))


def test_a_missing_table_is_named(sql_url: str) -> None:
    store_in_sql(sql_url)
    contract = people_contract(
        lambda text: text.replace("physicalName: nguoi", "physicalName: dan_cu")
    )
    with pytest.raises(errors.TableMissing) as caught:
        open_source(sql_url, contract)
    assert caught.value.facts == {"table": "dan_cu"}


def test_the_session_cannot_write(sql_url: str) -> None:
    source = SqlSource(store_in_sql(sql_url), people_contract())
    for statement in ("DELETE FROM nguoi", "CREATE TABLE khac (a INTEGER)"):
        with pytest.raises(errors.SourceQueryFailed), source._engine.connect() as connection:
            source._guarded(lambda c=connection, s=statement: c.exec_driver_sql(s))
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    source.close()


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT count(*) FROM seq_1_to_1000000 a JOIN seq_1_to_1000000 b",
}


def test_a_statement_is_stopped_at_its_limit(sql_url: str) -> None:
    source = SqlSource(store_in_sql(sql_url), people_contract(), time_limit_seconds=0.3)
    statement = SLOW[source._engine.dialect.name.replace("mariadb", "mysql")]
    with pytest.raises(errors.SourceTimeout):
        source._guarded(lambda: source._read(statement, ()))
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    source.close()


def test_names_of_the_agencys_own_are_quoted(sql_url: str) -> None:
    store_in_sql(sql_url)
    engine = sqlalchemy.create_engine(sql_url)
    quote = engine.dialect.identifier_preparer.quote_identifier
    order, percent = quote("Order"), quote("tỷ lệ %").replace("%%", "%")
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(f"CREATE TABLE {order} (so_dinh_danh VARCHAR(12), {percent} INT)")
        )
        connection.execute(sqlalchemy.text(f"INSERT INTO {order} VALUES ('001', 7)"))
    engine.dispose()

    def change(text: str) -> str:
        head, _, _ = text.partition("      - name: ho_ten")
        head = head.replace("physicalName: nguoi", "physicalName: Order")
        return head + (
            "      - name: ty_le\n        physicalName: tỷ lệ %\n"
            "        logicalType: integer\n        classification: public\n"
        )

    source = open_source(sql_url, people_contract(change))
    assert source.fetch(("ty_le",), ["001"]) == [{"ty_le": 7}]
    source.close()


def test_a_connection_that_the_server_closed_is_replaced(postgresql_url: str) -> None:
    source = SqlSource(store_in_sql(postgresql_url), people_contract())
    assert source.fetch(("so_dinh_danh",), KEYS)
    engine = sqlalchemy.create_engine(postgresql_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lienthong' AND datname = current_database()"
        )
    engine.dispose()
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    source.close()


def test_padding_of_fixed_width_columns_is_dropped(postgresql_url: str) -> None:
    store_in_sql(postgresql_url)
    engine = sqlalchemy.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE nguoi ALTER so_dinh_danh TYPE CHAR(20)")
    engine.dispose()
    source = open_source(postgresql_url, people_contract())
    assert source.fetch(("so_dinh_danh",), KEYS[:1]) == [{"so_dinh_danh": KEYS[0]}]
    source.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://doc:bi-mat-kho@127.0.0.1:1/csdl",
        "mysql://doc:bi-mat-kho@127.0.0.1:1/csdl",
        "sqlite:////khong/co/tep.db",
    ],
)
def test_an_unreachable_source_is_said_without_its_password(url: str) -> None:
    with pytest.raises(errors.SourceUnreachable) as caught:
        open_source(url, people_contract())
    assert "bi-mat-kho" not in repr(caught.value) + caught.value.message()
    assert caught.value.__suppress_context__


def test_a_refused_account_is_said_without_its_password(
    postgresql_url: str, mariadb_url: str
) -> None:
    for url in (postgresql_url, mariadb_url):
        wrong = sqlalchemy.make_url(url).set(password="bi-mat-kho", username="ai-do")
        with pytest.raises(errors.SourceUnreachable) as caught:
            open_source(wrong.render_as_string(hide_password=False), people_contract())
        assert "bi-mat-kho" not in repr(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "oracle://x/y",
        "sqlite://",
        "postgresql://a:b:c@[::1/x",
        "csv://host/x",
        "csv:///",
        "csv:///a?b",
        "http://x",
        "mysql",
    ],
)
def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(errors.SourceAddressInvalid):
        open_source(url, people_contract())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database " * 100)
    with pytest.raises(errors.SourceQueryFailed) as caught:
        open_source(f"sqlite:///{tmp_path}/x.db", people_contract())
    assert caught.value.facts["reason"] == "SQLITE_NOTADB"


def test_text_that_is_not_utf_8_spoils_only_its_own_value(tmp_path: Path) -> None:
    url = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    with sqlite3.connect(tmp_path / "nguoi.db") as database:
        database.execute(
            "UPDATE nguoi SET \"Họ tên\" = CAST(x'ff41' AS TEXT) WHERE so_dinh_danh = ?", KEYS[:1]
        )
    source = open_source(url, people_contract())
    rows = {
        row["so_dinh_danh"]: row["ho_ten"] for row in source.fetch(("ho_ten", "so_dinh_danh"), KEYS)
    }
    assert rows[KEYS[0]] == b"\xffA"
    assert rows[KEYS[2]] == "Lê Hoà"
    source.close()


def test_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "nguoi.csv"
    source = FileSource(store_in_csv(path), people_contract(), settle_seconds=0)
    store_in_csv(path, ROWS[:1])
    assert [row["so_dinh_danh"] for row in source.fetch(("so_dinh_danh",), KEYS)] == KEYS[:1]
    source.close()


def test_a_file_being_written_is_left_alone_until_it_is_quiet(tmp_path: Path) -> None:
    path = tmp_path / "nguoi.csv"
    source = FileSource(store_in_csv(path), people_contract(), settle_seconds=3600)
    store_in_csv(path, ROWS[:1])
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == 1
    source.close()


def test_a_file_that_goes_bad_leaves_the_last_good_copy_in_service(tmp_path: Path) -> None:
    path = tmp_path / "nguoi.csv"
    source = FileSource(store_in_csv(path), people_contract(), settle_seconds=0)
    path.write_text("mot,hai\n1,2\n", encoding="utf-8")
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    with pytest.raises(errors.ColumnMissing):
        source.check()
    path.unlink()
    assert len(source.fetch(("so_dinh_danh",), KEYS)) == len(KEYS)
    with pytest.raises(errors.FileUnreadable):
        source.check()
    source.close()


def test_lines_that_are_no_records_are_set_aside_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "nguoi.csv"
    url = store_in_csv(path)
    with path.open("ab") as file:
        file.write(
            b"x,too,many,columns,in,this,line,here\r\n"
            b"\xff\xfe,y,,,,,\r\n"
            b"x,few\r\n"
            b'x,"y"z,,,,,\r\n'
            b"005,Sau,,,,,\r\n"
        )
    source = FileSource(url, people_contract())
    assert source.set_aside == (
        SetAside(5, "too many columns"),
        SetAside(6, "invalid encoding"),
        SetAside(7, "missing columns"),
        SetAside(8, "unquoted value"),
    )
    assert len(source.fetch(("so_dinh_danh",), [*KEYS, "005"])) == 4
    source.close()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_source_opens_its_own_file_and_nothing_else(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    stores = {"csv": store_in_csv, "parquet": store_in_parquet}
    source = FileSource(stores[kind](tmp_path / f"it's.{kind}"), people_contract())
    cursor = source._loaded.connection.cursor()
    for statement in (
        f"FROM read_csv('{other}')",
        "SET enable_external_access = true",
        "LOAD httpfs",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|configuration|cannot"):
            cursor.execute(statement)
    source.close()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
    for url in (f"parquet://{tmp_path}/x.parquet", f"csv://{tmp_path}/none.csv"):
        with pytest.raises(errors.FileUnreadable):
            open_source(url, people_contract())
