"""The servers that other tests rely on are real, separate and durable."""

from __future__ import annotations

import socket

from sqlalchemy import create_engine, text


def test_each_test_gets_an_empty_durable_postgresql_database(postgresql_url: str) -> None:
    with create_engine(postgresql_url).connect() as connection:
        tables = connection.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname='public'")
        )
        assert tables.scalar_one() == 0
        assert connection.execute(text("SHOW fsync")).scalar_one() == "on"


def test_each_test_gets_an_empty_durable_mariadb_database(mariadb_url: str) -> None:
    with create_engine(mariadb_url).connect() as connection:
        assert connection.execute(text("SHOW TABLES")).all() == []
        setting = connection.execute(text("SELECT @@innodb_flush_log_at_trx_commit"))
        assert setting.scalar_one() == 1


def test_the_free_port_can_be_bound(free_port: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port))


def test_strace_traces_a_child(strace_available: str) -> None:
    assert strace_available.endswith("strace")
