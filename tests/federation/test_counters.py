"""The whole network adds up from what its nodes signed; libfaketime lets the hours pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lienthong.node.counters.counts import hour_of
from lienthong.node.counters.keeper import COUNTERS_PATH
from tests.federation.conftest import FATHER, Pair, make_pair
from tests.fixtures.faults.moved_clock import FaketimeMissing, MovedClock
from tests.fixtures.federation import TestNode, attempt, eventually
from tests.fixtures.recording_service import RecordingService

CALLS, REFUSED = 7, 3


@dataclass(frozen=True)
class Past:
    """A pair whose clock has been moved on by two hours after some calls in ``hours``."""

    pair: Pair
    hours: tuple[str, ...]

    def counters(self, *options: str, state: Path | None = None) -> dict[str, Any]:
        done = attempt(
            *("network", "counters", str(state or self.pair.consumer.state)),
            *("--from", self.hours[0], "--until", self.hours[-1], "--json", *options),
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def move_on(node: TestNode) -> None:
    node.stop()
    MovedClock.of(node).set(2 * 3600)
    node.run()
    node.wait()


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with RecordingService() as service:
        pair = make_pair(tmp_path_factory.mktemp("f"), service, {}, {})
        with pair.federation:
            begun = datetime.now(UTC)
            make_calls(pair)
            hours = tuple(sorted({hour_of(begun), hour_of(datetime.now(UTC))}))
            try:
                for node in (pair.consumer, pair.provider):
                    move_on(node)
            except FaketimeMissing as error:
                pytest.skip(str(error))
            for node in (pair.consumer, pair.provider):
                publish(node, hours[-1])
            yield Past(pair, hours)


def make_calls(pair: Pair) -> None:
    for _ in range(CALLS):
        assert pair.consumer.call("POST", pair.relay, "/echo", b"x" * 2000).status == 200
    for _ in range(REFUSED):
        refused = pair.consumer.call("GET", pair.citizens, f"/records/{FATHER}?fields=khong_co")
        assert refused.status == 400 or refused.status == 500
    assert pair.consumer.call("GET", pair.relay, "/x", client="VN-TEST/GOV/H99/x").status == 500


def publish(node: TestNode, hour: str) -> None:
    """Wait for the node's own turn."""
    assert eventually(lambda: f'"hour":"{hour}"' in node.log.read_text(), 180), hour


def test_the_network_adds_up_without_counting_a_call_twice(past: Past) -> None:
    found = past.counters()
    assert found["complete"] is True, found["missing"]
    assert found["disagreements"] == []
    flows = {each["service"]: each for each in found["flows"]}
    relay = flows[past.pair.relay]
    assert (relay["calls"], relay["outcomes"]) == (CALLS, {"answered": CALLS})
    assert (relay["request_bytes"], relay["answer_bytes"]) == (CALLS * 2000, CALLS * 2000)
    register = flows[past.pair.citizens]
    assert register["outcomes"] == {"refused": REFUSED}
    assert sum(register["reasons"].values()) == REFUSED
    assert found["calls"] == sum(each["calls"] for each in flows.values())
    assert sum(found["refusals"]["consumer"].values()) >= 1  # a client that is not ours
    assert FATHER not in json.dumps(found)


def test_one_node_is_enough_to_see_its_partners_traffic(past: Past) -> None:
    node = f"{past.pair.consumer.member_id}/n1"
    found = past.counters("--node", node)
    assert found["nodes"] == 1
    assert {each["service"]: each["calls"] for each in found["flows"]}[past.pair.relay] == CALLS


def test_an_hour_that_is_not_over_has_no_counters(past: Past) -> None:
    hour = hour_of(datetime.now(UTC) + timedelta(hours=2))
    done = attempt(
        *("network", "counters", str(past.pair.consumer.state), "--from", hour, "--json")
    )
    found = json.loads(done.stdout)
    assert found["calls"] == 0
    assert found["complete"] is False
    assert len(found["missing"]) == 2


def test_a_node_that_is_away_is_named_and_never_counted_as_zero(past: Past) -> None:
    pair = past.pair
    pair.provider.stop()
    found = past.counters()
    assert list(found["missing"]) == [f"{pair.provider.member_id}/n1"]
    assert found["complete"] is False
    flows = {each["service"]: each["calls"] for each in found["flows"]}
    assert flows[pair.relay] == CALLS  # as the consumer's node has it
    shown = attempt("network", "counters", str(pair.consumer.state), "--from", past.hours[0])
    assert f"✗ {pair.provider.member_id}/n1" in shown.stdout


def test_a_wrong_hour_is_an_error_of_the_command_line(past: Past) -> None:
    done = attempt("network", "counters", str(past.pair.consumer.state), "--from", "hôm nay")
    assert done.returncode == 2


def test_counters_are_for_members_only(past: Past) -> None:
    assert COUNTERS_PATH.endswith("/counters/")
    answer = past.pair.consumer.get(past.pair.consumer.operations_port, COUNTERS_PATH + "x")
    assert answer.status == 404
