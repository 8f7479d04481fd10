"""What the exchange asks of the directory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lienthong.directory.onboarding import approve
from lienthong.directory.records import Node, Subsystem, node_path
from lienthong.directory.request import make_member
from lienthong.directory.revocation import certificate_fingerprints, revoke
from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    CertificateNotAccepted,
    DirectoryExpired,
    KeyNotValid,
    KeyRevoked,
    NotDelegated,
    UnknownMember,
    UnknownNode,
    UnknownSigningKey,
)
from lienthong.identity.certificates import Authority
from lienthong.identity.identifiers import MemberId
from lienthong.identity.keys import Algorithm, PrivateKey
from tests.fixtures.directory_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def view_of(world: World) -> DirectoryView:
    mirror = world.mirror()
    mirror.refresh()
    return mirror.view


def der_of(view: DirectoryView, node: str) -> bytes:
    pem = view.node(node).certificates[-1]
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def test_finds_member_node_key_and_certificate(world: World) -> None:
    agency = world.agency("G01")
    view = view_of(world)
    now = world.clock()
    assert view.member("VN/GOV/G01").name == "Cơ quan G01"
    assert view.nodes_of("VN/GOV/G01/dancu", now) == ("VN/GOV/G01/n1",)
    assert view.check_delegation("VN/GOV/G01", "VN/GOV/G01/n1", now).subsystems == ("dancu",)
    key = view.signing_key("VN/GOV/G01/n1", agency.signing_key.public.key_id, now)
    assert key == agency.signing_key.public
    view.check_certificate("VN/GOV/G01/n1", der_of(view, "VN/GOV/G01/n1"), now)
    assert [member.id for member in view.members()] == ["VN/GOV/G01"]
    assert [node.id for node in view.nodes()] == ["VN/GOV/G01/n1"]


def test_names_what_it_does_not_know(world: World) -> None:
    world.agency("G01")
    view = view_of(world)
    now = world.clock()
    with pytest.raises(UnknownMember, match="VN/GOV/G99"):
        view.member("VN/GOV/G99")
    with pytest.raises(UnknownMember):
        view.nodes_of("VN/GOV/G99/dancu")
    with pytest.raises(UnknownMember):
        view.nodes_of("nonsense")
    with pytest.raises(UnknownNode):
        view.node("VN/GOV/G01/n2")
    with pytest.raises(UnknownSigningKey):
        view.signing_key("VN/GOV/G01/n1", "0" * 32, now)
    assert view.nodes_of("VN/GOV/G01/khac") == ()


def test_a_node_speaks_only_for_members_that_delegated_to_it(world: World) -> None:
    world.agency("G01")
    world.agency("G15")
    with pytest.raises(NotDelegated):
        view_of(world).check_delegation("VN/GOV/G15", "VN/GOV/G01/n1", world.clock())


def test_a_node_hosts_a_member_that_signed_offline(world: World) -> None:
    host = world.agency("G01")
    key = PrivateKey.generate()
    hosted = make_member(
        MemberId("VN", "COM", "benhvien"),
        "Bệnh viện",
        key,
        [Subsystem("hsba", "Hồ sơ bệnh án")],
        host.node,
        world.clock(),
    )
    world.approve(host, hosted=[hosted])
    view = view_of(world)
    assert view.nodes_of("VN/COM/benhvien/hsba", world.clock()) == ("VN/GOV/G01/n1",)


def test_a_delegation_ends_on_its_day(world: World) -> None:
    world.agency("G01")
    view = view_of(world)
    late = world.clock() + timedelta(days=3651)
    assert view.nodes_of("VN/GOV/G01/dancu", late) == ()
    with pytest.raises(NotDelegated):
        view.check_delegation("VN/GOV/G01", "VN/GOV/G01/n1", late)


@pytest.mark.parametrize("kind", ["key", "node", "member"])
def test_a_revoked_key_counts_until_its_revocation_and_not_after(world: World, kind: str) -> None:
    agency = world.agency("G01")
    before = world.clock()
    world.clock.forward(hours=1)
    key_id = agency.signing_key.public.key_id
    names = {"key": key_id, "node": "VN/GOV/G01/n1", "member": "VN/GOV/G01"}
    revoke(world.repository, kind, names[kind], "lộ khóa")
    view = view_of(world)
    assert view.signing_key("VN/GOV/G01/n1", key_id, before) == agency.signing_key.public
    with pytest.raises(KeyRevoked):
        view.signing_key("VN/GOV/G01/n1", key_id, world.clock())


@pytest.mark.parametrize("kind", ["delegation", "node", "member"])
def test_a_revoked_delegation_is_no_delegation(world: World, kind: str) -> None:
    world.agency("G01")
    names = {
        "delegation": "VN/GOV/G01 VN/GOV/G01/n1",
        "node": "VN/GOV/G01/n1",
        "member": "VN/GOV/G01",
    }
    revoke(world.repository, kind, names[kind], "thử")
    view = view_of(world)
    assert view.nodes_of("VN/GOV/G01/dancu", world.clock()) == ()
    with pytest.raises(NotDelegated):
        view.check_delegation("VN/GOV/G01", "VN/GOV/G01/n1", world.clock())


def test_a_key_does_not_count_before_its_first_day(world: World) -> None:
    agency = world.agency("G01")
    early = world.clock() - timedelta(days=1)
    with pytest.raises(KeyNotValid):
        view_of(world).signing_key("VN/GOV/G01/n1", agency.signing_key.public.key_id, early)


def test_refuses_a_revoked_certificate(world: World) -> None:
    world.agency("G01")
    view = view_of(world)
    der = der_of(view, "VN/GOV/G01/n1")
    revoke(
        world.repository, "certificate", certificate_fingerprints(view.node("VN/GOV/G01/n1"))[0], ""
    )
    with pytest.raises(CertificateNotAccepted):
        view_of(world).check_certificate("VN/GOV/G01/n1", der, world.clock())


def test_refuses_another_nodes_certificate_and_one_that_is_over(world: World) -> None:
    world.agency("G01")
    world.agency("G15")
    view = view_of(world)
    with pytest.raises(CertificateNotAccepted):
        view.check_certificate("VN/GOV/G01/n1", der_of(view, "VN/GOV/G15/n1"), world.clock())
    der = der_of(view, "VN/GOV/G01/n1")
    with pytest.raises(CertificateNotAccepted):
        view.check_certificate("VN/GOV/G01/n1", der, world.clock() + timedelta(days=366))


def test_refuses_a_certificate_that_the_operator_made_for_a_key_of_its_own(world: World) -> None:
    agency = world.agency("G01")
    key = PrivateKey.generate(Algorithm.P256)
    authority = world.repository.authority
    forged = authority.issue(key.public, str(agency.node), ["127.0.0.1"], 30, world.clock())
    _list_certificate(world, forged)
    view = view_of(world)
    with pytest.raises(CertificateNotAccepted, match="owner"):
        view.check_certificate("VN/GOV/G01/n1", der_of(view, "VN/GOV/G01/n1"), world.clock())


def test_refuses_a_certificate_of_an_authority_that_is_not_approved(world: World) -> None:
    agency = world.agency("G01")
    stranger = Authority.create("VN", 30, world.clock())
    public = agency.tls_key.public
    _list_certificate(world, stranger.issue(public, str(agency.node), [], 30, world.clock()))
    view = view_of(world)
    with pytest.raises(CertificateNotAccepted, match="authority"):
        view.check_certificate("VN/GOV/G01/n1", der_of(view, "VN/GOV/G01/n1"), world.clock())


def _list_certificate(world: World, pem: str) -> None:
    with world.repository.edit() as edit:
        node = edit.get(node_path("VN/GOV/G01/n1"))
        assert isinstance(node, Node)
        edit.put(msgspec.structs.replace(node, certificates=(pem,)))


def test_says_when_it_may_not_be_relied_on_any_more(world: World) -> None:
    world.agency("G01")
    view = view_of(world)
    view.check_fresh(world.clock() + timedelta(hours=23))
    with pytest.raises(DirectoryExpired):
        view.check_fresh(world.clock() + timedelta(hours=25))


def test_keeps_old_node_keys_when_a_node_changes_over(world: World) -> None:
    agency = world.agency("G01")
    old, agency.signing_key = agency.signing_key, PrivateKey.generate()
    world.clock.forward(hours=1)
    approve(world.repository, agency.request())
    view = view_of(world)
    now = world.clock()
    for key in (old, agency.signing_key):
        assert view.signing_key("VN/GOV/G01/n1", key.public.key_id, now) == key.public
    with pytest.raises(KeyNotValid):
        view.signing_key("VN/GOV/G01/n1", old.public.key_id, now + timedelta(days=8))
