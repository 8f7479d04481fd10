"""What a step of the tour compared, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LONGEST_SHOWN = 160  # characters of a value on one line


@dataclass(frozen=True)
class Finding:
    """One comparison: what it is about, what should be, what is."""

    what: str
    expected: str
    found: str
    ok: bool


@dataclass
class StepResult:
    """One step of the tour: the lines it showed and the comparisons it made."""

    title_vi: str
    title_en: str
    shown: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """A step that compared nothing has shown nothing."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    def expect(self, what: str, expected: Any, found: Any) -> None:
        """Compare a value with what it should be."""
        self.findings.append(Finding(what, _short(expected), _short(found), expected == found))

    def failed(self, error: Exception) -> None:
        """Record that the step could not be finished."""
        self.findings.append(
            Finding("Lỗi · Error", "-", _short(f"{type(error).__name__}: {error}"), ok=False)
        )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
