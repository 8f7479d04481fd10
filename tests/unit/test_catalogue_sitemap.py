"""What search engines read: sitemaps in parts, markup that is safe within a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from lxml import etree
from starlette.testclient import TestClient

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.schema_org import dataset_of, markup_of
from lienthong.catalogue.sitemap import MOST_ADDRESSES, sitemap, sitemap_file
from lienthong.demo.datasets import generated_entries
from lienthong.errors import QueryInvalid
from lienthong.portal.headers import POLICY
from tests.fixtures.catalogue_web import Catalogue, entries
from tests.fixtures.portal_site import PortalSite

AT = Addresses("https://du-lieu.example.vn", has_pages=True)
SPACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def places(body: bytes) -> list[str]:
    return [each.text or "" for each in etree.fromstring(body).iter(f"{SPACE}loc")]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path}/c.db", AT)
    yield made
    made.engine.dispose()


def test_one_sitemap_lists_the_pages_and_every_dataset(catalogue: Catalogue) -> None:
    made = list(generated_entries(30))
    catalogue.store.save(made)
    catalogue.store.withdraw([made[4].key], made[4].modified)
    found = places(sitemap(catalogue.store, AT))
    wanted = {AT.page(entry.key) for entry in made if entry is not made[4]}
    assert set(found) - wanted == {AT.url + path for path in ("/", "/catalogue", "/about")}
    assert wanted < set(found)


def test_beyond_the_limit_an_index_names_files_that_list_every_dataset_once(
    catalogue: Catalogue,
) -> None:
    made = list(generated_entries(50))
    catalogue.store.save(made)
    most = 20
    files = places(sitemap(catalogue.store, AT, most))
    assert files == [f"{AT.url}/sitemap-{n}.xml" for n in (1, 2, 3)]
    lists = [places(sitemap_file(catalogue.store, AT, n, most)) for n in (1, 2, 3)]
    assert all(len(each) <= most for each in lists)
    datasets = [place for each in lists for place in each if "/datasets/" in place]
    assert sorted(datasets) == sorted(AT.page(entry.key) for entry in made)
    with pytest.raises(QueryInvalid):
        sitemap_file(catalogue.store, AT, 4, most)
    assert MOST_ADDRESSES == 50_000


def test_an_empty_catalogue_has_a_sitemap_too(catalogue: Catalogue) -> None:
    client = TestClient(catalogue.application)
    assert len(places(client.get("/sitemap.xml").content)) == 3
    assert client.get("/sitemap-2.xml").status_code == 400


@given(entries())
def test_markup_never_ends_its_element_and_says_what_the_entry_says(entry: CatalogueEntry) -> None:
    text = markup_of(entry, AT)
    assert not re.search("[<>&\u2028\u2029]", text)
    value = json.loads(text)
    assert value == dataset_of(entry, AT)
    assert value.get("name", "") == entry.title
    assert value["@type"] == "Dataset"


class _Scripts(HTMLParser):
    """Collects what stands in script elements, and links of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[dict[str, str | None], str]] = []
        self.links: list[dict[str, str | None]] = []
        self._open: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self._open = dict(attrs)
        if tag == "link":
            self.links.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.blocks.append((self._open, data))

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._open = None


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[PortalSite]:
    made = PortalSite(tmp_path / "portal", portal_url="https://du-lieu.example.vn")
    yield made
    made.site.close()


def test_the_page_of_a_dataset_carries_its_markup_under_the_strict_policy(
    portal: PortalSite,
) -> None:
    (entry,) = generated_entries(1)
    portal.site.catalogue.save([entry])
    answer = portal.visitor().get(f"/datasets/{entry.key}")
    page = _Scripts()
    page.feed(answer.text)
    ((attributes, block),) = page.blocks  # everything that runs comes from files
    assert attributes == {"type": "application/ld+json"}
    assert json.loads(block)["name"] == entry.title
    assert answer.headers["content-security-policy"] == POLICY
    assert "script-src 'self'" in POLICY
    assert "unsafe-inline" not in POLICY
    forms = {link["type"]: link["href"] for link in page.links if link.get("rel") == "alternate"}
    for form, address in forms.items():
        assert address is not None
        found = portal.visitor().get(address.removeprefix(portal.site.url))
        assert (found.status_code, found.headers["content-type"].split(";")[0]) == (200, form)
    assert set(forms) == {"text/turtle", "application/ld+json"}


def test_the_portal_offers_what_programs_read(portal: PortalSite) -> None:
    made = list(generated_entries(3))
    portal.site.catalogue.save(made)
    visitor = portal.visitor()
    robots = visitor.get("/robots.txt").text
    (listed,) = re.findall(r"^Sitemap: (.+)$", robots, re.MULTILINE)
    found = visitor.get(listed.removeprefix(portal.site.url))
    assert {portal.site.addresses.page(entry.key) for entry in made} < set(places(found.content))
    for place in places(found.content):
        assert visitor.get(place.removeprefix(portal.site.url)).status_code == 200
    shown: Any = visitor.http.post("/api/3/action/package_search", json={"q": "*:*"})
    assert shown.json()["result"]["count"] == 3
    assert visitor.get("/catalog.jsonld").status_code == 200
    page = visitor.get(f"/dataset/{made[0].key}", accept="text/html")
    assert page.headers["location"] == portal.site.addresses.page(made[0].key)
