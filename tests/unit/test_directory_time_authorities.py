"""Time-stamping authorities in the directory: added, ended, proven, never lost."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.records import TIME_AUTHORITIES_PATH, TimeAuthorities
from lienthong.directory.time_authorities import add_time_authority, end_time_authority
from lienthong.errors import (
    DirectoryInconsistent,
    InvalidCertificate,
    KeyChangeRefused,
    RecordInvalid,
    TimeAuthorityKnown,
    TimeAuthorityUnknown,
)
from tests.fixtures.directory_world import World, changed
from tests.fixtures.federation import run
from tests.fixtures.time_authority import issue

ROOT = issue("TSA root", authority=True)
LEAF = issue("TSA", ROOT)
CHAIN = LEAF.pem + ROOT.pem


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.agency("G01")
    return world


def test_nodes_learn_an_authority_and_are_alarmed(world: World) -> None:
    mirror = world.mirror()
    mirror.refresh()
    assert mirror.view.time_authorities == ()
    version = add_time_authority(world.repository, "TSA", CHAIN)
    mirror.refresh()
    assert mirror.view.version == version
    (named,) = mirror.view.time_authorities
    assert (named.name, named.certificates) == ("TSA", CHAIN)
    assert [(alarm.kind, alarm.subject) for alarm in mirror.alarms] == [
        ("authorities_changed", "time-authorities")
    ]


def test_to_add_one_again_changes_nothing(world: World) -> None:
    version = add_time_authority(world.repository, "TSA", CHAIN)
    assert add_time_authority(world.repository, "TSA", CHAIN) == version
    with pytest.raises(TimeAuthorityKnown):
        add_time_authority(world.repository, "TSA", ROOT.pem)


def test_one_that_ended_still_counts_for_what_it_stamped_before(world: World) -> None:
    add_time_authority(world.repository, "TSA", CHAIN)
    world.clock.forward(days=2)
    end_time_authority(world.repository, "TSA")
    mirror = world.mirror()
    mirror.refresh()
    (named,) = mirror.view.time_authorities
    assert named.holds(world.clock() - timedelta(days=1))
    assert not named.holds(world.clock() + timedelta(days=1))
    assert not named.holds(world.clock() - timedelta(days=3))
    with pytest.raises(KeyChangeRefused):  # an end is drawn in, never put off
        end_time_authority(world.repository, "TSA", world.clock() + timedelta(days=9))
    end_time_authority(world.repository, "TSA", world.clock() - timedelta(days=1))
    with pytest.raises(TimeAuthorityUnknown):
        end_time_authority(world.repository, "nobody")


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (LEAF.pem, "no root"),
        (LEAF.pem + issue("other", authority=True).pem, "not issued by the next"),
        (issue("x", ROOT, usages=()).pem + ROOT.pem, "time-stamping only"),
        (issue("x", ROOT, critical=False).pem + ROOT.pem, "time-stamping only"),
        ("", "cannot be read"),
    ],
)
def test_refuses_certificates_that_could_not_prove_a_time(
    world: World, pem: str, words: str
) -> None:
    with pytest.raises(InvalidCertificate) as caught:
        add_time_authority(world.repository, "TSA", pem)
    assert words in str(caught.value)


def test_a_root_alone_stands_for_all_that_it_issues(world: World) -> None:
    assert add_time_authority(world.repository, "TSA", ROOT.pem) > 1


def test_an_authority_cannot_vanish_or_change(world: World) -> None:
    add_time_authority(world.repository, "TSA", CHAIN)
    mirror = world.mirror()
    mirror.refresh()
    with world.repository.edit() as edit:
        old = edit.get(TIME_AUTHORITIES_PATH)
    assert isinstance(old, TimeAuthorities)
    other = msgspec.structs.replace(old.statement.authorities[0], certificates=ROOT.pem)
    world.put(TIME_AUTHORITIES_PATH, changed(old, serial=2, authorities=(other,)))
    mirror.refresh()
    (named,) = mirror.view.time_authorities
    assert named.certificates == CHAIN
    assert mirror.alarms[-1].kind == "change_refused"


def test_a_proof_carries_them_when_asked(world: World) -> None:
    add_time_authority(world.repository, "TSA", CHAIN)
    mirror = world.mirror()
    mirror.refresh()
    without = verify_directory_proof(world.root, mirror.proof(["VN/GOV/G01"], []))
    assert without.time_authorities == ()
    proof = mirror.proof(["VN/GOV/G01"], [], time_authorities=True)
    (named,) = verify_directory_proof(world.root, proof).time_authorities
    assert named.certificates == CHAIN
    name = next(name for name in proof["files"] if name.endswith("timeauthorities.json"))
    proof["files"][name] = proof["files"][name].replace("TSA", "TSB")
    with pytest.raises((DirectoryInconsistent, RecordInvalid)):
        _ = verify_directory_proof(world.root, proof).time_authorities


def test_the_operator_adds_and_ends_one(tmp_path: Path) -> None:
    state, chain = str(tmp_path / "directory"), tmp_path / "chain.pem"
    chain.write_text(CHAIN)
    run("directory", "init", state, "--instance", "VN")
    run("directory", "time-authority", "add", state, str(chain), "--name", "TSA")
    run("directory", "time-authority", "end", state, "TSA")
    (shown,) = json.loads(run("directory", "show", state, "--json"))["time_authorities"]
    assert shown["name"] == "TSA"
    assert shown["until"] is not None
