"""The node's log: JSON lines, one id to follow, no citizen numbers, no waiting."""

from __future__ import annotations

import ast
import io
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import lienthong
from lienthong.errors import InvalidSetting
from lienthong.events import log_event
from lienthong.node import log
from lienthong.node.log import start_logging

LOGGER = logging.getLogger("lienthong.exchange.test")


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_no_event_names_a_fact_as_the_frame_does_which_would_leave_it_out() -> None:
    calls = [
        (path.name, call.lineno, {each.arg for each in call.keywords})
        for path in Path(lienthong.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "log_event"
    ]
    assert len(calls) > 30
    assert [each for each in calls if each[2] & log._FRAME] == []


def test_an_event_is_one_json_line_with_its_facts() -> None:
    stream = io.StringIO()
    with start_logging("info", node="VN/GOV/G01/nut1", stream=stream):
        log_event(LOGGER, logging.INFO, "exchange.answered", request_id="m-1", status=200)
    (line,) = written(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "exchange.answered",
        "node": "VN/GOV/G01/nut1",
        "logger": "lienthong.exchange.test",
        "request_id": "m-1",
        "status": 200,
    }


def test_masks_citizen_numbers_wherever_they_stand() -> None:
    stream = io.StringIO()
    with start_logging("info", node="n", stream=stream):
        log_event(
            LOGGER,
            logging.WARNING,
            "source.failed 001090000001",
            path="/records/001090000001",
            keys=["001090000001", {"001090000001": ("001090000001",)}],
        )
        try:
            raise ValueError("no row for 001090000001")
        except ValueError:
            LOGGER.exception("look-up of %s", "001090000001")
    assert "001090000001" not in stream.getvalue()
    assert "no row for 001" in stream.getvalue()


def test_leaves_the_id_that_follows_a_message() -> None:
    request_id = "3f2b8c1a-1234-4abc-9def-123456789012"
    stream = io.StringIO()
    with start_logging("info", node="n", stream=stream):
        log_event(LOGGER, logging.INFO, "exchange.sent", request_id=request_id)
    assert written(stream)[0]["request_id"] == request_id


def test_a_fact_never_overwrites_the_frame_of_the_line() -> None:
    stream = io.StringIO()
    with start_logging("info", node="n", stream=stream):
        log_event(LOGGER, logging.INFO, "a.b", node="forged", time="never")
    (line,) = written(stream)
    assert line["node"] == "n"
    assert line["time"] != "never"


def test_writes_nothing_below_its_level_but_warnings_of_libraries() -> None:
    stream = io.StringIO()
    with start_logging("warning", node="n", stream=stream):
        log_event(LOGGER, logging.INFO, "a.b")
        logging.getLogger("asyncio").warning("task was never awaited")
        logging.getLogger("asyncio").info("chatter")
    assert [line["event"] for line in written(stream)] == ["task was never awaited"]


def test_refuses_a_level_that_does_not_exist() -> None:
    with pytest.raises(InvalidSetting):
        start_logging("loud", node="n")


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_record_that_cannot_be_told_does_not_end_the_log() -> None:
    stream = io.StringIO()
    with start_logging("info", node="n", stream=stream) as writer:
        log_event(LOGGER, logging.INFO, "a.b", fact=Unspeakable())
        log_event(LOGGER, logging.INFO, "next")
    assert [line["event"] for line in written(stream)] == ["next"]
    assert writer.dropped == 1


class StuckReader(io.StringIO):
    """A pipe whose reader has stopped, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()

    def write(self, text: str) -> int:
        self.reading.wait()
        return super().write(text)


def test_a_reader_that_stopped_costs_lines_and_not_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "MOST_WAITING", 3)
    stream = StuckReader()
    with start_logging("info", node="n", stream=stream) as writer:
        for number in range(20):
            log_event(LOGGER, logging.INFO, "a.b", number=number)
        assert writer.dropped >= 16
        stream.reading.set()
    assert len(written(stream)) == 20 - writer.dropped


def test_logging_leaves_no_trace_in_the_process() -> None:
    before = (logging.getLogger().level, logging.getLogger("lienthong").level)
    handlers = list(logging.getLogger().handlers)
    with start_logging("debug", node="n", stream=io.StringIO()):
        pass
    assert (logging.getLogger().level, logging.getLogger("lienthong").level) == before
    assert logging.getLogger().handlers == handlers
