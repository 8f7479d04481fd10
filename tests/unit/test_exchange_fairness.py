"""A flood of one sender waits in its own line."""

from __future__ import annotations

import asyncio

from lienthong.exchange.fairness import FairShares


def test_who_is_alone_never_waits() -> None:
    shares = FairShares(share=2)
    assert [shares.enter("a", 0.0) for _ in range(50)] == [None] * 50


def test_beside_others_each_has_its_share_and_the_rest_wait_in_order() -> None:
    async def main() -> None:
        shares = FairShares(share=2, company_seconds=1.0)
        assert shares.enter("quiet", 0.0) is None
        turns = [shares.enter("flood", 0.1) for _ in range(5)]
        assert turns[:2] == [None, None]
        waiting = [turn for turn in turns[2:] if turn is not None]
        assert len(waiting) == 3
        assert shares.enter("quiet", 0.2) is None, "the flood is no reason for others to wait"
        shares.leave("flood", 0.3)
        assert [turn.done() for turn in waiting] == [True, False, False]

    asyncio.run(main())


def test_the_line_is_let_go_once_the_others_are_gone() -> None:
    async def main() -> None:
        shares = FairShares(share=1, company_seconds=1.0)
        shares.enter("quiet", 0.0)
        shares.leave("quiet", 0.0)
        turns = [shares.enter("flood", 0.1) for _ in range(4)]
        shares.leave("flood", 5.0)
        assert [turn is None or turn.done() for turn in turns] == [True] * 4

    asyncio.run(main())


def test_who_gave_up_waiting_takes_nobodys_place() -> None:
    async def main() -> None:
        shares = FairShares(share=1, company_seconds=9.0)
        shares.enter("quiet", 0.0)
        assert shares.enter("flood", 0.1) is None
        first, second = shares.enter("flood", 0.1), shares.enter("flood", 0.1)
        assert first is not None
        assert second is not None
        first.cancel()
        shares.leave("flood", 0.2)
        assert second.done()
        shares.leave("flood", 0.3)
        assert shares.enter("flood", 0.4) is None

    asyncio.run(main())


def test_a_turn_that_is_over_twice_lets_one_in() -> None:
    async def main() -> None:
        shares = FairShares(share=1, company_seconds=9.0)
        (await shares.begin("quiet")).over()
        turn = await shares.begin("flood")
        waiting = [asyncio.ensure_future(shares.begin("flood")) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
        turn.over()
        turn.over()
        await asyncio.sleep(0.01)
        assert [each.done() for each in waiting] == [True, False]
        waiting[0].result().over()
        await waiting[1]

    asyncio.run(main())


def test_who_is_cancelled_as_its_turn_comes_gives_it_back() -> None:
    async def main() -> None:
        shares = FairShares(share=1, company_seconds=9.0)
        (await shares.begin("quiet")).over()
        turn = await shares.begin("flood")
        first = asyncio.ensure_future(shares.begin("flood"))
        second = asyncio.ensure_future(shares.begin("flood"))
        await asyncio.sleep(0)
        turn.over()  # it is the first one's turn …
        first.cancel()  # … and it is gone
        assert (await second) is not None

    asyncio.run(main())
