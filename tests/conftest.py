"""Fixtures that every kind of test may use, and the rule on skipped tests.

``make test`` sets ``NOTHING_MAY_SKIP=1`` where it could install everything (root, registries
reached). There a skipped test fails the run, unless it is marked ``needs_shared``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.database_servers import (
    MariadbServer,
    PostgresqlServer,
    ServerMissing,
    find_free_port,
)
from tests.fixtures.soft_token import SoftToken, TokenToolMissing

# A run is repeatable, and two busy cores must not fail it: no deadline, fixed seeds.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("thorough", parent=settings.get_profile("repeatable"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One running PostgreSQL for this test process."""
    try:
        with PostgresqlServer.start() as server:
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """The SQLAlchemy address of a new empty PostgreSQL database."""
    return postgresql_server.create_database()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """One running MariaDB for this test process."""
    try:
        with MariadbServer.start() as server:
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> str:
    """The SQLAlchemy address of a new empty MariaDB database."""
    return mariadb_server.create_database()


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    return find_free_port()


@pytest.fixture(scope="session")
def strace_available() -> str:
    """The path of strace, where it may trace a child; skips where it may not."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is missing: apt-get install strace")
    if subprocess.run([strace, "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("strace may not trace here: the container forbids ptrace")
    return strace


# --- the rule on skipped tests -------------------------------------------------------


def _forbidden_skips(
    reports: list[pytest.TestReport | pytest.CollectReport],
) -> list[pytest.TestReport | pytest.CollectReport]:
    # A whole module that skips itself is a collect report, which has no keywords.
    return [r for r in reports if "needs_shared" not in getattr(r, "keywords", {})]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if something was skipped where nothing may be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("NOTHING_MAY_SKIP") != "1":
        return
    if _forbidden_skips(reporter.stats.get("skipped", [])) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests were skipped, each with its reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"skipped {report.nodeid}: {reason}")
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    if os.environ.get("NOTHING_MAY_SKIP") == "1" and _forbidden_skips(skipped):
        terminalreporter.write_line("skipping is not allowed on this machine: the run fails")


@pytest.fixture
def soft_token(tmp_path: Path) -> Iterator[SoftToken]:
    """A new PKCS#11 token, made by SoftHSM2."""
    before = os.environ.get("SOFTHSM2_CONF")
    try:
        yield SoftToken.make(tmp_path / "token")
    except TokenToolMissing as error:
        pytest.skip(str(error))
    finally:
        if before is None:
            os.environ.pop("SOFTHSM2_CONF", None)
        else:
            os.environ["SOFTHSM2_CONF"] = before
