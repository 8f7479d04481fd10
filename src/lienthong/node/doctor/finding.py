"""One line of what ``lienthong doctor`` found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple


class State(StrEnum):
    """How it stands; the order is that of how bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"

    @property
    def mark(self) -> str:
        return {"ok": "✓", "warning": "!", "failed": "✗"}[self.value]


class Words(NamedTuple):
    """The same in Vietnamese and English."""

    vi: str = ""
    en: str = ""


NOTHING = Words()


class Finding(NamedTuple):
    """What a check saw of one subject: a peer, a file, a port; and what to do."""

    check: str  # stable: ``peer.tcp``
    subject: str
    state: State
    found: Words
    remedy: Words = NOTHING

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "check": self.check,
            "subject": self.subject,
            "state": self.state.value,
            "found": {"vi": self.found.vi, "en": self.found.en},
            "remedy": {"vi": self.remedy.vi, "en": self.remedy.en},
        }


class Check(NamedTuple):
    """Something to look at. ``look`` blocks, in a thread of its own; it may raise our errors."""

    name: str
    subject: str
    look: Callable[[], Iterable[Finding]]


def good(check: str, subject: str, vi: str, en: str) -> Finding:
    return Finding(check, subject, State.OK, Words(vi, en))


def warning(check: str, subject: str, found: Words, remedy: Words) -> Finding:
    return Finding(check, subject, State.WARNING, found, remedy)


def failed(check: str, subject: str, found: Words, remedy: Words) -> Finding:
    return Finding(check, subject, State.FAILED, found, remedy)
