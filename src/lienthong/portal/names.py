"""Agencies by the names that the directory gives them, their identifiers small beside.

    names.of("VN/GOV/G01/dancu/cong-dan")     # Named("Bộ Công an · Dân cư", "cong-dan")

Names are a comfort: where the node is away, the identifier stands alone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from lienthong.errors import LienthongError

KEPT_SECONDS = 300.0
AGAIN_SECONDS = 30.0  # after the node was away
MOST_KEPT = 5000
MEMBER_PARTS, SYSTEM_PARTS = 3, 4
_IDENTIFIER = re.compile(
    r"[A-Za-z0-9-]{1,20}/[A-Z]{1,20}/[A-Za-z0-9.-]{1,60}(?:/[^\s,;:→]{1,300})?"
)

Asking = Callable[[Sequence[str]], Mapping[str, str]]


class Named(NamedTuple):
    """``name`` is empty where the directory has none; ``rest`` is what no name stands for."""

    name: str
    rest: str


class Names:
    """Asks through ``ask``; remembers for some minutes. From any thread."""

    def __init__(self, ask: Asking, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}
        self._away_until = 0.0
        self._one = threading.Lock()

    def of(self, identifier: str) -> Named:
        """The name of a member, of its system or node, or of a system's service."""
        parts = identifier.split("/")
        member = "/".join(parts[:MEMBER_PARTS])
        system = "/".join(parts[:SYSTEM_PARTS])
        found = self._names(list(dict.fromkeys((member, system))))
        if len(parts) < MEMBER_PARTS or not found.get(member):
            return Named("", identifier)
        if len(parts) > MEMBER_PARTS and found.get(system):
            return Named(f"{found[member]} · {found[system]}", "/".join(parts[SYSTEM_PARTS:]))
        return Named(found[member], "/".join(parts[MEMBER_PARTS:]))

    def shown(self, identifier: str) -> Markup:
        """A name with its identifier small beside; the identifier alone where there is none."""
        named = self.of(str(identifier))
        if not named.name:
            return Markup("<code>{}</code>").format(identifier)
        rest = Markup(" · {}").format(named.rest) if named.rest else ""
        return Markup('<span class="named">{}{} <code class="faint">{}</code></span>').format(
            named.name, rest, identifier
        )

    def within(self, text: str) -> Markup:
        """A text whose identifiers have their names before them."""
        shown, end = Markup(), 0
        for found in _IDENTIFIER.finditer(str(text)):
            named = self.of(found[0])
            shown += escape(text[end : found.start()])
            shown += self.shown(found[0]) if named.name else escape(found[0])
            end = found.end()
        return shown + escape(text[end:])

    def _names(self, identifiers: list[str]) -> dict[str, str]:
        now = self._clock()
        with self._one:
            known = {each: self._known.get(each) for each in identifiers}
            missing = [each for each, held in known.items() if held is None or held[0] < now]
            if missing and now >= self._away_until:
                self._learn(missing, now)
            return {each: self._known[each][1] for each in identifiers if each in self._known}

    def _learn(self, missing: list[str], now: float) -> None:
        try:
            answer = self._ask(missing)
        except LienthongError:
            self._away_until = now + AGAIN_SECONDS
            return
        if len(self._known) > MOST_KEPT:
            self._known.clear()
        for each in missing:
            self._known[each] = (now + KEPT_SECONDS, answer.get(each, ""))
