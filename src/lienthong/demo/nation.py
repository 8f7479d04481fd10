"""A demo's state folder: what lies where, who listens on which port, what runs from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lienthong.demo.calls import Desk
from lienthong.demo.journal import Journal
from lienthong.demo.plan import AGENCIES, Agency
from lienthong.demo.processes import Children, free_ports
from lienthong.demo.public_commands import PublicCommands
from lienthong.demo.registers import Registers
from lienthong.demo.time_authority import OPENSSL, TimeAuthority

PORTS_PER_NODE = 3
_TIME_PORT = 2 + len(AGENCIES) * PORTS_PER_NODE  # place among the ports of the journal


@dataclass(frozen=True)
class NodePorts:
    """Where one node listens on loopback."""

    client: int
    peer: int
    operations: int


class Nation:
    """A demo's state folder and what runs from it."""

    def __init__(self, folder: Path, journal: Journal, commands: PublicCommands) -> None:
        self.folder = folder.resolve()
        self.journal, self.commands = journal, commands
        self.children = Children()

    @property
    def directory(self) -> Path:
        """State folder of the directory."""
        return self.folder / "danh-ba"

    @property
    def root(self) -> Path:
        """The root of trust, given to every node apart from anything it later receives."""
        return self.directory / "root.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def registers(self) -> Registers:
        return Registers(self.folder / "du-lieu")

    @property
    def contracts(self) -> Path:
        return self.folder / "hop-dong"

    @property
    def directory_url(self) -> str:
        return f"http://127.0.0.1:{self.journal['ports'][0]}"

    @property
    def hospital_url(self) -> str:
        """Where the hospital's existing service listens."""
        return f"http://127.0.0.1:{self.journal['ports'][1]}"

    @property
    def time_authority(self) -> TimeAuthority | None:
        """The authority that stamps the nodes' heads; None without openssl, which plays it."""
        known = len(self.journal["ports"]) > _TIME_PORT  # an older demo's folder has no port for it
        return TimeAuthority(self.folder / "dau-thoi-gian") if OPENSSL and known else None

    @property
    def time_port(self) -> int:
        """Where that authority listens."""
        return int(self.journal["ports"][_TIME_PORT])

    def state(self, agency: Agency) -> Path:
        """State folder of an agency's node."""
        return self.folder / agency.folder

    def ports(self, agency: Agency) -> NodePorts:
        first = 2 + AGENCIES.index(agency) * PORTS_PER_NODE
        return NodePorts(*self.journal["ports"][first : first + PORTS_PER_NODE])

    def desk(self, agency: Agency) -> Desk:
        """The agency's own software, connected to its node."""
        return Desk(agency.client_id, self.ports(agency).client)


def new_journal(folder: Path, people: int, first_port: int | None) -> Journal:
    """Open the journal of a state folder, or begin one with free ports."""
    journal = Journal(folder, {"people": people, "ports": []})
    if not journal["ports"]:
        count = _TIME_PORT + 1
        journal.content["ports"] = free_ports(count, first_port)
        journal.save()
    return journal
