"""The mirror against an operator who changes what agencies signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lienthong.directory.authorities import add_authority, add_registrar
from lienthong.directory.canonical import canonical, sign
from lienthong.directory.onboarding import approve
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    Member,
    encode_record,
    member_path,
    node_path,
)
from lienthong.directory.request import countersign
from lienthong.directory.revocation import revoke
from lienthong.errors import (
    DirectoryError,
    RecordInvalid,
)
from lienthong.identity.certificates import Authority
from lienthong.identity.keys import PrivateKey
from tests.fixtures.directory_world import World, changed


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- no quiet change of keys ---------------------------------------------------------


def swap_key(world: World, by: Callable[[Member], bytes]) -> None:
    with world.repository.edit() as edit:
        member = edit.get(member_path("VN/GOV/G01"))
        assert isinstance(member, Member)
        edit.changed[member_path("VN/GOV/G01")] = by(member)


def forged(member: Member) -> bytes:
    """Return the record that a faithless operator makes with a key of its own."""
    key = PrivateKey.generate()
    statement = msgspec.structs.replace(
        member.statement,
        serial=member.statement.serial + 1,
        keys=(
            *member.keys,
            msgspec.structs.replace(member.keys[0], key=key.public.text),
        ),
    )
    return encode_record(Member(statement, sign(canonical(statement), [key]), ()))


def test_holds_the_old_record_when_the_operator_swaps_a_key(world: World) -> None:
    agency = world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    swap_key(world, forged)
    world.agency("G15")
    assert mirror.refresh() is True
    for one in (mirror, world.mirror()):
        keys = one.view.member("VN/GOV/G01").keys
        assert [item.public for item in keys] == [agency.member_key.public]
        assert [(alarm.kind, alarm.subject) for alarm in one.alarms] == [
            ("change_refused", "VN/GOV/G01")
        ]
        assert one.view.member("VN/GOV/G15")


def test_takes_the_agencys_own_next_record_after_a_swap(world: World) -> None:
    agency = world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    with world.repository.edit() as edit:
        honest = edit.get(member_path("VN/GOV/G01"))
    swap_key(world, forged)
    mirror.refresh()
    assert isinstance(honest, Member)
    world.put(member_path("VN/GOV/G01"), encode_record(honest))
    mirror.refresh()
    agency.name = "Tên mới"
    approve(world.repository, agency.request())
    mirror.refresh()
    assert mirror.view.member("VN/GOV/G01").name == "Tên mới"


def test_holds_the_old_record_when_the_operator_changes_an_address(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    node = mirror.view.node("VN/GOV/G01/n1")
    world.put(node_path(node.id), changed(node, serial=2, addresses=["https://evil:1"]))
    mirror.refresh()
    assert mirror.view.node("VN/GOV/G01/n1").addresses == node.addresses
    assert mirror.alarms[-1].kind == "change_refused"


def test_a_new_mirror_refuses_a_record_that_its_owner_did_not_sign(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    node = mirror.view.node("VN/GOV/G01/n1")
    world.put(node_path(node.id), changed(node, addresses=["https://evil:1"]))
    fresh = world.mirror("fresh")
    fresh.refresh()
    with pytest.raises(RecordInvalid):
        fresh.view.node("VN/GOV/G01/n1")
    assert fresh.view.nodes_of("VN/GOV/G01/dancu") == ()


def test_holds_a_record_that_vanished_and_a_revocation_that_was_taken_back(world: World) -> None:
    world.agency("G01")
    with world.repository.edit() as edit:
        before = edit.get(node_path("VN/GOV/G01/n1"))
    revoke(world.repository, "node", "VN/GOV/G01/n1", "thử")
    mirror = world.mirror()
    mirror.refresh()
    assert before is not None
    world.put(node_path("VN/GOV/G01/n1"), encode_record(before))
    mirror.refresh()
    assert mirror.view.node("VN/GOV/G01/n1").revocations
    assert mirror.alarms[-1].detail == "a revocation has vanished"


def test_an_agency_changes_its_own_key_with_the_old_one(world: World) -> None:
    agency = world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    old, agency.member_key = agency.member_key, PrivateKey.generate()
    world.clock.forward(hours=1)
    approve(world.repository, agency.request(old_key=old))
    mirror.refresh()
    keys = [item.public for item in mirror.view.member("VN/GOV/G01").keys]
    assert keys == [old.public, agency.member_key.public]
    assert mirror.view.node("VN/GOV/G01/n1")
    assert mirror.alarms == ()


def test_two_registrars_replace_a_lost_key_and_everyone_hears_of_it(world: World) -> None:
    agency = world.agency("G01")
    registrars = [PrivateKey.generate(), PrivateKey.generate()]
    for number, key in enumerate(registrars):
        add_registrar(world.repository, f"Đơn vị {number}", key.public.text)
    mirror = world.mirror()
    mirror.refresh()
    agency.member_key = PrivateKey.generate()
    world.clock.forward(hours=1)
    request = agency.request()
    for key in registrars:
        request = countersign(request, key)
    approve(world.repository, request)
    mirror.refresh()
    assert agency.member_key.public in [
        item.public for item in mirror.view.member("VN/GOV/G01").keys
    ]
    assert [alarm.kind for alarm in mirror.alarms] == ["registrars_acted"]


def test_new_registrars_need_two_of_the_old_ones(world: World) -> None:
    keys = [PrivateKey.generate() for _ in range(4)]
    for number, key in enumerate(keys[:2]):
        add_registrar(world.repository, f"Đơn vị {number}", key.public.text)
    mirror = world.mirror()
    mirror.refresh()
    with pytest.raises(DirectoryError):
        add_registrar(world.repository, "Kẻ lạ", keys[2].public.text)
    add_registrar(world.repository, "Đơn vị 3", keys[2].public.text, keys[:2])
    mirror.refresh()
    assert len(mirror.view.registrars) == 3
    assert [alarm.kind for alarm in mirror.alarms] == ["authorities_changed"]


def test_holds_the_registrars_when_the_operator_adds_its_own(world: World) -> None:
    for number in range(2):
        add_registrar(world.repository, f"Đơn vị {number}", PrivateKey.generate().public.text)
    mirror = world.mirror()
    mirror.refresh()
    with world.repository.edit() as edit:
        record = edit.get(AUTHORITIES_PATH)
    names = [{"name": "Kẻ lạ", "key": PrivateKey.generate().public.text}]
    world.put(AUTHORITIES_PATH, changed(record, serial=9, registrars=names))
    mirror.refresh()
    assert [one.name for one in mirror.view.registrars] == ["Đơn vị 0", "Đơn vị 1"]
    assert mirror.alarms[-1].subject == "authorities"


def test_a_new_authority_is_taken_over_with_an_alarm(world: World) -> None:
    mirror = world.mirror()
    mirror.refresh()
    add_authority(world.repository, Authority.create("VN", 30, world.clock()).pem)
    mirror.refresh()
    assert len(mirror.view.authorities) == 2
    assert mirror.alarms[-1].kind == "authorities_changed"
