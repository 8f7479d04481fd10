"""DCAT-AP 3: what is written is what the official shapes allow, in both forms the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyshacl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Graph, URIRef
from rdflib.namespace import DCAT, DCTERMS, RDF, SH
from starlette.testclient import TestClient

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.dcat.mapping import nodes_of
from lienthong.catalogue.dcat.pages import ROWS, Page, write_dataset, write_page
from lienthong.catalogue.dcat.writing import JSON_LD, TURTLE
from lienthong.catalogue.describing import entry_of
from lienthong.catalogue.models import Act, CatalogueEntry, Publication
from lienthong.catalogue.open_routes import preferred
from lienthong.contracts.loading import load_contract
from lienthong.demo.datasets import generated_entries
from tests.fixtures.catalogue_web import Catalogue, entries

ROOT = Path(__file__).resolve().parents[2]
AT = Addresses("https://du-lieu.example.vn", has_pages=True, publisher="Bộ Thử nghiệm")
SHIPPED = sorted((ROOT / "src/lienthong/demo/contracts").glob("*.odcs.yaml"))
NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
HYDRA = "http://www.w3.org/ns/hydra/core#"


def shared_shapes() -> Path | None:
    """The official shapes stand beside the project, where they are given."""
    shared = Path(os.environ.get("SHARED_FOLDER", ROOT.parent / "shared"))
    folder = shared / "data/dcat-ap-3.0.1"
    return folder if (folder / "shapes.ttl").exists() else None


@cache
def shapes(name: str) -> Graph:
    folder = shared_shapes()
    assert folder is not None
    graph = Graph().parse(folder / name, format="turtle")
    for shape, _, constraint in list(graph.triples((None, SH.property, None))):
        if (constraint, SH.path, None) not in graph:
            graph.remove((shape, SH.property, constraint))  # the published file lacks some of them
    return graph


given_shapes = pytest.mark.skipif(
    shared_shapes() is None, reason="the shapes of DCAT-AP 3.0.1 are not here"
)
# The core constraints, the ranges of properties, and the form of the same that is generated.
SHAPES = ("shapes.ttl", "range.ttl", "dcat-ap-SHACL.ttl")


def graph_of(body: bytes, form: str) -> Graph:
    return Graph().parse(data=body, format="turtle" if form == TURTLE else "json-ld")


def complaints(graph: Graph, name: str) -> str:
    conforms, _, text = pyshacl.validate(graph, shacl_graph=shapes(name), inference="none")
    return "" if conforms else text


def shipped_entry(file: Path, service: bool = True) -> CatalogueEntry:
    contract = load_contract(file)
    publication = Publication(
        act=Act.PUBLISH,
        owner="VN/GOV/G01",
        contract_id=contract.id,
        version=contract.version,
        digest=contract.digest,
        service="VN/GOV/G01/he-thong/dich-vu" if service else "",
        node="VN/GOV/G01/n1",
        key_id="k",
        algorithm="ed25519",
        time=NOW,
    )
    return entry_of(contract, publication, owner_name="Bộ Công an", now=NOW)


# --- valid ----------------------------------------------------------------------------


@pytest.mark.needs_shared
@given_shapes
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_contracts_that_we_ship_are_valid_datasets(file: Path, name: str) -> None:
    for service in (True, False):
        body, _ = write_dataset(shipped_entry(file, service), AT, TURTLE)
        assert not complaints(graph_of(body, TURTLE), name)


@pytest.mark.needs_shared
@given_shapes
@pytest.mark.parametrize("name", SHAPES)
def test_a_page_of_the_catalogue_is_valid(name: str) -> None:
    found = tuple(generated_entries(40))
    body, _ = write_page(Page(1, 140, found, None), AT, JSON_LD)
    assert not complaints(graph_of(body, JSON_LD), name)


@pytest.mark.needs_shared
@given_shapes
@settings(max_examples=25)
@given(st.lists(entries(), max_size=4, unique_by=lambda each: each.key))
def test_whatever_entries_hold_a_page_is_valid(found: list[CatalogueEntry]) -> None:
    body, _ = write_page(Page(1, len(found), tuple(found), None), AT, TURTLE)
    graph = graph_of(body, TURTLE)
    for name in ("shapes.ttl", "range.ttl"):
        assert not complaints(graph, name)


@pytest.mark.needs_shared
@given_shapes
def test_the_judge_complains_of_what_is_missing() -> None:
    graph = graph_of(write_dataset(shipped_entry(SHIPPED[0]), AT, TURTLE)[0], TURTLE)
    graph.remove((None, DCTERMS.description, None))
    assert "MinCount" in complaints(graph, "shapes.ttl")


# --- the same in both forms -------------------------------------------------------------


@settings(max_examples=50)
@given(entries())
def test_turtle_and_json_ld_say_the_same(entry: CatalogueEntry) -> None:
    turtle = graph_of(write_dataset(entry, AT, TURTLE)[0], TURTLE)
    assert len(turtle) > 10
    json_ld = graph_of(write_dataset(entry, AT, JSON_LD)[0], JSON_LD)
    assert set(turtle) == set(json_ld)  # there are no blank nodes


@settings(max_examples=50)
@given(entries())
def test_every_text_of_an_entry_arrives_unchanged(entry: CatalogueEntry) -> None:
    graph = graph_of(write_dataset(entry, AT, TURTLE)[0], TURTLE)
    dataset = URIRef(nodes_of(entry, AT)[0]["@id"])
    titles = {str(title) for title in graph.objects(dataset, DCTERMS.title)}
    assert titles == {entry.title, *([entry.title_en] if entry.title_en else [])}
    assert {str(each) for each in graph.objects(dataset, DCAT.keyword)} == set(entry.tags)


def test_a_dataset_says_what_its_contract_says() -> None:
    file = ROOT / "src/lienthong/demo/contracts/cong-dan.odcs.yaml"
    entry = shipped_entry(file)
    graph = graph_of(write_dataset(entry, AT, TURTLE)[0], TURTLE)
    dataset = URIRef(f"{AT.url}/dataset/VN/GOV/G01/vn-demo-cong-dan")
    (right,) = graph.objects(dataset, DCTERMS.accessRights)
    assert str(right).endswith("/access-right/NON_PUBLIC")
    (law, other) = sorted(
        graph.objects(dataset, URIRef("http://data.europa.eu/r5r/applicableLegislation"))
    )
    assert str(law).startswith(f"{AT.url}/legal-basis/")
    assert law != other
    (contract,) = graph.objects(dataset, DCTERMS.conformsTo)
    assert str(contract).startswith("ni:///sha-256;")
    assert str(graph.value(contract, DCTERMS.identifier)) == entry.digest
    (service,) = graph.subjects(RDF.type, DCAT.DataService)
    assert graph.value(service, DCAT.servesDataset) == dataset
    assert str(graph.value(service, DCTERMS.identifier)) == "VN/GOV/G01/he-thong/dich-vu"


# --- over HTTP --------------------------------------------------------------------------


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path}/c.db", AT)
    made.store.save(generated_entries(2 * ROWS + 7))
    yield made
    made.engine.dispose()


@pytest.fixture
def client(catalogue: Catalogue) -> TestClient:
    return TestClient(catalogue.application, base_url=AT.url, follow_redirects=False)


def walk(client: TestClient, address: str) -> Iterator[Graph]:
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        form = answer.headers["content-type"].split(";")[0]
        graph = graph_of(answer.content, form)
        yield graph
        address = next(map(str, graph.objects(None, URIRef(HYDRA + "next"))), "")


@pytest.mark.parametrize("form", ["jsonld", "ttl"])
def test_a_walk_along_the_links_meets_every_dataset_once(
    catalogue: Catalogue, client: TestClient, form: str
) -> None:
    catalogue.store.withdraw([catalogue.store.entries(limit=1)[0].key], NOW)
    met = [
        str(dataset)
        for graph in walk(client, f"/catalog.{form}")
        for dataset in graph.subjects(RDF.type, DCAT.Dataset)
    ]
    wanted = {AT.dataset(key) for key in catalogue.store.keys(1_000)}
    assert len(met) == len(set(met)) == 2 * ROWS + 6
    assert set(met) == wanted


def test_pages_have_links_that_ckan_programs_know(client: TestClient) -> None:
    (first, *_) = walk(client, "/catalog.jsonld")
    (view,) = first.subjects(RDF.type, URIRef(HYDRA + "PagedCollection"))
    assert int(first.value(view, URIRef(HYDRA + "totalItems"))) == 2 * ROWS + 7  # type: ignore[arg-type]
    assert str(first.value(view, URIRef(HYDRA + "nextPage"))) == f"{AT.url}/catalog.jsonld?page=2"
    assert str(first.value(view, URIRef(HYDRA + "lastPage"))) == f"{AT.url}/catalog.jsonld?page=3"


def test_a_page_that_has_not_changed_is_not_sent_again(
    catalogue: Catalogue, client: TestClient
) -> None:
    tags = [client.get(f"/catalog.jsonld?page={n}").headers["etag"] for n in (1, 2, 3)]
    catalogue.store.save([next(generated_entries(1, seed=5))])
    again = [
        client.get(f"/catalog.jsonld?page={n}", headers={"if-none-match": tag}).status_code
        for n, tag in enumerate(tags, start=1)
    ]
    assert again == [200, 304, 200]  # the first has the total, the last one dataset more


def test_what_was_changed_since_can_be_asked_for(catalogue: Catalogue, client: TestClient) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    wanted = {each.entry.key for each in catalogue.store.changed_since(since, limit=1_000)}
    address = f"/catalog.jsonld?modified_since={since.isoformat()}".replace("+", "%2B")
    met = {
        str(each)
        for graph in walk(client, address)
        for each in graph.subjects(RDF.type, DCAT.Dataset)
    }
    assert met == {AT.dataset(key) for key in wanted}
    later = since + timedelta(days=3_000)
    none = client.get(f"/catalog.jsonld?modified_since={later.date()}")
    assert none.status_code == 200
    assert 'dcat:Dataset"' not in none.text


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", TURTLE),
        ("application/ld+json, text/html;q=0.5", JSON_LD),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/turtle;q=0.2, application/ld+json;q=0.9", JSON_LD),
        ("text/turtle;q=x", "text/html"),
        ("", "text/html"),
    ],
)
def test_the_form_that_is_liked_best_is_chosen(accept: str, form: str) -> None:
    assert preferred(accept) == form


def test_one_address_serves_people_and_programs(catalogue: Catalogue, client: TestClient) -> None:
    key = catalogue.store.keys(1)[0]
    page = client.get(f"/dataset/{key}", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, f"{AT.url}/datasets/{key}")
    for accept, ending in ((TURTLE, "ttl"), (JSON_LD, "jsonld")):
        negotiated = client.get(f"/dataset/{key}", headers={"accept": accept})
        assert negotiated.headers["content-type"].startswith(accept)
        assert negotiated.headers["vary"] == "accept"
        assert negotiated.content == client.get(f"/dataset/{key}.{ending}").content


def test_whatever_a_dataset_names_leads_somewhere(catalogue: Catalogue, client: TestClient) -> None:
    entry = next(each for each in catalogue.store.entries() if each.unit)
    graph = graph_of(client.get(f"/dataset/{entry.key}.ttl").content, TURTLE)
    ours = {
        str(node).partition("#")[0] for node in graph.subjects() if str(node).startswith(AT.url)
    }
    places = [client.get(node.removeprefix(AT.url)) for node in ours if "/datasets/" not in node]
    assert len(places) > 4
    assert {place.status_code for place in places} == {303}
    assert {place.headers["location"].split("?")[0] for place in places} <= {
        f"{AT.url}/catalogue",
        AT.page(entry.key),
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/catalog.jsonld?page=0", 400),
        ("/catalog.jsonld?page=99", 400),
        ("/catalog.jsonld?page=-1", 400),
        ("/catalog.jsonld?page=" + "9" * 40, 400),
        ("/catalog.ttl?modified_since=yesterday", 400),
        ("/dataset/VN/GOV/G01/nothing.ttl", 404),
        ("/group/nothing", 404),
    ],
)
def test_what_is_not_there_is_told_as_a_problem(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["remedy"]


def test_english_of_a_contract_is_in_its_dataset(tmp_path: Path) -> None:
    text = SHIPPED[0].read_text(encoding="utf-8")
    more = (
        "customProperties:\n"
        "  - {property: 'lienthong:titleEn', value: Health facilities}\n"
        "  - {property: 'lienthong:descriptionEn', value: All of them}\n"
    )
    assert "customProperties:\n" in text
    file = tmp_path / "english.odcs.yaml"
    file.write_text(text.replace("customProperties:\n", more, 1), encoding="utf-8")
    entry = shipped_entry(file)
    assert (entry.title_en, entry.description_en) == ("Health facilities", "All of them")
    body: Any = json.loads(write_dataset(entry, AT, JSON_LD)[0])
    assert {"@value": "Health facilities", "@language": "en"} in body["@graph"][0]["dct:title"]
