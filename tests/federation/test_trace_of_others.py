"""What other nodes may learn by asking for an id, and what is still found when nodes are gone."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lienthong.errors import TooManyTraces
from lienthong.node.trace_exchange import BURST, TRACE_PATH, Rates
from tests.federation.test_trace import answered_by, events, traced
from tests.fixtures.attack_scene import Scene, attack_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attack_scene(tmp_path_factory.mktemp("f")) as built:
        yield built


def ask(scene: Scene, *ids: str) -> list[dict[str, Any]]:
    """What the hostile node is told of these ids."""
    reply = scene.peer.send("POST", TRACE_PATH, json.dumps({"ids": ids}).encode())
    assert reply.status == 200, reply.body
    lines: list[dict[str, Any]] = json.loads(reply.body)["lines"]
    return lines


def test_a_node_learns_nothing_of_messages_between_others(scene: Scene) -> None:
    done = scene.victim.call("GET", scene.service_id, "/echo")
    refused = scene.victim.call("GET", scene.provider.service_id("khong-co"), "/x")
    ids = done.request_id, refused.request_id, refused.json["detail"]
    for identifier in ids:
        assert traced(scene.victim, identifier)["lines"]
    assert ask(scene, *ids) == []


def test_a_node_learns_what_it_was_refused_and_why(scene: Scene) -> None:
    tampered = scene.peer.sign(scene.peer.request(scene.service_id)).with_field("path", "/y")
    reply = scene.peer.ask(tampered)
    assert reply.status >= 400
    identifier = json.loads(reply.body)["detail"]
    traced(scene.provider, identifier)  # waits until it is written
    (line,) = ask(scene, identifier)
    assert line["event"] == "peer.refused"
    assert line["code"] == reply.fault
    (own,) = traced(scene.provider, identifier)["lines"]
    assert own["sender"] == scene.peer.identity.node


def test_a_refusal_of_broken_http_is_found_by_its_certificate(scene: Scene) -> None:
    answer = scene.peer.raw(b"POST /lienthong/1/message HTTP/1.1\r\nContent-Length: x\r\n\r\n")
    identifier = json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
    traced(scene.provider, identifier)
    (line,) = ask(scene, identifier)
    assert line["event"] == "http.refused"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"ids":[]}', b'{"ids":[""]}', b'{"ids":["a"],"x":1}', b'{"ids":"a"}']
)
def test_a_malformed_question_is_refused(scene: Scene, body: bytes) -> None:
    assert scene.peer.send("POST", TRACE_PATH, body).fault == "message.malformed"


def test_an_answer_in_doubt_is_found_at_both_nodes_after_a_kill(scene: Scene) -> None:
    consumer, provider = scene.victim, scene.provider
    answers = []

    def slow() -> None:
        answers.append(consumer.call("GET", scene.service_id, "/slow/20"))

    before = len(scene.service.received)
    calling = threading.Thread(target=slow)
    calling.start()
    while len(scene.service.received) == before:
        pass
    provider.kill()
    provider.run()
    provider.wait()
    calling.join()
    (answer,) = answers
    assert answer.headers["lienthong-error"] == "message.in_doubt"
    found = traced(consumer, answer.json["detail"])
    assert len(answered_by(found)) == 1
    assert "ledger.request_sent" in events(found, consumer)
    assert "ledger.request_received" in events(found, provider)


def test_a_stopped_node_still_tells_its_own_side(scene: Scene) -> None:
    refused = scene.victim.call("GET", scene.provider.service_id("khong-co"), "/x")
    identifier = refused.json["detail"]
    traced(scene.victim, identifier)
    scene.victim.stop()
    try:
        found = traced(scene.victim, identifier)
        assert "ledger.answer_received" in events(found, scene.victim)
        assert answered_by(found) == set()
    finally:
        scene.victim.run()
        scene.victim.wait()


def test_one_node_cannot_make_another_search_without_end() -> None:
    rates = Rates(BURST, 0.5)
    for _ in range(BURST):
        rates.take("a", 100.0)
    with pytest.raises(TooManyTraces):
        rates.take("a", 101.0)
    rates.take("b", 101.0)
    rates.take("a", 104.0)


def test_the_limit_holds_on_the_wire(scene: Scene) -> None:
    scene.peer.hang_up()  # the provider was killed meanwhile
    body = json.dumps({"ids": [str(uuid.uuid4())]}).encode()
    statuses: set[int] = set()
    # What a slow machine asks is refilled meanwhile: it takes more to come to the limit.
    for _ in range(20 * BURST):
        statuses.add(scene.peer.send("POST", TRACE_PATH, body).status)
        if 429 in statuses:
            break
    assert statuses == {200, 429}
