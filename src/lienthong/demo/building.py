"""Brings the nation up: data, directory, nodes, services, agreements.

Each step is a public command. A step that an earlier run finished is not done again, so a
demo started on its old state folder is up in seconds.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from lienthong.demo.nation import Nation
from lienthong.demo.plan import (
    AGENCIES,
    AGREEMENTS,
    INSTANCE,
    MEMBER_CLASS,
    Agency,
    Agreement,
    ContractService,
    RelayService,
)
from lienthong.demo.processes import Child
from lienthong.demo.public_commands import PublicCommands, line, program

WITHOUT_STAMPS = (
    "Máy này không có openssl: không có dấu thời gian · openssl is not installed here: no "
    "time-stamps, times in evidence are asserted or witnessed"
)
VALID_FROM, VALID_UNTIL = "2026-01-01", "2036-01-01"
AT_ONCE = 4  # commands run side by side; each is a short Python process


class Builder:
    """Brings a nation up, phase by phase; ``phase`` is told what begins."""

    def __init__(self, nation: Nation, phase: Callable[[str], None]) -> None:
        self.nation, self.phase = nation, phase

    def build(self) -> None:
        """Leave the nation running and ready. Raises NodeError leaves."""
        self.phase("Sinh dữ liệu và khóa · Generating data and keys")
        self._prepare()
        self.phase("Ghi danh năm nút · Enrolling five nodes")
        self._enrol()
        self.phase("Khởi động nút · Starting nodes")
        self._start()
        self.phase("Mở dịch vụ và thỏa thuận · Opening services and agreements")
        self._connect()

    def _prepare(self) -> None:
        _copy_contracts(self.nation.contracts)
        data = self.nation.registers.folder
        people = str(self.nation.journal["people"])
        directory = str(self.nation.directory)
        self._side_by_side(
            (
                partial(self._once, "demo", "data", str(data), "--people", people),
                partial(self._once, "directory", "init", directory, "--instance", INSTANCE),
            )
        )
        authority = self.nation.time_authority
        if authority is None:
            self.phase(WITHOUT_STAMPS)
            return
        authority.prepare()
        named = ("--name", "Cơ quan cấp dấu thời gian (minh họa)")
        self._once("directory", "time-authority", "add", directory, str(authority.chain), *named)

    def _enrol(self) -> None:
        self._side_by_side(partial(self._init, agency) for agency in AGENCIES)
        for agency in AGENCIES:  # the directory is one store; its operator approves in turn
            request = str(self.nation.state(agency) / "request.json")
            self._once("directory", "approve", str(self.nation.directory), request)

    def _init(self, agency: Agency) -> None:
        ports = self.nation.ports(agency)
        settings = {
            "client_http_listen": f"127.0.0.1:{ports.client}",
            "peer_listen": f"127.0.0.1:{ports.peer}",
            "operations_listen": f"127.0.0.1:{ports.operations}",
            "directory_refresh_seconds": "5",
            "witness_interval_seconds": "2",
        }
        if self.nation.time_authority is not None:
            settings["time_stamp_urls"] = f"http://127.0.0.1:{self.nation.time_port}/tsr"
            settings["time_stamp_interval_seconds"] = "2"
        chosen = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        self._once(
            *("node", "init", str(self.nation.state(agency))),
            *("--instance", INSTANCE, "--class", MEMBER_CLASS, "--code", agency.code),
            *("--name", agency.name, "--address", f"https://127.0.0.1:{ports.peer}"),
            *("--directory-url", self.nation.directory_url, "--root", str(self.nation.root)),
            *("--subsystem", f"{agency.subsystem}={agency.system_name}"),
            *chosen,
        )

    def _start(self) -> None:
        nation, ports = self.nation, self.nation.journal["ports"]
        listen = f"127.0.0.1:{ports[0]}"
        directory = self._serve("directory", "serve", str(nation.directory), "--listen", listen)
        legacy = nation.children.start(
            "benh-vien-rest",
            [
                *(sys.executable, "-m", "lienthong.demo.legacy_service"),
                *("--database", str(nation.registers.hospital), "--port", str(ports[1])),
            ],
            nation.logs / "benh-vien-rest.log",
        )
        authority = nation.time_authority
        if authority is not None:
            words = ("--folder", str(authority.folder), "--port", str(nation.time_port))
            nation.children.start(
                "dau-thoi-gian",
                [sys.executable, "-m", "lienthong.demo.time_authority", *words],
                nation.logs / "dau-thoi-gian.log",
            ).wait_until_ready(nation.time_port, None)
        directory.wait_until_ready(ports[0], None)
        nodes = [
            (agency, self._serve("node", "run", str(nation.state(agency)), name=agency.folder))
            for agency in AGENCIES
        ]
        legacy.wait_until_ready(ports[1], "/api/v1/giuong-benh")
        for agency, child in nodes:
            child.wait_until_ready(nation.ports(agency).operations, "/health")

    def _serve(self, *arguments: str, name: str = "danh-ba") -> Child:
        self.nation.commands.show(f"{line(*arguments)} &")
        log = self.nation.logs / f"{name}.log"
        return self.nation.children.start(name, [*program(), *arguments], log)

    def _connect(self) -> None:
        self._side_by_side(partial(self._open, agency) for agency in AGENCIES)
        self._side_by_side(partial(self.agree, agreement) for agreement in AGREEMENTS)

    def _open(self, agency: Agency) -> None:
        state = str(self.nation.state(agency))
        self._once(
            *("client", "add", state, "--subsystem", agency.subsystem, "--connection", "http")
        )
        for service in agency.services:
            named = ("--subsystem", agency.subsystem, "--code", service.code)
            self._once("service", "add", state, *named, *self._origin(service))

    def _origin(self, service: ContractService | RelayService) -> tuple[str, ...]:
        if isinstance(service, RelayService):
            url = self.nation.hospital_url + service.path
            return ("--relay", url, "--classification", service.classification)
        contract = str(self.nation.contracts / service.contract)
        source = service.source.format(data=self.nation.registers.folder)
        return ("--contract", contract, "--source", source)

    def agree(self, agreement: Agreement) -> None:
        """Have the consumer propose and the provider accept, once."""
        step = f"agreement {agreement.consumer.folder} {agreement.service_id}"
        if not self.nation.journal.is_done(step):
            propose_and_accept(self.nation, agreement, self.nation.commands)
            self.nation.journal.finished(step)

    def _once(self, *arguments: str) -> None:
        step = line(*arguments)
        if not self.nation.journal.is_done(step):
            self.nation.commands.run(*arguments)
            self.nation.journal.finished(step)

    @staticmethod
    def _side_by_side(tasks: Iterable[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for future in [pool.submit(task) for task in tasks]:
                future.result()


def propose_and_accept(nation: Nation, agreement: Agreement, commands: PublicCommands) -> str:
    """Make an agreement between two running nodes; return its id."""
    proposed = commands.run_json(
        *("agreement", "propose", str(nation.state(agreement.consumer))), *_terms(agreement)
    )
    identifier = str(proposed["id"])
    commands.run("agreement", "accept", str(nation.state(agreement.provider)), identifier)
    return identifier


def _terms(agreement: Agreement) -> list[str]:
    terms = ["--consumer", agreement.consumer.client_id, "--service", agreement.service_id]
    if agreement.fields:
        terms += ["--fields", ",".join(agreement.fields)]
    for purpose in agreement.purposes:
        terms += ["--purpose", purpose]
    for endpoint in agreement.endpoints:
        terms += ["--endpoint", endpoint]
    terms += ["--legal-basis", agreement.legal_basis, "--from", VALID_FROM]
    terms += ["--until", VALID_UNTIL, "--rate", str(agreement.rate)]
    return [*terms, "--daily", str(agreement.daily)]


def _copy_contracts(folder: Path) -> None:
    """Lay the demo's contracts where a user can read and change them."""
    if folder.exists():
        return
    with ExitStack() as stack:
        source = stack.enter_context(as_file(files("lienthong.demo").joinpath("contracts")))
        shutil.copytree(source, folder)
