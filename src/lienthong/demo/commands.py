"""``lienthong demo``: the nation in a box."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from lienthong.catalogue.folder import CatalogueFolder
from lienthong.demo.building import Builder
from lienthong.demo.datasets import generated_entries
from lienthong.demo.findings import StepResult
from lienthong.demo.nation import Nation, new_journal
from lienthong.demo.plan import AGENCIES, HEALTH, ONE_STOP
from lienthong.demo.public_commands import PublicCommands
from lienthong.demo.registers import write_registers
from lienthong.demo.telling import Teller
from lienthong.demo.tour import BEDS, LOOKUP, STEPS, VERIFY, Tour, run
from lienthong.errors import DemoStepFailed, LienthongError

PEOPLE = 100_000

app = typer.Typer(
    no_args_is_help=True,
    help="Quốc gia thu nhỏ để xem thử. · A nation in a box, to look at.",
)


@app.command("data")
def write_data(
    folder: Annotated[Path, typer.Argument(help="Thư mục đích · Folder to write into")],
    people: Annotated[int, typer.Option(min=10, help="Số người · Number of people")] = PEOPLE,
    seed: Annotated[int, typer.Option(help="Hạt giống · Seed: same seed, same people")] = 2026,
) -> None:
    """Sinh các cơ sở dữ liệu trình diễn; không có ai trong đó là thật.

    Generate the demo's databases; nobody in them is real.

    Ví dụ · Example: lienthong demo data ./du-lieu --people 1000
    """
    registers = write_registers(folder, people, seed)
    for file in sorted(registers.folder.iterdir()):
        typer.echo(f"{file}  {file.stat().st_size} bytes")


@app.command("catalogue")
def write_catalogue(
    folder: Annotated[Path, typer.Argument(help="Thư mục đích · Folder to write into")],
    entries: Annotated[
        int, typer.Option(min=1, max=5_000_000, help="Số tập dữ liệu · Number of datasets")
    ] = 3_000,
    seed: Annotated[int, typer.Option(help="Hạt giống · Seed: same seed, same datasets")] = 2026,
) -> None:
    """Sinh một danh mục gồm các tập dữ liệu không có thật, để xem và thử tìm kiếm.

    Generate a catalogue of datasets that do not exist, to look at and to search.

    Ví dụ · Example: lienthong demo catalogue ./danh-muc --entries 3000
    """
    with CatalogueFolder.for_search(folder).store() as store:
        store.save(generated_entries(entries, seed))
        typer.echo(f"{folder}  {store.count()} tập dữ liệu · datasets")


@app.command("run")
def run_demo(
    once: Annotated[
        bool, typer.Option("--once", help="Tham quan rồi thoát · Take the tour, then exit")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="Thư mục giữ lại giữa các lần chạy · Folder kept between runs"),
    ] = None,
    people: Annotated[int, typer.Option(min=2_000, help="Số người · Number of people")] = PEOPLE,
    first_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_500, help="Cổng đầu tiên; mặc định: cổng trống · First port"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Kết quả JSON · Result as JSON")] = False,
) -> None:
    """Dựng năm cơ quan với dữ liệu giả định, gọi thật qua TLS hai chiều, rồi chờ Ctrl-C.

    Bring up five agencies with fictitious data, make real calls over mutual TLS, then stay up
    until Ctrl-C. Everything is done with public commands, which are printed as it goes.

    Ví dụ · Example: lienthong demo run --once
    """
    teller = Teller(Console(stderr=as_json))
    with _interruptible(), _folder(state) as folder:
        journal = new_journal(folder, people, first_port)
        nation = Nation(folder, journal, PublicCommands(teller.command))
        try:
            _show(nation, teller, once=once, as_json=as_json)
        finally:
            teller.phase("Đang dừng các nút · Stopping the nodes")
            with _uninterruptible():
                nation.children.stop()


def _show(nation: Nation, teller: Teller, *, once: bool, as_json: bool) -> None:
    began = time.monotonic()
    with teller.progress() as working:
        Builder(nation, working).build()
    ready_seconds = time.monotonic() - began
    teller.phase(f"Sẵn sàng sau {ready_seconds:.1f} s · Ready after {ready_seconds:.1f} s")
    results = _tour(nation, teller)
    teller.summary(results)
    wrong = [result for result in results if not result.ok]
    if as_json:
        typer.echo(json.dumps(_report(results, ready_seconds), ensure_ascii=False))
    if not once:
        _stay(nation, teller)
    if wrong:
        raise DemoStepFailed(failed=len(wrong), total=len(results), logs=nation.logs)


def _tour(nation: Nation, teller: Teller) -> list[StepResult]:
    tour, results = Tour(nation), list[StepResult]()
    for number, (title_vi, title_en, function) in enumerate(STEPS, 1):
        results.append(run(tour, title_vi, title_en, function))
        teller.step(number, len(STEPS), results[-1])
    return results


def _stay(nation: Nation, teller: Teller) -> None:
    """Say where everything is and wait for Ctrl-C."""
    rows = [("Danh bạ · Directory", nation.directory.name, [nation.directory_url])]
    for agency in AGENCIES:
        ports = nation.ports(agency)
        where = [
            f"http://127.0.0.1:{ports.client}",
            f"https://127.0.0.1:{ports.peer}",
            f"http://127.0.0.1:{ports.operations}/health",
        ]
        rows.append((f"{agency.name} ({agency.client_id})", agency.folder, where))
    teller.addresses(nation.folder, rows)
    office, ministry = nation.desk(ONE_STOP), nation.desk(HEALTH)
    teller.invitation([office.curl(LOOKUP), office.curl(VERIFY), ministry.curl(BEDS)])
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _report(results: list[StepResult], ready_seconds: float) -> dict[str, Any]:
    return {
        "ok": all(result.ok for result in results),
        "ready_seconds": round(ready_seconds, 1),
        "steps": [
            {
                "vi": result.title_vi,
                "en": result.title_en,
                "ok": result.ok,
                "commands": result.commands,
                "findings": [asdict(finding) for finding in result.findings],
            }
            for result in results
        ],
    }


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """Give the chosen folder, or a temporary one that goes away unless something failed."""
    if chosen is not None:
        yield chosen
        return
    folder = Path(tempfile.mkdtemp(prefix="lienthong-demo-"))
    try:
        yield folder
    except LienthongError:
        raise  # its logs stay for whoever looks into the error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)  # also where a shell started us with it ignored
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _uninterruptible() -> Iterator[None]:
    """Ignore a second Ctrl-C while the nodes are being stopped in order."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
