"""The tables of a node's database: every room's are covered, each step goes both ways."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from lienthong.catalogue import tables as catalogue_tables
from lienthong.errors import SchemaChangeFailed, SchemaTooNew, SchemaVersionUnknown
from lienthong.ledger.database import connect_database, open_database
from lienthong.portal import tables as portal_tables
from lienthong.schema import migrations
from lienthong.schema.migrations import (
    NODE,
    VERSION_TABLE,
    Line,
    bring_up_to_date,
    check_known,
    current,
    migrate,
    newest,
    versions,
)

SOURCE = Path(__file__).resolve().parents[2] / "src"
# Steps, what sources describe, and databases of their own, which have tests further down.
OTHERS = {"sources", "versions", "catalogue", "portal"}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/node.db"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def empty(url: str) -> Iterator[Engine]:
    engine = connect_database(url)
    yield engine
    engine.dispose()


def declared() -> list[MetaData]:
    """Every MetaData that a module of the program has, whoever added it."""
    modules = [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in (SOURCE / "lienthong").rglob("*.py")
        if "MetaData()" in path.read_text(encoding="utf-8") and not OTHERS & set(path.parts)
    ]
    named = [vars(importlib.import_module(name)).values() for name in modules]
    return [value for values in named for value in values if isinstance(value, MetaData)]


def differences(engine: Engine) -> list[Any]:
    """What Alembic would still change so that the tables are those that the program declares."""
    with engine.connect() as connection:
        options = {"include_object": lambda *about: about[1] != VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, declared())


def test_migrated_tables_are_those_that_the_rooms_declare(empty: Engine) -> None:
    assert {"agreement", "ledger_groups", "node_services"} <= {
        name for each in declared() for name in each.tables
    }
    bring_up_to_date(empty)
    assert differences(empty) == []


def test_the_comparison_sees_a_column_that_no_step_makes(empty: Engine) -> None:
    bring_up_to_date(empty)
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE node_services ADD COLUMN extra INTEGER"))
    assert differences(empty) != []


def test_no_room_makes_tables_by_itself() -> None:
    makers = [
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "lienthong").rglob("*.py")
        if "create_all" in path.read_text(encoding="utf-8") and "demo" not in path.parts
    ]
    assert makers == []


LINES = [NODE, catalogue_tables.SCHEMA, portal_tables.SCHEMA]
OWN = [
    (catalogue_tables.SCHEMA, catalogue_tables.metadata, catalogue_tables.open_catalogue),
    (portal_tables.SCHEMA, portal_tables.metadata, portal_tables.open_portal),
]
own_databases = pytest.mark.parametrize(
    ("line", "metadata", "opener"), OWN, ids=["catalogue", "portal"]
)
Opener = Callable[[str], Engine]


@pytest.mark.parametrize("line", LINES, ids=["node", "catalogue", "portal"])
def test_the_steps_form_one_line_and_are_named_by_their_numbers(line: Line) -> None:
    environment = SOURCE / "lienthong" / "schema" / "environment"
    script = ScriptDirectory(str(environment), version_locations=[line.versions_folder])
    steps = [step.revision for step in script.walk_revisions()]
    assert tuple(reversed(steps)) == versions(line)
    assert len(set(steps)) == len(steps)


def test_each_kind_of_database_has_a_table_and_a_lock_of_its_own() -> None:
    assert len({each.version_table for each in LINES}) == len(LINES)
    assert len({each.lock_number for each in LINES}) == len(LINES)


@own_databases
def test_the_catalogue_s_and_the_portal_s_tables_are_those_that_they_declare(
    url: str, line: Line, metadata: MetaData, opener: Opener
) -> None:
    engine = opener(url)
    assert current(engine, line) == newest(line)
    with engine.connect() as connection:
        options = {"include_object": lambda *about: about[1] != line.version_table}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    for version in reversed(versions(line)):
        migrate(engine, version, line)
    assert migrate(engine, newest(line), line) == versions(line)[0]
    engine.dispose()


@own_databases
def test_their_tables_of_before_there_were_versions_are_taken_over_with_what_they_hold(
    url: str, line: Line, metadata: MetaData, opener: Opener
) -> None:
    opener(url).dispose()
    engine = connect_database(url)
    migrate(engine, versions(line)[0], line)  # what there was then
    table = "catalogue_label" if line is catalogue_tables.SCHEMA else "portal_sign_in_attempt"
    values = "'unit', '01', 'Hà Nội'" if table == "catalogue_label" else "'an', 3, 0, 0"
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
        connection.execute(text(f"DROP TABLE {line.version_table}"))
    again = opener(url)
    assert current(again, line) == newest(line)
    with again.connect() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 1
    again.dispose()
    engine.dispose()


@own_databases
def test_a_catalogue_or_portal_of_a_newer_release_is_refused_and_left_alone(
    url: str, line: Line, metadata: MetaData, opener: Opener
) -> None:
    engine = opener(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {line.version_table} SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        opener(url)
    assert current(engine, line) == "9999"
    engine.dispose()


def test_a_node_a_catalogue_and_a_portal_may_share_a_database(url: str) -> None:
    engines = [open_database(url), *(opener(url) for _, _, opener in OWN)]
    for line, engine in zip(LINES, engines, strict=True):
        assert current(engine, line) == newest(line)
        engine.dispose()


def test_every_step_goes_back_and_forth(empty: Engine) -> None:
    bring_up_to_date(empty)
    for version in reversed(versions()):
        migrate(empty, version)
        assert current(empty) == version
    migrate(empty, newest())
    assert differences(empty) == []


def put_an_epoch(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO ledger_epochs VALUES (0, 1, 'kept')"))


def epochs(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT reason FROM ledger_epochs")))


def test_a_step_back_and_forth_keeps_the_ledger(url: str) -> None:
    engine = open_database(url)
    put_an_epoch(engine)
    migrate(engine, versions()[0])
    migrate(engine, newest())
    assert epochs(engine) == ["kept"]
    engine.dispose()


def test_tables_of_the_release_that_made_them_by_itself_are_taken_over(empty: Engine) -> None:
    migrate(empty, "0001")
    put_an_epoch(empty)
    with empty.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    assert current(empty) == ""
    bring_up_to_date(empty)
    assert epochs(empty) == ["kept"]
    assert differences(empty) == []


def test_a_database_of_a_newer_release_is_refused_and_left_alone(url: str, empty: Engine) -> None:
    bring_up_to_date(empty)
    with empty.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for attempt in (open_database, lambda _: check_known(empty), lambda _: migrate(empty, "0001")):
        with pytest.raises(SchemaTooNew) as caught:
            attempt(url)
        assert caught.value.facts["found"] == "9999"
        assert caught.value.facts["known"] == newest()
    assert current(empty) == "9999"


def test_an_unknown_version_is_refused(empty: Engine) -> None:
    with pytest.raises(SchemaVersionUnknown):
        migrate(empty, "9999")
    assert current(empty) == ""


def test_processes_that_start_at_once_take_turns(url: str) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            open_database(url).dispose()
        except Exception as error:
            failures.append(error)

    starting = [threading.Thread(target=start) for _ in range(4)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join(60)
    assert failures == []
    engine = connect_database(url)
    assert current(engine) == newest()
    engine.dispose()


def test_a_step_that_fails_leaves_everything_as_it_was(empty: Engine) -> None:
    with empty.begin() as connection:  # in the way of the last table of the first step
        connection.execute(text("CREATE VIEW agreement AS SELECT 1 AS id"))
    with pytest.raises(SchemaChangeFailed):
        bring_up_to_date(empty)
    assert current(empty) == ""
    assert inspect(empty).get_table_names() == []


# Longer than anything else takes between two statements, also on a busy machine.
IDLE_MILLISECONDS = 2000
THOUGHT_SECONDS = 2.5


def test_a_step_may_think_longer_than_other_transactions(
    url: str, empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine loads Alembic in the middle of it, and takes its time."""
    if url.startswith("postgresql"):
        event.listen(empty, "connect", _hurry)
        empty.dispose()  # what is open already
    run = migrations._run

    def think(connection: Connection, before: str, version: str, line: Line) -> None:
        time.sleep(THOUGHT_SECONDS)
        run(connection, before, version, line)

    monkeypatch.setattr(migrations, "_run", think)
    bring_up_to_date(empty)
    assert current(empty) == newest()


def _hurry(connection: Any, record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout TO {IDLE_MILLISECONDS}")
    connection.commit()


def test_a_database_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    broken = tmp_path / "node.db"
    broken.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    engine = create_engine(f"sqlite:///{broken}")
    with pytest.raises(SchemaChangeFailed) as caught:
        current(engine)
    assert not isinstance(caught.value.__cause__, OperationalError)
    engine.dispose()
