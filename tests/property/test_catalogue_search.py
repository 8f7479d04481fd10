"""The search equals a naive one over the same entries: matches, order, totals, facets."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from lienthong.catalogue.facets import Facet, ValueCount
from lienthong.catalogue.query import Query
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.catalogue.terms import FACETS
from lienthong.demo.datasets import generated_entries
from tests.fixtures.catalogue_reference import Reference

ENTRIES = 60
WORDS = tuple(
    re.findall(
        r"\w+",
        """
    hộ tịch đăng ký khai sinh ho tich HÒA giải hoà giai co so dữ liệu đất đai thửa danh muc y tế
    benh cong dan thuoc sở tư pháp tỉnh xã bộ công an 2020 nam so_dinh_danh maTinh dia tr zzz
""",
    )
)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[CatalogueSearch, Reference]]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_catalogue(f"sqlite:///{Path(folder)}/c.db")
        store, reference = CatalogueStore(engine), Reference()
        entries = list(generated_entries(ENTRIES, seed=7))
        store.save(entries)
        for entry in entries:
            reference.save(entry)
        yield CatalogueSearch(store), reference
        engine.dispose()


parts = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS).map(lambda word: word[:2] + "*"),
    st.sampled_from(WORDS).map(lambda word: word[:4] + "*"),
    st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)).map(
        lambda two: f'"{two[0]} {two[1]}"'
    ),
    st.sampled_from(
        ['"đăng ký khai sinh"', '"cơ sở dữ liệu"', '"dữ liệu mở"', "truong:so_dinh_danh"]
    ),
    st.sampled_from(["h", "ho", "da", "s", "ti", "ngu", "nghi"]),
)
texts = st.lists(parts, max_size=4).map(" ".join)
filters = st.dictionaries(
    st.sampled_from(["unit", "classification", "domain", "source"]),
    st.lists(
        st.sampled_from(
            ["01", "79", "personal", "public", "sensitive", "Tư pháp", "Y tế", "own", "nobody"]
        ),
        max_size=3,
    ).map(tuple),
    max_size=2,
)


@settings(max_examples=60, deadline=None)
@given(texts, filters, st.integers(0, 30), st.integers(1, 40))
def test_finds_what_a_naive_search_finds_in_the_same_order(
    world: tuple[CatalogueSearch, Reference],
    text: str,
    chosen: dict[str, tuple[str, ...]],
    offset: int,
    limit: int,
) -> None:
    search, reference = world
    query = Query(text, chosen, offset=offset, limit=limit, facet_values=7)
    found, expected = search.find(query), reference.matches(query)
    assert found.exact
    assert found.total == len(expected)
    page = [entry.key for entry in expected[offset : offset + limit]]
    assert [entry.key for entry in found.entries] == page
    for facet in FACETS:
        counted = [(value.value, value.count) for value in found.facets[facet]]
        assert counted == reference.counts(query, facet)


sets = st.dictionaries(
    st.sampled_from("abcdefghij"), st.sets(st.integers(0, 60)), min_size=1, max_size=10
)


@given(sets, sets, st.sets(st.integers(0, 70)), st.integers(1, 4))
def test_both_ways_of_counting_give_the_same_counts_after_any_change(
    first: dict[str, set[int]], second: dict[str, set[int]], matches: set[int], most: int
) -> None:
    facet = Facet()
    facet.replace({value: BitMap(members) for value, members in first.items()})
    facet.replace({value: BitMap(members) for value, members in second.items()})
    now = {**first, **second}
    expected = sorted(
        (ValueCount(value, len(members & matches)) for value, members in now.items()),
        key=lambda each: (-each.count, each.value),
    )
    wanted = [each for each in expected if each.count][:most]
    if any(now.values()) and matches:
        assert facet._by_columns(BitMap(matches), most) == wanted
        assert facet._by_bitmaps(BitMap(matches), most) == wanted
    assert facet.top(BitMap(matches), most) == wanted
