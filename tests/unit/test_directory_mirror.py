"""The mirror against a hostile or absent directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lienthong.directory.fetch import Fetch, folder_fetch
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.onboarding import approve
from lienthong.directory.records import (
    Subsystem,
    encode_record,
    member_path,
)
from lienthong.directory.request import make_member
from lienthong.errors import (
    DirectoryError,
    DirectoryExpired,
    DirectoryInconsistent,
    DirectoryMalformed,
    DirectoryNotLoaded,
    DirectoryRollback,
    DirectorySignatureInvalid,
    DirectoryUnreachable,
    UnknownMember,
    WrongInstance,
)
from lienthong.identity.identifiers import MemberId
from lienthong.identity.keys import PrivateKey
from tests.fixtures.directory_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def replacing(world: World, replaced: dict[str, bytes]) -> Fetch:
    """Return a source that serves the public folder save for some files."""
    real = folder_fetch(world.repository.public_folder)
    return lambda name, limit: replaced.get(name) or real(name, limit)


def copy_of(world: World, name: str) -> Path:
    return Path(shutil.copytree(world.repository.public_folder, world.folder / name))


def test_refreshes_only_when_there_is_something_new(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    assert mirror.refresh() is True
    assert mirror.refresh() is False
    world.agency("G15")
    assert mirror.refresh() is True
    assert mirror.view.member("VN/GOV/G15").id == "VN/GOV/G15"


def test_an_old_view_stays_as_it_was(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    old = mirror.view
    world.agency("G15")
    mirror.refresh()
    with pytest.raises(UnknownMember):
        old.member("VN/GOV/G15")


def test_has_no_view_before_the_first_refresh(world: World) -> None:
    with pytest.raises(DirectoryNotLoaded):
        _ = world.mirror().view


def test_starts_without_network_from_its_last_good_copy(world: World) -> None:
    world.agency("G01")
    world.mirror().refresh()
    again = world.mirror(url="http://127.0.0.1:9")
    assert again.view.member("VN/GOV/G01").id == "VN/GOV/G01"
    with pytest.raises(DirectoryUnreachable):
        again.refresh()
    assert again.view.version == world.repository.version


def test_starts_after_expiry_too_and_says_so(world: World) -> None:
    world.agency("G01")
    world.mirror().refresh()
    world.clock.forward(days=2)
    with pytest.raises(DirectoryExpired):
        world.mirror().view.check_fresh(world.clock())


def test_a_refresh_cut_at_any_file_leaves_the_old_version_whole(world: World) -> None:
    world.agency("G01")
    world.mirror().refresh()
    version = world.mirror().view.version
    world.agency("G15")
    real = folder_fetch(world.repository.public_folder)
    for files_left in range(12):
        mirror = world.mirror()
        budget = iter(range(files_left))

        def cut(name: str, limit: int, budget: object = budget) -> bytes | None:
            if next(budget, None) is None:  # type: ignore[call-overload]
                raise DirectoryUnreachable(url=name, reason="cut")
            return real(name, limit)

        try:
            mirror.refresh(cut)
            break
        except DirectoryUnreachable:
            assert world.mirror(url="http://127.0.0.1:9").view.version == version
    else:
        pytest.fail("never got through")
    assert world.mirror().view.member("VN/GOV/G15")


def test_refuses_rollback_also_after_a_restart(world: World) -> None:
    world.agency("G01")
    old = copy_of(world, "old")
    world.agency("G15")
    mirror = world.mirror()
    mirror.refresh()
    for one in (mirror, world.mirror()):
        with pytest.raises(DirectoryRollback):
            one.refresh(folder_fetch(old))
        assert one.view.member("VN/GOV/G15")


def test_refuses_an_expired_directory(world: World) -> None:
    world.agency("G01")
    world.clock.forward(days=2)
    with pytest.raises(DirectoryExpired):
        world.mirror().refresh()


def test_notices_a_freeze_when_the_same_old_files_come_for_too_long(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    world.clock.forward(days=2)
    with pytest.raises(DirectoryExpired):
        mirror.refresh()
    world.repository.publish()
    assert mirror.refresh() is True


def test_a_clock_set_back_does_not_revive_an_expired_directory(world: World) -> None:
    world.agency("G01")
    old = copy_of(world, "old")
    world.mirror().refresh()
    world.clock.forward(days=3)
    world.repository.publish()
    mirror = world.mirror()
    mirror.refresh()
    world.clock.forward(days=-3)
    with pytest.raises(DirectoryRollback):
        mirror.refresh(folder_fetch(old))
    assert mirror.view.published > world.clock()


def test_refuses_files_of_two_versions_mixed(world: World) -> None:
    world.agency("G01")
    before = world.repository.signer.versions()
    old = copy_of(world, "old")
    world.agency("G15")
    now = world.repository.signer.versions()
    old_snapshot = (old / f"metadata/{before.snapshot}.snapshot.json").read_bytes()
    mixed = replacing(world, {f"metadata/{now.snapshot}.snapshot.json": old_snapshot})
    with pytest.raises(DirectoryInconsistent):
        world.mirror().refresh(mixed)


def test_refuses_one_bin_served_for_another(world: World) -> None:
    world.agency("G01")
    public = world.repository.public_folder
    versions = world.repository.signer.versions().others
    first, second = [
        (public / f"metadata/1.{role}.json").read_bytes()
        for role, version in versions.items()
        if version == 1 and role.startswith("bins")
    ][:2]
    roles = [role for role, version in versions.items() if version == 1 and role != "targets"]
    swapped = replacing(
        world,
        {f"metadata/1.{roles[0]}.json": second, f"metadata/1.{roles[1]}.json": first},
    )
    with pytest.raises(DirectoryInconsistent):
        world.mirror().refresh(swapped)


def test_refuses_metadata_and_records_that_were_changed(world: World) -> None:
    world.agency("G01")
    public = world.repository.public_folder
    for file in [*public.rglob("metadata/*.json"), *public.rglob("targets/**/*.json")]:
        name = str(file.relative_to(public))
        if name == "metadata/1.root.json" or _is_superseded(world, name):
            continue
        data = file.read_bytes()
        damaged = data[:-30] + bytes([data[-30] ^ 1]) + data[-29:]
        mirror = world.mirror(f"mirror {file.name}")
        with pytest.raises(DirectoryError):
            mirror.refresh(replacing(world, {name: damaged}))


def _is_superseded(world: World, name: str) -> bool:
    """Say whether a file belongs to an older version only, which nobody reads."""
    versions = world.repository.signer.versions()
    parts = name.removeprefix("metadata/").split(".")
    if not name.startswith("metadata/") or parts[0] == "timestamp":
        return False
    newest = {"snapshot": versions.snapshot, **versions.others}
    return newest.get(parts[1]) != int(parts[0])


def test_refuses_the_directory_of_another_root(world: World, tmp_path: Path) -> None:
    world.agency("G01")
    other = World(tmp_path / "other")
    with pytest.raises(DirectorySignatureInvalid):
        world.mirror().refresh(folder_fetch(other.repository.public_folder))
    mirror = DirectoryMirror(tmp_path / "m", world.url, other.root, world.clock)
    with pytest.raises(DirectorySignatureInvalid):
        mirror.refresh()


@pytest.mark.parametrize("root", [b"", b"{}", b"\xff", b'{"signed": {"_type": "root"}}'])
def test_refuses_a_root_that_is_none(world: World, root: bytes) -> None:
    with pytest.raises(DirectoryMalformed):
        DirectoryMirror(world.folder / "m", world.url, root)


def test_goes_on_to_the_next_address_when_one_fails(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror(url=["http://127.0.0.1:9", world.url])
    assert mirror.refresh() is True


def test_takes_newer_metadata_from_a_peers_mirror(world: World) -> None:
    world.agency("G01")
    peer, mirror = world.mirror("peer"), world.mirror(url="http://127.0.0.1:9")
    peer.refresh()
    assert mirror.refresh(folder_fetch(peer.site.folder)) is True
    world.agency("G15")
    peer.refresh()
    assert mirror.refresh(folder_fetch(peer.site.folder)) is True
    assert mirror.view.member("VN/GOV/G15")


def test_the_timestamp_is_signed_although_keys_are_kept_offline(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    for name in ("root", "targets"):
        (world.repository.state / "keys" / f"{name}.pem").rename(tmp_path / f"{name}.pem")
    world.clock.forward(days=300)  # past half of the year that targets count for
    world.repository.publish()
    assert "the key of targets is not here" in caplog.text
    mirror.refresh()
    mirror.view.check_fresh(world.clock())


def test_follows_the_root_when_it_is_renewed(world: World) -> None:
    world.agency("G01")
    first_root = world.root
    mirror = world.mirror()
    mirror.refresh()
    world.clock.forward(days=700)
    world.repository.publish()
    assert world.root != first_root
    assert mirror.refresh() is True
    again = DirectoryMirror(mirror.site.folder, "http://127.0.0.1:9", first_root, world.clock)
    again.view.check_fresh(world.clock())


def test_a_damaged_copy_is_fetched_again_and_still_no_older_one_is_taken(world: World) -> None:
    world.agency("G01")
    old = copy_of(world, "old")
    world.agency("G15")
    mirror = world.mirror()
    mirror.refresh()
    for damaged in (mirror.site.folder / "metadata").glob("*.bins-*.json"):
        damaged.write_bytes(b"{}")
    again = world.mirror()
    with pytest.raises(DirectoryNotLoaded):
        _ = again.view
    with pytest.raises(DirectoryRollback):
        again.refresh(folder_fetch(old))
    assert again.refresh() is True
    assert world.mirror(url="http://127.0.0.1:9").view.member("VN/GOV/G15")


def test_peers_are_given_the_public_files_only(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    assert mirror.public_file("metadata/timestamp.json")
    for name in ("alarms.json", "held/2.json", "../directory/keys/root.pem", "metadata/../held"):
        assert mirror.public_file(name) is None
    taken = world.mirror("second", url="http://127.0.0.1:9")
    assert taken.refresh(lambda name, limit: mirror.public_file(name)) is True


def test_refuses_a_record_of_another_instance(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "test", instance="VN-TEST")
    agency = other.agency("G01")
    with pytest.raises(WrongInstance):
        approve(world.repository, agency.request())
    mirror = other.mirror()
    mirror.refresh()
    record = mirror.view.member("VN-TEST/GOV/G01")
    world.put(member_path("VN-TEST/GOV/G01"), encode_record(record))
    mine = world.mirror()
    mine.refresh()
    with pytest.raises(WrongInstance):
        mine.view.member("VN-TEST/GOV/G01")


def test_takes_many_members_from_the_bundle(world: World) -> None:
    host = world.agency("G01")
    hosted = [
        make_member(
            MemberId("VN", "COM", f"xa{number}"),
            f"Xã {number}",
            PrivateKey.generate(),
            [Subsystem("mc", "Một cửa")],
            host.node,
            world.clock(),
        )
        for number in range(80)
    ]
    world.approve(host, hosted=hosted)
    asked: list[str] = []
    real = folder_fetch(world.repository.public_folder)

    def counting(name: str, limit: int) -> bytes | None:
        asked.append(name)
        return real(name, limit)

    mirror = world.mirror()
    mirror.refresh(counting)
    assert mirror.view.member("VN/COM/xa79").name == "Xã 79"
    assert len(asked) <= 8


def test_workers_of_a_node_that_share_a_folder_all_take_a_new_version_up(world: World) -> None:
    """Whoever is first writes it; the others must not take the file for their own view."""
    world.agency("G01")
    first, second = world.mirror(), world.mirror()
    assert (first.refresh(), second.refresh()) == (True, True)
    world.agency("G15")
    assert first.refresh() is True
    assert second.refresh() is True
    assert second.refresh() is False
    assert second.view.version == first.view.version
    assert second.view.member("VN/GOV/G15").id == "VN/GOV/G15"
    third = world.mirror()
    assert third.view.version == first.view.version
    assert third.refresh() is False
