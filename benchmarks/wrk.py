"""Load from ``wrk``: requests per second and latencies of one HTTP address.

wrk keeps every connection busy (closed loop), so its latencies grow with the connections asked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.form import peer_missing

_RESULT = "RESULT "
_SCRIPT = """
wrk.method = %(method)s
wrk.body = %(body)s
%(headers)s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '%(mark)s{"requests":%%d,"microseconds":%%d,"bytes":%%d,"failed":%%d,"p50":%%d,"p99":%%d}\\n',
    summary.requests, summary.duration, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Load:
    """What is asked: one request, again and again."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Measured:
    """What wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


class LoadFailed(RuntimeError):
    """wrk could not run, or some of its requests failed: such a figure means nothing."""


def find_wrk() -> str:
    """Return the path of wrk, or exit with 3 saying how to install it."""
    return shutil.which("wrk") or peer_missing("wrk", "apt-get install wrk")


def run(load: Load, *, connections: int, seconds: float, threads: int = 1) -> Measured:
    """Load ``load.url`` for ``seconds`` (whole ones). Raises LoadFailed."""
    command = [find_wrk(), "--latency", f"-t{threads}", f"-c{connections}"]
    command += [f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.write_text(_script(load), encoding="utf-8")
        done = subprocess.run(
            [*command, "-s", str(script), load.url], capture_output=True, text=True, check=False
        )
    return _parse(done.stdout, done.stderr)


def _parse(output: str, errors: str) -> Measured:
    found = [text for text in output.splitlines() if text.startswith(_RESULT)]
    if not found:
        raise LoadFailed(f"wrk gave no result: {errors or output}")
    result = json.loads(found[-1].removeprefix(_RESULT))
    if result["failed"] or not result["requests"]:
        raise LoadFailed(f"{result['failed']} of {result['requests']} requests failed")
    return Measured(
        requests=result["requests"],
        seconds=result["microseconds"] / 1e6,
        p50_ms=result["p50"] / 1e3,
        p99_ms=result["p99"] / 1e3,
    )


def _script(load: Load) -> str:
    headers = "\n".join(
        f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in load.headers.items()
    )
    body = "nil" if load.body is None else _lua(load.body)
    return _SCRIPT % {
        "method": _lua(load.method),
        "body": body,
        "headers": headers,
        "mark": _RESULT,
    }


def _lua(text: str) -> str:
    """Quote for Lua: every byte outside letters and digits as a decimal escape."""
    return (
        '"'
        + "".join(
            chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03d}"
            for byte in text.encode("utf-8")
        )
        + '"'
    )
