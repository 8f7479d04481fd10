"""Many processes write one ledger and are killed at it: one tree, nothing acknowledged is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from lienthong.ledger.heads import parse_head
from lienthong.ledger.merkle import Frontier, leaf_hash
from tests.fixtures.federation import eventually
from tests.fixtures.ledgers import LedgerNode, check

WRITERS = 3
KILLS = 4
SEED = 20261123


@dataclass
class Writer:
    """One process, and what it has said was acknowledged."""

    process: subprocess.Popen[str]
    told: list[tuple[int, int, int, str]] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def start(cls, url: str, key: Path, number: int) -> Writer:
        command = [sys.executable, "-m", "tests.fixtures.ledger_writer", url, str(key), str(number)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        writer = cls(process)
        writer.reader = threading.Thread(target=writer._read, daemon=True)
        writer.reader.start()
        return writer

    reader: threading.Thread = field(init=False)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            if words == ["ready"]:
                self.ready.set()
            elif len(words) == 4 and line.endswith("\n"):
                self.told.append((int(words[0]), int(words[1]), int(words[2]), words[3]))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.reader.join(20)


def test_writers_that_are_killed_leave_one_whole_tree_with_all_that_they_acknowledged(
    postgresql_url: str, tmp_path: Path
) -> None:
    node, chance = LedgerNode(postgresql_url), random.Random(SEED)
    key = tmp_path / "signing.pem"
    node.key.save(key)
    writers = [Writer.start(postgresql_url, key, number) for number in range(WRITERS)]
    gone: list[Writer] = []
    try:
        for number in range(WRITERS, WRITERS + KILLS):
            assert all(writer.ready.wait(60) for writer in writers)
            time.sleep(chance.uniform(0.1, 0.4))
            victim = writers.pop(chance.randrange(len(writers)))
            victim.kill()
            gone.append(victim)
            assert _others_go_on(writers)  # the dead one's open transaction holds nobody up
            writers.append(Writer.start(postgresql_url, key, number))
    finally:
        for writer in writers:
            writer.kill()
    told = [each for writer in (*gone, *writers) for each in writer.told]
    assert sum(bool(writer.told) for writer in gone) > 1
    assert check(node) >= len(told)
    _all_in_one_tree(node, told)


def _others_go_on(writers: list[Writer]) -> bool:
    before = sum(len(each.told) for each in writers)
    return eventually(lambda: sum(len(each.told) for each in writers) > before, seconds=90)


def _all_in_one_tree(node: LedgerNode, told: list[tuple[int, int, int, str]]) -> None:
    """No gap, no place twice; every head that was shown is the tree's own of that size."""
    frontier, roots, entries = Frontier(), {}, {}
    for group in node.store.groups():
        assert group.position == frontier.size
        frontier.append(leaf_hash(group.root))
        assert parse_head(group.head).root == frontier.root()
        roots[frontier.size] = frontier.root().hex()
        entries[group.place] = len(group.entries)
    for place, index, size, root in told:
        assert (place, root) == (size - 1, roots[size])
        assert index < entries[place]
    assert len({(place, index) for place, index, _, _ in told}) == len(told)
    with node.engine.connect() as connection:
        edge = connection.execute(text("SELECT size, peaks FROM ledger_edge")).one()
    assert (edge.size, bytes(edge.peaks)) == (frontier.size, b"".join(frontier.peaks))
