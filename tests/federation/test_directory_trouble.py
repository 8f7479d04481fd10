"""Nodes while the directory is away, runs out, or is served by somebody who means no good."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lienthong.node.admin_client import call
from tests.fixtures.federation import Answer, Federation, TestNode, run
from tests.fixtures.hostile_peer import HostilePeer

WITHIN_SECONDS = 90.0


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Any web server in the directory's place."""
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def directory_of(node: TestNode) -> dict[str, Any]:
    found: dict[str, Any] = call(node.state, "GET", "/status")["directory"]
    return found


def reason_of(node: TestNode) -> str:
    """What ``/health`` says about the directory."""
    checks = node.get(node.operations_port, "/health").json["checks"]
    return str(next(each["reason"] for each in checks if each["name"] == "directory"))


def ask(node: TestNode) -> Answer:
    """A call that needs no agreement, through both edges of the node and back."""
    return node.call("GET", node.service_id("listMethods"))


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation(tmp_path_factory.mktemp("f")) as built:
        built.node("G01", subsystem="dancu")
        built.node("H37", subsystem="motcua")
        built.start()
        yield built


def test_nodes_run_on_without_the_directory_also_after_a_restart(federation: Federation) -> None:
    first, second = federation.nodes
    federation.stop_directory()
    try:
        for node in (first, second):
            assert ask(node).status == 200
        assert second.call("GET", first.service_id("listMethods")).status == 200
        first.stop()
        first.run()
        first.wait()
        second.kill()
        second.run()
        second.wait()
        assert second.call("GET", first.service_id("listMethods")).status == 200
        wait(lambda: "directory.unreachable" in reason_of(first))
        assert first.get(first.operations_port, "/health").status == 200
    finally:
        federation.serve_directory()
    wait(lambda: "directory.unreachable" not in reason_of(first))


def public(federation: Federation) -> Path:
    return federation.directory / "public"


def test_a_node_starts_from_its_copy_while_the_directory_is_silent(federation: Federation) -> None:
    node = federation.nodes[0]
    federation.stop_directory()
    try:
        node.stop()
        before = len(node.log.read_text(encoding="utf-8"))
        with socket.create_server(("127.0.0.1", federation.directory_port)) as silent:
            node.run()
            asked, _ = silent.accept()
            with asked:
                assert asked.recv(65_536).startswith(b"GET ")
                node.wait()
                assert ask(node).status == 200
        # When it started it had not given up: it waited for an answer still.
        start, _, _ = node.log.read_text(encoding="utf-8")[before:].partition("node.started")
        assert "directory.not_refreshed" not in start
    finally:
        federation.serve_directory()


def test_an_older_directory_is_not_taken(federation: Federation, tmp_path: Path) -> None:
    node = federation.nodes[0]
    old = tmp_path / "old"
    shutil.copytree(public(federation), old)
    publish_something_new(federation, "G71")
    wait(lambda: directory_of(node)["version"] == newest(federation))
    federation.stop_directory()
    with served(old, federation.directory_port):
        wait(lambda: "directory.rollback" in reason_of(node))
        assert directory_of(node)["version"] == newest(federation)
        assert ask(node).status == 200
    federation.serve_directory()
    wait(lambda: "directory.rollback" not in reason_of(node))


def test_files_of_two_versions_are_not_mixed(federation: Federation, tmp_path: Path) -> None:
    node = federation.nodes[0]
    federation.stop_directory()
    before = directory_of(node)["version"]
    snapshots = {path.name: path.read_bytes() for path in metadata(public(federation))}
    publish_something_new(federation, "G72")
    mixed = tmp_path / "mixed"
    shutil.copytree(public(federation), mixed)
    for path in metadata(mixed):  # the new names with what an older version said
        if path.name not in snapshots:
            role = path.name.partition(".")[2]
            older = max(
                (name for name in snapshots if name.endswith(f".{role}")),
                key=lambda name: int(name.partition(".")[0]),
            )
            path.write_bytes(snapshots[older])
    with served(mixed, federation.directory_port):
        wait(lambda: "directory.inconsistent" in reason_of(node))
        assert directory_of(node)["version"] == before
        assert ask(node).status == 200
    federation.serve_directory()
    wait(lambda: directory_of(node)["version"] == newest(federation))


def test_a_directory_signed_by_others_is_not_taken(federation: Federation, tmp_path: Path) -> None:
    node = federation.nodes[0]
    forged = tmp_path / "forged"
    run("directory", "init", str(forged), "--instance", "VN-TEST")
    for _ in range(3):
        run("directory", "publish", str(forged))
    federation.stop_directory()
    before = directory_of(node)["version"]
    with served(forged / "public", federation.directory_port):
        wait(lambda: "; directory." in reason_of(node) and "unreachable" not in reason_of(node))
        assert directory_of(node)["version"] == before
        assert ask(node).status == 200
    federation.serve_directory()


def metadata(folder: Path) -> list[Path]:
    return [path for path in (folder / "metadata").glob("[0-9]*.json") if "root" not in path.name]


def publish_something_new(federation: Federation, code: str) -> None:
    federation.node(code, subsystem="moi")
    federation.nodes.pop()


def newest(federation: Federation) -> int:
    return int(json.loads(run("directory", "show", str(federation.directory), "--json"))["version"])


def test_an_expired_directory_stops_both_edges_until_there_is_a_new_one(tmp_path: Path) -> None:
    hours = "0.004"  # 14 seconds; the directory signs anew 24 times in that time
    with Federation(tmp_path, "--timestamp-hours", hours) as federation:
        node = federation.node("G01", subsystem="dancu")
        other = federation.node("G66", subsystem="ke")
        federation.nodes.remove(other)  # it never runs: a peer in this process speaks for it
        federation.start()
        wait(lambda: ask(node).status == 200)
        federation.stop_directory()
        wait(lambda: node.get(node.operations_port, "/health").status == 500)
        refused = ask(node)
        assert refused.status == 500
        assert refused.headers["x-road-error"] == "Server.ClientProxy.OutdatedGlobalConf"
        assert refused.headers["lienthong-error"] == "directory.expired"
        with HostilePeer(other, node) as peer:
            request = peer.request(node.service_id("listMethods"))
            assert peer.ask(request).fault == "directory.expired"
        federation.serve_directory()
        wait(lambda: node.get(node.operations_port, "/health").status == 200)
        wait(lambda: ask(node).status == 200)
