"""Bodies, requests and responses as values."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from lienthong.transport.messages import EMPTY_BODY, Body, Request, Response, json_response
from lienthong.transport.spool import SPOOL_SUFFIX, SpoolFile, clear_spool

CONTENT = b"0123456789"


@pytest.fixture(params=["memory", "spooled", "file"])
def body(request: pytest.FixtureRequest, tmp_path: Path) -> Body:
    if request.param == "memory":
        return Body.of(CONTENT)
    if request.param == "spooled":
        spool = SpoolFile(tmp_path)
        spool.write(CONTENT[:4])
        spool.write(CONTENT[4:])
        return spool.finish()
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return Body.of_file(path)


def test_a_body_is_the_same_wherever_it_lies(body: Body) -> None:
    assert body.size == 10
    assert body.read() == CONTENT
    assert list(body.chunks(4)) == [b"0123", b"4567", b"89"]
    assert body.sha256() == sha256(CONTENT).digest()
    body.sync()


def test_a_body_can_be_given_a_lasting_place(body: Body, tmp_path: Path) -> None:
    place = tmp_path / "kept"
    body.keep_as(place)
    body.discard()
    assert place.read_bytes() == CONTENT
    assert body.read() == CONTENT


def test_discarding_deletes_only_what_was_spooled(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_bytes(CONTENT)
    Body.of_file(own).discard()
    assert own.exists()
    spool = SpoolFile(tmp_path)
    spool.write(CONTENT)
    body = spool.finish()
    assert body.path is not None
    assert body.path.stat().st_mode & 0o077 == 0
    body.discard()
    body.discard()
    assert not body.path.exists()


def test_what_a_killed_process_spooled_is_cleared(tmp_path: Path) -> None:
    (tmp_path / f"left{SPOOL_SUFFIX}").write_bytes(CONTENT)
    (tmp_path / "kept").write_bytes(CONTENT)
    assert clear_spool(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_empty_body_needs_no_file(tmp_path: Path) -> None:
    assert SpoolFile(tmp_path).finish() is EMPTY_BODY
    assert list(EMPTY_BODY.chunks()) == []


def test_the_last_of_several_headers_wins() -> None:
    headers = [("x-road-client", "a"), ("x-road-client", "b")]
    assert Request("GET", "/", headers).header("x-road-client") == "b"
    assert Response(200, headers).header("x-road-client") == "b"
    assert Request("GET", "/", headers).header("x-road-id") is None


def test_a_target_has_a_path_and_a_query() -> None:
    request = Request("GET", "/a%2Fb?c=d?e")
    assert (request.path, request.query) == ("/a%2Fb", "c=d?e")
    assert Request("GET", "/a").query == ""


def test_makes_json_with_vietnamese_letters_as_they_are() -> None:
    response = json_response(200, {"ho_ten": "Nguyễn Văn A"})
    assert response.body.read() == '{"ho_ten":"Nguyễn Văn A"}'.encode()
    assert response.header("content-type") == "application/json; charset=utf-8"
