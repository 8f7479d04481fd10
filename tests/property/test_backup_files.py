"""A backup file that was changed anywhere is refused by one of our errors, or reads the same."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.errors import (
    BackupCut,
    BackupDamaged,
    BackupForged,
    BackupLocked,
    NotABackup,
    PassphraseWanted,
    PathUnusable,
)
from lienthong.node.backup_file import MAGIC, writing_backup
from tests.fixtures.backup_files import CHEAP, MEMBERS, PASSPHRASE, frames, read, written

REFUSALS = (NotABackup, BackupCut, BackupDamaged, BackupLocked, BackupForged)
PLAIN, SEALED = written(None), written(PASSPHRASE)
WHICH = {None: PLAIN, PASSPHRASE: SEALED}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backups") / "g01.backup"


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_what_was_written_is_read(file: Path, passphrase: str | None) -> None:
    file.write_bytes(WHICH[passphrase])
    assert read(file, passphrase) == MEMBERS


@given(st.sampled_from([None, PASSPHRASE]), st.data())
def test_changed_bytes_are_never_taken_for_what_was_written(
    file: Path, passphrase: str | None, data: st.DataObject
) -> None:
    content = bytearray(WHICH[passphrase])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        found = read(file, passphrase)
    except REFUSALS:
        return
    assert found == MEMBERS  # a byte that says nothing: a bit of a compression's level
    assert passphrase is None


@given(st.sampled_from([None, PASSPHRASE]), st.data())
def test_a_file_that_was_cut_is_refused(
    file: Path, passphrase: str | None, data: st.DataObject
) -> None:
    content = WHICH[passphrase]
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(BackupCut):
        read(file, passphrase)


@given(st.sampled_from([None, PASSPHRASE]), st.data())
def test_frames_left_out_doubled_or_put_elsewhere_are_refused(
    file: Path, passphrase: str | None, data: st.DataObject
) -> None:
    parts = frames(WHICH[passphrase])
    first, second = (data.draw(st.integers(1, len(parts) - 1)) for _ in range(2))
    changed = {
        "leave out": parts[:first] + parts[first + 1 :],
        "double": [*parts[:first], parts[first], *parts[first:]],
        "move": [*parts[:first], *parts[first + 1 :][: second - 1], parts[first]],
        "append": [*parts, parts[second]],
    }[data.draw(st.sampled_from(["leave out", "double", "move", "append"]))]
    if changed == parts:
        return
    file.write_bytes(b"".join(changed))
    with pytest.raises(REFUSALS):
        read(file, passphrase)


@given(st.sampled_from([None, PASSPHRASE]), st.binary(max_size=400), st.booleans())
@settings(max_examples=300)
def test_any_bytes_are_refused(
    file: Path, passphrase: str | None, content: bytes, after_the_beginning: bool
) -> None:
    file.write_bytes((frames(WHICH[passphrase])[0] if after_the_beginning else b"") + content)
    with pytest.raises(REFUSALS):
        read(file, passphrase)


@pytest.mark.parametrize(
    "name",
    [
        "state/../../etc/passwd",
        "/etc/passwd",
        "state//x",
        "state/./x",
        "state",
        "other/x",
        "state/a\\b",
        "state/a\nb",
        "state/a\0b",
        "state/" + "a" * 2000,
        "",
    ],
)
def test_a_member_that_would_leave_its_folder_is_refused(file: Path, name: str) -> None:
    file.write_bytes(written(None, {name: b"x"}))
    with pytest.raises(BackupDamaged):
        read(file, None)


def test_a_member_named_twice_is_refused(file: Path) -> None:
    parts = frames(PLAIN)
    name = next(number for number, part in enumerate(parts) if part[4:5] == b"F")
    end = next(number for number, part in enumerate(parts) if part[4:5] == b"E")
    doubled = [*parts[: end + 1], *parts[name : end + 1], *parts[end + 1 :]]
    file.write_bytes(b"".join(doubled))
    with pytest.raises(BackupDamaged):
        read(file, None)


def test_a_small_frame_cannot_become_a_large_chunk(file: Path) -> None:
    bomb = b"D" + zlib.compress(bytes(50_000_000), 9)
    parts = frames(PLAIN)
    file.write_bytes(b"".join([*parts[:2], struct.pack(">I", len(bomb)) + bomb, *parts[2:]]))
    with pytest.raises(BackupDamaged):
        read(file, None)


def test_checksums_made_anew_are_no_help_without_the_nodes_key(file: Path) -> None:
    others = written(None, {**MEMBERS, "state/identity.json": b'{"node": "VN/GOV/EVIL/n1"}'})
    file.write_bytes(others)
    assert read(file, None) != MEMBERS  # its checksums are right, and so is the key here
    with pytest.raises(BackupForged):
        read(file, None, bytes(32))


@pytest.mark.parametrize("passphrase", [None, "another passphrase"])
def test_a_sealed_file_needs_its_passphrase(file: Path, passphrase: str | None) -> None:
    file.write_bytes(SEALED)
    with pytest.raises(BackupLocked):
        read(file, passphrase)


def test_a_header_that_asks_for_all_memory_is_refused(file: Path) -> None:
    head, *rest = frames(SEALED)
    greedy = head.replace(str(CHEAP[1]).encode(), b"99999999999")
    content = greedy[len(MAGIC) + 4 :]
    file.write_bytes(MAGIC + struct.pack(">I", len(content)) + content + b"".join(rest))
    with pytest.raises(BackupDamaged):
        read(file, PASSPHRASE)


def test_a_short_passphrase_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "g01.backup"
    with pytest.raises(PassphraseWanted), writing_backup(target, "short"):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "g01.backup"
    with pytest.raises(RuntimeError), writing_backup(target, None) as writer:
        writer.add("state/x", [b"x"])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "g01.backup"
    path.write_bytes(b"the last good one")
    with pytest.raises(PathUnusable), writing_backup(path, None):
        pass
    assert path.read_bytes() == b"the last good one"
