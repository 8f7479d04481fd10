"""What the demo says to whoever watches: Vietnamese first, English beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lienthong.demo.findings import Command, Finding, Remark, StepResult


class Teller:
    """Prints commands, phases, steps and the final addresses on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def command(self, line: str) -> None:
        """Show a line that can be copied; never wrapped, or it could not be."""
        self._line(f"[dim]$[/] {escape(line)}")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show what is under way while the nation comes up; give a way to say what begins."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("")

            def begin(text: str) -> None:
                self.phase(text)
                progress.update(task, description=escape(text))

            yield begin

    def phase(self, text: str) -> None:
        """Announce what begins."""
        self.console.rule(f"[bold]{escape(text)}", align="left")

    def step(self, number: int, total: int, result: StepResult) -> None:
        """Show one step of the tour with everything that it compared."""
        self.console.print()
        self.console.rule(
            f"[bold]{number}/{total} {escape(result.title_vi)}[/] · {escape(result.title_en)}",
            align="left",
        )
        for event in result.events:
            if isinstance(event, Command):
                self.command(event.line)
            elif isinstance(event, Remark):
                self._line(f"  [dim]{escape(event.text)}[/]")
            else:
                self._finding(event)

    def _finding(self, finding: Finding) -> None:
        mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        text = f"  {mark} {escape(finding.what)}: [bold]{escape(finding.found)}[/]"
        if not finding.ok:
            text += f" [red](đáng lẽ · should be: {escape(finding.expected)})[/]"
        self._line(text)

    def _line(self, text: str) -> None:
        """Print without wrapping or colouring of our own accord."""
        self.console.print(text, soft_wrap=True, highlight=False)

    def summary(self, results: list[StepResult]) -> None:
        """Show one line a step."""
        table = Table(title="Kết quả chuyến tham quan · Result of the tour", title_justify="left")
        table.add_column("#", justify="right")
        table.add_column("Bước · Step")
        table.add_column("Kết quả · Result")
        for number, result in enumerate(results, 1):
            verdict = "[green]đúng · as it should[/]" if result.ok else "[red]SAI · WRONG[/]"
            table.add_row(str(number), f"{result.title_vi} · {result.title_en}", verdict)
        self.console.print()
        self.console.print(table)

    def addresses(self, folder: Path, rows: list[tuple[str, str, list[str]]]) -> None:
        """Show who listens where, and which folder holds its state."""
        self.console.print()
        self._line(f"[bold]Thư mục · Folder:[/] {escape(str(folder))}")
        self._line(
            "[bold]Địa chỉ · Addresses[/] "
            "(hệ thống trong cơ quan · own systems, nút khác · other nodes, vận hành · operations)"
        )
        for who, where, addresses in rows:
            self._line(f"  {escape(who)} [dim]{escape(where)}/[/]")
            self._line(f"    {'  '.join(addresses)}")
        self.console.print()

    def invitation(self, lines: list[str]) -> None:
        """Show commands to copy while the nation stays up."""
        self.console.print("Thử tự gọi · Try it yourself:", style="bold")
        for line in lines:
            self._line(escape(line))
        self.console.print(
            Panel("Nhấn Ctrl-C để dừng · Press Ctrl-C to stop", expand=False, style="cyan")
        )
