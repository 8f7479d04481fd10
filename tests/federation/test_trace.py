"""An id that a client was given is found in both nodes with one command."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from lienthong.node.trace import SHOWN_FIELDS
from tests.federation.conftest import THIRD, Pair
from tests.fixtures.federation import TestNode, attempt, eventually


def traced(node: TestNode, identifier: str) -> dict[str, Any]:
    """What the command says; log lines are written a moment after an answer."""
    found: dict[str, Any] = {}

    def complete() -> bool:
        done = attempt("node", "trace", str(node.state), identifier, "--json")
        found.update(json.loads(done.stdout or "{}"))
        return done.returncode == 0

    assert eventually(complete), found
    return found


def events(found: dict[str, Any], node: TestNode) -> set[str]:
    return {each["event"] for each in found["lines"] if each["node"].startswith(node.member_id)}


def answered_by(found: dict[str, Any]) -> set[str]:
    return {node for node, answer in found["asked"].items() if answer == "answered"}


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_a_refusal_of_the_provider_is_found_from_either_side(pair: Pair, side: str) -> None:
    answer = pair.consumer.call("GET", pair.citizens, f"/records/{THIRD}?fields=khong_co")
    assert answer.headers["x-road-error"].startswith("Server.ServerProxy.")
    found = traced(getattr(pair, side), answer.json["detail"])
    assert len(answered_by(found)) == 1
    assert {"ledger.request_sent", "ledger.answer_received"} <= events(found, pair.consumer)
    assert {"exchange.refused", "ledger.answer_sent"} <= events(found, pair.provider)
    assert answer.request_id in found["ids"]


def test_a_refusal_before_anything_was_sent_is_found(pair: Pair) -> None:
    answer = pair.consumer.call(
        "GET", pair.provider.service_id("cong-dan"), client="VN-TEST/GOV/X/y"
    )
    found = traced(pair.consumer, answer.json["detail"])
    assert found["asked"] == {}
    (line,) = found["lines"]
    assert (line["event"], line["code"]) == ("exchange.refused", answer.headers["lienthong-error"])


def test_a_failing_service_is_found_with_its_reason_at_the_provider_only(pair: Pair) -> None:
    pair.provider.command(
        *("service", "add", "--subsystem", "dancu", "--code", "hong"),
        *("--relay", "http://127.0.0.1:9/bi-mat"),
    )
    pair.federation.agree(pair.consumer, pair.provider, "hong", "--endpoint", "* /**")
    answer = pair.consumer.call("GET", pair.provider.service_id("hong"), "/x")
    identifier = answer.json["detail"]
    at_consumer, at_provider = traced(pair.consumer, identifier), traced(pair.provider, identifier)
    assert "relay.failed" in events(at_provider, pair.provider)
    assert "relay.failed" not in events(at_consumer, pair.provider)
    assert "127.0.0.1:9" not in json.dumps(at_consumer)
    assert "exchange.refused" in events(at_consumer, pair.provider)


def test_a_successful_exchange_is_found_by_its_request_and_message_ids(pair: Pair) -> None:
    message_id = f"tra-cuu-{uuid.uuid4()}"
    answer = pair.consumer.call("GET", pair.relay, "/x", headers={"X-Road-Id": message_id})
    for identifier in (answer.request_id, message_id):
        found = traced(pair.consumer, identifier)
        assert {"ledger.request_sent", "ledger.answer_received"} <= events(found, pair.consumer)
        assert {"ledger.request_received", "ledger.answer_sent"} <= events(found, pair.provider)


def test_what_another_node_is_told_holds_no_more_than_it_may_see(pair: Pair) -> None:
    answer = pair.consumer.call("GET", pair.citizens, f"/records/{THIRD}?fields=khong_co")
    found = traced(pair.consumer, answer.json["detail"])
    theirs = [each for each in found["lines"] if each["node"].startswith(pair.provider.member_id)]
    assert theirs
    assert all(set(each) <= SHOWN_FIELDS for each in theirs)
    assert THIRD not in json.dumps(theirs)


def test_an_unknown_id_is_an_error_of_its_own(pair: Pair) -> None:
    done = attempt("node", "trace", str(pair.consumer.state), str(uuid.uuid4()))
    assert done.returncode == 13
    assert "[node.nothing_traced]" in done.stderr
