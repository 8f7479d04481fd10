"""Nothing that others wrote ends a line of a log or steers a terminal."""

from __future__ import annotations

import inspect
import io
import json
import logging
import re

import pytest

from lienthong import errors
from lienthong.errors import LienthongError
from lienthong.events import log_event
from lienthong.node.log import start_logging

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
NASTY = [
    "a\r\nb: c",
    "a\nWARN forged line",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\u2028b\u2029c",
    "a\u202egnp.exe",
    "a\x00b",
    "\x85",
    "a" * 100_000,
]


def leaves() -> list[type[LienthongError]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, LienthongError)
    ]


@pytest.mark.parametrize("nasty", NASTY[:-1])
def test_no_error_says_what_would_steer_a_terminal(nasty: str) -> None:
    """Whatever fact holds it: every error of ours is one printable line in both languages."""
    for leaf in leaves():
        names = errors.error_texts().get(leaf.code, {})
        wanted = {name for text in names.values() for name in _names(text)}
        for language in ("vi", "en"):
            told, plain = (
                leaf(**dict.fromkeys(wanted, fact)).message(language) for fact in (nasty, "x")
            )
            assert told.count("\n") == plain.count("\n"), leaf  # those of the text itself
            assert told.replace("\n", "").isprintable(), leaf


def _names(text: str) -> list[str]:
    return [part.partition("}")[0].partition(":")[0] for part in text.split("{")[1:]]


@pytest.mark.parametrize("nasty", NASTY)
def test_a_log_line_stays_one_line(nasty: str) -> None:
    """Whoever reads it: ``tail`` on a terminal, or a program that knows Unicode's line ends."""
    stream = io.StringIO()
    logger = logging.getLogger("lienthong.injection")
    with start_logging("info", node="VN/GOV/H37/n1", stream=stream):
        log_event(logger, logging.INFO, "exchange.test", client=nasty, user=nasty, reason=nasty)
        logger.warning("%s", nasty)
    text = stream.getvalue()
    assert len(text.splitlines()) == text.count("\n") == 2
    for line in text.splitlines():
        assert not STEERING.search(line)
        assert json.loads(line)["node"] == "VN/GOV/H37/n1"
