"""Messages that travel together: each is answered as if it had come alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from lienthong.exchange.wire import CONVOY_PATH, NODE_HEADER
from lienthong.ledger.messages import Answer
from tests.federation.conftest import Pair
from tests.fixtures.attack_scene import Scene, attack_scene
from tests.fixtures.hostile_peer import Wire
from tests.fixtures.recording_service import big_body


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attack_scene(tmp_path_factory.mktemp("f")) as built:
        yield built


def together(wires: list[Wire]) -> bytes:
    """Several messages as docs/protocols/0001-message.md §2.1 puts them into one body."""
    return b"".join(
        b"%d %d %d %d\n" % (place, len(wire.json), len(wire.proof), len(wire.body))
        + wire.json
        + wire.proof
        + wire.body
        for place, wire in enumerate(wires)
    )


def answers(content: bytes) -> dict[int, tuple[int, bytes, bytes]]:
    """Place → status, message and body of the answers that have arrived whole."""
    found: dict[int, tuple[int, bytes, bytes]] = {}
    while b"\n" in content:
        line, _, rest = content.partition(b"\n")
        place, status, message, proof, body = map(int, line.split(b" "))
        end = message + proof + body
        if len(rest) < end:
            break
        assert place not in found
        found[place] = status, rest[:message], rest[message + proof : end]
        content = rest[end:]
    return found


def answered_before(
    scene: Scene, content: bytes, count: int
) -> dict[int, tuple[int, bytes, bytes]]:
    """All answers to a convoy; what the service holds is let go when ``count`` have come."""
    connection = scene.peer.connect()
    sent = {NODE_HEADER: scene.peer.identity.node}
    connection.request("POST", CONVOY_PATH, content, sent)
    response, arrived = connection.getresponse(), b""
    assert response.status == 200, response.read()
    while len(answers(arrived)) < count:
        piece = response.read1()
        assert piece, arrived
        arrived += piece
    assert len(answers(arrived)) == count
    scene.service.let_go()
    arrived += response.read()
    connection.close()
    return answers(arrived)


def test_each_message_of_a_convoy_is_judged_by_itself(scene: Scene) -> None:
    peer, service = scene.peer, scene.service_id
    slow = peer.sign(peer.request(service, path="/held"))
    good = peer.sign(peer.request(service, path="/echo", body=b"xin"), b"xin")
    tampered = peer.sign(peer.request(service)).with_field("user", "ke-khac")
    refused = peer.sign(peer.request(scene.provider.service_id("khong-co")))
    content = together([slow, good, tampered, good, refused])

    found = answered_before(scene, content, 4)  # the slow one holds nobody up

    assert sorted(found) == [0, 1, 2, 3, 4]
    assert list(found)[-1] == 0
    assert [found[place][0] for place in range(5)] == [200, 200, 400, 200, 200]
    assert found[1][2] == found[3][2] == b"xin"
    assert found[1][1] == found[3][1]  # the same answer to the same message
    assert b"message.proof_invalid" in found[2][2]
    request_id = msgspec.json.decode(good.json)["request_id"]
    assert scene.executions(request_id) == 1
    outcomes = [msgspec.json.decode(found[i][1], type=Answer).outcome for i in (0, 1, 4)]
    assert outcomes == ["answered", "answered", "refused"]


@pytest.mark.parametrize(
    "content",
    [b"0 1 1 9\nabc", b"x", b"0 1 1 1\nabc" * 2, together([]) + b"\n"],
    ids=["cut short", "no line", "a place twice", "empty line"],
)
def test_a_convoy_that_cannot_be_read_is_refused_whole(scene: Scene, content: bytes) -> None:
    before = scene.effects()
    reply = scene.peer.send("POST", CONVOY_PATH, content)
    assert (reply.status, reply.fault) == (400, "message.malformed")
    assert scene.effects() == before


def test_one_bad_message_does_not_spoil_what_is_read(scene: Scene) -> None:
    """A message that is no message is answered with a fault in its own place."""
    nothing = Wire(b"{}", b"{}", b"")
    good = scene.peer.sign(scene.peer.request(scene.service_id))
    reply = scene.peer.send("POST", CONVOY_PATH, together([nothing, good]))
    assert reply.status == 200, reply.body
    found = answers(reply.body)
    assert [found[place][0] for place in (0, 1)] == [400, 200]


def test_an_oversized_convoy_is_refused(scene: Scene) -> None:
    reply = scene.peer.send("POST", CONVOY_PATH, bytes(4_000_000))
    assert (reply.status, reply.fault) == (413, "transport.body_too_large")


def test_many_calls_at_once_get_their_own_answers(pair: Pair) -> None:
    """Quick ones, slow ones, refused ones and bodies that go through files, all mixed."""
    sizes = [0, 1, 300_000, 3_000_000, 70_000]

    def call(number: int) -> tuple[int, float]:
        started = time.monotonic()
        if number % 4 == 0:
            size = sizes[number // 4 % len(sizes)]
            answer = pair.consumer.call("GET", pair.relay, f"/big/{size}")
            assert answer.status == 200, answer.body[:500]
            assert answer.body == big_body(size)
        elif number % 4 == 1:
            body = bytes([number]) * (number * 1000)
            answer = pair.consumer.call("POST", pair.relay, "/echo", body=body)
            assert answer.status == 200, answer.body
            assert answer.body == body
        elif number % 4 == 2:
            answer = pair.consumer.call("GET", pair.relay, f"/slow/{2 if number == 2 else 0}")
            assert answer.status == 200
        else:
            answer = pair.consumer.call("GET", pair.provider.service_id("khong-co"), "/x")
            assert answer.status == 500
        return number, time.monotonic() - started

    with ThreadPoolExecutor(48) as threads:
        taken = dict(threads.map(call, range(96)))
    assert taken[2] >= 2
