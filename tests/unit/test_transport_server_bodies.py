"""Large bodies of the server pass through files, and no file stays behind."""

from __future__ import annotations

import asyncio
import resource
from hashlib import sha256
from pathlib import Path

from lienthong.transport.limits import MIB, Limits
from lienthong.transport.messages import Body, Request, Response
from tests.fixtures.transport_talk import (
    HOST,
    STATUS_LINE,
    ask,
    post,
    run,
    serving,
)


def test_spools_a_large_body_and_deletes_it_after_the_answer(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    seen: dict[str, object] = {}

    async def handler(request: Request) -> Response:
        assert request.body.path is not None
        assert request.body.path.parent == tmp_path
        request.body.sync()
        seen["digest"] = request.body.sha256()
        return Response(200, [], request.body)

    limits = Limits(spool_threshold_bytes=100_000)
    answer = ask(post(content), handler=handler, limits=limits, spool_folder=tmp_path)
    assert answer.partition(b"\r\n\r\n")[2] == content
    assert seen["digest"] == sha256(content).digest()
    assert list(tmp_path.iterdir()) == []


def test_keeps_a_spooled_body_that_was_given_a_place(tmp_path: Path) -> None:
    async def handler(request: Request) -> Response:
        request.body.keep_as(tmp_path / "kept")
        return Response(200)

    limits = Limits(spool_threshold_bytes=1000)
    ask(post(b"x" * 5000), handler=handler, limits=limits, spool_folder=tmp_path)
    assert (tmp_path / "kept").read_bytes() == b"x" * 5000
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_deletes_the_spool_file_of_a_client_that_goes_away(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(spool_threshold_bytes=1000)
        async with serving(limits=limits, spool_folder=tmp_path) as server:
            _, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(post(b"x" * 500_000)[:400_000])
            await writer.drain()
            while not list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)
            writer.close()
            while list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)

    run(asyncio.wait_for(main(), 60))


def test_cuts_the_connection_when_a_file_vanishes_under_a_response(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * 100)

    async def vanishing(request: Request) -> Response:
        body = Body.of_file(file)
        file.unlink()
        return Response(200, [], body)

    answer = ask(post(b""), handler=vanishing)
    assert len(STATUS_LINE.findall(answer)) <= 1


def test_says_so_when_the_disk_takes_no_body(tmp_path: Path) -> None:
    limits = Limits(spool_threshold_bytes=1000)
    gone = tmp_path / "gone"
    answer = ask(post(b"x" * 5000), limits=limits, spool_folder=gone)
    assert answer.startswith(b"HTTP/1.1 507 ")
    pieces = [post(b"x" * 3_000_000)[:1_500_000], b"x" * 1000]
    assert ask(*pieces, limits=limits, spool_folder=gone).startswith(b"HTTP/1.1 507 ")


def test_memory_stays_bounded_while_a_large_body_passes(tmp_path: Path) -> None:
    size, piece = 192 * MIB, bytes(MIB)

    async def main() -> int:
        limits = Limits(spool_threshold_bytes=MIB)
        async with serving(limits=limits, spool_folder=tmp_path) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MIB):
                writer.write(piece)
                await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            received = 0
            while received < size:
                received += len(await reader.read(MIB))
            writer.close()
            return received

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(main()) == size
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024
