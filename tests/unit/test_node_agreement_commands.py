"""``lienthong agreement`` against the management API of two nodes, on real Unix sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from typer.testing import CliRunner

from lienthong.agreements.service import AgreementService
from lienthong.errors import InvalidAgreementDocument, LienthongError
from lienthong.node.agreement_commands import app, moment
from lienthong.node.agreement_routes import agreement_routes
from lienthong.node.state import HostedMember, Identity, StateFolder
from tests.fixtures.agreement_parties import CONSUMER, CONSUMER_NODE, SERVICE, Nation

TERMS = [
    *("--consumer", CONSUMER, "--service", SERVICE, "--fields", "ho_ten, noi_thuong_tru"),
    *("--purpose", "1.004222", "--purpose", "thống kê", "--legal-basis", "NĐ 47/2020/NĐ-CP"),
    *("--from", "2026-01-01", "--until", "2027-01-01", "--rate", "50", "--daily", "100000"),
]


@contextmanager
def management_api(service: AgreementService, state: Path) -> Iterator[None]:
    """Serve the routes on ``state/admin.sock``, with errors as problems."""
    application = FastAPI()
    application.include_router(agreement_routes(service))

    @application.exception_handler(LienthongError)
    async def problem(_: Request, error: LienthongError) -> JSONResponse:
        members = {"type": error.code, "title": error.message("en"), "status": error.status}
        facts = {name: str(value) for name, value in error.facts.items()}
        body = {**members, "code": error.code, "facts": facts}
        return JSONResponse(body, error.status, media_type="application/problem+json")

    folder = StateFolder(state)
    folder.create()
    owner = HostedMember(CONSUMER_NODE.rpartition("/")[0], "")
    folder.write(folder.identity, msgspec.json.encode(Identity(CONSUMER_NODE, "", (), (owner,))))
    config = uvicorn.Config(application, uds=str(folder.admin_socket), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """State folders of a consumer's and a provider's node."""
    nation = Nation(tmp_path)
    consumer, provider = tmp_path / "c", tmp_path / "p"
    with (
        management_api(nation.consumer.service, consumer),
        management_api(nation.provider.service, provider),
    ):
        yield consumer, provider


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def run_json(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_two_nodes_agree_through_their_commands(nodes: tuple[Path, Path]) -> None:
    consumer, provider = nodes
    proposed = run_json("propose", consumer, *TERMS)
    assert proposed["status"] == "proposed"
    assert proposed["fields"] == ["ho_ten", "noi_thuong_tru"]
    assert proposed["valid_from"] == "2025-12-31T17:00:00Z"
    assert proposed["rate"] == {"per_second": 50, "burst": 50}
    assert proposed["undelivered"] == []
    [waiting] = run_json("list", provider)["agreements"]
    assert waiting["id"] == proposed["id"]
    assert run_json("accept", provider, proposed["id"])["status"] == "active"
    assert run_json("show", consumer, proposed["id"])["status"] == "active"
    run("withdraw", provider, proposed["id"], "--reason", "hết nhu cầu")
    ended = run_json("show", consumer, proposed["id"])
    assert ended["status"] == "withdrawn"
    assert ended["statements"][-1]["reason"] == "hết nhu cầu"


def test_people_see_tables(nodes: tuple[Path, Path]) -> None:
    consumer, provider = nodes
    agreement = run_json("propose", consumer, *TERMS)["id"]
    assert "đề nghị" in run("list", provider)
    assert "50/s" in run("show", provider, agreement)
    assert "refused" in run("refuse", provider, agreement, "--reason", "[red]thiếu[/red] căn cứ")


def test_an_error_of_the_node_is_an_error_of_the_command(nodes: tuple[Path, Path]) -> None:
    consumer, provider = nodes
    for arguments in (
        ("show", provider, "00000000-0000-4000-8000-000000000000"),
        ("show", provider, "../agreements"),
        ("propose", provider, *TERMS, "--endpoint", "GET /../x"),
    ):
        with pytest.raises(LienthongError):
            run(*arguments)
    agreement = run_json("propose", consumer, *TERMS)["id"]
    with pytest.raises(LienthongError):
        run("accept", consumer, agreement)


def test_a_plain_day_begins_at_midnight_in_vietnam() -> None:
    assert moment("2026-01-01") == datetime(2025, 12, 31, 17, tzinfo=UTC)
    assert moment("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "mai", "2026-13-01", "01/01/2026", "2026-01-01T00:00:00"])
def test_refuses_a_time_that_is_not_one(text: str) -> None:
    with pytest.raises(InvalidAgreementDocument):
        moment(text)


@pytest.mark.parametrize("command", ["propose", "list", "show", "accept", "refuse", "withdraw"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    assert "Ví dụ (example): lienthong agreement" in run(command, "--help")
