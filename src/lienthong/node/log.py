"""The node's log: one JSON object a line on stderr, written by a thread of its own.

What went wrong is written to files in the state folder too (``incident_file.py``).

    with start_logging("info", node="VN/GOV/G01/nut1"):
        events.log_event(logger, logging.INFO, "exchange.answered", request_id=…, status=200)

``request_id`` is the ``x-road-request-id``, the same in both nodes. Citizen numbers are masked in
everything that is written, also in tracebacks. The event loop only puts a record into a queue; a
reader that has stopped reading costs lost lines, which are counted, and never a stopped node.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Self, TextIO

import msgspec

from lienthong.errors import InvalidSetting
from lienthong.events import send_events_to
from lienthong.identity.citizen import mask_text
from lienthong.node.incident_file import IncidentFile

LOGGER = "lienthong"
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
MOST_WAITING = 10_000  # records; about 10 MB
GATHER_SECONDS = 0.05  # what a killed process may lose of its log
_LEVEL_NAMES = {number: name for name, number in LEVELS.items()} | {logging.CRITICAL: "critical"}
# Fields that nobody but this program fills in: no citizen number gets there.
_OURS = frozenset({"request_id", "error_id", "role", "outcome", "status", "code"})
_FRAME = frozenset({"time", "level", "event", "node", "logger"})  # no fact overwrites these
_encode = msgspec.json.Encoder(enc_hook=lambda value: mask_text(str(value))).encode
# Sizes, times and versions; a citizen number is text everywhere in this program.
_NUMBERS = (int, float, type(None))


class _Event(NamedTuple):
    """What ``log_event`` was told, on its way to the writer."""

    created: float
    level: int
    event: str
    logger: str
    fields: Mapping[str, object]


_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class LogWriter(logging.Handler):
    """Takes records from any thread and writes them from one; use it as a context manager."""

    def __init__(
        self, stream: TextIO, context: Mapping[str, str], incidents: IncidentFile | None = None
    ) -> None:
        super().__init__()
        self._incidents = incidents
        self._worth_keeping: list[bytes] = []
        self.dropped = 0
        self._stream = stream
        self._context = dict(context)
        self._encoded_context = _encode(self._context)[1:-1]
        self._waiting: SimpleQueue[logging.LogRecord | _Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._levels = [(name, logging.getLogger(name).level) for name in ("", LOGGER)]

    def emit(self, record: logging.LogRecord) -> None:
        self._put(record)

    def _take_event(
        self, level: int, event: str, logger: str, fields: Mapping[str, object]
    ) -> None:
        self._put(_Event(time.time(), level, event, logger, fields))

    def _put(self, record: logging.LogRecord | _Event) -> None:
        if self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.put(record)

    def attach(self, level: int) -> Self:
        """Start writing: our own log from ``level`` on, that of libraries from warnings on."""
        _leave_out_what_nobody_reads()
        logging.getLogger(LOGGER).setLevel(level)
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger().addHandler(self)
        send_events_to(self._take_event)
        self._thread.start()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, then stop; idempotent."""
        send_events_to(None)
        logging.getLogger().removeHandler(self)
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(timeout=5.0)  # a reader that never reads must not hold up the exit
            for name, level in self._levels:
                logging.getLogger(name).setLevel(level)
        if self._incidents is not None:
            self._incidents.close()
        super().close()

    def _run(self) -> None:
        """Write what has come in since the last time, in one go.

        To be woken for each line would take Python's lock from the event loop each time.
        """
        while (record := self._waiting.get()) is not None:
            time.sleep(GATHER_SECONDS)
            lines = [self._line(record)]
            last = False
            while not last and not self._waiting.empty():
                following = self._waiting.get()
                last = following is None
                lines.append("" if following is None else self._line(following))
            self._write("".join(lines), len(lines))
            self._keep_incidents()
            if last:
                return

    def _line(self, record: logging.LogRecord | _Event) -> str:
        try:
            if isinstance(record, _Event):
                line = event_line(record, self._encoded_context)
            else:
                line = json_line(record, self._context)
            line = steerless(line)
            if self._incidents is not None and _is_incident(record):
                self._worth_keeping.append(line.encode())
            return line
        except Exception:  # a record that cannot be told: the rest goes on
            self.dropped += 1
            return ""

    def _keep_incidents(self) -> None:
        if self._incidents is not None and self._worth_keeping:
            self.dropped += self._incidents.write(self._worth_keeping)
            self._worth_keeping.clear()

    def _write(self, text: str, lines: int) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a reader that is gone
            self.dropped += lines


def steerless(line: str) -> str:
    """A line of JSON in which no character steers a terminal or ends a line for somebody.

    JSON escapes what is below U+0020 and leaves the rest: the other controls (U+009B begins
    what ESC [ does), Unicode's line separators, changes of direction.
    """
    if line.isascii() and "\x7f" not in line:
        return line
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _is_incident(record: logging.LogRecord | _Event) -> bool:
    """All but the one line for each exchange that went well: the ledger has those."""
    if isinstance(record, _Event):
        return record.fields.get("outcome") != "answered"
    return record.levelno >= logging.INFO


def start_logging(
    level: str,
    *,
    node: str,
    stream: TextIO | None = None,
    incidents: IncidentFile | None = None,
    **context: str,
) -> LogWriter:
    """Write the log of this process to ``stream`` (stderr). Raises InvalidSetting."""
    if level not in LEVELS:
        raise InvalidSetting(name="log_level", reason=f"{level!r} ({', '.join(LEVELS)})")
    writer = LogWriter(stream or sys.stderr, {"node": node, **context}, incidents)
    return writer.attach(LEVELS[level])


def _leave_out_what_nobody_reads() -> None:
    """Spare each record the search for its caller's file and line (Logging HOWTO, Optimization)."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def event_line(event: _Event, context: bytes) -> str:
    """The same line as ``json_line``, for an event; ``context`` is JSON without its braces.

    Nearly all events are plain texts and numbers in which nothing has to be masked: those are
    encoded in one go. A line is written for each exchange.
    """
    fields: Mapping[str, object] = event.fields
    if not _FRAME.isdisjoint(fields) or not all(map(_is_plain, fields.items())):
        fields = {
            name: value if name in _OURS else masked(value)
            for name, value in fields.items()
            if name not in _FRAME
        }
    frame = (
        f'{{"time":"{_time(event.created)}","level":"{_LEVEL_NAMES.get(event.level, "info")}",'
        f'"event":"{mask_text(event.event)}",{context.decode()},"logger":"{event.logger}"'
    )
    return f"{frame},{_encode(fields)[1:].decode()}\n" if fields else f"{frame}}}\n"


def _is_plain(field: tuple[str, object]) -> bool:
    name, value = field
    if name in _OURS or isinstance(value, _NUMBERS):
        return True
    return type(value) is str and mask_text(value) == value


def json_line(record: logging.LogRecord, context: Mapping[str, str]) -> str:
    """Return one line: time, level, event, node, logger, the event's own fields."""
    line: dict[str, object] = {
        "time": _time(record.created),
        "level": record.levelname.lower(),
        "event": mask_text(record.getMessage()),
        **context,
        "logger": record.name,
    }
    fields: Mapping[str, object] = getattr(record, "fields", {})
    for name, value in fields.items():
        line.setdefault(name, masked(value))
    if record.exc_info and record.exc_info[0] is not None:
        line["traceback"] = mask_text("".join(traceback.format_exception(*record.exc_info)))
    return _encode(line).decode() + "\n"


def masked(value: Any) -> object:
    """Return ``value`` with citizen numbers masked, in its strings and those within it."""
    if isinstance(value, _NUMBERS):
        return value
    if isinstance(value, Mapping):
        return {mask_text(str(key)): masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    return mask_text(str(value))


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)  # many lines are of one second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
