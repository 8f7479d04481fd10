"""Runs the program's public commands, and shows each one as a line to copy.

The demo has no door of its own: whatever it does to the nation, a user can type.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lienthong.errors import DemoCommandFailed

COMMAND_SECONDS = 120
SHOWN_OUTPUT = 2_000  # characters of a failed command's output that are repeated


def program() -> list[str]:
    """The command ``lienthong`` of this environment, also where it is not on the PATH."""
    beside = Path(sys.executable).with_name("lienthong")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-c", "from lienthong.cli import main; main()"]


def line(*arguments: str) -> str:
    """The command as a user types it."""
    return shlex.join(["lienthong", *arguments])


class PublicCommands:
    """Shows and runs commands one by one; safe to use from several threads."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.show = show

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed. Raises DemoCommandFailed."""
        done = self.attempt(*arguments)
        if done.returncode != 0:
            output = (done.stderr or done.stdout)[-SHOWN_OUTPUT:].strip()
            raise DemoCommandFailed(command=line(*arguments), status=done.returncode, output=output)
        return done.stdout

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command whose failure is a legitimate outcome."""
        self.show(line(*arguments))
        return subprocess.run(  # noqa: S603 - our own program, no shell
            [*program(), *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            # Ctrl-C stops the demo in order; it must not cut a command in half.
            start_new_session=True,
        )

    def run_json(self, *arguments: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.run(*arguments, "--json"))
