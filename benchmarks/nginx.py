"""The peer of ``benchmarks/exchange.py``: two nginx hops over mutual TLS and nothing else.

    wrk → hop 1 → (TLS both ways) → hop 2 → a third nginx with files of 1 KB and 100 KB

One worker a process, HTTP/1.1, upstream connections kept alive, TLS sessions reused, no logs. A
hop on which nginx spends far more than it should (``BrokenPeer``) is a fault of this set-up, and
a comparison with it would flatter us: the run stops.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import wrk
from benchmarks.certificates import write_certificates
from benchmarks.form import peer_missing
from benchmarks.hops import Result, measure
from benchmarks.processes import children, total_processor_seconds

LIMIT_MICROSECONDS = 100.0  # a hop of 1 KB; healthy ones take 23–30
LIMIT_MICROSECONDS_PER_KB = 4.0  # beyond the first; 100 KB takes 180–230 in all
_START_SECONDS = 10.0

_COMMON = """
daemon off;
{user}
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/{name}.body;
  proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fastcgi;
  uwsgi_temp_path {folder}/{name}.uwsgi;
  scgi_temp_path {folder}/{name}.scgi;
  client_body_buffer_size 128k;
  client_max_body_size 0;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffers 32 8k;
  proxy_max_temp_file_size 0;
  tcp_nodelay on;
  {inner}
}}
"""
_UPSTREAM = """
  upstream next {{ server 127.0.0.1:{port}; keepalive 512; keepalive_requests 1000000000;
    keepalive_timeout 300s; }}"""
_HOP_1 = """
  server {{ listen 127.0.0.1:{listen} backlog=4096;
    location / {{ proxy_pass https://next;
      proxy_ssl_certificate {folder}/client.crt; proxy_ssl_certificate_key {folder}/client.key;
      proxy_ssl_trusted_certificate {folder}/ca.crt; proxy_ssl_verify on;
      proxy_ssl_name localhost; proxy_ssl_server_name on;
      proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.2 TLSv1.3; }} }}"""
_HOP_2 = """
  server {{ listen 127.0.0.1:{listen} ssl backlog=4096;
    ssl_certificate {folder}/server.crt; ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/ca.crt; ssl_verify_client on;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m; ssl_session_timeout 1h;
    location / {{ proxy_pass http://next; }} }}"""
# A file is not meant to be POSTed to: nginx says 405, which is turned into the file itself.
_BACKEND = """
  sendfile on; types {{ application/json json; }}
  server {{ listen 127.0.0.1:{listen} backlog=4096; root {folder}/files;
    open_file_cache max=10 inactive=1h; error_page 405 =200 $uri;
    location / {{ }} }}"""


class BrokenPeer(RuntimeError):
    """nginx does not run, answers wrongly, or costs more than any sound nginx."""


class NginxHops:
    """Three nginx processes in a folder of their own; use as a context manager."""

    def __init__(self, body_sizes: tuple[int, ...] = (1024, 102_400)) -> None:
        self._binary = find_nginx()
        self._folder = Path(tempfile.mkdtemp(prefix="hops-"))
        self._folder.chmod(0o755)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ports = dict(zip(("hop1", "hop2", "backend"), _free_ports(3), strict=True))
        self._write_files(body_sizes)

    def __enter__(self) -> Self:
        try:
            for name in ("backend", "hop2", "hop1"):
                self._start(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop our processes and delete the folder."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def backend_port(self) -> int:
        """Where the files are served without TLS: also the service behind our own nodes."""
        return self.ports["backend"]

    def backend_cpu_seconds(self) -> float:
        """Return the processor time of the process that serves the files."""
        return total_processor_seconds(children(self.processes[0].pid))

    def run_case(
        self,
        size_bytes: int,
        connections: int,
        seconds: float,
        *,
        method: str = "GET",
        body: str | None = None,
    ) -> Result:
        """Measure one case. Raises BrokenPeer, wrk.LoadFailed."""
        url = f"http://127.0.0.1:{self.ports['hop1']}/{size_bytes}.json"
        self._check_answer(url, size_bytes)
        headers = {"content-type": "application/json"} if body is not None else {}
        load = wrk.Load(url, method=method, headers=headers, body=body)
        hop2, hop1 = (children(process.pid) for process in self.processes[1:])
        result = measure(load, connections, seconds, (hop1, hop2))
        check_cost(result, size_bytes)
        return result

    def _check_answer(self, url: str, size_bytes: int) -> None:
        with urllib.request.urlopen(url, timeout=10) as response:
            found = len(response.read())
        if found != size_bytes:
            raise BrokenPeer(f"{size_bytes} bytes wanted, {found} came")

    def _write_files(self, body_sizes: tuple[int, ...]) -> None:
        write_certificates(self._folder)
        files = self._folder / "files"
        files.mkdir()
        for size in body_sizes:
            (files / f"{size}.json").write_bytes(json_of_size(size))
        for name, inner in self._servers().items():
            text = _COMMON.format(folder=self._folder, name=name, inner=inner, user=_user())
            (self._folder / f"{name}.conf").write_text(text, encoding="utf-8")

    def _servers(self) -> dict[str, str]:
        ports, folder = self.ports, self._folder
        return {
            "hop1": _UPSTREAM.format(port=ports["hop2"])
            + _HOP_1.format(listen=ports["hop1"], folder=folder),
            "hop2": _UPSTREAM.format(port=ports["backend"])
            + _HOP_2.format(listen=ports["hop2"], folder=folder),
            "backend": _BACKEND.format(listen=ports["backend"], folder=folder),
        }

    def _start(self, name: str) -> None:
        log = self._folder / f"{name}.error.log"
        command = [self._binary, "-p", str(self._folder), "-e", str(log)]
        process = subprocess.Popen(
            [*command, "-c", str(self._folder / f"{name}.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(self.ports[name]):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BrokenPeer(f"nginx {name} did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.02)


def find_nginx() -> str:
    """Return the path of nginx, or exit with 3 saying how to install it."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return found or peer_missing("nginx", "apt-get install nginx-light (or nginx)")


def json_of_size(size_bytes: int) -> bytes:
    """Return JSON of exactly this many bytes."""
    frame = b'{"ho_ten":"%s"}'
    return frame % (b"x" * (size_bytes - len(frame) + 2))


def check_cost(result: Result, size_bytes: int) -> None:
    """Refuse a hop that is dearer than any sound nginx. Raises BrokenPeer."""
    limit = LIMIT_MICROSECONDS + LIMIT_MICROSECONDS_PER_KB * max(0, size_bytes // 1024 - 1)
    if max(result.cpu_us) > limit:
        raise BrokenPeer(f"an nginx hop took {max(result.cpu_us):.0f} µs; at most {limit:.0f}")


def _user() -> str:
    # As root the workers would become `nobody`, who may not read a folder below /tmp or /root.
    return "user root;" if os.geteuid() == 0 else ""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
