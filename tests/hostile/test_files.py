"""What an operator loads: contract files; and metadata and bundles of a directory."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from lienthong.contracts.loading import load_contract
from lienthong.directory.bundle import read_bundle
from lienthong.directory.trust import Trust
from tests.fixtures.directory_world import World
from tests.fixtures.hostile_corpus import CUTS, TEXTS, VALUES, Corpus, cut
from tests.fixtures.people import CONTRACT_TEXT

DOCUMENT: dict[str, Any] = yaml.safe_load(CONTRACT_TEXT)
SECRET = re.compile(r"tuyệt\W*mật|tối\W*mật|bí\W*mật|state\W*secret", re.IGNORECASE)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += places(inner, (*path, key))
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value, default=str))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copy


def test_contract_files_are_refused_or_hold_no_state_secret() -> None:
    """Aliases that multiply (a YAML bomb), tags that make objects, secrets in any spelling."""
    corpus = Corpus(
        "contract file",
        "contracts/",
        # WSDL has a corpus of its own (test_xml.py); versions are compared of two loaded contracts.
        elsewhere=("contracts/wsdl_file.py", "contracts/comparison"),
    )
    all_places = places(DOCUMENT)

    def judge(content: bytes, near: bool) -> None:
        contract = corpus.try_(lambda: load_contract(content), signed_again=near)
        if contract is not None:
            said = yaml.safe_load(content)
            assert isinstance(said, dict)
            assert set(contract.fields) == {
                each["name"] for each in said["schema"][0]["properties"]
            }
            for field in said["schema"][0]["properties"]:
                assert not SECRET.search(str(field.get("classification", "")))

    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    for text in (
        bomb,
        "!!python/object/apply:os.system ['id']",
        "&a [*a]",
        "- " * 9000,
        "{" * 9000,
    ):
        judge(text.encode(), False)
    judge(CONTRACT_TEXT.encode(), True)
    values = VALUES | st.sampled_from(
        ["Tối mật", "tuyet mat", "TUYỆT-MẬT", "state secret", "personal"]
    )
    corpus.run(CUTS, lambda how: judge(cut(CONTRACT_TEXT.encode(), how), False))

    def near(one: Any) -> None:
        number, value = one
        changed = with_value(DOCUMENT, all_places[number % len(all_places)], value)
        judge(json.dumps(changed).encode(), True)

    corpus.run(st.tuples(st.integers(0, 9999), values), near)
    corpus.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("directory"))
    made.agency("G01")
    made.agency("H37")
    return made


def test_directory_metadata_is_refused_or_follows(world: World) -> None:
    """Signed again by the directory's own online key, as a thief of that key would."""
    corpus = Corpus(
        "directory metadata",
        "directory/trust.py:_translated",
        "directory/trust.py:Trust.offer_timestamp",
        elsewhere=[],
    )
    folder = world.repository.public_folder / "metadata"
    files = {path.name: path.read_bytes() for path in folder.rglob("*.json")}
    timestamp = files["timestamp.json"]
    snapshot = files[max(name for name in files if name.endswith(".snapshot.json"))]
    known = json.loads(timestamp)["signed"]["version"]
    now = world.clock.now
    signer = world.repository.signer._signer("timestamp")

    def follow(offered: bytes, snap: bytes, moment: Any) -> int:
        trust = Trust(world.root, moment)
        trust.recall_timestamp(timestamp)
        trust.offer_timestamp(offered)
        trust.offer_snapshot(snap)
        return int(trust.timestamp.version)

    def judge(offered: bytes, again: bool, snap: bytes = snapshot, moment: Any = now) -> None:
        version = corpus.try_(lambda: follow(offered, snap, moment), signed_again=again)
        if version is not None:
            assert version >= known, "no rollback"
            assert version == known or json.loads(offered)["signed"]["version"] == version
            assert json.loads(offered)["signed"]["_type"] == "timestamp"

    def signed(statement: Any) -> bytes | None:
        try:
            copy = json.loads(json.dumps(statement))  # what is parsed is taken apart
            metadata: Any = Metadata.from_dict({"signed": copy, "signatures": []})
            metadata.sign(signer)
            return bytes(metadata.to_bytes())
        except Exception:  # what the library of the directory cannot write is sent unsigned
            return None

    base = json.loads(timestamp)["signed"]
    judge(timestamp, True)
    judge(timestamp, False, moment=now + timedelta(days=4000))
    for facts in ({"version": known + 1}, {"version": 1}, {"version": known + 1, "expires": "x"}):
        judge(signed({**base, **facts}) or b"{}", True)
    judge(files["1.root.json"], False)
    judge(signed({**base, "version": known + 1}) or b"", True, snap=snapshot[:-3])
    all_places = places(base)
    corpus.run(CUTS, lambda how: judge(cut(timestamp, how), False))

    def near(one: Any) -> None:
        number, value, version = one
        newer = {**base, "version": version}
        changed = with_value(newer, all_places[number % len(all_places)], value)
        fallback = json.dumps({"signed": changed, "signatures": []}).encode()
        judge(signed(changed) or fallback, True)

    corpus.run(st.tuples(st.integers(0, 999), VALUES | TEXTS, st.integers(-1, known + 3)), near)
    corpus.close()


def test_directory_bundles_are_refused_or_read_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A decompression bomb ends at the limit, not at the end of memory."""
    monkeypatch.setattr("lienthong.directory.bundle._LARGEST_UNPACKED_BYTES", 30_000_000)
    corpus = Corpus("directory bundle", "directory/bundle.py")
    lines = b"metadata/1.root.json {}\n" * 3
    packed = gzip.compress(lines)

    def judge(content: bytes, near: bool) -> None:
        found = corpus.try_(lambda: list(read_bundle(content)), signed_again=near)
        for name, _ in found or ():
            assert re.fullmatch(r"(metadata|targets)/[a-z0-9./-]+", name)
            assert ".." not in name

    judge(gzip.compress(b"a" * 11_000_000, 1), True)
    judge(gzip.compress((b"a" * 99 + b"\n") * 310_000, 1), True)
    judge(packed[:-5], True)
    judge(b"plain", False)
    judge(gzip.compress(b"metadata/../../etc/passwd x\nmetadata/2.root.json y\n"), True)
    corpus.run(CUTS, lambda how: judge(cut(packed, how), False))
    corpus.run(CUTS, lambda how: judge(gzip.compress(cut(lines, how)), True))
    corpus.close()
