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
    (service,) = (
        service for service in agreement.provider.services if service.code == agreement.service
    )
    if isinstance(service, ContractService):
        contract = load_contract(CONTRACTS / service.contract)
        assert agreement.fields
        assert set(agreement.fields) <= set(contract.fields)


def test_the_nation_has_five_agencies_with_their_own_folders() -> None:
    assert len({agency.folder for agency in AGENCIES}) == 5
    assert {"G01", "G15", "G18"} < {agency.code for agency in AGENCIES}


def test_a_curl_line_says_the_same_as_the_call() -> None:
    call = Call("VN/GOV/G01/dancu/cong-dan", "/records:lookup", {"keys": ["1"]}, purpose="p")
    line = Desk("VN/GOV/H37/motcua", 8080).curl(call)
    assert "http://127.0.0.1:8080/r1/VN/GOV/G01/dancu/cong-dan/records:lookup" in line
    assert "'X-Road-Client: VN/GOV/H37/motcua'" in line
    assert "'Lienthong-Purpose: p'" in line
    assert """'{"keys": ["1"]}'""" in line


def test_changes_exactly_one_byte() -> None:
    data = b'{"ho_ten": "Nguy\xe1\xbb\x85n"}' * 10
    changed = change_one_byte(data)
    assert len(changed) == len(data)
    assert sum(one != other for one, other in zip(data, changed, strict=True)) == 1


def test_a_step_that_compared_nothing_has_not_succeeded() -> None:
    result = StepResult("", "")
    assert not result.ok
    result.expect("same", 1, 1)
    assert result.ok
    result.expect("other", 1, 2)
    assert not result.ok


def test_chooses_ports_that_are_free() -> None:
    ports = free_ports(17)
    assert len(set(ports)) == 17
    for port in ports:
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", port))


def test_names_the_wanted_ports_that_are_taken() -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(DemoPortsTaken) as error:
            free_ports(1, port)
    assert str(port) in error.value.message()


def test_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "luan-van.odt").touch()
    with pytest.raises(DemoFolderInUse):
        Journal(tmp_path, {})


def test_remembers_what_was_done_and_with_which_ports(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "demo", {"ports": [1, 2]})
    journal.finished("step")
    again = Journal(tmp_path / "demo", {"ports": []})
    assert again.is_done("step") and not again.is_done("other")
    assert again["ports"] == [1, 2]


def test_a_command_that_fails_is_named_with_its_output() -> None:
    shown: list[str] = []
    with pytest.raises(DemoCommandFailed) as error:
        PublicCommands(shown.append).run("demo", "data", "--people", "many")
    assert shown == ["lienthong demo data --people many"]
    assert "lienthong demo data --people many" in error.value.message()


def test_a_child_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    children = Children()
    command = [sys.executable, "-c", "print('không chạy được'); raise SystemExit(1)"]
    child = children.start("nút", command, tmp_path / "log")
    with pytest.raises(DemoNotReady) as error:
        child.wait_until_ready(free_ports(1)[0], None)
    assert "không chạy được" in error.value.message()


def test_stops_every_child_and_waits_for_it(tmp_path: Path) -> None:
    children = Children()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    processes = [children.start(name, command, tmp_path / name).process for name in ("một", "hai")]
    children.stop()
    assert all(process.poll() is not None for process in processes)
    assert list(children) == []
