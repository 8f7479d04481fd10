"""What reading, fetching and taking over a directory refuses, one fault at a time."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Delegations as TufDelegations
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from lienthong.directory.acceptance import Index, held_name, read_held
from lienthong.directory.bundle import read_bundle
from lienthong.directory.download import need
from lienthong.directory.fetch import fetch_from, folder_fetch
from lienthong.directory.onboarding import approve
from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.records import (
    Authorities,
    AuthoritiesStatement,
    Member,
    Node,
    Registrar,
    Subsystem,
    encode_record,
    member_path,
    node_path,
)
from lienthong.directory.site import TIMESTAMP, Site
from lienthong.directory.succession import check_succession
from lienthong.directory.trust import INSTANCE_FIELD, TIME_FIELD, Trust, index_of
from lienthong.errors import (
    DirectoryInconsistent,
    DirectoryMalformed,
    DirectoryNotLoaded,
    DirectoryProofInvalid,
    DirectoryStateInvalid,
    DirectoryUnreachable,
    KeyChangeRefused,
    RecordInvalid,
    RequestInvalid,
)
from tests.fixtures.directory_world import Agency, World

MEMBER, NODE = "VN/GOV/G01", "VN/GOV/G01/n1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- files, folders, servers ---------------------------------------------------------------


def test_what_was_held_must_be_readable(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for content in (b"{", b'{"members/a":"zz"}', b'{"a":1}'):
        site.write_all({held_name(1): content})
        with pytest.raises(DirectoryInconsistent):
            read_held(site, 1)
    with pytest.raises(DirectoryInconsistent):
        read_held(site, 2)


def test_a_file_that_must_be_there_is_named_when_it_is_not() -> None:
    with pytest.raises(DirectoryInconsistent, match=r"1\.root\.json"):
        need(lambda name, limit: None, "1.root.json", 10)


def test_a_folder_with_a_file_too_large_or_unreadable_is_refused(tmp_path: Path) -> None:
    fetch = folder_fetch(tmp_path)
    (tmp_path / "a").write_bytes(bytes(11))
    (tmp_path / "b").mkdir()
    assert fetch("a", 11) == bytes(11)
    with pytest.raises(DirectoryMalformed):
        fetch("a", 10)
    with pytest.raises(DirectoryUnreachable):
        fetch("b", 10)


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, tuple[int, bytes, bool]]]]:
    """A web server's address, and what it says to each path: status, body, whether gzip."""
    said: dict[str, tuple[int, bytes, bool]] = {}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, gzipped = said[self.path[1:]]
            self.send_response(status)
            if gzipped:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", said
        server.shutdown()
        thread.join()


def test_a_web_server_that_fails_or_exaggerates_is_refused(
    answers: tuple[str, dict[str, tuple[int, bytes, bool]]],
) -> None:
    url, said = answers
    packed = gzip.compress(bytes(1000))
    said.update(good=(200, packed, True), none=(404, b"", False), broken=(500, b"x", False))
    said.update(rubbish=(200, b"no gzip", True), cut=(200, packed[:-9], True))
    said.update(plain=(200, bytes(1000), False))
    fetch = fetch_from(url)
    assert fetch("good", 1000) == fetch("plain", 1000) == bytes(1000)
    assert fetch("none", 1000) is None
    for name in ("good", "plain"):
        with pytest.raises(DirectoryMalformed, match="999"):
            fetch(name, 999)
    with pytest.raises(DirectoryMalformed, match="gzip"):
        fetch("rubbish", 1000)
    with pytest.raises(DirectoryUnreachable, match="500"):
        fetch("broken", 1000)
    with pytest.raises(DirectoryUnreachable, match="cut off"):
        fetch("cut", 1000)


def test_a_bundle_of_one_endless_line_is_refused() -> None:
    with pytest.raises(DirectoryMalformed, match="line"):
        list(read_bundle(gzip.compress(bytes(20_000_000))))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    site = Site(tmp_path / "file" / "folder")
    with pytest.raises(DirectoryStateInvalid):
        site.write_all({"a": b""})
    with pytest.raises(DirectoryStateInvalid), site.held():
        pass


def test_a_record_on_disk_must_be_what_its_name_says(tmp_path: Path) -> None:
    site = Site(tmp_path)
    digest = sha256(b"right").digest()
    with pytest.raises(DirectoryInconsistent):
        site.record("members/a", digest)
    site.write_all({f"targets/members/{digest.hex()}.a": b"wrong"})
    with pytest.raises(DirectoryInconsistent):
        site.record("members/a", digest)


# --- the operator's state, a mirror's copy -------------------------------------------------


def test_a_directory_whose_own_files_are_gone_or_damaged_publishes_nothing(world: World) -> None:
    public = world.repository.public_folder
    for name, reason in ((TIMESTAMP, "no timestamp"), ("metadata/1.snapshot.json", "damaged")):
        good = (public / name).read_bytes()
        (public / name).write_bytes(b"{}")
        with pytest.raises(DirectoryStateInvalid, match="damaged"):
            world.agency("G01")
        (public / name).unlink()
        with pytest.raises(DirectoryStateInvalid, match=reason):
            world.agency("G01")
        (public / name).write_bytes(good)
    world.agency("G01")


def test_a_copy_that_lacks_a_file_or_a_signature_is_not_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.agency("G01")
    world.mirror().refresh()
    folder = world.folder / "mirror"
    stamp = json.loads((folder / TIMESTAMP).read_bytes())
    bare = {**stamp, "signatures": [{**stamp["signatures"][0], "sig": "00" * 64}]}
    (folder / TIMESTAMP).write_text(json.dumps(bare))
    with pytest.raises(DirectoryNotLoaded):
        _ = world.mirror().view
    (folder / TIMESTAMP).write_text(json.dumps(stamp))
    snapshot = stamp["signed"]["meta"]["snapshot.json"]["version"]
    (folder / f"metadata/{snapshot}.snapshot.json").unlink()
    with caplog.at_level(logging.ERROR), pytest.raises(DirectoryNotLoaded):
        _ = world.mirror().view
    expected = DirectoryInconsistent(part=f"metadata/{snapshot}.snapshot.json")
    assert str(expected) in caplog.text


def test_a_request_without_the_nodes_owner_is_refused(world: World) -> None:
    value = json.loads(Agency("G01", world.clock).request())
    value["members"] = json.loads(Agency("G15", world.clock).request())["members"]
    with pytest.raises(RequestInvalid, match="owner"):
        approve(world.repository, json.dumps(value).encode())


def test_a_proof_with_a_record_that_its_version_does_not_name_is_refused(world: World) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    proof = json.loads(json.dumps(mirror.proof([MEMBER], [NODE])))
    name = next(each for each in proof["files"] if each.startswith("targets/members/"))
    text, digest = proof["files"][name], name.split("/")[-1][:64]
    path = name.split(digest + ".")[1]
    for added in (name.replace(digest, "0" * 64), name.replace(path, f"{'0' * 32}.json")):
        more = {**proof, "files": {**proof["files"], added: text}}
        with pytest.raises(DirectoryInconsistent):
            verify_directory_proof(world.root, more)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "lienthong-directory-proof-2"}, "another format"),
        ({"files": {"../x": ""}}, "no directory has"),
        ({"timestamp": "\ud800"}, "UTF-8"),
        ({"files": {}}, "is missing"),
    ],
)
def test_what_is_wrong_with_a_proof_is_said(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    world.agency("G01")
    mirror = world.mirror()
    mirror.refresh()
    proof = {**json.loads(json.dumps(mirror.proof([MEMBER], [NODE]))), **changes}
    with pytest.raises(DirectoryProofInvalid, match=reason):
        verify_directory_proof(world.root, proof)


def test_an_index_has_no_record_that_nobody_published() -> None:
    copy: Any = SimpleNamespace(digest=lambda path: None)
    with pytest.raises(KeyError):
        Index(copy, {})["members/none"]


# --- records -------------------------------------------------------------------------------


def record(world: World, path: str) -> Any:
    with world.repository.edit() as edit:
        return edit.get(path)


def refreshed(world: World, name: str = "mirror") -> Any:
    mirror = world.mirror(name)
    mirror.refresh()
    return mirror.view


def renamed(found: Any, **fields: object) -> bytes:
    """The record with fields of its statement changed and the old signatures."""
    statement = msgspec.structs.replace(found.statement, **fields)
    return encode_record(msgspec.structs.replace(found, statement=statement))


def test_records_that_their_owner_did_not_sign_do_not_count(world: World) -> None:
    world.agency("G01")
    world.put(node_path(NODE), renamed(record(world, node_path(NODE)), name="Kẻ lạ"))
    view = refreshed(world)
    with pytest.raises(RecordInvalid, match="owner"):
        view.node(NODE)
    world.put(member_path(MEMBER), renamed(record(world, member_path(MEMBER)), name="Kẻ lạ"))
    with pytest.raises(RecordInvalid, match="own key"):
        refreshed(world, "second").member(MEMBER)


def test_a_successor_is_of_the_same_kind_and_keeps_the_first_day_of_its_keys(world: World) -> None:
    world.agency("G01")
    member, node = record(world, member_path(MEMBER)), record(world, node_path(NODE))
    assert isinstance(member, Member)
    assert isinstance(node, Node)
    with pytest.raises(KeyChangeRefused, match="kind"):
        check_succession(member, node, None, ())
    key = member.statement.keys[0]
    earlier = msgspec.structs.replace(key, valid_from=key.valid_from - timedelta(days=1))
    statement = msgspec.structs.replace(
        member.statement, keys=(earlier,), serial=member.statement.serial + 1
    )
    moved = msgspec.structs.replace(member, statement=statement)
    with pytest.raises(KeyChangeRefused, match="vanished"):
        check_succession(member, moved, None, ())


def test_new_authorities_alone_are_no_act_of_registrars(world: World) -> None:
    registrar = Registrar("nguoi ghi danh", Agency("G01", world.clock).member_key.public.text)
    issued = world.clock().replace(microsecond=0)
    statement = AuthoritiesStatement("authorities", "VN", 1, issued, (), (registrar, registrar))
    old = Authorities(statement, ())
    newer = msgspec.structs.replace(statement, serial=2, authorities=("another",))
    assert check_succession(old, Authorities(newer, ()), None, ()) is False


def test_a_record_that_names_a_thing_twice_is_refused(world: World) -> None:
    world.agency("G01")
    subsystem = Subsystem("dancu", "Dân cư")
    twice = renamed(record(world, member_path(MEMBER)), subsystems=(subsystem, subsystem))
    world.put(member_path(MEMBER), twice)
    with pytest.raises(RecordInvalid, match="twice"):
        refreshed(world).member(MEMBER)


# --- metadata under a key that the test holds ----------------------------------------------


class Operator:
    """Signs any metadata with one key for all roles."""

    def __init__(self) -> None:
        self.signer = CryptoSigner.generate_ed25519()
        self.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)

    def signed(self, content: Any, **fields: object) -> bytes:
        content.unrecognized_fields.update(fields)
        metadata = Metadata(content)
        metadata.sign(self.signer)
        return bytes(metadata.to_bytes())

    def root(self, version: int = 1, **fields: object) -> bytes:
        key = self.signer.public_key
        roles = {
            name: Role([key.keyid], 1) for name in ("root", "timestamp", "snapshot", "targets")
        }
        root = Root(version, None, self.expires, {key.keyid: key}, roles, True)
        return self.signed(root, **fields)

    def trust(
        self,
        targets: Targets,
        more: dict[str, MetaFile] | None = None,
        moment: object = "2026-06-01T08:00:00Z",
    ) -> Trust:
        """A trust that has taken everything up to the targets."""
        trust = Trust(self.root(1, **{INSTANCE_FIELD: "VN"}), datetime.now(UTC))
        meta = {"targets.json": MetaFile(1)} if more is None else more
        snapshot = Snapshot(1, None, self.expires, meta)
        stamp = Timestamp(1, None, self.expires, MetaFile(1))
        trust.offer_timestamp(self.signed(stamp, **{TIME_FIELD: moment}))
        trust.offer_snapshot(self.signed(snapshot))
        if "targets.json" in meta:
            trust.offer_targets(self.signed(targets))
        return trust


@pytest.fixture(scope="module")
def operator() -> Operator:
    return Operator()


def bins(operator: Operator) -> Targets:
    key = operator.signer.public_key
    roles = SuccinctRoles([key.keyid], 1, 1, "bins")
    delegations = TufDelegations({key.keyid: key}, succinct_roles=roles)
    return Targets(1, None, operator.expires, {}, delegations)


def test_a_root_names_its_instance_and_the_next_one_the_same(operator: Operator) -> None:
    with pytest.raises(DirectoryMalformed, match=INSTANCE_FIELD):
        Trust(operator.root(), datetime.now(UTC))
    with pytest.raises(DirectoryMalformed, match=INSTANCE_FIELD):
        Trust(operator.root(**{INSTANCE_FIELD: 5}), datetime.now(UTC))
    trust = Trust(operator.root(1, **{INSTANCE_FIELD: "VN"}), datetime.now(UTC))
    with pytest.raises(DirectoryMalformed, match="another instance"):
        trust.advance_root(operator.root(2, **{INSTANCE_FIELD: "VN-TEST"}))


def test_a_snapshot_names_the_targets_and_every_bin(operator: Operator) -> None:
    whole = {name: MetaFile(1) for name in ("targets.json", "bins-0.json", "bins-1.json")}
    assert operator.trust(bins(operator), whole).bin_versions() == {"bins-0": 1, "bins-1": 1}
    with pytest.raises(DirectoryInconsistent, match="bins-1"):
        operator.trust(bins(operator), {k: whole[k] for k in list(whole)[:2]}).bin_versions()
    with pytest.raises(DirectoryInconsistent, match="targets"):
        operator.trust(bins(operator), {"bins-0.json": MetaFile(1)}).targets_version()


def test_targets_without_hashed_bins_are_refused(operator: Operator) -> None:
    with pytest.raises(DirectoryMalformed, match="bins"):
        operator.trust(Targets(1, None, operator.expires)).bin_of("members/a")


@pytest.mark.parametrize("moment", ["yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_timestamp_says_when_it_was_made(operator: Operator, moment: str) -> None:
    with pytest.raises(DirectoryMalformed, match=TIME_FIELD):
        operator.trust(bins(operator), moment=moment).published()


@pytest.mark.parametrize("hashes", [{"sha512": "00"}, {"sha256": "zz"}])
def test_a_bin_gives_the_sha_256_of_each_record(operator: Operator, hashes: dict[str, str]) -> None:
    targets = Targets(1, None, operator.expires, {"a": TargetFile(1, hashes, "a")})
    with pytest.raises(DirectoryMalformed, match="SHA-256"):
        index_of(targets)
