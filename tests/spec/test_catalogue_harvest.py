"""Harvesting: nothing lost, nothing twice, only what has changed; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rdflib import Graph
from typer.testing import CliRunner

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.commands import app
from lienthong.catalogue.folder import CatalogueFolder
from lienthong.catalogue.harvest.models import Kind, Outcome, Run, Source, SourceState
from lienthong.catalogue.harvest.running import Harvester
from lienthong.catalogue.models import HARVESTED, CatalogueEntry
from lienthong.catalogue.query import Query
from lienthong.catalogue.tables import SCHEMA
from lienthong.demo.datasets import generated_entries
from lienthong.errors import EntryUnknown, HarvestSourceUnknown
from lienthong.schema.migrations import migrate
from lienthong.settings import Settings, load_settings
from tests.fixtures.catalogue_web import Catalogue, served_catalogue
from tests.fixtures.harvest_sources import Ckan, ScriptedSource, give, package

COUNT = 120  # more than a page, which has a hundred
LOOPBACK = {"harvest_networks": "127.0.0.0/8"}


def settings_with(**changes: Any) -> Settings:
    return Settings({**load_settings().values, **LOOPBACK, **changes})


class Harvesting:
    """A catalogue that harvests."""

    def __init__(self, url: str) -> None:
        self.catalogue = Catalogue(url, Addresses("https://here.example.vn"))
        self.harvester = Harvester(
            self.catalogue.store, self.catalogue.search, settings_with(), pause_seconds=0.01
        )

    def add(self, name: str, url: str, kind: Kind = Kind.CKAN) -> Source:
        state = SourceState(own_checked=time.time())
        source = Source(name=name, url=url, kind=kind, added=datetime.now(UTC), state=state)
        self.harvester.store.put(source)
        return source

    def run(self, name: str, **options: Any) -> Run:
        return self.harvester.run(self.harvester.store.get(name), **options)

    def titles(self, text: str = "") -> set[str]:
        return {entry.title for entry in self.catalogue.search.find(Query(text, limit=100)).entries}

    def entry(self, name: str, number: int) -> CatalogueEntry:
        return self.catalogue.store.get(f"{HARVESTED}{name}/{package(number)['id']}")


@pytest.fixture(params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harvesting]:
    url = f"sqlite:///{tmp_path}/here.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    made = Harvesting(url)
    yield made
    made.catalogue.engine.dispose()


@pytest.fixture
def ckan() -> Iterator[Ckan]:
    with Ckan([package(n) for n in range(COUNT)]) as source:
        yield source


@pytest.fixture
def by_sqlite(tmp_path: Path) -> Iterator[Harvesting]:
    """For what is no question of the database."""
    made = Harvesting(f"sqlite:///{tmp_path}/here.db")
    yield made
    made.catalogue.engine.dispose()


def numbers(run: Run) -> tuple[int, ...]:
    return run.new, run.changed, run.unchanged, run.duplicates, run.failed, run.gone


# --- a CKAN ---------------------------------------------------------------------------------


def test_all_records_are_taken_up_and_a_second_run_changes_nothing(
    here: Harvesting, ckan: Ckan
) -> None:
    here.add("mua", ckan.origin)
    first = here.run("mua")
    assert (first.outcome, numbers(first)) == (Outcome.WHOLE, (COUNT, 0, 0, 0, 0, 0))
    assert here.catalogue.store.count() == COUNT
    entry = here.entry("mua", 7)
    assert (entry.owner_name, entry.domain, entry.tags) == (
        "Đài Khí tượng Thủy văn",
        "Môi trường",
        ("mưa",),
    )
    assert entry.landing_page == f"{ckan.origin}/dataset/tap-du-lieu-7"
    assert "Trạm đo mưa số 7" in here.titles("tram do mua so 7")
    ckan.asked.clear()
    second = here.run("mua")
    assert second.outcome is Outcome.CHANGES
    assert second.new + second.changed == 0
    assert all("fq=" in path or "rows=0" in path for path, _ in ckan.asked)


def test_only_what_has_changed_is_asked_for(here: Harvesting, ckan: Ckan) -> None:
    here.add("mua", ckan.origin)
    here.run("mua")
    ckan.packages[9] = package(9, title="Trạm đổi tên", metadata_modified="2026-05-01T00:00:00")
    ckan.packages.append(package(999, metadata_modified="2026-05-01T00:00:01"))
    run = here.run("mua")
    assert (run.outcome, run.new, run.changed) == (Outcome.CHANGES, 1, 1)
    assert here.entry("mua", 9).title == "Trạm đổi tên"
    assert here.catalogue.store.count() == COUNT + 1


def test_what_its_source_has_no_longer_is_withdrawn_with_its_history(
    here: Harvesting, ckan: Ckan
) -> None:
    here.add("mua", ckan.origin)
    here.run("mua")
    key = here.entry("mua", 3).key
    del ckan.packages[3]
    run = here.run("mua")
    assert (run.outcome, run.gone) == (Outcome.WHOLE, 1)
    with pytest.raises(EntryUnknown):
        here.catalogue.store.get(key)
    stored = here.catalogue.store.stored(key)
    assert stored is not None
    assert stored.withdrawn is not None
    ckan.packages.append(package(3))
    here.run("mua", whole=True)
    acts = [event.act for event in here.harvester.store.events(key)]
    assert acts == ["added", "gone", "returned"]
    assert here.catalogue.store.get(key).title == "Trạm đo mưa số 3"


@pytest.mark.parametrize("how", ["away", "fails", "empty", "half", "short", "html", "liar"])
def test_a_broken_source_takes_nothing_away(by_sqlite: Harvesting, ckan: Ckan, how: str) -> None:
    by_sqlite.add("mua", ckan.origin)
    by_sqlite.run("mua")
    packages = list(ckan.packages)
    if how == "away":
        ckan.answers.clear()
    elif how == "fails":
        ckan.fails_from = 100
    elif how == "empty":
        ckan.packages = []
    elif how == "half":
        ckan.packages = packages[: COUNT // 2]
    elif how == "short":  # it counts all and gives half
        ckan.packages, ckan.said_count = packages[: COUNT // 2], COUNT
    elif how == "html":
        ckan.answers["*"] = lambda request: give(request, b"<html>", "text/html")
        del ckan.answers["/api/3/action/package_search"]
    elif how == "liar":  # it counts more than there is
        ckan.said_count = 300
    run = by_sqlite.run("mua", whole=True)
    held = how in ("empty", "half")
    assert run.outcome is (Outcome.HELD if held else Outcome.BROKEN)
    assert run.reason
    assert run.gone == 0
    assert by_sqlite.catalogue.store.count() == COUNT
    ckan.answers = {"/api/3/action/package_search": ckan.search}
    ckan.packages, ckan.fails_from, ckan.said_count = packages, None, None
    assert by_sqlite.run("mua", whole=True).outcome is Outcome.WHOLE


def test_much_goes_only_when_somebody_says_so(here: Harvesting, ckan: Ckan) -> None:
    here.add("mua", ckan.origin)
    here.run("mua")
    del ckan.packages[60:]
    assert here.run("mua").outcome is Outcome.HELD
    assert here.catalogue.store.count() == COUNT
    run = here.run("mua", accept_gone=True)
    assert (run.outcome, run.gone) == (Outcome.WHOLE, COUNT - 60)
    assert here.catalogue.store.count() == 60


def test_what_came_before_a_failure_is_kept(here: Harvesting, ckan: Ckan) -> None:
    here.add("mua", ckan.origin)
    ckan.fails_from = 100
    run = here.run("mua")
    assert (run.outcome, run.new) == (Outcome.BROKEN, 100)
    assert here.catalogue.store.count() == 100
    ckan.fails_from = None
    run = here.run("mua")
    assert (run.outcome, run.new, run.unchanged) == (Outcome.WHOLE, COUNT - 100, 100)


def test_records_in_error_are_listed_and_the_others_taken(here: Harvesting) -> None:
    wrong = [
        package(1, title=["a list"]),
        package(2, tags="mưa"),
        package(3, organization=[]),
        {"title": "no id"},
        "a text",
        None,
        package(4, title="<script>alert(1)</script>", name="", id="x4"),
        package(5, tags=[{"name": "Tuyệt mật"}]),
    ]
    with Ckan([*wrong, package(6)]) as source:
        here.add("sai", source.origin)
        run = here.run("sai")
        assert (run.outcome, run.new, run.failed) == (Outcome.WHOLE, 1, 8)
        assert len(run.errors) == 8
        assert all(error.reason for error in run.errors)
        assert here.titles() == {"Trạm đo mưa số 6"}
        source.packages[8] = package(6, title=7)
        again = here.run("sai", whole=True)
        assert (again.failed, again.gone) == (9, 0)
        assert "Trạm đo mưa số 6" in here.titles()  # what was shown of it stays


# --- duplicates ---------------------------------------------------------------------------


def test_the_same_dataset_of_two_sources_is_shown_once(here: Harvesting) -> None:
    same_id = package(1, title="Tên khác", notes="")
    same_page = package(50, title="Khác nữa", notes="", url="http://mua.example.vn/tram/2/")
    same_words = package(60, title=package(3)["title"], notes=package(3)["notes"])
    other = package(70)
    first = [package(1), package(2, url="https://www.mua.example.vn/tram/2"), package(3)]
    with Ckan(first) as one, Ckan([same_id, same_page, same_words, other]) as two:
        here.add("mot", one.origin)
        here.add("hai", two.origin)
        assert here.run("mot").new == 3
        run = here.run("hai")
        assert (run.new, run.duplicates) == (1, 3)
        assert here.catalogue.store.count() == 4
        assert numbers(here.run("hai", whole=True))[:2] == (0, 0)
        # When the one goes, the other is shown: nothing is lost.
        here.harvester.remove(here.harvester.store.get("mot"))
        assert here.catalogue.store.count() == 1
        here.run("hai")
        assert here.catalogue.store.count() == 4


def test_our_own_entry_wins_whichever_came_first(here: Harvesting) -> None:
    early, late = list(generated_entries(2))
    here.catalogue.store.save([early])
    as_packages = [
        package(n, title=own.title, notes=own.description, organization={"title": own.owner_name})
        for n, own in enumerate((early, late))
    ]
    with Ckan([*as_packages, package(9)]) as source:
        here.add("nguon", source.origin)
        run = here.run("nguon")
        assert (run.new, run.duplicates) == (2, 1)
        now = datetime.now(UTC).replace(microsecond=0)
        members = {name: getattr(late, name) for name in late.__struct_fields__}
        here.catalogue.store.save([CatalogueEntry(**{**members, "modified": now})])
        assert here.run("nguon").duplicates == 1
        shown = here.catalogue.search.find(Query(limit=100)).entries
        assert {entry.key for entry in shown if entry.is_own} == {early.key, late.key}
        assert [entry.title for entry in shown if not entry.is_own] == [package(9)["title"]]
        here.catalogue.store.withdraw([late.key], datetime.now(UTC))
        here.run("nguon")
        assert here.catalogue.store.count() == 3


def test_no_source_passes_for_an_agency_of_ours(by_sqlite: Harvesting) -> None:
    (own,) = generated_entries(1)
    by_sqlite.catalogue.store.save([own])
    liar = package(1, id=own.key, name=own.key, organization={"title": "Giả", "name": own.owner})
    with Ckan([liar, package(2, organization={"title": own.owner_name})]) as source:
        by_sqlite.add("gia", source.origin)
        by_sqlite.run("gia")
    assert by_sqlite.catalogue.store.get(own.key) == own
    facets = by_sqlite.catalogue.search.find(Query()).facets["agency"]
    assert {(v.value, v.label) for v in facets if not v.value.startswith(HARVESTED)} == {
        (own.owner, own.owner_name)
    }


# --- DCAT -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonld", "ttl"])
def test_another_catalogue_of_ours_is_harvested_by_its_pages(
    by_sqlite: Harvesting, tmp_path: Path, form: str
) -> None:
    with served_catalogue(tmp_path, "there") as there:
        there.store.save(generated_entries(110))
        by_sqlite.add("ban", f"{there.at.url}/catalog.{form}", Kind.DCAT)
        run = by_sqlite.run("ban")
        assert (run.outcome, run.new, run.failed) == (Outcome.WHOLE, 110, 0)
        theirs = there.store.entries(limit=1)[0]
        (ours,) = (
            each
            for each in by_sqlite.catalogue.store.entries(limit=500)
            if each.contract_id == theirs.key
        )
        assert (ours.title, ours.description) == (theirs.title, theirs.description)
        assert (ours.owner_name, ours.domain) == (theirs.owner_name, theirs.domain)
        assert set(ours.legal_basis) == set(theirs.legal_basis)
        assert set(ours.tags) == set(theirs.tags)
        again = by_sqlite.run("ban")
        assert (again.outcome, numbers(again)) == (Outcome.WHOLE, (0, 0, 110, 0, 0, 0))
        there.store.withdraw([theirs.key], datetime.now(UTC))
        assert by_sqlite.run("ban").gone == 1


def test_a_catalogue_of_ours_is_harvested_as_a_ckan_too(
    by_sqlite: Harvesting, tmp_path: Path
) -> None:
    with served_catalogue(tmp_path, "there") as there:
        there.store.save(generated_entries(30))
        by_sqlite.add("ban", there.at.url)
        run = by_sqlite.run("ban")
        assert (run.outcome, run.new, run.failed) == (Outcome.WHOLE, 30, 0)
        # The same catalogue as DCAT brings nothing twice.
        by_sqlite.add("ban-dcat", f"{there.at.url}/catalog.jsonld", Kind.DCAT)
        run = by_sqlite.run("ban-dcat")
        assert (run.outcome, run.new, run.duplicates) == (Outcome.WHOLE, 0, 30)


def test_unchanged_pages_are_not_sent_again(tmp_path: Path) -> None:
    here = Harvesting(f"sqlite:///{tmp_path}/here.db")
    text = dcat_of(3)
    statuses: list[int] = []

    def page(request: Any) -> None:
        known = request.headers.get("If-None-Match") == '"1"'
        statuses.append(304 if known else 200)
        give(request, b"" if known else text, "text/turtle", statuses[-1], ETag='"1"')

    with ScriptedSource({"/c.ttl": page}) as source:
        here.add("dcat", f"{source.origin}/c.ttl", Kind.DCAT)
        assert here.run("dcat").new == 3
        run = here.run("dcat")
        assert (run.outcome, run.unchanged, statuses) == (Outcome.WHOLE, 3, [200, 304])
    here.catalogue.engine.dispose()


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("turtle", "text/turtle; charset=utf-8"),
        ("xml", "application/rdf+xml"),
        ("json-ld", "application/ld+json"),
        ("nt", "application/n-triples"),
        ("turtle", "application/octet-stream"),
    ],
)
def test_all_forms_of_rdf_are_read(tmp_path: Path, form: str, kind: str) -> None:
    here = Harvesting(f"sqlite:///{tmp_path}/here.db")
    body = Graph().parse(data=dcat_of(5), format="turtle").serialize(format=form, encoding="utf-8")
    ending = {"turtle": "ttl", "xml": "rdf", "json-ld": "jsonld", "nt": "nt"}[form]
    answers = {f"/c.{ending}": lambda request: give(request, body, kind)}
    with ScriptedSource(answers) as source:
        here.add("dcat", f"{source.origin}/c.{ending}", Kind.DCAT)
        run = here.run("dcat")
    assert (run.outcome, run.new, run.reason) == (Outcome.WHOLE, 5, "")
    entry = next(each for each in here.catalogue.store.entries() if each.title == "Hồ chứa 3")
    assert entry.contract_id == "https://ho.example.vn/3"
    assert (entry.owner_name, entry.domain) == ("Cục Thủy lợi", "Nông nghiệp")
    assert entry.landing_page == "https://ho.example.vn/trang/3"
    assert entry.frequency == "hằng ngày"
    assert entry.published == datetime(2026, 2, 1, tzinfo=UTC)
    here.catalogue.engine.dispose()


def dcat_of(count: int) -> bytes:
    """A catalogue as others write theirs: nodes without names, their own habits."""
    sets = "".join(
        f"""
<https://ho.example.vn/{n}> a dcat:Dataset ;
  dct:title "Reservoir {n}"@en, "Hồ chứa {n}"@vi ; dct:description "Mực nước hồ chứa số {n}"@vi ;
  dct:publisher [ a foaf:Organization ; foaf:name "Cục Thủy lợi" ] ;
  dcat:theme [ a skos:Concept ; skos:prefLabel "Nông nghiệp"@vi ] ;
  dcat:landingPage <https://ho.example.vn/trang/{n}> ; dct:issued "2026-02-01"^^xsd:date ;
  dct:accrualPeriodicity <http://publications.europa.eu/resource/authority/frequency/DAILY> ;
  dcat:keyword "hồ", "nước" .
"""
        for n in range(count)
    )
    members = ", ".join(f"<https://ho.example.vn/{n}>" for n in range(count))
    return f"""
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<https://ho.example.vn/> a dcat:Catalog ; dcat:dataset {members} .
{sets}""".encode()


# --- sources and the command line ---------------------------------------------------------


def test_a_removed_source_takes_its_entries_along(here: Harvesting, ckan: Ckan) -> None:
    here.add("mua", ckan.origin)
    here.run("mua")
    assert here.harvester.remove(here.harvester.store.get("mua")) == COUNT
    assert here.catalogue.store.count() == 0
    with pytest.raises(HarvestSourceUnknown):
        here.harvester.store.get("mua")
    assert here.harvester.store.runs("mua")[0].gone == COUNT


def test_the_command_adds_runs_lists_shows_and_removes(
    tmp_path: Path, ckan: Ckan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIENTHONG_HARVEST_NETWORKS", "127.0.0.0/8")
    folder = tmp_path / "danh-muc"
    CatalogueFolder.for_search(folder)
    runner = CliRunner()

    def harvest(*words: str, code: int = 0) -> Any:
        result = runner.invoke(app, ["harvest", words[0], str(folder), *words[1:]])
        assert result.exit_code == code, result.output
        return result.output

    harvest("add", "mua", ckan.origin, "--kind", "ckan")
    (run,) = json.loads(harvest("run", "--json"))
    assert (run["outcome"], run["new"]) == ("whole", COUNT)
    assert "mua" in harvest("run", "mua")
    (listed,) = json.loads(harvest("list", "--json"))
    assert (listed["name"], listed["records"]) == ("mua", {"shown": COUNT})
    assert json.loads(harvest("show", "mua", "--json"))["runs"][-1]["new"] == COUNT
    harvest("remove", "mua")
    assert json.loads(harvest("list", "--json")) == []


def test_a_database_of_the_version_before_gets_its_tags_indexed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    old = Catalogue(url, Addresses("https://x.example"))
    old.store.save(generated_entries(40))
    tags = {value: old.search.find(_with_tag(value)).total for value in old.search.values("tag")}
    migrate(old.engine, "0001", SCHEMA)
    assert old.search.values("tag") == []
    old.engine.dispose()
    new = Catalogue(url, Addresses("https://x.example"))
    found = {value: new.search.find(_with_tag(value)).total for value in new.search.values("tag")}
    assert found == tags != {}
    new.engine.dispose()


def _with_tag(value: str) -> Query:
    return Query(filters={"tag": (value,)})
