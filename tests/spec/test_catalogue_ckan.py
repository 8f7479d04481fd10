"""CKAN's Action API, read by CKAN's own client and walked as its harvesters walk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ckanapi
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from lienthong.catalogue.addresses import Addresses, group_name, key_of, name_of
from lienthong.catalogue.models import HARVESTED, CatalogueEntry
from lienthong.catalogue.terms import facet_values
from lienthong.demo.datasets import generated_entries
from tests.fixtures.catalogue_web import Catalogue, entries, served_catalogue

COUNT = 230
NOW = datetime(2026, 10, 1, tzinfo=UTC)
HARVESTED_ENTRY = CatalogueEntry(
    key=f"{HARVESTED}hcm/0f-1",
    contract_id="https://du-lieu.example.vn/ds/1",
    version="",
    title="Trạm quan trắc không khí",
    owner=f"{HARVESTED}hcm/so-moi-truong",
    owner_name="Sở Môi trường",
    published=NOW,
    modified=NOW,
    tags=("không khí", "a/b:c"),
    source="https://du-lieu.example.vn",
    landing_page="https://du-lieu.example.vn/ds/1",
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    with served_catalogue(tmp_path_factory.mktemp("ckan")) as made:
        made.store.save([*generated_entries(COUNT), HARVESTED_ENTRY])
        yield made


@pytest.fixture(params=["post", "get"])
def ckan(catalogue: Catalogue, request: pytest.FixtureRequest) -> Iterator[Any]:
    with ckanapi.RemoteCKAN(catalogue.at.url, get_only=request.param == "get") as client:
        yield client


def all_entries(catalogue: Catalogue) -> dict[str, CatalogueEntry]:
    return {entry.key: entry for entry in catalogue.store.entries(limit=1_000)}


# --- CKAN's own client ------------------------------------------------------------------


def test_the_client_learns_what_the_site_is(ckan: Any, catalogue: Catalogue) -> None:
    assert ckan.action.site_read() is True
    status = ckan.action.status_show()
    assert (status["site_url"], status["ckan_version"][:2]) == (catalogue.at.url, "2.")
    assert [each["id"] for each in ckan.action.license_list()] == ["notspecified"]
    assert "package" in ckan.action.help_show(name="package_show")


def test_every_package_is_listed_and_shown_by_name_and_by_id(
    ckan: Any, catalogue: Catalogue
) -> None:
    names = ckan.action.package_list()
    entries = all_entries(catalogue)
    assert len(names) == len(set(names)) == COUNT + 1
    assert {key_of(name) for name in names} == set(entries)
    for name in (*names[:5], name_of(HARVESTED_ENTRY.key)):
        package = ckan.action.package_show(id=name)
        entry = entries[package["id"]]
        assert (package["name"], package["title"]) == (name, entry.title)
        assert ckan.action.package_show(id=entry.key) == package
        assert package["organization"]["title"] == entry.owner_name
        extras = {each["key"]: each["value"] for each in package["extras"]}
        assert extras["contract_id"] == entry.contract_id
        for resource in package["resources"]:
            assert ckan.action.resource_show(id=resource["id"]) == resource


def test_names_and_tags_are_such_as_ckan_takes(ckan: Any) -> None:
    package = ckan.action.package_show(id=HARVESTED_ENTRY.key)
    assert package["name"] == "harvested--hcm--0f-1"
    assert [tag["name"] for tag in package["tags"]] == ["không khí", "a b c"]


def test_pages_of_packages_with_resources_are_the_last_changed_first(
    ckan: Any, catalogue: Catalogue
) -> None:
    first = ckan.action.current_package_list_with_resources(limit=7)
    second = ckan.action.current_package_list_with_resources(limit=7, offset=7)
    moments = [package["metadata_modified"] for package in first + second]
    assert moments == sorted(moments, reverse=True)
    assert len({package["id"] for package in first + second}) == 14


def test_a_search_finds_what_the_catalogue_finds(ckan: Any, catalogue: Catalogue) -> None:
    found = ckan.action.package_search(q="khai sinh", rows=1000)
    wanted = [e for e in all_entries(catalogue).values() if "khai sinh" in e.title.lower()]
    assert found["count"] >= len(wanted) > 0
    assert {entry.key for entry in wanted} <= {package["id"] for package in found["results"]}
    assert ckan.action.package_search(q="*:*", rows=0)["count"] == COUNT + 1


def test_filters_are_those_of_ckan(ckan: Any, catalogue: Catalogue) -> None:
    entries = all_entries(catalogue)
    entry = next(e for e in entries.values() if e.unit and e.tags)

    def ids(fq: str) -> set[str]:
        return {p["id"] for p in ckan.action.package_search(fq=fq, rows=1000)["results"]}

    def having(facet: str, value: str) -> set[str]:
        return {e.key for e in entries.values() if value in facet_values(e).get(facet, ())}

    owner, tag, domain = entry.owner, entry.tags[0], entry.domain
    assert ids(f"organization:{name_of(owner)}") == having("agency", owner)
    assert ids(f'owner_org:"{owner}"') == having("agency", owner)
    assert ids(f'tags:"{tag}"') == having("tag", tag)
    assert ids(f'groups:"{domain}"') == having("domain", domain)
    assert ids(f"groups:{group_name(domain)}") == having("domain", domain)
    assert ids(f'+tags:"{tag}" -organization:{name_of(owner)}') == (
        having("tag", tag) - having("agency", owner)
    )
    assert ids(f"name:{name_of(entry.key)}") == {entry.key}
    assert ids(f'id:("{entry.key}" OR "nothing")') == {entry.key}
    assert ids("state:active dataset_type:dataset private:false") == set(entries)
    assert ids("state:deleted") == set()
    assert ids(f"unit:{entry.unit} classification:personal") == (
        having("unit", entry.unit) & having("classification", "personal")
    )


def test_facets_count_every_value(ckan: Any, catalogue: Catalogue) -> None:
    fields = ["organization", "groups", "tags", "license_id"]
    asked = {"facet.field": json.dumps(fields), "facet.limit": -1, "rows": 0}
    found = ckan.call_action("package_search", asked)
    counted: dict[str, dict[str, int]] = {"agency": {}, "domain": {}, "tag": {}}
    for entry in all_entries(catalogue).values():
        for facet, values in facet_values(entry).items():
            for value in values if facet in counted else ():
                counted[facet][value] = counted[facet].get(value, 0) + 1
    assert found["facets"]["organization"] == {
        name_of(key): count for key, count in counted["agency"].items()
    }
    assert found["facets"]["groups"] == {
        group_name(key): count for key, count in counted["domain"].items()
    }
    assert found["facets"]["tags"] == counted["tag"]
    assert found["facets"]["license_id"] == {"notspecified": COUNT + 1}
    items = found["search_facets"]["organization"]["items"]
    assert {item["display_name"] for item in items} >= {HARVESTED_ENTRY.owner_name}


def test_organizations_groups_and_tags_are_listed_and_shown(
    ckan: Any, catalogue: Catalogue
) -> None:
    entries = list(all_entries(catalogue).values())
    owners = {name_of(entry.owner) for entry in entries}
    assert ckan.action.organization_list() == sorted(owners)
    whole = ckan.action.organization_list(all_fields=True, limit=3)
    assert sum(each["package_count"] for each in whole) > 0
    shown = ckan.action.organization_show(id=whole[0]["name"], include_datasets=True)
    assert len(shown["packages"]) == shown["package_count"]
    assert ckan.action.group_list() == sorted({group_name(e.domain) for e in entries if e.domain})
    group = ckan.action.group_show(id=ckan.action.group_list()[0])
    assert group["package_count"] == sum(entry.domain == group["title"] for entry in entries)
    tags = ckan.action.tag_list()
    assert set(tags) == {tag.replace("/", " ").replace(":", " ") for e in entries for tag in e.tags}
    assert ckan.action.tag_list(query="KHÔNG KHÍ") == ["không khí"]


# --- errors in CKAN's words -------------------------------------------------------------


def test_the_client_raises_the_errors_that_it_knows(ckan: Any) -> None:
    with pytest.raises(ckanapi.NotFound):
        ckan.action.package_show(id="nothing")
    with pytest.raises(ckanapi.NotFound):
        ckan.action.organization_show(id="nothing")
    with pytest.raises(ckanapi.ValidationError):
        ckan.action.package_show()
    for wrong in (
        {"sort": "price asc"},
        {"rows": "many"},
        {"fq": "price:1"},
        {"fq": "words without a field"},
        {"fq": "metadata_modified:[yesterday TO *]"},
        {"facet.field": '["price"]'},
        {"q": "a" * 30_000},
    ):
        with pytest.raises((ckanapi.SearchQueryError, ckanapi.CKANAPIError)):
            ckan.call_action("package_search", wrong)
    with pytest.raises(ckanapi.CKANAPIError, match="Action name not known"):
        ckan.action.package_create(title="x")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b"[" * 5_000, 400),
        (b'{"id": 7}', 409),
        (b'{"id": null}', 409),
        (b'{"id": "' + b"x" * 70_000 + b'"}', 400),
        (b"\xff\xfe", 400),
    ],
)
def test_a_question_that_is_none_is_refused(catalogue: Catalogue, body: bytes, status: int) -> None:
    answer = requests.post(f"{catalogue.at.url}/api/3/action/package_show", data=body, timeout=60)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["q", "fq", "fq_list", "sort", "rows", "start", "facet.field", "id"]),
        st.one_of(
            st.text(max_size=30),
            st.integers(),
            st.none(),
            st.lists(st.text(max_size=9), max_size=3),
            st.sampled_from(["tags:(a OR b", 'id:"', "metadata_modified:[NOW-1DAY TO NOW]", "-:x"]),
        ),
        max_size=4,
    ),
    st.sampled_from(["package_search", "package_list", "organization_list", "tag_list"]),
)
def test_whatever_is_asked_gets_an_answer_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, asked: dict[str, Any], action: str
) -> None:
    answer = client_of_hypothesis(tmp_path_factory).post(f"/api/3/action/{action}", json=asked)
    assert answer.status_code in (200, 400, 404, 409)
    value = answer.json()
    assert value["success"] is (answer.status_code == 200)


_CLIENT: list[TestClient] = []


def client_of_hypothesis(factory: pytest.TempPathFactory) -> TestClient:
    if not _CLIENT:
        url = f"sqlite:///{factory.mktemp('asked')}/c.db"
        made = Catalogue(url, Addresses("http://testserver"))
        made.store.save(generated_entries(20))
        _CLIENT.append(TestClient(made.application))
    return _CLIENT[0]


@settings(max_examples=50)
@given(entries())
def test_a_key_can_be_read_back_from_its_name(entry: CatalogueEntry) -> None:
    name = name_of(entry.key)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert key_of(name) == entry.key


# --- as a harvester walks -----------------------------------------------------------------


def harvest(url: str, since: str, rows: int = 20) -> dict[str, str]:
    """All packages changed since then, by pages in the order of their change."""
    met: dict[str, str] = {}
    start = 0
    while True:
        asked = {
            "fq": f"metadata_modified:[{since} TO *]",
            "rows": str(rows),
            "start": str(start),
            "sort": "metadata_modified asc",
        }
        answer = requests.get(f"{url}/api/action/package_search", params=asked, timeout=60)
        page = answer.json()["result"]["results"]
        met.update((package["id"], package["metadata_modified"]) for package in page)
        if len(page) < rows:
            return met
        start += rows


def test_a_harvester_meets_everything_and_then_only_what_has_changed(
    tmp_path: Path,
) -> None:
    with served_catalogue(tmp_path) as catalogue:
        catalogue.store.save(generated_entries(60))
        first = harvest(catalogue.at.url, "1970-01-01T00:00:00Z")
        assert set(first) == set(catalogue.store.keys(100))
        newest = max(first.values())
        changed = next(generated_entries(1))
        later = datetime.fromisoformat(newest).replace(tzinfo=UTC) + timedelta(days=1)
        new = {"title": "Đổi tên", "modified": later}
        catalogue.store.save([type(changed)(**{**as_members(changed), **new})])
        since = (datetime.fromisoformat(newest) + timedelta(seconds=1)).isoformat() + "Z"
        assert set(harvest(catalogue.at.url, since)) == {changed.key}


def as_members(entry: CatalogueEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def test_ordered_by_name_every_page_is_met_once(catalogue: Catalogue) -> None:
    for order in ("name asc", "id desc", "metadata_modified desc, name asc", "score desc"):
        met: list[str] = []
        for start in range(0, 400, 40):
            asked = {"sort": order, "rows": 40, "start": start}
            answer = requests.post(
                f"{catalogue.at.url}/api/3/action/package_search", json=asked, timeout=60
            )
            met += [package["id"] for package in answer.json()["result"]["results"]]
        assert len(met) == len(set(met)) == COUNT + 1
        if order == "name asc":
            assert met == sorted(met)
