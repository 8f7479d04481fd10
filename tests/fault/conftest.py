"""What the fault suite runs, and what it prints at its end."""

from __future__ import annotations

import pytest

from tests.fixtures.faults.record import FULL, RECORD

collect_ignore_glob = [] if FULL else ["full/*"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and what was lost."""
    if RECORD.cases:
        terminalreporter.section("faults", sep="-")
        for line in RECORD.lines():
            terminalreporter.write_line(line)
