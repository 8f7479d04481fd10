"""The publisher: making a directory, approving requests, publishing crash-safely."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from lienthong.directory.authorities import add_authority
from lienthong.directory.in_force import in_force
from lienthong.directory.metadata import Periods
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.onboarding import approve
from lienthong.directory.records import Node, Subsystem, member_path, node_path
from lienthong.directory.repository import Repository
from lienthong.directory.request import InForce, make_member, make_request, parse_request
from lienthong.directory.revocation import revoke
from lienthong.errors import (
    DirectoryStateInvalid,
    InvalidCertificate,
    InvalidKey,
    KeyChangeRefused,
    NothingToRevoke,
    RecordInvalid,
    RequestInvalid,
    StatementStale,
)
from lienthong.identity.certificates import Authority, certificate_request, fingerprint, read_chain
from lienthong.identity.identifiers import MemberId, NodeId
from lienthong.identity.keys import Algorithm, PrivateKey
from tests.fixtures.directory_world import Agency, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_making_a_directory_twice_changes_nothing(tmp_path: Path) -> None:
    first = Repository.init(tmp_path / "d", "VN", 4)
    files = {path: path.read_bytes() for path in first.public_folder.rglob("*.json")}
    Repository.init(tmp_path / "d", "VN", 4)
    assert {path: path.read_bytes() for path in first.public_folder.rglob("*.json")} == files


@pytest.mark.parametrize(
    ("instance", "bins"), [("VN", 8), ("VN-TEST", 4), ("VN", 3), ("VN", 0), ("V/N", 4), ("", 4)]
)
def test_refuses_other_or_impossible_parameters(tmp_path: Path, instance: str, bins: int) -> None:
    Repository.init(tmp_path / "d", "VN", 4)
    with pytest.raises(DirectoryStateInvalid):
        Repository.init(tmp_path / "d", instance, bins)


def test_opens_only_a_directory(tmp_path: Path) -> None:
    with pytest.raises(DirectoryStateInvalid):
        Repository.open(tmp_path)


def test_keys_are_readable_by_their_owner_only(world: World) -> None:
    files = list((world.repository.state / "keys").iterdir())
    assert len(files) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_making_that_was_cut_is_completed(tmp_path: Path) -> None:
    made = Repository.init(tmp_path / "d", "VN", 4)
    (made.public_folder / "metadata" / "timestamp.json").unlink()
    (tmp_path / "d" / "authority.crt").unlink()
    again = Repository.init(tmp_path / "d", "VN", 4)
    assert again.version == 1
    assert again.authority.certificate is not None


def test_approving_twice_publishes_once(world: World) -> None:
    agency = Agency("G01", world.clock)
    request = agency.request()
    first = approve(world.repository, request)
    second = approve(world.repository, request)
    assert (first.changed, second.changed) == (True, False)
    assert first.version == second.version == world.repository.version
    assert agency.request() == request


def test_a_cut_before_the_timestamp_is_as_if_nothing_happened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency = Agency("G01", world.clock)
    with monkeypatch.context() as patched:
        patched.setattr(type(world.repository.site), "publish", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            approve(world.repository, agency.request())
    assert world.repository.version == 1
    mirror = world.mirror()
    mirror.refresh()
    assert list(mirror.view.members()) == []
    assert approve(world.repository, agency.request()).version == 2
    mirror.refresh()
    assert mirror.view.member("VN/GOV/G01")


def _power_cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_member_adds_a_subsystem_and_keeps_its_certificate(world: World) -> None:
    agency = world.agency("G01")
    before = _node(world).certificates
    agency.subsystems = [*agency.subsystems, Subsystem("cccd", "Căn cước")]
    assert world.approve(agency).changed
    mirror = world.mirror()
    mirror.refresh()
    assert mirror.view.nodes_of("VN/GOV/G01/cccd") == ("VN/GOV/G01/n1",)
    assert mirror.view.node("VN/GOV/G01/n1").certificates == before


def _node(world: World) -> Node:
    with world.repository.edit() as edit:
        node = edit.get(node_path("VN/GOV/G01/n1"))
    assert isinstance(node, Node)
    return node


def test_issues_a_certificate_for_the_addresses_and_renews_it_in_time(world: World) -> None:
    agency = world.agency("G01")
    [pem] = _node(world).certificates
    assert read_chain(pem)[0].not_valid_after_utc > world.clock() + timedelta(days=360)
    world.clock.forward(days=340)
    assert world.approve(agency).changed
    assert len(_node(world).certificates) == 2
    world.clock.forward(days=100)
    revoke(world.repository, "certificate", _print(_node(world).certificates[1]), "thử")
    world.approve(agency)
    assert len(_node(world).certificates) == 2  # one is over, one is new


def _print(pem: str) -> str:
    return fingerprint(read_chain(pem)[0])


def test_refuses_a_key_change_without_the_old_key(world: World) -> None:
    agency = world.agency("G01")
    agency.member_key = PrivateKey.generate()
    world.clock.forward(hours=1)
    with pytest.raises(KeyChangeRefused):
        approve(world.repository, agency.request())
    assert world.repository.version == 2


def test_refuses_a_stranger_who_claims_an_existing_member(world: World) -> None:
    world.agency("G01")
    with pytest.raises(KeyChangeRefused):
        approve(world.repository, Agency("G01", world.clock).request())


def test_a_host_may_send_a_members_older_statement_along(world: World) -> None:
    host = world.agency("G01")
    key = PrivateKey.generate()
    member = MemberId("VN", "COM", "bv")
    subsystems = [Subsystem("a", "A")]
    first = make_member(member, "BV", key, subsystems, host.node, world.clock())
    world.approve(host, hosted=[first])
    world.clock.forward(hours=1)
    second = make_member(
        member, "Bệnh viện", key, subsystems, host.node, world.clock(), previous=first
    )
    other = world.agency("G15")
    world.approve(other, hosted=[second])
    assert not world.approve(host, hosted=[first]).changed
    mirror = world.mirror()
    mirror.refresh()
    assert mirror.view.member("VN/COM/bv").name == "Bệnh viện"


def test_a_member_moves_to_a_second_node_and_keeps_the_first(world: World) -> None:
    one, two = world.agency("G01"), world.agency("G15")
    key, member = PrivateKey.generate(), MemberId("VN", "COM", "bv")
    subsystems = [Subsystem("a", "A")]
    first = make_member(member, "BV", key, subsystems, one.node, world.clock())
    second = make_member(member, "BV", key, subsystems, two.node, world.clock(), previous=first)
    world.approve(two, hosted=[second])
    mirror = world.mirror()
    mirror.refresh()
    assert set(mirror.view.nodes_of("VN/COM/bv/a")) == {"VN/GOV/G01/n1", "VN/GOV/G15/n1"}
    unchanged = make_member(member, "BV", key, subsystems, two.node, world.clock(), previous=second)
    assert unchanged == second


def test_the_second_node_of_a_member_carries_on_from_what_the_directory_says(world: World) -> None:
    first, second = world.agency("G01"), Agency("G01", world.clock)
    second.node, second.member_key = NodeId("VN", "GOV", "G01", "n2"), first.member_key
    second.subsystems = [Subsystem("moi", "Mới")]
    world.clock.forward(hours=1)
    with pytest.raises(StatementStale):
        approve(world.repository, second.request())
    second.last = None
    approve(world.repository, second.request(in_force=_in_force(world, second)))
    assert second.request(in_force=_in_force(world, second)) == second.last
    world.clock.forward(hours=1)
    first.subsystems = [*first.subsystems, Subsystem("sau", "Sau")]
    stale = first.last
    with pytest.raises(StatementStale):
        approve(world.repository, first.request())
    first.last = stale
    approve(world.repository, first.request(in_force=_in_force(world, first)))
    view = _refreshed(world).view
    assert [each.code for each in view.member("VN/GOV/G01").subsystems] == ["dancu", "moi", "sau"]
    assert view.nodes_of("VN/GOV/G01/moi", world.clock()) == ("VN/GOV/G01/n2",)
    assert view.nodes_of("VN/GOV/G01/sau", world.clock()) == ("VN/GOV/G01/n1",)


def test_an_overtaken_request_gets_its_renewed_certificate_but_no_new_right(world: World) -> None:
    first, second = world.agency("G01"), Agency("G01", world.clock)
    second.node, second.member_key = NodeId("VN", "GOV", "G01", "n2"), first.member_key
    pending = Agency("G01", world.clock)
    pending.__dict__.update(first.__dict__, subsystems=[Subsystem("sau", "Sau")])
    world.clock.forward(hours=1)
    asks_more = pending.request()
    for hours in (1, 2):
        world.clock.forward(hours=hours)
        second.subsystems = [Subsystem(f"s{hours}", "S")]
        approve(world.repository, second.request(in_force=_in_force(world, second)))
    with pytest.raises(StatementStale):
        approve(world.repository, asks_more)
    world.clock.forward(days=340)
    assert world.approve(first).changed
    assert len(_node(world).certificates) == 2


def _in_force(world: World, agency: Agency) -> InForce:
    return in_force(_refreshed(world).view, [str(agency.member)], str(agency.node))


def _refreshed(world: World) -> DirectoryMirror:
    mirror = world.mirror()
    mirror.refresh()
    return mirror


def test_every_key_in_a_request_must_prove_that_somebody_holds_it(world: World) -> None:
    agency = Agency("G01", world.clock)
    value = json.loads(agency.request())
    without_owner = _edited(value, lambda v: v["node"]["signatures"].pop(0))
    without_signing_key = _edited(value, lambda v: v["node"]["signatures"].pop(1))
    without_member = _edited(value, lambda v: v["members"][0].update(signatures=[]))
    other_key = PrivateKey.generate(Algorithm.P256)
    csr = certificate_request(other_key, "x", [])
    other_csr = _edited(value, lambda v: v.update(certificate_request=csr))
    for request in (without_owner, without_signing_key, without_member, other_csr):
        with pytest.raises(RequestInvalid):
            approve(world.repository, request)
    bad_csr = _edited(value, lambda v: v.update(certificate_request="x"))
    with pytest.raises(InvalidCertificate):
        approve(world.repository, bad_csr)
    assert world.repository.version == 1


def _edited(value: object, edit: object) -> bytes:
    copy = json.loads(json.dumps(value))
    edit(copy)  # type: ignore[operator]
    return json.dumps(copy).encode()


def test_refuses_a_request_that_was_changed_after_signing(world: World) -> None:
    value = json.loads(Agency("G01", world.clock).request())
    renamed = _edited(value, lambda v: v["members"][0]["statement"].update(name="Kẻ lạ"))
    moved = _edited(value, lambda v: v["node"]["statement"].update(addresses=["https://e:1"]))
    for request in (renamed, moved):
        with pytest.raises(RequestInvalid):
            approve(world.repository, request)


@pytest.mark.parametrize(
    "address",
    ["http://a:1", "https://a", "https://a:1/x", "https://u@a:1", "https://a:99999", "ftp://", ""],
)
def test_refuses_addresses_that_are_none(world: World, address: str) -> None:
    agency = Agency("G01", world.clock)
    request = make_request(
        agency.node,
        agency.member_key,
        agency.signing_key,
        agency.tls_key,
        addresses=[address],
        member_name="A",
        node_name="N",
        subsystems=[],
        now=world.clock(),
    )
    with pytest.raises(RecordInvalid):
        approve(world.repository, request)


def test_takes_a_certificate_of_an_approved_authority(world: World) -> None:
    national = Authority.create("VN national", 3650, world.clock())
    add_authority(world.repository, national.pem)
    version = world.repository.version
    add_authority(world.repository, national.pem)
    assert world.repository.version == version
    agency = Agency("G01", world.clock)
    request = parse_request(agency.request())
    pem = national.issue(agency.tls_key.public, str(agency.node), ["127.0.0.1"], 90, world.clock())
    brought = msgspec.structs.replace(request, certificate=pem)
    approve(world.repository, msgspec.json.encode(brought))
    assert _node(world).certificates == (pem,)


def test_refuses_a_certificate_of_another_authority_or_key(world: World) -> None:
    agency = Agency("G01", world.clock)
    request = parse_request(agency.request())
    stranger = Authority.create("X", 3650, world.clock())
    own = world.repository.authority
    other = PrivateKey.generate(Algorithm.P256).public
    for pem in (
        stranger.issue(agency.tls_key.public, "x", [], 90, world.clock()),
        own.issue(other, "x", [], 90, world.clock()),
    ):
        brought = msgspec.structs.replace(request, certificate=pem)
        with pytest.raises(InvalidCertificate):
            approve(world.repository, msgspec.json.encode(brought))


def test_an_authority_must_be_one(world: World) -> None:
    leaf = world.repository.authority.issue(
        PrivateKey.generate(Algorithm.P256).public, "x", [], 90, world.clock()
    )
    with pytest.raises(InvalidCertificate):
        add_authority(world.repository, leaf)


def test_a_node_belongs_to_the_member_in_its_name(world: World) -> None:
    one, two = world.agency("G01"), Agency("G15", world.clock)
    two.node = NodeId("VN", "GOV", "G01", "n2")
    two.member_key = PrivateKey.generate()
    with pytest.raises(KeyChangeRefused):
        approve(world.repository, two.request())
    assert one.node.owner == two.node.owner


def test_revoking_twice_publishes_once_and_the_unknown_is_named(world: World) -> None:
    world.agency("G01")
    first = revoke(world.repository, "node", "VN/GOV/G01/n1", "thử")
    assert revoke(world.repository, "node", "VN/GOV/G01/n1", "lại") == first
    for kind in ("node", "member", "key", "certificate", "delegation"):
        with pytest.raises(NothingToRevoke, match="VN/GOV/G99"):
            revoke(world.repository, kind, "VN/GOV/G99 VN/GOV/G99/n1", "thử")


def test_a_revoked_tls_key_gets_no_certificate(world: World) -> None:
    agency = world.agency("G01")
    revoke(world.repository, "key", agency.tls_key.public.key_id, "thử")
    with pytest.raises(RequestInvalid, match="revoked"):
        world.approve(agency)


def test_signing_anew_keeps_everything_fresh_for_years(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    for _ in range(60):
        world.clock.forward(days=20)
        world.repository.publish()
        mirror.refresh()
        mirror.view.check_fresh(world.clock() + timedelta(hours=23))
    assert mirror.view.member("VN/GOV/G01")


def test_publishing_needs_only_the_keys_that_it_uses(world: World) -> None:
    keys = world.repository.state / "keys"
    for role in ("root", "targets"):
        (keys / f"{role}.pem").rename(world.folder / role)
    world.agency("G01")
    world.repository.publish()
    with pytest.raises(InvalidKey):
        add_authority(world.repository, Authority.create("X", 9, world.clock()).pem)


def test_the_time_that_nodes_go_on_alone_is_set_when_a_directory_is_made(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "d", "VN", 4, Periods(timestamp_hours=72))
    assert Repository.open(tmp_path / "d").settings.periods.timestamp_hours == 72
    assert repository.settings == Repository.open(tmp_path / "d").settings


def test_records_stand_at_their_own_path_only(world: World) -> None:
    world.agency("G01")
    with world.repository.edit() as edit:
        data = world.repository.site.record(
            member_path("VN/GOV/G01"),
            world.repository.signer.digest(member_path("VN/GOV/G01")) or b"",
        )
        edit.changed[member_path("VN/GOV/G99")] = data
    mirror = world.mirror()
    mirror.refresh()
    with pytest.raises(RecordInvalid, match="path"):
        mirror.view.member("VN/GOV/G99")
