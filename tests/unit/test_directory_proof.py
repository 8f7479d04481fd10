"""Proofs of what the directory said, judged offline against a root given separately."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.revocation import revoke
from lienthong.errors import (
    DirectoryError,
    DirectorySignatureInvalid,
    KeyRevoked,
    UnknownDirectoryVersion,
    UnknownMember,
    UnknownNode,
)
from tests.fixtures.directory_world import World

MEMBER, NODE = "VN/GOV/G01", "VN/GOV/G01/n1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def proof_of(world: World, version: int | None = None) -> dict[str, Any]:
    mirror = world.mirror()
    mirror.refresh()
    return json.loads(json.dumps(mirror.proof([MEMBER], [NODE], version)))


def test_shows_members_and_nodes_as_of_its_version_without_any_network(world: World) -> None:
    agency = world.agency("G01")
    world.agency("G15")
    proof = proof_of(world)
    world.clock.forward(days=4000)
    view = verify_directory_proof(world.root, proof)
    assert (view.instance, view.version) == ("VN", 3)
    at = view.published
    assert view.check_delegation(MEMBER, NODE, at)
    key_id = agency.signing_key.public.key_id
    assert view.signing_key(NODE, key_id, at) == agency.signing_key.public
    with pytest.raises(UnknownMember):
        view.member("VN/GOV/G15")


def test_an_older_version_is_proven_as_it_was(world: World) -> None:
    agency = world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    revoke(world.repository, "node", NODE, "thử")
    world.agency("G15")
    mirror.refresh()
    key_id = agency.signing_key.public.key_id
    before = verify_directory_proof(world.root, mirror.proof([MEMBER], [NODE], 2))
    after = verify_directory_proof(world.root, mirror.proof([MEMBER], [NODE]))
    assert before.version == 2
    assert before.signing_key(NODE, key_id, world.clock())
    with pytest.raises(KeyRevoked):
        after.signing_key(NODE, key_id, world.clock())


def test_an_older_version_is_proven_after_the_root_was_renewed(world: World) -> None:
    world.agency("G01")
    first_root = world.root
    mirror = world.mirror()
    mirror.refresh()
    world.clock.forward(days=700)
    world.repository.publish()
    mirror.refresh()
    assert verify_directory_proof(first_root, mirror.proof([MEMBER], [NODE], 2)).version == 2
    newest = mirror.proof([MEMBER], [NODE])
    assert verify_directory_proof(first_root, newest).version == 3


def test_refuses_a_proof_under_another_root(world: World, tmp_path: Path) -> None:
    world.agency("G01")
    other = World(tmp_path / "other")
    other.agency("G01")
    with pytest.raises(DirectorySignatureInvalid):
        verify_directory_proof(other.root, proof_of(world))


def test_refuses_a_proof_with_any_file_changed_or_missing(world: World) -> None:
    world.agency("G01")
    proof = proof_of(world)
    for name, text in proof["files"].items():
        place = len(text) // 2
        damaged = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        changed = {**proof, "files": {**proof["files"], name: damaged}}
        with pytest.raises(DirectoryError):
            _read_all(world, changed)
        rest = {key: value for key, value in proof["files"].items() if key != name}
        with pytest.raises(DirectoryError):
            _read_all(world, {**proof, "files": rest})


def _read_all(world: World, proof: dict[str, Any]) -> None:
    view = verify_directory_proof(world.root, proof)
    view.check_delegation(MEMBER, NODE, view.published)


@pytest.mark.parametrize(
    "proof",
    [
        None,
        [],
        {},
        {"format": "x", "timestamp": "", "files": {}},
        {"format": "lienthong-directory-proof-1", "timestamp": "", "files": {}},
        {"format": "lienthong-directory-proof-1", "timestamp": "", "files": {"../x": ""}},
        {"format": "lienthong-directory-proof-1", "timestamp": "\ud800", "files": {}},
        {"format": "lienthong-directory-proof-1", "timestamp": 1, "files": {}},
    ],
)
def test_refuses_what_is_no_proof(world: World, proof: object) -> None:
    with pytest.raises(DirectoryError):
        verify_directory_proof(world.root, proof)


def test_names_what_it_cannot_prove(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    with pytest.raises(UnknownMember, match="G99"):
        mirror.proof(["VN/GOV/G99"], [])
    with pytest.raises(UnknownNode, match="n9"):
        mirror.proof([], ["VN/GOV/G01/n9"])
    with pytest.raises(UnknownDirectoryVersion, match="77"):
        mirror.proof([MEMBER], [], 77)
