"""What several files of this folder set up: two agencies, a register and a service to relay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.federation import Federation, TestNode
from tests.fixtures.people import CONTRACT_TEXT, store_in_sql
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


def make_pair(folder: Path, service: RecordingService) -> Pair:
    """Build and start the two nodes; the caller closes ``federation``."""
    federation = Federation(folder)
    consumer = federation.node("H37", subsystem="motcua")
    provider = federation.node("G01", subsystem="dancu")
    contract = folder / "nguoi.odcs.yaml"
    contract.write_text(CONTRACT_TEXT, encoding="utf-8")
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
        built = make_pair(tmp_path_factory.mktemp("f"), service)
        with built.federation:
            yield built
