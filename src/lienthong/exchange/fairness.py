"""No consumer's flood is another's wait: a share of the node for each sender.

    turn = await shares.begin(sender)      # at once, or when it is its turn
    try: …
    finally: turn.over()                   # as soon as what remains is waiting for others

Senders are other nodes to a provider's node, and client systems to a consumer's. A sender alone
may have as much at work at once as it likes. While others ask too, each has at most ``share``
requests at work and the rest of its own wait in its own line; so a request finds before it on
the event loop and in the ledger's next group at most the shares of those who are there, however
many connections one of them opens. Event loop only; constant time a request.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Hashable

SHARE = 16  # keeps the group commit filled; two of them are a few milliseconds of work
COMPANY_SECONDS = 1.0  # so long after its last request a sender counts as one who asks too


class _Line:
    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Turn:
    """A request at work."""

    __slots__ = ("_over", "_sender", "_shares")

    def __init__(self, shares: FairShares, sender: Hashable) -> None:
        self._shares = shares
        self._sender = sender
        self._over = False

    def over(self) -> None:
        """The sender's next may begin; may be said more than once."""
        if not self._over:
            self._over = True
            self._shares.leave(self._sender, time.monotonic())


class FairShares:
    """Who is at work and who waits, by sender."""

    def __init__(self, share: int = SHARE, company_seconds: float = COMPANY_SECONDS) -> None:
        self._share = share
        self._company_seconds = company_seconds
        self._lines: dict[Hashable, _Line] = {}
        self._last: Hashable = None
        self._company_until = float("-inf")

    async def begin(self, sender: Hashable) -> Turn:
        """Wait until a request of ``sender`` may be at work."""
        place = self.enter(sender, time.monotonic())
        if place is not None:
            try:
                await place
            except BaseException:
                if place.done() and not place.cancelled():  # it was our turn already
                    self.leave(sender, time.monotonic())
                raise
        return Turn(self, sender)

    def enter(self, sender: Hashable, now: float) -> asyncio.Future[None] | None:
        """Begin a request of ``sender``, or return what to wait for; ``now`` in seconds."""
        if sender != self._last:
            if self._last is not None:
                self._company_until = now + self._company_seconds
            self._last = sender
        line = self._lines.get(sender)
        if line is None:
            line = self._lines[sender] = _Line()
        if line.running < self._share or (now >= self._company_until and not line.waiting):
            line.running += 1
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        return turn

    def leave(self, sender: Hashable, now: float) -> None:
        """A request of ``sender`` that had begun is over."""
        line = self._lines[sender]
        line.running -= 1
        while line.waiting and (line.running < self._share or now >= self._company_until):
            turn = line.waiting.popleft()
            if not turn.done():  # whoever waited may be gone
                line.running += 1
                turn.set_result(None)
        if not line.running and not line.waiting:
            del self._lines[sender]
