"""``lienthong catalogue harvest``: sources of other catalogues, added, run, looked at, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lienthong.catalogue.folder import CatalogueFolder
from lienthong.catalogue.harvest.describing import address
from lienthong.catalogue.harvest.lease import Holder
from lienthong.catalogue.harvest.models import Kind, Outcome, Run, Source
from lienthong.catalogue.harvest.running import Harvester
from lienthong.catalogue.harvest.schedule import every_seconds, interval, next_due
from lienthong.catalogue.search import CatalogueSearch
from lienthong.errors import HarvestFailed, HarvestSourceInvalid, HarvestSourceUnknown
from lienthong.reasons import in_vietnamese
from lienthong.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Thu thập danh mục của nơi khác. Harvest the catalogues of others.",
)

State = Annotated[
    Path, typer.Argument(metavar="STATE", help="Thư mục của danh mục. The catalogue's folder.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Tên nguồn. Name of the source.")]
Every = Annotated[
    str,
    typer.Option("--every", help="Chu kỳ: 30m, 6h, 1d; 0: chỉ bằng lệnh. Interval; 0: by hand."),
]
AsJson = Annotated[bool, typer.Option("--json", help="In JSON. Print JSON.")]

_OUTCOMES = {
    Outcome.WHOLE: "đủ · whole",
    Outcome.CHANGES: "phần thay đổi · changes",
    Outcome.HELD: "chờ xác nhận · held",
    Outcome.BROKEN: "nguồn lỗi · broken",
}


@app.command()
def add(
    state: State,
    name: Name,
    url: Annotated[str, typer.Argument(help="Địa chỉ gốc CKAN, hoặc tệp DCAT. CKAN root or DCAT.")],
    kind: Annotated[Kind, typer.Option(help="ckan, dcat.")] = Kind.DCAT,
    every: Every = "",
) -> None:
    """Thêm một nguồn; cổng web hoặc danh mục đang chạy sẽ tự thu thập.

    Add a source; a running portal or catalogue harvests it by itself.

    Ví dụ (example): lienthong catalogue harvest add ./danh-muc da-nang
    https://opendata.example.vn/catalog.ttl
    """
    if not address(url):
        raise HarvestSourceInvalid(source=url[:200], reason="no http or https address")
    with _harvester(state) as harvester:
        if any(each.name == name for each in harvester.store.sources()):
            raise HarvestSourceInvalid(source=name, reason="the name is taken")
        now = datetime.now(UTC)
        seconds = every_seconds(every) if every else None
        value: dict[str, Any] = {"name": name, "url": url, "kind": kind, "added": now}
        value |= {"state": {}, "every_seconds": seconds}
        try:
            source = msgspec.convert(value, Source)
        except msgspec.ValidationError as error:
            reason = "a name is small letters, digits and hyphens, up to 40"
            raise HarvestSourceInvalid(source=name[:100], reason=reason) from error
        source.state.own_checked = time.time()
        harvester.store.put(source)
    typer.echo(f"Đã thêm nguồn {name}. The source was added.")


@app.command()
def change(state: State, name: Name, every: Every) -> None:
    """Đổi chu kỳ tự thu thập của một nguồn.

    Change how often a source is harvested by itself.

    Ví dụ (example): lienthong catalogue harvest change ./danh-muc da-nang --every 6h
    """
    with _harvester(state) as harvester:
        source = harvester.store.get(name)
        changed = msgspec.structs.replace(source, every_seconds=every_seconds(every))
        changed.state.due = min(changed.state.due, time.time() + (changed.every_seconds or 0))
        harvester.store.put(changed)
    typer.echo(f"{name}: {every}")


@app.command(name="list")
def list_(state: State, as_json: AsJson = False) -> None:
    """Các nguồn, số bản ghi và lần chạy cuối.

    Sources, their records and last run.

    Ví dụ (example): lienthong catalogue harvest list ./danh-muc
    """
    with _harvester(state) as harvester:
        store = harvester.store
        rows = [
            (each, store.counts(each.name), store.runs(each.name, 1)) for each in store.sources()
        ]
        settings, holder = harvester.settings, harvester.lease.holder()
    if as_json:
        _print_json([_told(*row, settings, holder) for row in rows])
        return
    table = Table("Nguồn · source", "Loại · kind", "Đang hiện · shown", "Lần cuối · last run", "",
                  "Lần tới · next", "Lỗi liền · failures")  # fmt: skip
    for source, counts, runs in rows:
        last = runs[0] if runs else None
        when = last.started.isoformat(timespec="seconds") if last else "—"
        outcome = _OUTCOMES[last.outcome] if last else ""
        due = next_due(source, settings)
        following = "đang chạy · running" if holder and holder.source == source.name else _when(due)
        failures = str(source.state.failures or "")
        shown = str(counts.get("shown", 0))
        table.add_row(source.name, source.kind, shown, when, outcome, following, failures)
    Console(highlight=False, markup=False).print(table)


@app.command()
def run(
    state: State,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Trống: mọi nguồn. All.")] = "",
    whole: Annotated[bool, typer.Option(help="Đọc lại toàn bộ. Read all anew.")] = False,
    accept_gone: Annotated[
        bool, typer.Option(help="Rút cả khi mất nhiều. Withdraw also when much is gone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Thu thập một nguồn, hoặc mọi nguồn, lần lượt.

    Harvest one source, or all, one after another.

    Ví dụ (example): lienthong catalogue harvest run ./danh-muc da-nang
    """
    with _harvester(state) as harvester:
        chosen = [harvester.store.get(name)] if name else harvester.store.sources()
        runs = [_run_one(harvester, each, whole, accept_gone, quiet=as_json) for each in chosen]
    if as_json:
        _print_json(runs)
    else:
        for each in runs:
            _print_run(each)
    broken = next((each for each in runs if each.outcome is Outcome.BROKEN), None)
    if broken is not None:
        raise HarvestFailed(source=broken.source, reason=broken.reason)


@app.command()
def show(state: State, name: Name, as_json: AsJson = False) -> None:
    """Một nguồn: các lần chạy và lỗi của từng bản ghi.

    One source: its runs, and the errors of single records.

    Ví dụ (example): lienthong catalogue harvest show ./danh-muc da-nang
    """
    with _harvester(state) as harvester:
        runs = harvester.store.runs(name)
        known = [each for each in harvester.store.sources() if each.name == name]
        counts = harvester.store.counts(name)
    if not known and not runs:
        raise HarvestSourceUnknown(source=name[:100])
    if as_json:
        _print_json({"source": known[0].url if known else None, "records": counts, "runs": runs})
        return
    for each in runs:
        _print_run(each)


@app.command()
def remove(state: State, name: Name) -> None:
    """Bỏ một nguồn và rút các mục của nó; lịch sử vẫn còn.

    Remove a source and withdraw its entries; their history stays.

    Ví dụ (example): lienthong catalogue harvest remove ./danh-muc da-nang
    """
    with _harvester(state) as harvester:
        source = harvester.store.get(name)
        with harvester.lease.held(name):
            gone = harvester.remove(source)
    typer.echo(f"Đã bỏ nguồn {name}, rút {gone} mục. The source is gone, with its {gone} entries.")


@contextmanager
def _harvester(state: Path) -> Iterator[Harvester]:
    folder = CatalogueFolder(state)
    with folder.store() as catalogue:
        yield Harvester(catalogue, CatalogueSearch(catalogue), folder.settings)


def _run_one(
    harvester: Harvester, source: Source, whole: bool, accept_gone: bool, quiet: bool
) -> Run:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        harvester.lease.held(source.name) as lease,
        Progress(*columns, TimeElapsedColumn(), disable=quiet) as bar,
    ):
        task = bar.add_task(source.name, total=None)

        def progress(seen: int, total: int | None) -> None:
            lease.check()
            bar.update(task, completed=seen, total=total)

        # Read anew under the lease: another process may just have harvested it.
        known = harvester.store.get(source.name)
        return harvester.run(known, whole=whole, accept_gone=accept_gone, progress=progress)


def _print_run(run: Run) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{run.source}  {run.started:%Y-%m-%d %H:%M:%S} UTC  {_OUTCOMES[run.outcome]}")
    if run.reason:
        console.print(f"  {in_vietnamese(run.reason)} · {run.reason}")
    console.print(
        f"  gặp {run.seen} seen, mới {run.new} new, đổi {run.changed} changed, "
        f"trùng {run.duplicates} duplicates, lỗi {run.failed} failed, mất {run.gone} gone"
    )
    for error in run.errors:
        told = "".join(each if each.isprintable() else "?" for each in error.id)
        console.print(f"  ! {told}: {in_vietnamese(error.reason)} · {error.reason}", style="dim")


def _told(
    source: Source,
    counts: dict[str, int],
    runs: list[Run],
    settings: Settings,
    holder: Holder | None,
) -> dict[str, Any]:
    return {
        "name": source.name,
        "url": source.url,
        "kind": source.kind,
        "records": counts,
        "last_run": runs[0] if runs else None,
        "every_seconds": interval(source, settings),
        "next_run": next_due(source, settings),
        "failures": source.state.failures,
        "running": holder is not None and holder.source == source.name,
    }


def _when(due: float | None) -> str:
    """When it is harvested next; what is due already waits for a portal or catalogue that runs."""
    if due is None:
        return "bằng lệnh · by hand"
    if due <= time.time():
        return "đang đợi · waiting"
    return datetime.fromtimestamp(due, UTC).isoformat(timespec="seconds")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))
