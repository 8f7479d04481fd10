"""Whatever two contracts say, comparing them ends in an answer; a proposal always loads."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong import errors
from lienthong.contracts.comparison import Version, compare
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import FieldType
from lienthong.sources.inference.observation import ColumnSeen, ForeignKeySeen, TableSeen
from lienthong.sources.inference.persons import recognise
from lienthong.sources.inference.proposal import propose
from lienthong.sources.quality.checks import checks_of
from lienthong.sources.quality.query_rules import QueryRefused, safe_query
from tests.unit.test_contracts_comparison import whole

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
names = st.text(min_size=1, max_size=70)


@st.composite
def contracts(draw: st.DrawFn) -> Any:
    """A contract with one part replaced, where it still is one."""
    document = whole()
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    place[key] = draw(scalars)
    content = json.dumps(document).encode()
    return load_contract(json.dumps(whole()).encode() if contract_problems(content) else content)


@given(contracts(), contracts())
@settings(max_examples=60)
def test_any_two_contracts_can_be_compared(old: Any, new: Any) -> None:
    try:
        assert compare(old, old).changes == ()
        difference = compare(old, new)
    except errors.VersionNumberInvalid:
        return
    assert all(change.text("vi") and change.text("en") for change in difference.changes)
    assert bool(difference.changes) or difference.needed == str(Version.parse(old.version))
    checks_of(new)


@st.composite
def tables(draw: st.DrawFn) -> TableSeen:
    columns = draw(
        st.lists(
            st.builds(
                ColumnSeen,
                name=names,
                kind=st.none()
                | st.sampled_from([each for each in FieldType if not each.is_nested]),
                declared=st.text(max_size=20),
                certain=st.booleans(),
                required=st.booleans(),
                max_length=st.none() | st.integers(1, 2**31),
                choices=st.lists(st.text(max_size=9), max_size=3, unique=True).map(tuple),
                comment=st.text(max_size=30),
                values=st.lists(scalars | st.dates() | st.binary(max_size=5), max_size=60).map(
                    tuple
                ),
            ),
            max_size=5,
            unique_by=lambda column: column.name,
        )
    )
    column_names = [column.name for column in columns]
    some = (
        st.lists(st.sampled_from(column_names), unique=True).map(tuple) if columns else st.just(())
    )
    keys = st.builds(ForeignKeySeen, some, names, some)
    return TableSeen(
        draw(names),
        "table",
        tuple(columns),
        draw(some),
        (),
        tuple(draw(st.lists(keys, max_size=2))),
    )


@given(tables())
@settings(max_examples=150)
def test_a_proposal_loads_or_says_why_there_is_none(table: TableSeen) -> None:
    try:
        text = propose(table)
    except errors.NothingToDescribe as error:
        able = {FieldType.STRING, FieldType.INTEGER}
        usable = [c for c in table.columns if c.kind in able and _can_be_written(c.name)]
        assert not usable, error.message("en")
        return
    loaded = load_contract(text.encode())
    columns = {field.column for field in loaded.fields.values()}
    assert columns == {c.name for c in table.columns if c.kind and _can_be_written(c.name)}
    yaml.safe_load(text)


def _can_be_written(name: str) -> bool:
    return "\0" not in name and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)


@given(names, st.lists(scalars, max_size=10))
def test_any_column_is_looked_at_without_an_accident(name: str, values: list[Any]) -> None:
    finding = recognise(name, values)
    assert finding is None or 0 < finding.confidence < 1


@given(st.text() | st.text().map(lambda text: f"SELECT {text} FROM t"))
@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "mysql", "duckdb"])
def test_any_query_is_safe_or_refused(dialect: str, text: str) -> None:
    try:
        query = safe_query(text, dialect, {"object": '"t"'})
    except QueryRefused:
        return
    assert query.lstrip("( ").upper().startswith(("SELECT", "WITH"))
