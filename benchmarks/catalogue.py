"""Searching the catalogue with facets, against a bare full-text query on the same data.

    python -m benchmarks.catalogue                                  # 3,000 entries, SQLite FTS5
    python -m benchmarks.catalogue --entries 1000000 --keep /srv/catalogue
    python -m benchmarks.catalogue --database postgresql://…        # and PostgreSQL's full text

Distinct queries, each asked once, no cache of results: 30 % of the commonest words, 30 % beginnings
of two letters, the rest titles' words, pairs of words, phrases, names of fields, agencies; half of
them with a filter. Ours gives the first 20 in their order, the exact total and all six facets;
theirs only the 20 best by bm25 (``ts_rank`` in PostgreSQL), without total, order of ours or facets.
Beginnings and commonest words are fewer than the queries, so filters and second words make them
distinct. Figures are of the wall clock; ``cpu_p99_ms`` is of the processor, for a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import Engine, text

from benchmarks.form import median, print_line
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.query import Query
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import MOST_AT_ONCE, CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.catalogue.terms import FACETS, sections
from lienthong.catalogue.words import fold
from lienthong.demo.datasets import generated_entries
from lienthong.ledger.database import connect_database

COMMON_WORDS = 40
PAGE = 20
SEED = 2026
PEER_QUERIES = 400  # theirs scans all matches of a query: a sample tells enough


class Asked(NamedTuple):
    """One query: ours, and the folded words that the peer is asked for."""

    query: Query
    words: tuple[str, ...]
    beginning: bool
    kind: str


def queries(sample: Sequence[CatalogueEntry], count: int) -> list[Asked]:
    """Make ``count`` distinct queries from a sample of the entries."""
    random = Random(SEED)
    words = Counter(
        word.folded for entry in sample for section in sections(entry) for word in set(section)
    )
    common = [word for word, _ in words.most_common(COMMON_WORDS) if len(word) > 1]
    beginnings = sorted({word[:2] for word in words if len(word) > 1})
    makers: list[tuple[str, float, Callable[[CatalogueEntry], tuple[str, bool]]]] = [
        ("common", 0.3, lambda _: (random.choice(common) + " ", False)),
        ("beginning", 0.3, lambda _: (random.choice(beginnings), True)),
        ("title", 0.2, lambda each: (" ".join(random.sample(each.title.split(), 2)) + " ", False)),
        ("field", 0.1, lambda each: (random.choice(each.fields).title + " ", False)),
        ("typed", 0.1, lambda each: (each.title[: random.randint(4, 16)], True)),
    ]
    made: dict[tuple[Any, ...], Asked] = {}
    for kind, share, maker in makers:
        wanted = len(made) + round(count * share)
        while len(made) < wanted:
            asked = _asked(random, random.choice(sample), kind, maker)
            query = asked.query
            key = (query.text, tuple(sorted(query.filters.items())), query.offset)
            made.setdefault(key, asked)
    shuffled = list(made.values())
    random.shuffle(shuffled)
    return shuffled


def _asked(
    random: Random,
    entry: CatalogueEntry,
    kind: str,
    maker: Callable[[CatalogueEntry], tuple[str, bool]],
) -> Asked:
    words, beginning = maker(entry)
    filters = _filters(random, entry)
    # The second and third pages too, or there were not enough distinct beginnings.
    offset = random.choice((0, 0, 0, PAGE, 2 * PAGE))
    return Asked(Query(words, filters, limit=PAGE, offset=offset), fold(words), beginning, kind)


def _filters(random: Random, entry: CatalogueEntry) -> dict[str, tuple[str, ...]]:
    values = {
        "unit": entry.unit,
        "domain": entry.domain,
        "classification": entry.classification.value,
        "agency": entry.owner,
        "legal_basis": random.choice(entry.legal_basis),
    }
    chosen = random.sample(list(values), random.choice((0, 0, 1, 2)))
    return {name: (values[name],) for name in chosen if values[name]}


def ask_ours(search: CatalogueSearch, asked: Sequence[Asked]) -> tuple[list[float], list[float]]:
    """Ask each query once; returns milliseconds by the wall and of the processor."""
    walls, processors = [], []
    for each in asked:
        wall, processor = time.perf_counter(), time.thread_time()
        found = search.find(each.query)
        processors.append((time.thread_time() - processor) * 1e3)
        walls.append((time.perf_counter() - wall) * 1e3)
        assert set(found.facets) == set(FACETS)
    return walls, processors


class Fts5:
    """A bare FTS5 table of SQLite with the same folded words."""

    name = "SQLite FTS5, 20 best by bm25, no facets, no total"

    def __init__(self, path: Path, entries: Iterator[CatalogueEntry]) -> None:
        import sqlite3

        self._connection = sqlite3.connect(path)
        found = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'peer'")
        if found.fetchone() is None:
            self._connection.execute(
                "CREATE VIRTUAL TABLE peer USING fts5(title, words, content='')"
            )
            self._connection.executemany(
                "INSERT INTO peer(title, words) VALUES (?, ?)", map(_texts, entries)
            )
            self._connection.commit()

    def ask(self, each: Asked) -> None:
        words = [f'"{word}"' for word in each.words]
        if each.beginning and words:
            words[-1] += "*"
        if words:
            self._connection.execute(
                "SELECT rowid FROM peer WHERE peer MATCH ? ORDER BY rank LIMIT ?",
                (" ".join(words), PAGE),
            ).fetchall()


class FullText:
    """A bare table of PostgreSQL with a tsvector and its GIN index."""

    name = "PostgreSQL full text (GIN), 20 best by ts_rank, no facets, no total"

    def __init__(self, engine: Engine, entries: Iterator[CatalogueEntry]) -> None:
        self._engine = engine
        with engine.begin() as connection:
            if connection.execute(text("SELECT to_regclass('peer')")).scalar() is None:
                connection.execute(text("CREATE TABLE peer (id bigserial, words tsvector)"))
                insert = text("INSERT INTO peer (words) VALUES (to_tsvector('simple', :words))")
                while part := list(itertools.islice(entries, 5_000)):
                    rows = [{"words": " ".join(_texts(each))} for each in part]
                    connection.execute(insert, rows)
                connection.execute(text("CREATE INDEX ON peer USING gin (words)"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE peer"))
        self._connection = engine.connect()

    def ask(self, each: Asked) -> None:
        words = list(each.words)
        if each.beginning and words:
            words[-1] += ":*"
        if words:
            self._connection.execute(
                text(
                    "SELECT id FROM peer, to_tsquery('simple', :q) q WHERE words @@ q "
                    "ORDER BY ts_rank(words, q) DESC LIMIT :most"
                ),
                {"q": " & ".join(words), "most": PAGE},
            ).all()


def _texts(entry: CatalogueEntry) -> tuple[str, str]:
    title, *rest = ([word.folded for word in section] for section in sections(entry))
    return " ".join(title), " ".join(word for section in rest for word in section)


def ask_theirs(peer: Fts5 | FullText, asked: Sequence[Asked]) -> list[float]:
    """Ask each query once; returns milliseconds."""
    times = []
    for each in asked:
        began = time.perf_counter()
        peer.ask(each)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def fill(store: CatalogueStore, count: int) -> float:
    """Save entries that are missing; returns how many seconds that took."""
    began, there = time.perf_counter(), store.count()
    entries = itertools.islice(generated_entries(count, SEED), there, None)
    while part := list(itertools.islice(entries, MOST_AT_ONCE)):
        store.save(part)
        there += len(part)
        print(f"{there} entries, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return time.perf_counter() - began


def part(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Fill, ask both in rounds, and print the line."""
    url = options.database or f"sqlite:///{folder}/catalogue.db"
    store = CatalogueStore(open_catalogue(url))
    built = fill(store, options.entries)
    sample = list(itertools.islice(generated_entries(options.entries, SEED), 20_000))
    asked = queries(sample, options.queries)
    began = time.perf_counter()
    search = CatalogueSearch(store)
    search.find(Query())  # facets are read once, when a process starts
    opened = time.perf_counter() - began
    peer: Fts5 | FullText
    everything = generated_entries(options.entries, SEED)
    if options.database:
        peer = FullText(connect_database(url), everything)
    else:
        peer = Fts5(folder / "peer.db", everything)
    ours, theirs, processors, by_kind = [], [], [], dict[str, list[float]]()
    size = len(asked) // options.rounds
    for number in range(options.rounds):  # each query once in all rounds together
        chunk = asked[number * size : (number + 1) * size]
        walls, processor = ask_ours(search, chunk)
        ours.append(walls)
        processors += processor
        theirs.append(ask_theirs(peer, chunk[: PEER_QUERIES // options.rounds]))
        for each, wall in zip(chunk, walls, strict=True):
            by_kind.setdefault(each.kind, []).append(wall)
    walls = [wall for each in ours for wall in each]
    print_line(
        benchmark="catalogue",
        case="search with facets",
        unit="ms p99",
        ours=[part(each, 0.99) for each in ours],
        theirs=[part(each, 0.99) for each in theirs],
        theirs_is=peer.name,
        size={"entries": options.entries, "queries": size * options.rounds},
        p50_ms=median(walls),
        p99_ms=part(walls, 0.99),
        worst_ms=max(walls),
        cpu_p50_ms=median(processors),
        cpu_p99_ms=part(processors, 0.99),
        their_p50_ms=median([wall for each in theirs for wall in each]),
        p99_ms_by_kind={kind: round(part(each, 0.99), 3) for kind, each in by_kind.items()},
        build_s=built,
        open_s=opened,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=3_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", default="", help="address of an empty PostgreSQL database")
    parser.add_argument("--keep", type=Path, help="folder in which the data stays for another run")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        measure(options, folder)


if __name__ == "__main__":
    main()
