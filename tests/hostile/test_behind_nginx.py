"""Smuggling past a real nginx: what it takes for one request may not be two for us."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lienthong.transport.messages import Request, Response
from tests.fixtures.database_servers import find_free_port
from tests.fixtures.transport_talk import HOST, run, serving
from tests.hostile.test_http import BODIES, FIELDS

HIDDEN = b"GET /admin HTTP/1.1\r\nHost: h\r\n\r\n"
CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream node {{ server 127.0.0.1:{back}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{front};
    location /admin {{ return 403; }}
    location / {{ proxy_pass http://node; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_ignore_client_abort on; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, back: int) -> Iterator[int]:
    """An nginx that passes all but /admin on, over one kept-alive connection."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if binary is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    front = find_free_port()
    folder.chmod(0o755)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, back=back, front=front))
    process = subprocess.Popen([binary, "-c", str(configuration), "-p", str(folder)])
    try:
        yield front
    finally:
        process.terminate()
        process.wait(60)


async def _send(port: int, content: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(content)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 60)
    except OSError:
        return b""
    finally:
        writer.close()


async def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nginx does not listen")


def test_nothing_is_smuggled_past_a_proxy(tmp_path: Path) -> None:
    """CL.TE, TE.CL and TE.TE in every spelling of the corpus, with a request hidden in the body."""
    seen: list[tuple[str, str]] = []

    async def handler(request: Request) -> Response:
        seen.append((request.method, request.target))
        return Response(200, [], request.body)

    async def main() -> int:
        sent = 0
        async with serving(handler) as server:
            with nginx(tmp_path, server.port) as front:
                await _wait_for(front)
                for field in FIELDS:
                    for body in (
                        *BODIES[:6],
                        b"0\r\n\r\n" + HIDDEN,
                        b"3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
                    ):
                        head = b"POST /a HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n"
                        await _send(front, head + body)
                        sent += 1
                seen.append(("-", "-"))
                good = b"GET /good HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                answer = await _send(front, good)
                assert answer.startswith(b"HTTP/1.1 200 ")
        return sent

    assert run(main()) > 300
    assert {target for _, target in seen} <= {"/a", "/good", "-"}, "/admin was reached"
    assert seen[-1] == ("GET", "/good")
