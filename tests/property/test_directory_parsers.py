"""Whatever a record, request, bundle, proof or metadata file holds: our errors, never a crash."""

from __future__ import annotations

import gzip
import json
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.directory.bundle import read_bundle, write_bundle
from lienthong.directory.onboarding import approve
from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.records import encode_record, member_path, node_path, parse_record
from lienthong.directory.request import parse_member, parse_request
from lienthong.directory.trust import Trust
from lienthong.errors import LienthongError
from lienthong.identity.certificates import read_chain, request_key
from tests.fixtures.directory_world import Agency, World

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def world() -> World:
    made = World(Path(tempfile.mkdtemp()))
    made.agency("G01")
    return made


@given(data=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(data: bytes) -> None:
    for path in (member_path("a"), node_path("a"), "authorities.json"):
        with suppress(LienthongError):
            parse_record(path, data, "VN")
    for read in (parse_request, parse_member, lambda one: Trust(one, datetime.now(UTC))):
        with suppress(LienthongError):
            read(data)
    for packed in (data, gzip.compress(data)):
        with suppress(LienthongError):
            list(read_bundle(packed))
    with suppress(LienthongError):
        read_chain(data.decode("latin-1"))
    with suppress(LienthongError):
        request_key(data.decode("latin-1"))


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, child in inner:
        found.append((*prefix, name))
        if isinstance(child, dict | list):
            found += _paths(child, (*prefix, name))
    return found


def _with(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = replacement
    return copy


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_request_with_one_part_replaced_is_refused_or_has_no_effect(
    world: World, data: st.DataObject
) -> None:
    value = json.loads(Agency("G77", world.clock).request())
    path = data.draw(st.sampled_from(_paths(value)))
    changed = _with(value, path, data.draw(JSON))
    with suppress(LienthongError):
        approve(world.repository, json.dumps(changed).encode())
        unsigned = path[0] in ("certificate", "certificate_request") or "signatures" in path
        assert unsigned or changed == value


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_record_with_one_part_replaced_is_never_taken_for_signed(
    world: World, data: st.DataObject
) -> None:
    mirror = world.mirror()
    mirror.refresh()
    node = mirror.view.node("VN/GOV/G01/n1")
    value = json.loads(encode_record(node))
    path = data.draw(st.sampled_from(_paths(value["statement"])))
    changed = _with(value["statement"], path, data.draw(JSON))
    raw = json.dumps(
        {**value, "statement": changed},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    with suppress(LienthongError, UnicodeEncodeError):
        record = parse_record(node_path(node.id), raw.encode(), "VN")
        assert record == node or record.statement != node.statement


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_proof_with_one_part_replaced_is_an_error_of_ours(
    world: World, data: st.DataObject
) -> None:
    mirror = world.mirror()
    mirror.refresh()
    proof = mirror.proof(["VN/GOV/G01"], ["VN/GOV/G01/n1"])
    path = data.draw(st.sampled_from(_paths(proof)))
    with suppress(LienthongError):
        view = verify_directory_proof(world.root, _with(proof, path, data.draw(JSON)))
        assert view.member("VN/GOV/G01").name == "Cơ quan G01"


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.binary(max_size=50).map(lambda one: one.replace(b"\n", b"")), max_size=5)
)
def test_a_bundle_gives_back_what_was_put_in(contents: list[bytes]) -> None:
    files = [(f"metadata/{number + 1}.root.json", one) for number, one in enumerate(contents)]
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(Path(folder) / "b", files)
        assert list(read_bundle((Path(folder) / "b").read_bytes())) == files
