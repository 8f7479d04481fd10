"""Executed at most once: what a provider's node knows of each request id.

    state = register.begin(request_id, leaf, now)
    New → execute, then register.finish(...); Running → wait for it; Done → answer again

An id is remembered for as long as its message could still be accepted, then forgotten: an older
message is refused by its time. After a restart the register is filled from the ledger; a
request that was received and never answered is *in doubt*, and is never executed again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import NamedTuple

from lienthong.errors import MessageReplayed
from lienthong.ledger.messages import received_leaf
from lienthong.ledger.records import Located
from lienthong.transport.messages import Body

KEPT_ANSWERS_BYTES = 32 * 1024 * 1024  # of recent bodies that the ledger does not keep


class Finished(NamedTuple):
    """A signed answer as it was sent."""

    message: bytes
    proof: bytes
    body: Body


class Done(NamedTuple):
    """The request was answered; the answer's record lies there (plain values: untracked by gc)."""

    leaf: bytes
    place: int
    entry: int

    @property
    def located(self) -> Located:
        return Located(self.place, self.entry)


class InDoubt(NamedTuple):
    """The request was received before a crash; nobody knows whether it was executed."""

    leaf: bytes


class Running(NamedTuple):
    """The request is being executed now."""

    leaf: bytes
    answer: asyncio.Future[Finished]


class OnceRegister:
    """Request ids of the recent past. Used from the event loop only."""

    def __init__(self, remembered: timedelta) -> None:
        self._remembered = remembered
        self._states: dict[str, Done | InDoubt | Running] = {}
        self._order: deque[tuple[float, str]] = deque()
        self._recent: OrderedDict[str, Finished] = OrderedDict()
        self._recent_bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    def begin(self, request_id: str, leaf: bytes, now: datetime) -> Done | InDoubt | Running | None:
        """Return what is known of the request, or None after noting that it begins now.

        Raises MessageReplayed when the id was used for another message.
        """
        known = self._states.get(request_id)
        if known is not None:
            if known.leaf not in (leaf, received_leaf(leaf)):
                raise MessageReplayed(request_id=request_id)
            return known
        self._forget(now)
        future: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._states[request_id] = Running(leaf, future)
        self._order.append((now.timestamp(), request_id))
        return None

    def finish(self, request_id: str, finished: Finished, located: Located, *, keep: bool) -> None:
        """Note the answer; ``keep`` its body here when the ledger does not."""
        state = self._states[request_id]
        self._states[request_id] = Done(state.leaf, located.place, located.index)
        if keep and finished.body.path is None:
            self._recent[request_id] = finished
            self._recent_bytes += finished.body.size
            while self._recent_bytes > KEPT_ANSWERS_BYTES:
                self._recent_bytes -= self._recent.popitem(last=False)[1].body.size
        if isinstance(state, Running) and not state.answer.done():
            state.answer.set_result(finished)

    def abandon(self, request_id: str) -> None:
        """Nothing was logged or executed: the same message may come again."""
        state = self._states.pop(request_id, None)
        if isinstance(state, Running):
            state.answer.cancel()

    def doubt(self, request_id: str) -> None:
        """It was begun and its end is unknown."""
        state = self._states[request_id]
        self._states[request_id] = InDoubt(state.leaf)
        if isinstance(state, Running):
            state.answer.cancel()

    def restore(
        self, request_id: str, leaf: bytes, received: datetime, located: Located | None
    ) -> None:
        """Fill from the ledger; without ``located`` the request is in doubt.

        ``leaf`` is that of the record *received*, as the ledger has it.
        """
        if request_id not in self._states:
            self._order.append((received.timestamp(), request_id))
        self._states[request_id] = (
            InDoubt(leaf) if located is None else Done(leaf, located.place, located.index)
        )

    def recent(self, request_id: str) -> Finished | None:
        return self._recent.get(request_id)

    def _forget(self, now: datetime) -> None:
        limit = now.timestamp() - self._remembered.total_seconds()
        while self._order and self._order[0][0] < limit:
            _, request_id = self._order[0]
            if isinstance(self._states.get(request_id), Running):
                return
            self._order.popleft()
            self._states.pop(request_id, None)
            dropped = self._recent.pop(request_id, None)
            if dropped is not None:
                self._recent_bytes -= dropped.body.size
