"""Bringing messages to another node: alone or together, to old nodes and to broken ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lienthong.errors import LienthongError, PeerClosed, ResponseMalformed, TransportError
from lienthong.exchange.carrier import Carrier
from lienthong.exchange.convoy import LARGEST_BODY, answer_frame, read_requests
from lienthong.exchange.wire import CONVOY_PATH, MESSAGE_HEADER, MESSAGE_PATH, PROOF_HEADER
from lienthong.transport.client import ConnectionPool
from lienthong.transport.messages import Body, Handler, Request, Response, Stream
from tests.fixtures.transport_pool import at
from tests.fixtures.transport_talk import run, serving

Found = list[Response | BaseException]


def message(number: int, body: bytes = b"") -> Request:
    headers = [(MESSAGE_HEADER, f"m{number}"), (PROOF_HEADER, "p")]
    return Request("POST", MESSAGE_PATH, headers, Body.of(body))


def reply(request: Request) -> Response:
    headers = [(MESSAGE_HEADER, f"to-{request.header(MESSAGE_HEADER)}"), (PROOF_HEADER, "q")]
    return Response(200, headers, Body.of(request.body.read()))


class OtherNode:
    """Answers messages alone and in convoys; remembers which paths were asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def handle(self, request: Request) -> Response:
        self.paths.append(request.target)
        if request.target == MESSAGE_PATH:
            return reply(request)
        return self.convoy(read_requests(request.body.read(), request.connection))

    def convoy(self, messages: list[Request]) -> Response:
        stream = Stream()
        for place, each in reversed(list(enumerate(messages))):
            stream.put(answer_frame(place, reply(each))[0])
        stream.end()
        return Response(200, [], stream=stream)


def brought(
    messages: list[Request], handler: Handler, folder: Path | None = None, times: int = 1
) -> Found:
    async def main() -> Found:
        async with serving(handler) as server:
            carrier = Carrier(ConnectionPool(), folder, 10_000_000)
            found: Found = []
            for _ in range(times):
                found += await asyncio.gather(
                    *[carrier.send(at(server.port), each, timeout_seconds=5) for each in messages],
                    return_exceptions=True,
                )
            return found

    return run(main())


def said(found: Found) -> list[str | None]:
    return [each.header(MESSAGE_HEADER) for each in found if isinstance(each, Response)]


def test_one_message_travels_alone() -> None:
    node = OtherNode()
    assert said(brought([message(1, b"x")], node.handle)) == ["to-m1"]
    assert node.paths == [MESSAGE_PATH]


def test_those_of_one_moment_travel_together_and_each_gets_its_own_answer() -> None:
    node = OtherNode()
    found = brought([message(n, b"%d" % n) for n in range(200)], node.handle)
    assert said(found) == [f"to-m{n}" for n in range(200)]
    assert [each.body.read() for each in found if isinstance(each, Response)] == [
        b"%d" % n for n in range(200)
    ]
    assert node.paths == [CONVOY_PATH, CONVOY_PATH]  # 128 and 72


def test_a_message_with_a_large_body_travels_alone() -> None:
    node = OtherNode()
    large = message(0, bytes(LARGEST_BODY + 1))
    found = brought([large, message(1), message(2)], node.handle)
    assert said(found) == ["to-m0", "to-m1", "to-m2"]
    assert sorted(node.paths) == [MESSAGE_PATH, CONVOY_PATH]


def test_a_node_of_an_older_version_is_asked_one_by_one_from_then_on() -> None:
    node = OtherNode()

    async def older(request: Request) -> Response:
        if request.target == CONVOY_PATH:
            node.paths.append(request.target)
            return Response(404, [], Body.of(b"{}"))
        return await node.handle(request)

    found = brought([message(n) for n in range(3)], older, times=2)
    assert said(found) == ["to-m0", "to-m1", "to-m2"] * 2
    assert node.paths == [CONVOY_PATH] + [MESSAGE_PATH] * 6


def test_a_refusal_of_the_whole_is_told_to_each() -> None:
    async def draining(request: Request) -> Response:
        return Response(503, [], Body.of(b"later"))

    found = brought([message(1), message(2)], draining)
    assert [each.status for each in found if isinstance(each, Response)] == [503, 503]


async def _end(stream: Stream) -> None:
    stream.end()


async def _garbage(stream: Stream) -> None:
    stream.put(b"7 200 1 1 1\nabc")


@pytest.mark.parametrize(("then", "error"), [(_end, PeerClosed), (_garbage, ResponseMalformed)])
def test_what_was_answered_stays_answered_when_the_rest_is_not(
    then: Callable[[Stream], Awaitable[None]], error: type[TransportError]
) -> None:
    holder: list[object] = []

    async def handle(request: Request) -> Response:
        messages = read_requests(request.body.read(), request.connection)
        stream = Stream()
        stream.put(answer_frame(0, reply(messages[0]))[0])
        holder.append(asyncio.ensure_future(then(stream)))
        return Response(200, [], stream=stream)

    found = brought([message(n) for n in range(3)], handle)
    assert said(found) == ["to-m0"]
    assert [type(each) for each in found[1:]] == [error, error]


def test_an_unreachable_node_fails_each_message() -> None:
    async def main() -> Found:
        carrier = Carrier(ConnectionPool(), None, 1000)
        return await asyncio.gather(
            *[carrier.send(at(1), message(n), timeout_seconds=5) for n in range(3)],
            return_exceptions=True,
        )

    found = run(main())
    assert all(isinstance(each, LienthongError) for each in found)
    assert len({id(each) for each in found}) == 3  # no traceback of one grows into another's
