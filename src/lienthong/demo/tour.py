"""The tour: real calls over mutual TLS, each compared with what it should give.

    results = [run(step, tour) for step in STEPS]

What is right is read from the agencies' own databases, never from an earlier answer.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lienthong.demo.building import propose_and_accept
from lienthong.demo.calls import Answer, Call
from lienthong.demo.findings import StepResult
from lienthong.demo.nation import Nation
from lienthong.demo.personas import DAUGHTER, FATHER
from lienthong.demo.plan import (
    BIRTH,
    HEALTH,
    HOSPITAL,
    JUSTICE,
    ONE_STOP,
    POLICE,
    TEMPORARY,
    Agency,
)
from lienthong.errors import LienthongError

CITIZENS = POLICE.service_id("cong-dan")
BIRTHS = JUSTICE.service_id("khai-sinh")
ACTIVITY = HOSPITAL.service_id("hoat-dong")
NOBODY = "001099999999"  # its serial is not one that the generator gives
BATCH = 500
PROVEN_SECONDS = 30.0

LOOKUP = Call(
    CITIZENS, "/records:lookup", {"keys": [FATHER], "fields": ["ho_ten", "noi_thuong_tru"]}
)
VERIFY = Call(
    CITIZENS,
    "/records:verify",
    {"key": FATHER, "claims": {"ngay_sinh": "1990-03-15", "ho_ten": "Nguyễn Văn Khác"}},
)
BEDS = Call(ACTIVITY, "/giuong-benh", user="giamsat01", dossier="")


@dataclass
class Tour:
    """What the steps share: the nation, and the message whose evidence is examined."""

    nation: Nation
    evidence: Path = field(init=False)
    message_id: str = ""

    def __post_init__(self) -> None:
        self.evidence = self.nation.folder / "bang-chung.evidence"

    def send(self, result: StepResult, agency: Agency, call: Call) -> Answer:
        """Make a call from an agency's own software, and show it as a line to copy."""
        desk = self.nation.desk(agency)
        result.command(desk.curl(call))
        return desk.send(call)

    def citizens(self, keys: list[str], fields: list[str]) -> list[dict[str, Any]]:
        """Read the population register itself, in the order of ``keys``."""
        columns = ", ".join(fields)
        query = f"SELECT {columns} FROM cong_dan WHERE so_dinh_danh = ?"
        with closing(sqlite3.connect(self.nation.registers.population)) as database:
            rows = [database.execute(query, (key,)).fetchone() for key in keys]
        return [dict(zip(fields, row, strict=True)) for row in rows]

    def some_numbers(self, count: int) -> list[str]:
        """Pick citizen numbers spread over the whole register."""
        with closing(sqlite3.connect(self.nation.registers.population)) as database:
            numbers = [row[0] for row in database.execute("SELECT so_dinh_danh FROM cong_dan")]
        return numbers[:: max(1, len(numbers) // count)][:count]

    def command(self, result: StepResult, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a public command that may rightly fail."""
        quiet = type(self.nation.commands)(result.command)
        return quiet.attempt(*arguments)


Step = Callable[[Tour, StepResult], None]
STEPS: list[tuple[str, str, Step]] = []


def step(title_vi: str, title_en: str) -> Callable[[Step], Step]:
    """Add a function to the tour under a title."""

    def add(function: Step) -> Step:
        STEPS.append((title_vi, title_en, function))
        return function

    return add


def run(tour: Tour, title_vi: str, title_en: str, function: Step) -> StepResult:
    """Take one step; what goes wrong in it is its result."""
    result = StepResult(title_vi, title_en)
    try:
        function(tour, result)
    except (LienthongError, OSError, http.client.HTTPException) as error:
        result.failed(error)
    except (subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        result.failed(error)  # an answer of another shape than it should have
    return result


def _refused(answer: Answer) -> bool:
    """Whether the exchange itself said no, in either spelling of X-Road."""
    return (answer.error or "").lower().replace("_", "").endswith("accessdenied")


@step("Tra cứu được phép", "A permitted look-up")
def permitted(tour: Tour, result: StepResult) -> None:
    answer = tour.send(result, ONE_STOP, LOOKUP)
    result.expect("Trạng thái · Status", 200, answer.status)
    fields = ["ho_ten", "noi_thuong_tru"]
    result.expect(
        "Đúng như CSDL dân cư · As in the register",
        tour.citizens([FATHER], fields),
        _only(answer.content["records"], fields),
    )
    tour.message_id = answer.message_id


@step("Cùng câu hỏi, không có thỏa thuận", "The same look-up without an agreement")
def without_agreement(tour: Tour, result: StepResult) -> None:
    answer = tour.send(result, HOSPITAL, LOOKUP)
    result.expect("Bị từ chối · Refused", True, _refused(answer))
    result.expect("Lộ dữ liệu · Data given", False, "Nguyễn Văn Mẫu" in str(answer.body))
    _say(result, answer)


@step("Một trường bị giữ lại", "A field withheld")
def withheld(tour: Tour, result: StepResult) -> None:
    asked = {"keys": [FATHER], "fields": ["ho_ten", "so_dien_thoai"]}
    answer = tour.send(result, ONE_STOP, Call(CITIZENS, "/records:lookup", asked))
    result.expect("Trạng thái · Status", 200, answer.status)
    result.expect("Trường giữ lại · Withheld", ["so_dien_thoai"], answer.content["withheld"])
    record = answer.content["records"][0]
    result.expect("Có tên · Name given", "Nguyễn Văn Mẫu", record.get("ho_ten"))
    result.expect("Có số điện thoại · Telephone given", False, "so_dien_thoai" in record)


@step("Xác minh đúng hay sai", "A yes/no verification")
def verified(tour: Tour, result: StepResult) -> None:
    answer = tour.send(result, ONE_STOP, VERIFY)
    result.expect("Trạng thái · Status", 200, answer.status)
    result.expect(
        "Ngày sinh đúng, tên sai · Birth date right, name wrong",
        {"ngay_sinh": True, "ho_ten": False},
        answer.content["matches"],
    )
    told = "Nguyễn Văn Mẫu".encode() in answer.body
    result.expect("Lộ tên thật · True name told", False, told)


@step("Tra cứu theo lô", "A batch look-up")
def batch(tour: Tour, result: StepResult) -> None:
    keys, fields = tour.some_numbers(BATCH), ["so_dinh_danh", "ho_ten"]
    call = Call(CITIZENS, "/records:lookup", {"keys": [*keys, NOBODY], "fields": fields})
    answer = tour.nation.desk(ONE_STOP).send(call)
    result.remark(f"POST {call.target} · {len(keys) + 1} khóa · keys")
    result.expect("Trạng thái · Status", 200, answer.status)
    records = _only(answer.content["records"], fields)
    result.expect("Số bản ghi · Records", len(keys), len(records))
    result.expect("Đúng hết · All right", True, records == tour.citizens(keys, fields))
    result.expect("Không có · Missing", [NOBODY], answer.content["missing"])


@step("Hỏi cơ quan thứ hai", "A second agency asked")
def civil_status(tour: Tour, result: StepResult) -> None:
    answer = tour.send(result, ONE_STOP, Call(BIRTHS, f"/records/{DAUGHTER}?fields=ho_ten_cha"))
    result.expect("Trạng thái · Status", 200, answer.status)
    found = answer.content.get("record", answer.content).get("ho_ten_cha")
    result.expect("Cha · Father", "Nguyễn Văn Mẫu", found)


@step("Dịch vụ REST có sẵn đi qua trục", "An existing REST service through the exchange")
def relayed(tour: Tour, result: StepResult) -> None:
    answer = tour.send(result, HEALTH, BEDS)
    with urllib.request.urlopen(f"{tour.nation.hospital_url}/api/v1/giuong-benh") as direct:  # noqa: S310
        result.expect("Nguyên vẹn · Unchanged", json.load(direct), answer.content)
    alert = Call(ACTIVITY, "/canh-bao", {"ma_benh": "A91"}, user="giamsat01", dossier="")
    result.expect("POST", 201, tour.send(result, HEALTH, alert).status)
    outside = Call(ACTIVITY, "/benh-nhan/1", user="giamsat01", dossier="")
    refused = _refused(tour.send(result, HEALTH, outside))
    result.expect("Ngoài thỏa thuận: từ chối · Not agreed: refused", True, refused)


@step("Mục đích", "Purposes")
def purposes(tour: Tour, result: StepResult) -> None:
    body = {"keys": [FATHER], "fields": ["ho_ten"]}
    agreed = Call(CITIZENS, "/records:lookup", body, purpose=BIRTH)
    result.expect("Đã thỏa thuận · Agreed", 200, tour.send(result, ONE_STOP, agreed).status)
    other = Call(CITIZENS, "/records:lookup", body, purpose="quang-cao")
    refused = tour.send(result, ONE_STOP, other)
    result.expect("Chưa thỏa thuận: từ chối · Not agreed: refused", True, _refused(refused))
    _say(result, refused)


@step("Bằng chứng kiểm tra ngoại tuyến", "Evidence, verified offline")
def evidence(tour: Tour, result: StepResult) -> None:
    state = str(tour.nation.state(ONE_STOP))
    exported = tour.command(
        result, "evidence", "export", state, tour.message_id, "--output", str(tour.evidence)
    )
    result.expect("Xuất · Exported", 0, exported.returncode)
    checked = _verify(tour, result, tour.evidence)
    result.expect("Hợp lệ · Valid", 0, checked.returncode)


@step("Thời gian được chứng minh", "The time is proven")
def time_proven(tour: Tour, result: StepResult) -> None:
    """A stamp or two witnesses come within seconds; they go into what is exported after them."""
    by = "witnesses" if tour.nation.time_authority is None else "time-stamp"
    deadline = time.monotonic() + PROVEN_SECONDS
    while (found := _exported_again(tour)).get("proven_by") != by and time.monotonic() < deadline:
        time.sleep(0.5)
    _verify(tour, result, tour.evidence)
    result.expect("Bằng · By", by, found.get("proven_by"))
    result.expect("Thời gian · Time", "proven", found.get("time"))
    if by == "witnesses":
        result.remark("Máy này không có openssl · openssl is not installed: no time-stamps")
    for stamped in found.get("stamps", []):
        result.remark(f"{stamped['authority']}: {stamped['time']}")
    for each in found.get("witnesses", []):
        result.remark(f"{each['node']}: {each['time']}")


def _exported_again(tour: Tour) -> dict[str, Any]:
    """Export the evidence once more, and judge it; empty while it cannot be."""
    quiet = type(tour.nation.commands)(lambda text: None)
    state, file = str(tour.nation.state(ONE_STOP)), str(tour.evidence)
    quiet.attempt("evidence", "export", state, tour.message_id, "--output", file)
    judged = quiet.attempt("evidence", "verify", "--trust", str(tour.nation.root), file, "--json")
    return dict(json.loads(judged.stdout)) if judged.returncode == 0 else {}


@step("Sửa một byte của bằng chứng", "One byte of the evidence changed")
def tampered(tour: Tour, result: StepResult) -> None:
    forged = tour.evidence.with_name("bang-chung-bi-sua.evidence")
    forged.write_bytes(change_one_byte(tour.evidence.read_bytes()))
    checked = _verify(tour, result, forged)
    result.expect("Bị phát hiện · Detected", True, checked.returncode != 0)
    last = (checked.stderr or checked.stdout).strip().splitlines()
    for text in last[:2]:
        result.remark(text)


def _verify(tour: Tour, result: StepResult, file: Path) -> subprocess.CompletedProcess[str]:
    root = str(tour.nation.root)
    return tour.command(result, "evidence", "verify", "--trust", root, str(file))


@step("Kiểm tra sổ của cả hai bên", "Both sides' ledgers verified")
def ledgers(tour: Tour, result: StepResult) -> None:
    for agency in (ONE_STOP, POLICE):
        done = tour.command(result, "ledger", "verify", str(tour.nation.state(agency)))
        result.expect(agency.name, 0, done.returncode)


@step("Thỏa thuận mới có và thôi hiệu lực ngay", "An agreement begins and ends at once")
def withdrawal(tour: Tour, result: StepResult) -> None:
    quiet = type(tour.nation.commands)(result.command)
    identifier = propose_and_accept(tour.nation, TEMPORARY, quiet)
    call = Call(CITIZENS, "/records:lookup", {"keys": [FATHER], "fields": ["ho_ten"]})
    answer = tour.send(result, HOSPITAL, call)
    result.expect("Trước khi rút · Before withdrawal", 200, answer.status)
    state = str(tour.nation.state(POLICE))
    reason = "Trình diễn việc rút thỏa thuận"
    quiet.run("agreement", "withdraw", state, identifier, "--reason", reason)
    refused = tour.send(result, HOSPITAL, call)
    result.expect("Sau khi rút: từ chối · After it: refused", True, _refused(refused))


def change_one_byte(data: bytes) -> bytes:
    """Replace the letter or digit nearest to the middle by its neighbour."""
    middle = len(data) // 2
    place = next(at for at in range(middle, len(data)) if chr(data[at]).isalnum())
    other = b"B" if data[place : place + 1] == b"A" else b"A"
    return data[:place] + other + data[place + 1 :]


def _only(records: list[dict[str, Any]], fields: list[str]) -> list[dict[str, Any]]:
    return [{name: record.get(name) for name in fields} for record in records]


def _say(result: StepResult, answer: Answer) -> None:
    """Show what the refusal told the caller."""
    if isinstance(answer.content, dict):
        result.remark(f"{answer.status} {answer.error}: {answer.content.get('message')}")
