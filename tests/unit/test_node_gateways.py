"""Several gateways of one node on PostgreSQL: who leads, who is there, what they tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from lienthong.ledger.database import open_database
from lienthong.node import gateways as gateways_module
from lienthong.node.gateways import EVERYTHING, GatewaySession, LoneGateway, gateways_of
from lienthong.node.leader import work_while_leading


async def _nothing() -> None:
    return None


class _Heard(list[str]):
    async def take(self, news: str) -> None:
        self.append(news)


@asynccontextmanager
async def gateway(url: str, heard: _Heard | None = None) -> AsyncIterator[GatewaySession]:
    engine = open_database(url)
    made = gateways_of(engine, (_Heard() if heard is None else heard).take, _nothing)
    assert isinstance(made, GatewaySession)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        engine.dispose()


async def soon(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it holds; fails after a time that is long for any machine."""
    async with asyncio.timeout(90):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.05)


def test_a_node_on_sqlite_leads_and_has_nobody_to_tell(tmp_path: Path) -> None:
    async def run() -> None:
        engine = open_database(f"sqlite:///{tmp_path}/node.db")
        alone = gateways_of(engine, _Heard().take, _nothing)
        assert isinstance(alone, LoneGateway)
        await alone.start()
        assert alone.leading
        assert await alone.count() == 1
        await alone.tell("services")
        async with alone.one_at_a_time():
            assert not await alone.alive(0)
        await alone.stop()

    asyncio.run(run())


def test_one_gateway_leads_and_another_when_it_is_gone(postgresql_url: str) -> None:
    async def run() -> None:
        async with gateway(postgresql_url) as second_to_be:
            assert second_to_be.leading
        async with gateway(postgresql_url) as first, gateway(postgresql_url) as second:
            assert first.leading
            assert not second.leading
            assert await first.count() == 2
            await first.stop()
            await soon(lambda: second.leading)
            assert not first.leading
            assert not await second.alive(first.number)
            assert await second.alive(second.number)

    asyncio.run(run())


def test_news_is_taken_in_by_all_others_before_tell_returns(postgresql_url: str) -> None:
    async def run() -> None:
        heard = [_Heard(), _Heard(), _Heard()]
        async with (
            gateway(postgresql_url, heard[0]) as first,
            gateway(postgresql_url, heard[1]) as second,
            gateway(postgresql_url, heard[2]),
        ):
            await first.tell("agreement 17")
            assert heard == [[], ["agreement 17"], ["agreement 17"]]
            await asyncio.gather(first.tell("services"), second.tell("directory"))
            assert heard[0] == ["directory"]
            assert sorted(heard[2][1:]) == ["directory", "services"]

    asyncio.run(run())


def test_a_session_that_was_cut_comes_back_and_looks_at_everything(postgresql_url: str) -> None:
    async def run() -> None:
        heard = _Heard()
        async with gateway(postgresql_url, heard) as one:
            engine = open_database(postgresql_url)
            with engine.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    )
                )
            await soon(lambda: heard == [EVERYTHING])
            await soon(lambda: one.leading)
            assert await one.alive(one.number)
            engine.dispose()

    asyncio.run(run())


def test_a_gateway_that_does_not_answer_holds_up_nobody_for_long(
    postgresql_url: str, monkeypatch: object
) -> None:
    class Deaf(_Heard):
        async def take(self, news: str) -> None:
            await asyncio.Event().wait()

    async def run() -> None:
        gateways_module.TOLD_SECONDS, before = 0.2, gateways_module.TOLD_SECONDS
        try:
            async with gateway(postgresql_url) as first, gateway(postgresql_url, Deaf()):
                await asyncio.wait_for(first.tell("services"), 60)
        finally:
            gateways_module.TOLD_SECONDS = before

    asyncio.run(run())


def test_starts_take_turns(postgresql_url: str) -> None:
    async def run() -> None:
        async with gateway(postgresql_url) as first, gateway(postgresql_url) as second:
            inside: list[int] = []
            most: list[int] = []

            async def start(one: GatewaySession) -> None:
                async with one.one_at_a_time():
                    inside.append(one.number)
                    most.append(len(inside))
                    await asyncio.sleep(0.1)
                    inside.remove(one.number)

            await asyncio.gather(start(first), start(second), start(first))
            assert most == [1, 1, 1]

    asyncio.run(run())


def test_work_of_the_whole_node_is_done_by_the_leader_only(postgresql_url: str) -> None:
    async def run() -> None:
        done: list[str] = []

        async def turn(name: str) -> None:
            done.append(name)
            raise ValueError("a turn that fails is not the end")

        async with gateway(postgresql_url) as first, gateway(postgresql_url) as second:
            tasks = [
                asyncio.create_task(
                    work_while_leading(one, name, 0.01, lambda name=name: turn(name))  # type: ignore[misc]
                )
                for one, name in ((first, "first"), (second, "second"))
            ]
            await soon(lambda: len(done) >= 3)
            assert set(done) == {"first"}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
