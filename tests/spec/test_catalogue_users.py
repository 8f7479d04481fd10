"""Who uses a dataset: named by the owner's node, checked and shown by the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rdflib import URIRef
from rdflib.namespace import DCAT, FOAF, PROV, RDF

from lienthong.agreements.models import AgreementDocument
from lienthong.catalogue.ckan.packages import package_of
from lienthong.catalogue.commands import _lines
from lienthong.catalogue.dcat.pages import write_dataset
from lienthong.catalogue.dcat.writing import TURTLE
from lienthong.catalogue.models import CatalogueEntry, DataUser, Facts
from lienthong.errors import InvalidPublication
from lienthong.node.data_users import MOST_SHOWN, users_of
from tests.spec.test_catalogue_dcat import AT, SHAPES, complaints, given_shapes, graph_of
from tests.spec.test_catalogue_publishing import KEY, STRANGER, World

USER = DataUser(STRANGER, ("motcua",), ("dang-ky-khai-sinh",))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def entry(world: World) -> CatalogueEntry:
    world.publish(facts=Facts(consumers=3, users=(USER,)))
    return world.service.store.get(KEY)


# --- at the owner's node ---------------------------------------------------------------


def agreement(consumer: str, *purposes: str) -> AgreementDocument:
    """Terms of which only the parties and purposes matter here."""
    return msgspec.convert(
        {
            "id": "0190b6a2-7c55-7c60-8b60-0d2f5c7a9f10",
            "proposed_by": "consumer",
            "consumer": consumer,
            "service": "VN/GOV/G01/dancu/cong-dan",
            "kind": "relay",
            "contract": None,
            "endpoints": [{"method": "GET", "pattern": "/x"}],
            "fields": [],
            "purposes": list(purposes),
            "legal_basis": "Luật Căn cước 26/2023/QH15",
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": "2027-01-01T00:00:00Z",
            "rate": None,
            "daily_quota": None,
        },
        AgreementDocument,
    )


def test_state_agencies_are_named_once_with_their_systems_and_purposes() -> None:
    found = users_of(
        [
            agreement("VN/GOV/H37/motcua", "khai-sinh", "ho-khau"),
            agreement("VN/GOV/H37/hotich", "khai-sinh"),
            agreement("VN/GOV/G02/thue", "quyet-toan"),
        ],
        named=True,
    )
    assert found == (
        2,
        (
            DataUser("VN/GOV/G02", ("thue",), ("quyet-toan",)),
            DataUser("VN/GOV/H37", ("hotich", "motcua"), ("khai-sinh", "ho-khau")),
        ),
    )


def test_others_than_state_agencies_are_counted_and_never_named() -> None:
    asking = [agreement(f"VN/{kind}/X1/he-thong", "vay-von") for kind in ("COM", "PER", "gov")]
    assert users_of([*asking, agreement("VN/GOV/H37/a", "b")], named=True) == (
        4,
        (DataUser("VN/GOV/H37", ("a",), ("b",)),),
    )


def test_an_owner_may_have_them_counted_only() -> None:
    assert users_of([agreement("VN/GOV/H37/motcua", "x")], named=False) == (1, ())


@pytest.mark.parametrize(
    "purpose", ["ho so 001090000001", "SĐT 0912 345 678", "so 12.345.678", "HS-2026-0001234"]
)
def test_a_purpose_that_may_be_about_one_person_is_left_out(purpose: str) -> None:
    _, (user,) = users_of([agreement("VN/GOV/H37/motcua", purpose, "khai-sinh 2026")], named=True)
    assert user.purposes == ("khai-sinh 2026",)


def test_of_many_purposes_the_first_are_told() -> None:
    asking = [agreement("VN/GOV/H37/motcua", *(f"viec-{n}" for n in range(40)))]
    _, (user,) = users_of(asking, named=True)
    assert len(user.purposes) == MOST_SHOWN


# --- at the catalogue ------------------------------------------------------------------


def test_users_stand_in_the_entry_under_the_directorys_names(entry: CatalogueEntry) -> None:
    (user,) = entry.users
    assert (user.member, user.name) == (STRANGER, STRANGER)  # so this directory calls it
    assert (user.systems, user.purposes) == (("motcua",), ("dang-ky-khai-sinh",))
    assert entry.facts.consumers == 3


def test_a_member_that_the_directory_does_not_know_is_not_shown(world: World) -> None:
    unknown = DataUser("VN/GOV/KHONG-CO")
    world.publish(facts=Facts(consumers=2, users=(USER, unknown)))
    assert [each.member for each in world.service.store.get(KEY).users] == [STRANGER]


def test_without_names_a_publication_is_what_it_was(world: World) -> None:
    assert b'"users"' not in world.envelope(facts=Facts(consumers=3))
    world.publish(facts=Facts(consumers=3))
    assert world.service.store.get(KEY).users == ()


@pytest.mark.parametrize(
    "user",
    [
        DataUser("VN/COM/C1"),
        DataUser("VN/PER/001090000001"),
        DataUser("XX/GOV/H37"),
        DataUser("VN/GOV"),
        DataUser("VN/GOV/%48"),
        DataUser(STRANGER, ("motcua",), ("a\x1bb",)),
    ],
)
def test_a_name_that_may_not_stand_there_is_refused(world: World, user: DataUser) -> None:
    with pytest.raises(InvalidPublication):
        world.publish(facts=Facts(consumers=1, users=(user,)))
    assert world.service.store.count() == 0


@pytest.mark.parametrize(
    "facts", [{"consumers": 1, "users": [{"member": "a"}, {"member": "b"}]},
              {"consumers": 9, "users": [{"member": "a"}, {"member": "a"}]},
              {"users": [{"member": "a"}]},
              {"consumers": 1, "users": [{"member": "a", "phone": "0912345678"}]}]
)  # fmt: skip
def test_names_that_contradict_the_count_are_no_facts(facts: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(facts, Facts)


# --- to others -------------------------------------------------------------------------


def test_ckan_reads_who_uses_it_in_extras(entry: CatalogueEntry) -> None:
    extras = {each["key"]: each["value"] for each in package_of(entry, AT)["extras"]}
    assert extras["consumers"] == "3"
    assert extras["used_by"] == f"{STRANGER} ({STRANGER})"
    assert extras["used_for"] == "dang-ky-khai-sinh"


def test_dcat_has_each_agency_as_an_agent_in_the_role_of_a_user(entry: CatalogueEntry) -> None:
    graph = graph_of(write_dataset(entry, AT, TURTLE)[0], TURTLE)
    (place,) = graph.objects(URIRef(AT.dataset(entry.key)), PROV.qualifiedAttribution)
    agent = URIRef(AT.organization(STRANGER))
    assert (place, PROV.agent, agent) in graph
    assert (agent, RDF.type, FOAF.Agent) in graph
    (role,) = graph.objects(place, DCAT.hadRole)
    assert str(role).endswith("#user")


@pytest.mark.needs_shared
@given_shapes
@pytest.mark.parametrize("name", SHAPES)
def test_a_dataset_with_users_is_valid(entry: CatalogueEntry, name: str) -> None:
    graph = graph_of(write_dataset(entry, AT, TURTLE)[0], TURTLE)
    assert not complaints(graph, name)


def test_the_command_line_lists_them(entry: CatalogueEntry) -> None:
    lines = [text for _, text in _lines(entry)]
    assert f"{STRANGER} ({STRANGER}): dang-ky-khai-sinh" in lines
