"""The hospital's existing service, and the small parts that run the demo."""

import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lienthong.contracts.loading import load_contract
from lienthong.demo.calls import Call, Desk
from lienthong.demo.findings import StepResult
from lienthong.demo.journal import Journal
from lienthong.demo.legacy_service import serve
from lienthong.demo.plan import AGENCIES, AGREEMENTS, TEMPORARY, Agreement, ContractService
from lienthong.demo.processes import Children, free_ports
from lienthong.demo.public_commands import PublicCommands
from lienthong.demo.registers import write_registers
from lienthong.demo.tour import change_one_byte
from lienthong.errors import (
    DemoCommandFailed,
    DemoFolderInUse,
    DemoNotReady,
    DemoPortsTaken,
)

CONTRACTS = Path(__file__).parents[2] / "src/lienthong/demo/contracts"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    registers = write_registers(tmp_path_factory.mktemp("hospital"), 2_000)
    server = serve(registers.hospital, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def _status(url: str, data: bytes | None = None) -> int:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(url, data)
    with closing(refusal.value):
        return refusal.value.code


def test_the_hospital_tells_its_beds(hospital: str) -> None:
    with urllib.request.urlopen(f"{hospital}/giuong-benh") as answer:
        content = json.load(answer)
    assert content["tong_so"] == sum(row["so_giuong"] for row in content["giuong_benh"])


def test_the_hospital_counts_visits_between_two_days(hospital: str) -> None:
    url = f"{hospital}/dot-kham/thong-ke?tu=2025-01-01&den=2025-12-31"
    with urllib.request.urlopen(url) as answer:
        assert sum(row["so_dot"] for row in json.load(answer)["benh"]) > 0


def test_the_hospital_takes_an_alert(hospital: str) -> None:
    with urllib.request.urlopen(f"{hospital}/canh-bao", b'{"ma_benh": "A91"}') as answer:
        assert answer.status == 201
        assert json.load(answer)["so_tiep_nhan"].startswith("CB-")


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/khong-co", None, 404),
        ("/dot-kham/thong-ke?tu=hom-qua", None, 400),
        ("/canh-bao", b"{", 400),
        ("/canh-bao", b"[]", 400),
        ("/canh-bao", b" " * 70_000, 413),
    ],
)
def test_the_hospital_refuses_what_it_does_not_understand(
    hospital: str, path: str, data: bytes | None, status: int
) -> None:
    assert _status(hospital + path, data) == status


@pytest.mark.parametrize("agreement", [*AGREEMENTS, TEMPORARY], ids=lambda it: it.service_id)
def test_every_agreement_names_fields_of_its_contract(agreement: Agreement) -> None:
