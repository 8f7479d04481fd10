"""The threads of one node write to its SQLite database in turn, however busy the machine is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from lienthong.ledger.database import open_database, reading, writing


@pytest.fixture
def impatient(tmp_path: Path) -> Engine:
    """A database whose connections never wait for a lock: SQLite's patience is over at once."""
    engine = open_database(f"sqlite:///{tmp_path / 'node.db'}")

    def no_patience(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=0")

    event.listen(engine, "connect", no_patience)
    engine.dispose()  # the next connections are impatient
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE notes (thread INTEGER)"))
    return engine


def test_many_threads_write_without_finding_the_database_locked(impatient: Engine) -> None:
    failures: list[BaseException] = []
    ready = threading.Barrier(8)

    def write(number: int) -> None:
        ready.wait(60)
        try:
            for _ in range(20):
                with writing(impatient) as connection:
                    connection.execute(text("INSERT INTO notes VALUES (:n)"), {"n": number})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading(impatient) as connection:
        assert connection.scalar(text("SELECT count(*) FROM notes")) == 160


def test_whoever_fails_lets_the_next_one_write(impatient: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(impatient):
        raise ZeroDivisionError
    with writing(impatient) as connection:
        connection.execute(text("INSERT INTO notes VALUES (1)"))
