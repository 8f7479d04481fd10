"""Backup files and counters: made by whoever holds one node's key, or changed on the way."""

from __future__ import annotations

import base64
import hmac
import json
import struct
import zlib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from lienthong.ledger.heads import format_time
from lienthong.node.backup_file import LARGEST_MANIFEST
from lienthong.node.counters.counts import SIZE_BOUNDS, hour_of
from lienthong.node.counters.documents import LARGEST_DOCUMENT, verify_counters
from tests.fixtures.backup_files import INDEX_KEY, MEMBERS, PASSPHRASE, read, written
from tests.fixtures.directory_world import World
from tests.fixtures.hostile_corpus import CUTS, TEXTS, Corpus, changed, changes, cut, mostly

NAMES = st.sampled_from(
    [
        *("state/a", "database/node.db", "state/../x", "state/..", "/etc/passwd", "state//x"),
        *("state/./x", "state", "other/x", "state/a\\b", "state/a\nb", "state/a\0b", ""),
        *("state/" + "a" * 2000, "state/đất", "state/\u202ex", "STATE/x", "state/x/", "../state/x"),
    ]
) | TEXTS.map("state/{}".format)
Members = list[tuple[str, bytes]]


def length(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def backup(members: Members, facts: Any = (), *, frames_changed: Any = None) -> bytes:
    """An unsealed backup with right checksums, and a MAC by the node's own key."""
    content = [b"F", b"D", b"E"]
    pieces = [b'{"sealing":"none","salt":"","operations":0,"memory_bytes":0,"stream":""}']
    for name, data in members:
        pieces.append(content[0] + name.encode("utf-8", "replace"))
        pieces.append(content[1] + zlib.compress(data, 1))
        pieces.append(content[2] + sha256(data).digest())
    manifest = {
        "node": "VN/GOV/G01/n1",
        "program": "0.1.0",
        "made": "2026-06-01T08:00:00.000Z",
        "made_ms": 1,
        "database": "sqlite",
        "schema": "0001",
        "keys": False,
        "tables": [],
        "members": [
            {"name": name, "bytes": len(data), "sha256": sha256(data).hexdigest()}
            for name, data in members
        ],
        "mac": "",
    }
    manifest = changed(manifest, facts)
    if "mac" in manifest and manifest["mac"] == "":
        manifest["mac"] = mac_of(manifest)
    pieces.append(b"M" + compact(manifest))
    if frames_changed is not None:
        pieces = frames_changed(pieces)
    return b"lienthong-backup 1\n" + b"".join(map(length, pieces))


def compact(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def mac_of(manifest: dict[str, Any]) -> str:
    """docs: HMAC-SHA-256 over the manifest without its MAC, under a key of the index key."""
    key = hmac.digest(INDEX_KEY, b"lienthong backup manifest", "sha256")
    return hmac.digest(key, compact({**manifest, "mac": ""}), "sha256").hex()


def second_reading(content: bytes) -> dict[str, bytes]:
    """The members of an unsealed file as its form has them; nothing may be left over."""
    magic, rest = content[:19], content[19:]
    assert magic == b"lienthong-backup 1\n"
    pieces = []
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        assert size <= len(rest) - 4
        pieces.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    _, *inner, last = pieces
    found: dict[str, bytes] = {}
    name, data = "", b""
    for piece in inner:
        if piece[:1] == b"F":
            name, data = piece[1:].decode(), b""
        elif piece[:1] == b"D":
            data += zlib.decompress(piece[1:])
        else:
            assert piece == b"E" + sha256(data).digest()
            assert name not in found
            found[name] = data
    manifest = json.loads(last[1:])
    assert last[:1] == b"M"
    assert {each["name"]: each["bytes"] for each in manifest["members"]} == {
        name: len(data) for name, data in found.items()
    }
    assert hmac.compare_digest(manifest["mac"], mac_of(manifest))
    return found


def test_backups_are_refused_or_hold_what_their_node_put_there(tmp_path: Path) -> None:
    corpus = Corpus(
        "backup file",
        "node/backup_file.py",
        "node/backup_manifest.py",
        elsewhere=["node/backup_file.py:writing_backup", "node/backup_file.py:_new_seal"],
    )
    file = tmp_path / "g01.backup"
    plain, sealed = written(None), written(PASSPHRASE)

    def judge(content: bytes, near: bool, passphrase: str | None = None) -> None:
        file.write_bytes(content)
        found = corpus.try_(lambda: read(file, passphrase), signed_again=near)
        if found is None:
            return
        if content.find(b'"none"') == -1:
            assert found == MEMBERS
            return
        assert found == second_reading(content)
        for name in found:
            parts = name.split("/")
            assert parts[0] in {"state", "database"}
            assert not {"", ".", ".."} & set(parts)
            assert name.isprintable()
            assert "\\" not in name

    usual = list(MEMBERS.items())
    bomb = b"D" + zlib.compress(bytes(50_000_000), 9)
    judge(plain, False)
    judge(sealed, False, PASSPHRASE)
    judge(sealed, False)
    judge(sealed, False, "another passphrase")
    judge(backup(usual), True)
    judge(backup([*usual, usual[0]]), True)
    judge(backup(usual, [("mac", "0" * 64)]), True)
    judge(backup(usual, [("members", [])]), True)
    judge(backup(usual)[:-3], True)
    judge(backup(usual)[:40], True)
    judge(backup(usual) + b"x", True)
    judge(b"lienthong-backup 2\n", False)
    judge(plain[:19] + struct.pack(">I", 2**31), False)
    judge(plain[:19] + length(b'{"sealing":"none","operations":1}'), False)
    greedy = sealed.replace(b'"operations":', b'"operations":9')
    judge(plain[:19] + length(greedy[23 : greedy.index(b"}") + 1]), False, PASSPHRASE)
    judge(sealed[:-9] + bytes([sealed[-9] ^ 1]) + sealed[-8:], False, PASSPHRASE)
    for place, piece in ((2, bomb), (2, b"Dxx"), (2, b"F"), (3, b"E" + bytes(32)), (-1, b"M[")):
        judge(backup(usual, frames_changed=lambda x, p=place, y=piece: put(x, p, y)), True)
    judge(backup(usual, frames_changed=lambda x: put(x, 2, b"D" + bytes(1_200_000))), True)
    both = st.sampled_from([(plain, None), (sealed, PASSPHRASE)])
    corpus.run(st.tuples(both, CUTS), lambda one: judge(cut(one[0][0], one[1]), False, one[0][1]))

    def near(one: Any) -> None:
        members, facts, how = one

        def rearranged(pieces: list[bytes]) -> list[bytes]:
            if how is None:
                return pieces
            first, second, cuts = how
            first, second = first % len(pieces), second % len(pieces)
            return put(pieces, first, pieces[second] if cuts is None else cut(pieces[first], cuts))

        judge(backup(members, facts, frames_changed=rearranged), True)

    member = st.tuples(mostly("state/a", NAMES), st.binary(max_size=60))
    fields = ("node", "made_ms", "database", "tables", "members", "mac", "keys", "more")
    moved = st.tuples(st.integers(0, 99), st.integers(0, 99), st.none() | CUTS)
    corpus.run(
        st.tuples(
            st.lists(member, max_size=3, unique_by=lambda pair: pair[0]),
            mostly([], changes(fields)),
            mostly(None, moved, 1),
        ),
        near,
    )
    assert LARGEST_MANIFEST == 64 << 20
    corpus.close()


def put(pieces: list[bytes], place: int, piece: bytes) -> list[bytes]:
    copy = list(pieces)
    copy[place] = piece
    return copy


# --- counters ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("directory"))


def test_counters_are_refused_or_signed_by_their_node(world: World) -> None:
    corpus = Corpus("counters", "node/counters/documents.py")
    agency, other = world.agency("G01"), world.agency("H37")
    mirror = world.mirror()
    mirror.refresh()
    view, node = mirror.view, str(agency.node)
    hour = hour_of(agency.clock())
    begun = datetime.fromisoformat(f"{hour}:00:00+00:00")
    sizes = {"bytes": 5, "counts": [1, 0, 0, 0, 0, 0, 0], "unknown": 0}
    flow = {
        "side": "provider",
        "client": "VN/GOV/H37/motcua",
        "service": "VN/GOV/G01/dancu/hong",
        "other": "VN/GOV/H37/n1",
        "requests": 1,
        "request_sizes": sizes,
        "outcomes": {"answered": 1},
        "reasons": {},
        "answer_sizes": sizes,
    }
    base: dict[str, Any] = {
        "node": node,
        "hour": hour,
        "made": format_time(begun + timedelta(hours=2)),
        "directory_version": 1,
        "size_bounds": list(SIZE_BOUNDS),
        "flows": [flow],
        "refusals": {"consumer": {"xroad.client": 2}},
        "type": "lienthong-counters-1",
    }

    def sorted_json(value: Any) -> bytes:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "replace")

    def document(counters: Any, key: Any, key_id: Any = None) -> bytes:
        said = {"counters": counters, "key": key_id or key.public.key_id}
        signature = key.sign(b"lienthong-counters-1\n" + sorted_json(said))
        return sorted_json({**said, "signature": base64.b64encode(signature).decode()})

    def judge(content: bytes, again: bool) -> None:
        found = corpus.try_(lambda: verify_counters(content, view, node, hour), signed_again=again)
        if found is None:
            return
        said = json.loads(content)
        assert said["key"] == agency.signing_key.public.key_id
        counters = said["counters"]
        assert (counters["node"], counters["hour"]) == (node, hour)
        made = datetime.strptime(counters["made"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        assert made >= begun + timedelta(hours=1)
        signed = {
            "counters": {"type": "lienthong-counters-1", **counters},
            "key": said["key"],
        }
        signature = base64.b64decode(said["signature"], validate=True)
        agency.signing_key.public.verify(signature, b"lienthong-counters-1\n" + sorted_json(signed))
        for each in counters["flows"]:
            assert min(each["requests"], *each["outcomes"].values(), 0) == 0

    good = document(base, agency.signing_key)
    judge(good, True)
    judge(document(base, other.signing_key), True)
    judge(document(base, other.signing_key, agency.signing_key.public.key_id), True)
    judge(good + b" " * LARGEST_DOCUMENT, True)
    judge(document({**base, "node": str(other.node)}, agency.signing_key), True)
    judge(document({**base, "made": f"{hour}:59:59.000Z"}, agency.signing_key), True)
    judge(document({**base, "hour": f"{hour[:10]}T24"}, agency.signing_key), True)
    corpus.run(CUTS, lambda how: judge(cut(good, how), False))

    def near(one: Any) -> None:
        facts, of_flow, signer = one
        counters = changed({**base, "flows": [changed(flow, of_flow)]}, facts)
        judge(document(counters, signer), True)

    corpus.run(
        st.tuples(
            mostly([], changes([*base, "more"]), 1),
            mostly([], changes([*flow, "more"]), 1),
            mostly(agency.signing_key, st.just(other.signing_key), 6),
        ),
        near,
    )
    corpus.close()
