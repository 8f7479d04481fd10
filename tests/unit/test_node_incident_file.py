"""The incident log in the state folder: bounded, one writer a file, found again by an id."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

from lienthong.events import log_event
from lienthong.node.incident_file import FILES_KEPT, IncidentFile, lines_with
from lienthong.node.log import start_logging

LOGGER = logging.getLogger("lienthong.exchange.test")


def opened(folder: Path, most_bytes: int = 1 << 20) -> IncidentFile:
    file = IncidentFile.open(folder, most_bytes)
    assert file is not None
    return file


def test_keeps_what_went_wrong_and_leaves_out_what_the_ledger_has(tmp_path: Path) -> None:
    with start_logging("info", node="n", stream=io.StringIO(), incidents=opened(tmp_path)):
        log_event(LOGGER, logging.INFO, "exchange.answered", outcome="answered", request_id="r-1")
        log_event(LOGGER, logging.INFO, "exchange.answered", outcome="refused", request_id="r-2")
        log_event(LOGGER, logging.WARNING, "exchange.refused", error_id="e-3")
        logging.getLogger("other").warning("of a library %s", "r-4")
    assert lines_with(tmp_path, {"r-1"}) == []
    (refused,) = lines_with(tmp_path, {"r-2"})
    assert json.loads(refused)["outcome"] == "refused"
    assert len(lines_with(tmp_path, {"e-3", "r-2"})) == 2
    assert "r-4" in (tmp_path / "incidents-0.jsonl").read_text()


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "log") as file:
        file.write([b"{}\n"])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "log" / "incidents-0.jsonl").stat().st_mode & 0o777 == 0o600


def test_stays_within_its_bytes_and_forgets_the_oldest(tmp_path: Path) -> None:
    with opened(tmp_path, 4000) as file:
        for number in range(1000):
            file.write([f'{{"id":"id-{number}"}}\n'.encode()])
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) == FILES_KEPT
    assert sum(path.stat().st_size for path in files) <= 4000
    assert lines_with(tmp_path, {"id-999"})
    assert not lines_with(tmp_path, {"id-0"})


def test_each_process_has_files_of_its_own_and_all_are_searched(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.write([b'{"id":"same"}\n'])
        second.write([b'{"id":"same"}\n'])
        assert len(lines_with(tmp_path, {"same"})) == 2
    with opened(tmp_path) as again:
        again.write([b'{"id":"later"}\n'])
    assert len(list(tmp_path.glob("*.jsonl"))) == 2  # the first number was free again


def test_finds_whole_ids_only_and_lines_over_the_edge_of_a_piece(tmp_path: Path) -> None:
    with opened(tmp_path, 16 << 20) as file:
        filler = b'{"x":"' + b"y" * 60_000 + b'"}\n'
        for number in range(40):
            file.write([filler, f'{{"id":"id-{number}"}}\n'.encode()])
    assert lines_with(tmp_path, {"id-1"}) == [b'{"id":"id-1"}']
    assert len(lines_with(tmp_path, {f"id-{number}" for number in range(40)})) == 40


def test_a_folder_that_cannot_be_used_and_a_limit_of_none_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert IncidentFile.open(tmp_path / "file" / "log", 1000) is None
    assert IncidentFile.open(tmp_path, 0) is None
