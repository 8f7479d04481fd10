"""The directory's own keys change, and nodes follow without being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lienthong.directory.fetch import Fetch, fetch_from
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.repository import ROLES, Repository
from lienthong.directory.site import TIMESTAMP
from lienthong.errors import DirectoryError, DirectorySignatureInvalid, InvalidKey
from lienthong.identity.keys import PrivateKey
from tests.fixtures.directory_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.agency("G01")
    return made


def key_file(world: World, role: str) -> Path:
    return world.repository.state / "keys" / f"{role}.pem"


def changed(world: World, code: str, mirror: DirectoryMirror) -> bool:
    """Whether a mirror takes over what is published from now on."""
    world.clock.forward(minutes=1)
    agency = world.agency(code)
    mirror.refresh()
    return mirror.view.node(str(agency.node)).id == str(agency.node)


@pytest.mark.parametrize("role", ROLES)
def test_nodes_follow_a_new_key_from_the_root_that_they_were_given(world: World, role: str) -> None:
    given = world.root
    mirror = world.mirror()
    mirror.refresh()
    former = key_file(world, role).read_bytes()
    world.repository.rotate(role)
    assert key_file(world, role).read_bytes() != former
    mirror.refresh()
    assert changed(world, "G02", mirror)
    late = DirectoryMirror(world.folder / "late", world.url, given, world.clock)
    late.refresh()
    assert late.view.version == mirror.view.version
    without_network = DirectoryMirror(world.folder / "late", (), given, world.clock)
    assert without_network.view.version == mirror.view.version


@pytest.mark.parametrize("role", ROLES)
def test_the_former_key_counts_no_more(world: World, role: str) -> None:
    mirror = world.mirror()
    mirror.refresh()
    former = key_file(world, role).read_bytes()
    world.repository.rotate(role)
    mirror.refresh()
    version = mirror.view.version
    key_file(world, role).write_bytes(former)  # whoever stole it signs with it
    world.clock.forward(days=800)  # all is due, the root too
    thief = Repository.open(world.repository.state, world.clock)
    thief.publish()
    with pytest.raises(DirectoryError) as error:
        mirror.refresh()
    assert isinstance(error.value, DirectorySignatureInvalid)
    assert mirror.view.version == version


@pytest.mark.parametrize("role", ["root", "bins"])
def test_keys_change_many_times(world: World, role: str) -> None:
    mirror = world.mirror()
    for _ in range(3):
        world.repository.rotate(role)
    mirror.refresh()
    assert changed(world, "G03", mirror)


def test_what_was_proven_before_stays_provable(world: World) -> None:
    given = world.root
    mirror = world.mirror()
    mirror.refresh()
    node = "VN/GOV/G01/n1"
    version = mirror.view.version
    for role in ROLES:
        world.repository.rotate(role)
        mirror.refresh()
    proof = mirror.proof(["VN/GOV/G01"], [node], version)
    assert verify_directory_proof(given, proof).node(node).id == node


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_node_that_got_the_new_root_only_still_starts_without_a_network(
    world: World, role: str
) -> None:
    given = world.root
    mirror = world.mirror()
    mirror.refresh()
    world.repository.rotate(role)
    real = fetch_from(world.url)

    def cut_off(name: str, limit: int) -> bytes | None:
        if name == TIMESTAMP:
            raise DirectorySignatureInvalid(part="cut off here")
        return real(name, limit)

    fetch: Fetch = cut_off
    with pytest.raises(DirectoryError):
        mirror.refresh(fetch)
    again = DirectoryMirror(mirror.site.folder, world.url, given, world.clock)
    assert again.view.version == mirror.view.version
    again.refresh()
    assert changed(world, "G04", again)


@pytest.mark.parametrize("role", ROLES)
def test_a_rotation_that_was_cut_short_is_finished_by_the_next(world: World, role: str) -> None:
    mirror = world.mirror()
    mirror.refresh()
    following = key_file(world, role).with_name(f"{role}.next.pem")
    PrivateKey.generate().save(following)
    key = PrivateKey.load(following)
    world.repository.signer.rotate(role, key)  # here the power goes
    later = Repository.open(world.repository.state, world.clock)
    later.publish()  # what a running server does meanwhile
    mirror.refresh()
    assert later.rotate(role) == key.public.key_id
    assert not following.exists()
    mirror.refresh()
    assert changed(world, "G05", mirror)


def test_without_the_key_of_root_nothing_changes(world: World) -> None:
    key_file(world, "root").unlink()
    mirror = world.mirror()
    mirror.refresh()
    with pytest.raises(InvalidKey):
        world.repository.rotate("timestamp")
    world.repository.publish()
    mirror.refresh()
    assert mirror.view.node("VN/GOV/G01/n1")
