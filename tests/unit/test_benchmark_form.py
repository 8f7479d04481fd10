"""The form in which benchmarks speak, and the peer of the exchange benchmark."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from benchmarks import exchange, wrk
from benchmarks.form import alternate, line, peer_missing, spread
from benchmarks.hops import Result
from benchmarks.nginx import BrokenPeer, NginxHops, check_cost, json_of_size
from benchmarks.processes import processor_seconds

FORM = {
    "benchmark",
    "case",
    "unit",
    "ours",
    "theirs",
    "theirs_is",
    "ratio",
    "rounds",
    "spread",
    "size",
    "machine",
}


def test_a_line_holds_the_form_and_what_is_added() -> None:
    text = line(
        benchmark="b",
        case="c",
        unit="requests/s",
        ours=[100.0, 300.0, 200.0],
        theirs=[400.0, 400.0, 400.0],
        theirs_is="a limit",
        size={"rows": 1},
        p50_ms=1.23456,
    )
    found = json.loads(text)
    assert found.keys() == FORM | {"p50_ms"}
    assert (found["ours"], found["theirs"], found["ratio"]) == (200.0, 400.0, 0.5)
    assert (found["rounds"], found["spread"], found["p50_ms"]) == (3, 1.0, 1.235)
    assert "\n" not in text


def test_the_sides_take_turns_and_begin_in_turn() -> None:
    calls: list[str] = []
    rounds = alternate(2, ours=lambda: calls.append("ours"), theirs=lambda: calls.append("theirs"))
    assert calls == ["theirs", "ours", "ours", "theirs"]
    assert (len(rounds.ours), len(rounds.theirs)) == (2, 2)


def test_spread_is_relative_to_the_median() -> None:
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)


def test_a_missing_peer_is_said_and_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        peer_missing("nginx", "apt-get install nginx-light")
    assert caught.value.code == 3
    assert "apt-get install nginx-light" in capsys.readouterr().err


def test_a_body_has_exactly_its_size() -> None:
    for size in (20, 1024, 102_400):
        body = json_of_size(size)
        assert len(body) == size
        assert json.loads(body)


def test_processor_time_is_counted() -> None:
    before = processor_seconds(os.getpid())
    started = time.process_time()
    while time.process_time() - started < 0.1:
        pass
    assert processor_seconds(os.getpid()) > before


def test_a_peer_that_costs_too_much_stops_the_run() -> None:
    sound = Result(1, 1.0, 1.0, 1.0, (30.0, 30.0))
    check_cost(sound, 1024)
    with pytest.raises(BrokenPeer):
        check_cost(Result(1, 1.0, 1.0, 1.0, (30.0, 101.0)), 1024)
    check_cost(Result(1, 1.0, 1.0, 1.0, (180.0, 230.0)), 102_400)


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("wrk")), reason="nginx or wrk")
class TestNginxHops:
    def test_two_hops_answer_over_mutual_tls_and_are_measured(self) -> None:
        with NginxHops() as hops:
            result = hops.run_case(102_400, 4, 1)
            posted = hops.run_case(1024, 4, 1, method="POST", body='{"keys":["1"]}')
        assert result.requests > 0
        assert min(posted.cpu_us) > 0

    def test_nothing_is_left_running(self) -> None:
        with NginxHops() as hops:
            processes = hops.processes
        assert all(process.poll() is not None for process in processes)

    def test_failed_requests_make_no_figure(self) -> None:
        with NginxHops() as hops:
            url = f"http://127.0.0.1:{hops.ports['hop1']}/missing.json"
            with pytest.raises(wrk.LoadFailed):
                wrk.run(wrk.Load(url), connections=2, seconds=1)

    def test_a_case_makes_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        with NginxHops() as hops:
            exchange.compare(hops, hops, exchange.Case(1024, 8), rounds=1, seconds=1)
        found = json.loads(capsys.readouterr().out)
        assert found.keys() >= FORM | {"p50_ms", "theirs_p99_ms", "cpu_us", "cpu_ratio"}
