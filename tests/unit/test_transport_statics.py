"""The read-only folder of static files."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.messages import Request, Response
from lienthong.transport.statics import LARGEST_CACHED_BYTES, static_files
from tests.fixtures.transport_talk import HOST, run, serving

METADATA = json.dumps({"signed": ["x" * 40] * 40}).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    public = tmp_path / "public"
    (public / "targets").mkdir(parents=True)
    (public / "1.root.json").write_bytes(METADATA)
    (public / "targets" / "a b.bin").write_bytes(b"\0\1")
    (public / ".hidden").write_text("no")
    (tmp_path / "secret").write_text("no")
    (public / "way-out").symlink_to(tmp_path / "secret")
    (public / "inside").symlink_to(public / "1.root.json")
    return public


def get(folder: Path, target: str, method: str = "GET", **headers: str) -> Response:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return asyncio.run(_call(folder, Request(method, target, named)))


async def _call(folder: Path, request: Request) -> Response:
    return await static_files(folder)(request)


def test_serves_a_file_with_its_type_and_tag(folder: Path) -> None:
    response = get(folder, "/1.root.json?now")
    assert response.status == 200
    assert response.body.read() == METADATA
    assert response.header("content-type") == "application/json"
    assert get(folder, "/targets/a%20b.bin").body.read() == b"\0\1"
    assert get(folder, "/inside").body.read() == METADATA


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/targets",
        "/none",
        "/../secret",
        "/targets/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/targets/..%5c..%5csecret",
        "/.hidden",
        "/way-out",
        "//etc/passwd",
        "/1.root.json/",
        "/1.root.json%00",
        "/%ff",
        "*",
        "/" + "a" * 5000,
    ],
)
def test_serves_nothing_else(folder: Path, target: str) -> None:
    assert get(folder, target).status == 404


def test_writes_nothing(folder: Path) -> None:
    response = get(folder, "/1.root.json", "PUT")
    assert response.status == 405
    assert response.header("allow") == "GET, HEAD"


def test_says_when_nothing_has_changed(folder: Path) -> None:
    tag = get(folder, "/1.root.json").header("etag")
    assert tag is not None
    for condition in (tag, f'"other", W/{tag}', "*"):
        unchanged = get(folder, "/1.root.json", if_none_match=condition)
        assert (unchanged.status, unchanged.body.size) == (304, 0)
    assert get(folder, "/1.root.json", if_none_match='"other"').status == 200


def test_compresses_text_for_those_who_take_it(folder: Path) -> None:
    packed = get(folder, "/1.root.json", accept_encoding="br, gzip;q=0.5")
    assert packed.header("content-encoding") == "gzip"
    assert gzip.decompress(packed.body.read()) == METADATA
    for accepted in ("", "br", "gzip;q=0"):
        plain = get(folder, "/1.root.json", accept_encoding=accepted)
        assert plain.header("content-encoding") is None
        assert plain.header("vary") == "accept-encoding"
    assert get(folder, "/targets/a%20b.bin", accept_encoding="gzip").body.read() == b"\0\1"


def test_sees_a_file_that_was_replaced(folder: Path) -> None:
    async def main() -> None:
        handler = static_files(folder)
        before = await handler(Request("GET", "/1.root.json"))
        replacement = folder / "new"
        replacement.write_bytes(METADATA.swapcase())
        replacement.replace(folder / "1.root.json")
        after = await handler(Request("GET", "/1.root.json"))
        assert after.body.read() == METADATA.swapcase()
        assert after.header("etag") != before.header("etag")

    asyncio.run(main())


def test_serves_large_files_over_the_wire_and_keeps_them(folder: Path) -> None:
    content = bytes(range(256)) * (LARGEST_CACHED_BYTES // 256 + 10)
    (folder / "large").write_bytes(content)

    async def main() -> None:
        async with serving(static_files(folder)) as server:
            pool = ConnectionPool()
            address = Address(HOST, server.port, tls=False)
            for _ in range(2):
                response = await pool.send(address, Request("GET", "/large"), timeout_seconds=10)
                assert b"".join(response.body.chunks()) == content
                response.body.discard()
            head = await pool.send(address, Request("HEAD", "/large"), timeout_seconds=10)
            assert head.header("content-length") == str(len(content))
            pool.close()

    run(main())
    assert (folder / "large").exists()
