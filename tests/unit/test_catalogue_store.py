"""The catalogue's store and index on SQLite and PostgreSQL: one contract for both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, insert, select

from lienthong.catalogue.models import CatalogueEntry, EntryField, Facts
from lienthong.catalogue.query import Query
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import CHANGE, POSTING, open_catalogue
from lienthong.contracts.classification import Classification
from lienthong.demo.datasets import generated_entries
from lienthong.errors import EntryUnknown, QueryInvalid

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalogue.db"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def store(url: str) -> Iterator[CatalogueStore]:
    engine = open_catalogue(url)
    yield CatalogueStore(engine)
    engine.dispose()


def entry(name: str, title: str, **members: object) -> CatalogueEntry:
    made = CatalogueEntry(
        key=f"VN/GOV/G01/{name}",
        contract_id=name,
        version="1.0.0",
        title=title,
        owner="VN/GOV/G01",
        owner_name="Bộ Công an",
        fields=(EntryField("so_dinh_danh", "Số định danh", "string", Classification.PERSONAL),),
        published=NOW,
        modified=NOW,
    )
    return msgspec.structs.replace(made, **members)


def found(search: CatalogueSearch, text: str) -> list[str]:
    return [each.contract_id for each in search.find(Query(text)).entries]


def test_an_entry_is_found_as_soon_as_it_is_saved_and_gone_when_withdrawn(
    store: CatalogueStore,
) -> None:
    search = CatalogueSearch(store)
    assert found(search, "ho tich") == []
    store.save([entry("a", "Đăng ký hộ tịch"), entry("b", "Hộ kinh doanh")])
    assert found(search, "ho tich") == ["a"]
    assert store.withdraw([entry("a", "").key], NOW) == 1
    assert found(search, "ho tich") == []
    assert store.count() == 1
    with pytest.raises(EntryUnknown):
        store.get("VN/GOV/G01/a")
    store.save([entry("a", "Đăng ký hộ tịch, lần nữa")])
    assert found(search, "lan nua") == ["a"]


def test_a_new_version_takes_the_place_of_the_old_one_in_search_and_facets(
    store: CatalogueStore,
) -> None:
    search = CatalogueSearch(store)
    store.save([entry("a", "Sổ đỏ", domain="Đất đai", legal_basis=("Luật A", "Luật B"))])
    assert [each.value for each in search.find(Query()).facets["legal_basis"]] == [
        "Luật A",
        "Luật B",
    ]
    store.save([entry("a", "Giấy chứng nhận", domain="Nhà ở", legal_basis=("Luật B",))])
    assert found(search, "so do") == []
    page = search.find(Query("giay"))
    assert [each.title for each in page.entries] == ["Giấy chứng nhận"]
    assert [(each.value, each.count) for each in page.facets["domain"]] == [("Nhà ở", 1)]
    assert [each.value for each in page.facets["legal_basis"]] == ["Luật B"]
    assert page.facets["agency"][0].label == "Bộ Công an"


def test_another_process_sees_what_this_one_wrote(store: CatalogueStore, url: str) -> None:
    other_engine = open_catalogue(url)
    other = CatalogueSearch(CatalogueStore(other_engine))
    store.save([entry("a", "Tàu cá")])
    assert found(other, "tau ca") == ["a"]
    store.save([entry("b", "Tàu cá xa bờ", facts=Facts(consumers=9))])
    assert found(other, "tau ca") == ["b", "a"]
    store.withdraw(["VN/GOV/G01/b"], NOW)
    assert found(other, "tau ca") == ["a"]
    assert [(v.value, v.count) for v in other.find(Query()).facets["agency"]] == [("VN/GOV/G01", 1)]
    other_engine.dispose()


def test_a_reader_that_was_away_too_long_reads_everything_anew(store: CatalogueStore) -> None:
    search = CatalogueSearch(store)
    store.save([entry("a", "Rừng")])
    assert found(search, "rung") == ["a"]
    store.save([entry("b", "Rừng phòng hộ")])
    with store.engine.begin() as connection:
        connection.execute(CHANGE.delete())
    assert sorted(found(search, "rung")) == ["a", "b"]


def test_a_change_that_fails_changes_nothing(store: CatalogueStore) -> None:
    search = CatalogueSearch(store)
    store.save([entry("a", "Cầu đường bộ")])

    def broken() -> Iterator[CatalogueEntry]:
        yield entry("a", "Cầu treo")
        raise OSError("the harvest broke off")

    with pytest.raises(OSError, match="broke off"):
        store.save(broken())
    assert found(search, "cau") == ["a"]
    assert store.get("VN/GOV/G01/a").title == "Cầu đường bộ"


def test_the_index_holds_nothing_of_what_was_withdrawn(store: CatalogueStore) -> None:
    entries = list(generated_entries(30))
    store.save(entries)
    store.withdraw([each.key for each in entries], NOW)
    with store.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(POSTING)).scalar_one() == 0


def test_writers_take_turns_and_lose_nothing(store: CatalogueStore) -> None:
    def write(part: int) -> None:
        for number in range(5):
            store.save([entry(f"{part}-{number}", "Hồ chứa thủy lợi")])

    threads = [threading.Thread(target=write, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 15
    assert CatalogueSearch(store).find(Query("thuy loi")).total == 15


def test_pages_by_key_and_by_change_miss_nothing(store: CatalogueStore) -> None:
    entries = [entry(f"{n:02}", "Bến xe", modified=NOW + timedelta(days=n // 5)) for n in range(20)]
    store.save(entries)
    store.withdraw([entries[3].key], NOW + timedelta(days=9))
    keys, after = [], ""
    while page := store.entries(after, 7):
        keys += [each.key for each in page]
        after = keys[-1]
    assert keys == [each.key for each in entries if each is not entries[3]]
    changed = store.changed_since(NOW + timedelta(days=2))
    assert [each.entry.contract_id for each in changed] == [*(f"{n}" for n in range(10, 20)), "03"]
    assert changed[-1].withdrawn == NOW + timedelta(days=9)


def test_a_contract_is_given_back_byte_by_byte(store: CatalogueStore) -> None:
    store.save([entry("a", "Thuốc")], contracts={"0" * 64: b"\xef\xbb\xbfkind: DataContract\r\n"})
    assert store.contract("0" * 64) == b"\xef\xbb\xbfkind: DataContract\r\n"
    assert store.contract("1" * 64) is None


def test_entries_beyond_one_block_of_the_index_are_found(store: CatalogueStore) -> None:
    store.save([entry("a", "Kho lưu trữ")])
    row = {"number": 200_000, "key": "x", "owner": "", "source": "own", "modified": 0.0}
    with store.engine.begin() as connection:
        from lienthong.catalogue.tables import ENTRY

        document = msgspec.json.encode(entry("x", "Hàng giữ chỗ"))
        connection.execute(insert(ENTRY).values(**row, withdrawn=0.0, document=document))
    store.save([entry("b", "Kho lưu trữ tỉnh")])
    search = CatalogueSearch(store)
    assert sorted(found(search, '"kho luu tru"')) == ["a", "b"]
    assert search.find(Query("kho")).facets["agency"][0].count == 2


@pytest.mark.parametrize(
    "given",
    [
        {"text": "a" * 301},
        {"text": " ".join("abcdefghijklmnopq")},
        {"filters": {"price": ("1",)}},
        {"limit": 0},
        {"limit": 101},
        {"offset": 10_001},
        {"filters": {"unit": ("01",) * 51}},
    ],
)
def test_a_search_over_the_limits_is_refused(given: dict[str, object], tmp_path: Path) -> None:
    engine = open_catalogue(f"sqlite:///{tmp_path}/c.db")
    search = CatalogueSearch(CatalogueStore(engine))
    with pytest.raises(QueryInvalid):
        search.find(Query(**given))  # type: ignore[arg-type]
    engine.dispose()
