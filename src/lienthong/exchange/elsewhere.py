"""A request that another gateway of this node has taken: its answer, or that it is in doubt.

The gateway that took it is asked nothing: what it does stands in the ledger. While it lives its
answer is waited for; when it died without one, nobody knows whether the request was executed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from lienthong.errors import AnswerInDoubt, MessageReplayed
from lienthong.exchange.answers import AnswerWriter
from lienthong.exchange.once import Finished
from lienthong.ledger.messages import Request, received_leaf
from lienthong.ledger.requests import RequestBook, Taken

LOOK_AGAIN_SECONDS = 0.1


class Elsewhere:
    """``alive`` says whether a gateway is still there, by its number."""

    def __init__(
        self,
        answers: AnswerWriter,
        book: RequestBook,
        alive: Callable[[int], Awaitable[bool]],
        longest_seconds: float,
    ) -> None:
        self._answers = answers
        self._book = book
        self._alive = alive
        self._longest_seconds = longest_seconds

    async def answer(self, request: Request, leaf: bytes) -> Finished:
        """Give the answer of the gateway that executes the request.

        Raises MessageReplayed (its id was used for another message), AnswerInDoubt (it takes
        too long, or its record is gone).
        """
        deadline = time.monotonic() + self._longest_seconds
        while time.monotonic() < deadline:
            alive = True
            taken = await self._find(request, leaf)
            if taken.answer is None and not (alive := await self._alive(taken.gateway)):
                taken = await self._find(request, leaf)  # it may have answered before it died
            if taken.answer is not None:
                return await self._answers.again(taken.answer, request, leaf)
            if not alive:
                return await self._answers.in_doubt(request, leaf)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise AnswerInDoubt(request_id=request.request_id)

    async def _find(self, request: Request, leaf: bytes) -> Taken:
        taken = await asyncio.to_thread(self._book.find, request.request_id)
        if taken is None:
            raise AnswerInDoubt(request_id=request.request_id)
        if taken.leaf != received_leaf(leaf):
            raise MessageReplayed(request_id=request.request_id)
        return taken
