"""What a step of the tour did, what it compared, and what came out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

LONGEST_SHOWN = 160  # characters of a value on one line


@dataclass(frozen=True)
class Command:
    """A line that a user can copy."""

    line: str


@dataclass(frozen=True)
class Remark:
    """What a command said, or what is worth knowing about it."""

    text: str


@dataclass(frozen=True)
class Finding:
    """One comparison: what it is about, what should be, what is."""

    what: str
    expected: str
    found: str
    ok: bool


@dataclass
class StepResult:
    """One step of the tour: what was done and compared, in the order in which it was."""

    title_vi: str
    title_en: str
    events: list[Command | Remark | Finding] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        return [event for event in self.events if isinstance(event, Finding)]

    @property
    def commands(self) -> list[str]:
        return [event.line for event in self.events if isinstance(event, Command)]

    @property
    def ok(self) -> bool:
        """A step that compared nothing has shown nothing."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    def command(self, line: str) -> None:
        """Record a command that is being run."""
        self.events.append(Command(line))

    def remark(self, text: str) -> None:
        """Record something to read."""
        self.events.append(Remark(text))

    def expect(self, what: str, expected: Any, found: Any) -> None:
        """Compare a value with what it should be."""
        finding = Finding(what, _shown(expected), _shown(found), expected == found)
        self.events.append(finding)

    def failed(self, error: Exception) -> None:
        """Record that the step could not be finished."""
        reason = f"{type(error).__name__}: {error}"
        self.events.append(Finding("Lỗi · Error", "–", _shown(reason), ok=False))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "có · yes" if value else "không · no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
