"""What can be had at its source keeps form, address and licence, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyshacl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import Graph

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.ckan.packages import package_of
from lienthong.catalogue.dcat.pages import write_dataset
from lienthong.catalogue.dcat.writing import TURTLE
from lienthong.catalogue.harvest.describing import entry_of_record
from lienthong.catalogue.harvest.models import Kind, Offered, Record, Source, SourceState
from lienthong.catalogue.models import CatalogueEntry, Distribution
from lienthong.catalogue.schema_org import dataset_of
from tests.fixtures.harvest_sources import Ckan, ScriptedSource, give, package
from tests.fixtures.portal_site import PortalSite
from tests.fixtures.portal_visitor import words
from tests.spec.test_catalogue_dcat import SHAPES, given_shapes, graph_of, shapes
from tests.spec.test_catalogue_harvest import Harvesting, dcat_of

AT = Addresses("https://here.example.vn", has_pages=True)
CSV = Distribution(
    title="Lượng mưa theo giờ",
    format="CSV",
    access_url="https://kttv.example.vn/mua.csv",
    download_url="https://kttv.example.vn/mua.csv",
    licence="https://creativecommons.org/licenses/by/4.0/",
)
RESOURCES = [
    {
        "name": "Lượng mưa theo giờ",
        "format": "csv",
        "url": "https://kttv.example.vn/mua.csv",
        "url_type": "upload",
    },
    {"name": "API", "format": "JSON", "url": "https://kttv.example.vn/api"},
    {"name": "Bẫy", "format": "HTML", "url": "javascript:alert(1)"},
    {"name": 3, "url": ["x"]},
    "không phải đối tượng",
]
TURTLE_DISTRIBUTION = """
<https://ho.example.vn/0> dcat:distribution [ a dcat:Distribution ; dct:title "Tệp Excel"@vi ;
  dct:format <http://publications.europa.eu/resource/authority/file-type/XLSX> ;
  dcat:accessURL <https://ho.example.vn/trang/0> ; dcat:downloadURL <https://ho.example.vn/0.xlsx> ;
  dct:license [ a dct:LicenseDocument ; dct:title "Giấy phép mở"@vi ] ] .
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Harvesting]:
    made = Harvesting(f"sqlite:///{tmp_path}/here.db")
    yield made
    made.catalogue.engine.dispose()


def test_a_ckans_resources_are_kept_with_their_licence(here: Harvesting) -> None:
    licence = {"license_url": CSV.licence, "license_title": "CC BY 4.0"}
    with Ckan([package(1, resources=RESOURCES, **licence)]) as source:
        here.add("ktvt", source.origin)
        here.run("ktvt")
    first, second = here.entry("ktvt", 1).distributions
    assert first == CSV
    assert second == Distribution(
        title="API", format="JSON", access_url="https://kttv.example.vn/api", licence=CSV.licence
    )


def test_a_changed_distribution_changes_the_entry(here: Harvesting) -> None:
    with Ckan([package(1, resources=RESOURCES[:1])]) as source:
        here.add("ktvt", source.origin)
        here.run("ktvt")
        source.packages = [package(1, resources=RESOURCES[1:2])]
        assert here.run("ktvt", whole=True).changed == 1
    assert [each.format for each in here.entry("ktvt", 1).distributions] == ["JSON"]


def test_distributions_of_dcat_are_kept(here: Harvesting) -> None:
    body = dcat_of(1) + TURTLE_DISTRIBUTION.encode()
    answers = {"/c.ttl": lambda request: give(request, body, "text/turtle")}
    with ScriptedSource(answers) as source:
        here.add("ho", f"{source.origin}/c.ttl", Kind.DCAT)
        here.run("ho")
    (entry,) = here.catalogue.store.entries()
    assert entry.distributions == (
        Distribution(
            title="Tệp Excel",
            format="XLSX",
            access_url="https://ho.example.vn/trang/0",
            download_url="https://ho.example.vn/0.xlsx",
            licence="Giấy phép mở",
        ),
    )


def harvested(*distributions: Offered) -> CatalogueEntry:
    record = Record(id="ds1", title="Điểm du lịch", distributions=distributions)
    return entry_of_record(record, SOURCE, SOURCE.added)


SOURCE = Source(
    name="hue",
    url="https://hue.example.vn",
    kind=Kind.CKAN,
    added=datetime(2026, 11, 1, tzinfo=UTC),
    state=SourceState(),
)
OFFERED = Offered(
    title="Lượng mưa theo giờ",
    format="text/csv",
    access_url=CSV.access_url,
    download_url=CSV.download_url,
    licence=CSV.licence,
)


def test_ckan_programs_read_the_resources_at_their_source() -> None:
    made = package_of(harvested(OFFERED), AT)
    (resource,) = made["resources"]
    assert (resource["format"], resource["url"]) == ("CSV", CSV.download_url)
    assert resource["license"] == made["license_url"] == CSV.licence
    assert made["num_resources"] == 1


@pytest.mark.needs_shared
@given_shapes
@pytest.mark.parametrize("name", SHAPES)
def test_dcat_of_harvested_distributions_is_valid(name: str) -> None:
    odd = Offered(format="định dạng lạ", access_url="https://a.example.vn/b", licence="Tự do")
    body, _ = write_dataset(harvested(OFFERED, odd), AT, TURTLE)
    graph = graph_of(body, TURTLE)
    conforms, _, text = pyshacl.validate(graph, shacl_graph=shapes(name), inference="none")
    assert conforms, text
    assert "file-type/CSV" in body.decode()
    assert CSV.licence in body.decode()


def test_search_engines_read_where_the_data_is() -> None:
    (download,) = dataset_of(harvested(OFFERED), AT)["distribution"]
    assert download["contentUrl"] == CSV.download_url
    assert download["license"] == CSV.licence


def test_the_page_shows_form_licence_and_address(tmp_path: Path) -> None:
    portal = PortalSite(tmp_path / "p")
    entry = harvested(OFFERED)
    portal.site.catalogue.save([entry])
    page = portal.visitor().get(f"/datasets/{entry.key}")
    assert "Lượng mưa theo giờ CSV creativecommons.org Tải tệp kttv.example.vn" in words(page)
    assert f'href="{CSV.download_url}" rel="external noopener nofollow"' in page.text
    portal.site.close()


@given(st.lists(st.builds(Offered, title=st.text(), format=st.text(), access_url=st.text(),
                          download_url=st.text() | st.just("https://a.example.vn/x"),
                          licence=st.text()), max_size=5))  # fmt: skip
def test_whatever_a_source_offers_is_cleaned_and_can_be_written(offered: list[Offered]) -> None:
    entry = harvested(*offered)
    for each in entry.distributions:
        assert each.url.startswith(("http://", "https://"))
        assert len(each.format) <= 40
    json.dumps(package_of(entry, AT))
    Graph().parse(data=write_dataset(entry, AT, TURTLE)[0], format="turtle")
