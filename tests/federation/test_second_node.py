"""One member, several nodes: joined by public commands, chosen by callers, standing in for
each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lienthong.errors import LienthongError
from tests.fixtures.federation import INSTANCE, Federation, TestNode, eventually, run
from tests.fixtures.people import CONTRACT_TEXT, store_in_sql
from tests.fixtures.ports import free_ports

LOOKUP = {"keys": ["001090000001"], "fields": ["ho_ten"]}


@dataclass(frozen=True)
class Twins:
    """A consumer, and a provider with two nodes; the directory is up."""

    federation: Federation
    consumer: TestNode
    first: TestNode
    second: TestNode

    def ask(self, node: str | None = None) -> tuple[int, str]:
        """Call the service; returns the status and which node answered."""
        headers = {"X-Road-Security-Server": f"{self.first.member_id}/{node}"} if node else {}
        answer = self.consumer.call(
            "POST",
            self.first.service_id("cong-dan"),
            "/records:lookup",
            LOOKUP,
            headers=headers,
        )
        return answer.status, answer.headers.get("x-road-request-id", "")


def init_second(federation: Federation, *more: str, server: str = "n2") -> TestNode:
    client, peer, operations = free_ports(3)
    node = TestNode("G01", "dancu", federation.folder / f"G01-{server}", client, peer, operations)
    settings = {
        "client_http_listen": f"127.0.0.1:{client}",
        "peer_listen": f"127.0.0.1:{peer}",
        "operations_listen": f"127.0.0.1:{operations}",
        "directory_refresh_seconds": "1",
    }
    node.command(
        *("node", "init", "--instance", INSTANCE, "--code", "G01", "--server", server),
        *("--name", "Cơ quan G01", "--address", f"https://127.0.0.1:{peer}"),
        *("--directory-url", f"http://127.0.0.1:{federation.directory_port}"),
        *("--root", str(federation.root), "--subsystem", "dancu=Hệ thống dancu"),
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
        *more,
    )
    return node


def approve(federation: Federation, node: TestNode) -> None:
    run("directory", "approve", str(federation.directory), str(node.state / "request.json"))


def member_key(node: TestNode) -> str:
    return str(node.state / "keys" / "member-GOV-G01.pem")


def answered(node: TestNode, request_id: str) -> bool:
    found = node.command("ledger", "search", "--message", request_id, "--json")
    return "answer-sent" in {each["kind"] for each in json.loads(found)}


def subsystems(federation: Federation, member: str) -> set[str]:
    shown = json.loads(run("directory", "show", str(federation.directory), "--json"))
    found = next(each for each in shown["members"] if each["id"] == member)
    return {each["code"] for each in found["subsystems"]}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    federation = Federation(tmp_path_factory.mktemp("t"))
    consumer = federation.node("H37", subsystem="motcua")
    first = federation.node("G01", subsystem="dancu")
    with federation:
        federation.start()
        contract = federation.folder / "nguoi.odcs.yaml"
        contract.write_text(CONTRACT_TEXT, encoding="utf-8")
        source = store_in_sql(f"sqlite:///{federation.folder / 'dancu.db'}")
        service = ("--subsystem", "dancu", "--code", "cong-dan", "--contract", str(contract))
        first.command("service", "add", *service, "--source", source)
        federation.agree(consumer, first, "cong-dan", "--fields", "so_dinh_danh,ho_ten")
        second = init_second(federation, "--member-key", member_key(first))
        approve(federation, second)
        federation.nodes.append(second)
        second.run()
        second.wait()
        second.command("service", "add", *service, "--source", source)
        built = Twins(federation, consumer, first, second)
        assert eventually(lambda: built.ask("n2")[0] == 200)  # the agreement arrives
        yield built


def test_a_caller_chooses_one_of_a_members_nodes(twins: Twins) -> None:
    for name, node in (("n1", twins.first), ("n2", twins.second)):
        status, identifier = twins.ask(name)
        assert status == 200
        assert answered(node, identifier)


def test_what_another_node_brought_stays_when_the_first_asks_again(twins: Twins) -> None:
    twins.first.command("node", "request", "--subsystem", "moi=Hệ thống mới")
    approve(twins.federation, twins.first)
    assert subsystems(twins.federation, twins.first.member_id) == {"dancu", "moi"}
    written = (twins.first.state / "request.json").read_bytes()
    twins.first.command("node", "request")
    assert (twins.first.state / "request.json").read_bytes() == written
    approve(twins.federation, twins.second)  # as for a renewed certificate: it asks nothing new
    assert twins.ask("n2")[0] == 200


def test_a_member_with_a_node_of_its_own_is_hosted_by_another_as_well(
    twins: Twins, tmp_path: Path
) -> None:
    federation = twins.federation
    host = federation.unapproved_node("H38", subsystem="khac")
    signed = tmp_path / "g01.json"
    run(
        *("node", "delegate", twins.first.member_id, "--node", f"{host.member_id}/n1"),
        *("--name", "Cơ quan G01", "--key", member_key(twins.first), "--output", str(signed)),
        *("--subsystem", "phu=Hệ thống phụ", "--root", str(federation.root)),
        *("--directory-url", f"http://127.0.0.1:{federation.directory_port}"),
    )
    host.command("node", "request", "--hosts", str(signed))
    approve(federation, host)
    assert {"dancu", "phu"} <= subsystems(federation, twins.first.member_id)
    identity = json.loads((host.state / "identity.json").read_text())
    assert [each["code"] for each in identity["members"][1]["subsystems"]] == ["phu"]
    twins.first.command("node", "request", "--subsystem", "sau=Hệ thống sau")
    approve(federation, twins.first)
    assert {"dancu", "phu", "sau"} <= subsystems(federation, twins.first.member_id)
    assert twins.ask("n1")[0] == 200


def test_a_further_node_without_the_members_key_is_refused_with_the_way_out(twins: Twins) -> None:
    with pytest.raises(LienthongError) as caught:
        init_second(twins.federation, server="n3")
    assert caught.value.code == "node.member_key_wanted"
    assert "--member-key" in caught.value.remedy("vi")
    assert not (twins.federation.folder / "G01-n3").exists()


def test_a_statement_that_was_overtaken_raises_no_alarm_of_a_swapped_key(
    twins: Twins, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    old.write_bytes((twins.first.state / "request.json").read_bytes())
    key = member_key(twins.first)
    fourth = init_second(twins.federation, "--member-key", key, "--previous", str(old), server="n4")
    fifth = init_second(twins.federation, "--member-key", key, "--previous", str(old), server="n5")
    approve(twins.federation, fourth)
    with pytest.raises(LienthongError) as caught:
        approve(twins.federation, fifth)
    assert caught.value.code == "directory.statement_stale"
    assert "tráo" not in caught.value.message("vi") + caught.value.remedy("vi")
    init_second(twins.federation, "--member-key", key, server="n5")
    approve(twins.federation, fifth)


def test_when_a_members_first_node_is_gone_the_second_answers(twins: Twins) -> None:
    twins.first.kill()
    try:
        status, identifier = 0, ""

        def is_answered() -> bool:
            nonlocal status, identifier
            status, identifier = twins.ask()
            return status == 200

        # What was on its way to the first when that died is in doubt, and is not asked twice.
        assert eventually(is_answered), status
        assert answered(twins.second, identifier)
    finally:
        twins.first.run()
        twins.first.wait()
