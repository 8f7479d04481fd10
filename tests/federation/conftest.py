"""What several files of this folder set up: two agencies, a register and a service to relay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.database_servers import PostgresqlServer
from tests.fixtures.federation import Federation, TestNode
from tests.fixtures.people import CONTRACT_TEXT, store_in_sql
from tests.fixtures.ports import free_ports
from tests.fixtures.recording_service import RecordingService

FATHER, MOTHER, THIRD = "001090000001", "001190000002", "036302000003"
FIELDS = "so_dinh_danh,ho_ten,ngay_sinh,con_song"


@dataclass(frozen=True)
class Pair:
    """A running federation of a consumer and a provider, with what the provider offers.

    ``cong-dan`` is a contract service, ``co-san`` a relay of ``service``; both are agreed.
    """

    federation: Federation
    consumer: TestNode
    provider: TestNode
    service: RecordingService
    contract: Path
    source: str

    @property
    def citizens(self) -> str:
        return self.provider.service_id("cong-dan")

    @property
    def relay(self) -> str:
        return self.provider.service_id("co-san")

    def add_contract_service(self, code: str, *options: str) -> str:
        """Offer the register under another code as well; returns the service's id."""
        self.provider.command(
            "service",
            "add",
            *("--subsystem", self.provider.subsystem, "--code", code),
            *("--contract", str(self.contract), "--source", self.source, *options),
        )
        return self.provider.service_id(code)

    def add_relay(self, code: str, *options: str) -> str:
        """Offer the recording service under another code as well."""
        self.provider.command(
            "service",
            "add",
            *("--subsystem", self.provider.subsystem, "--code", code),
            *("--relay", self.service.url, *options),
        )
        return self.provider.service_id(code)


Settings = dict[str, str]


def make_pair(
    folder: Path,
    service: RecordingService,
    consuming: Settings,
    providing: Settings,
    contract_text: str = CONTRACT_TEXT,
) -> Pair:
    """Build and start two nodes with these settings; the caller closes ``federation``."""
    federation = Federation(folder)
    consumer = federation.node("H37", subsystem="motcua", **consuming)
    provider = federation.node("G01", subsystem="dancu", **providing)
    contract = folder / "nguoi.odcs.yaml"
    contract.write_text(contract_text, encoding="utf-8")
    source = store_in_sql(f"sqlite:///{folder / 'dancu.db'}")
    pair = Pair(federation, consumer, provider, service, contract, source)
    try:
        federation.start()
        pair.add_contract_service("cong-dan")
        pair.add_relay("co-san")
        federation.agree(consumer, provider, "cong-dan", "--fields", FIELDS, "--purpose", "p2")
        federation.agree(consumer, provider, "co-san", "--endpoint", "* /**")
    except BaseException:
        federation.close()
        raise
    return pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One pair for all tests that leave its nodes as they are."""
    with RecordingService() as service:
        built = make_pair(tmp_path_factory.mktemp("f"), service, {}, {})
        with built.federation:
            yield built


@pytest.fixture(scope="session")
def https_port() -> int:
    """Where the consumer of ``unusual`` takes HTTPS."""
    return free_ports(1)[0]


@pytest.fixture(scope="session")
def unusual(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: PostgresqlServer,
    https_port: int,
) -> Iterator[Pair]:
    """A pair whose settings are not the usual ones; tests may stop and start its nodes.

    The consumer takes HTTPS, spells errors as X-Road 7.8 and keeps commitments only; the
    provider's ledger lies in PostgreSQL. Bodies over 3 MB are refused by the one, over 2 MB by
    the other.
    """
    consuming = {
        "client_https_listen": f"127.0.0.1:{https_port}",
        "error_spelling": "snake",
        "log_bodies": "none",
        "request_limit_bytes": "3000000",
    }
    providing = {
        "database": postgresql_server.create_database(),
        "request_limit_bytes": "2000000",
    }
    with RecordingService() as service:
        built = make_pair(tmp_path_factory.mktemp("u"), service, consuming, providing)
        with built.federation:
            yield built
