"""The search index in the database: bitmaps of entries, read together, changed together.

A reader keeps the bitmaps that it used last in memory (bounded in bytes) and learns from
``catalogue_change`` which of them another transaction changed. Bitmaps handed out are shared:
nobody changes one.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from pyroaring import BitMap
from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from lienthong.catalogue.tables import CHANGE, POSTING, STATE

BLOCK_BITS = 16  # entries of one row: as many as one container of a Roaring bitmap holds
MOST_CACHED_BYTES = 512 << 20
MOST_NAMED_TERMS = 20_000  # of one change; above, readers forget all that they hold
CHANGES_KEPT = 1_000
MOST_RANGE_ROWS = 4_096  # words read for one beginning of four letters or more
_AT_ONCE = 400  # terms in one statement: SQLite takes 32,766 parameters, PostgreSQL 65,535

Change = Mapping[str, tuple[list[int], list[int]]]  # term → numbers to add, numbers to take away


class Postings:
    """Reads bitmaps by term; one a process and database. Not for two threads at once."""

    def __init__(self, most_cached_bytes: int = MOST_CACHED_BYTES) -> None:
        self._most = most_cached_bytes
        self._held: OrderedDict[str, tuple[BitMap, int]] = OrderedDict()
        self._held_bytes = 0
        self._generation = 0

    def follow(self, connection: Connection) -> frozenset[str] | None:
        """Forget what was changed since the last call; returns those terms, None for all."""
        found = connection.execute(_GENERATION).scalar_one()
        if found == self._generation:
            return frozenset()
        since, self._generation = self._generation, found
        rows = connection.execute(_CHANGES, {"since": since}).all()
        if len(rows) != found - since or any(row.terms is None for row in rows):
            self._held.clear()
            self._held_bytes = 0
            return None
        changed = frozenset(term for row in rows for term in row.terms.split("\n"))
        for term in changed & self._held.keys():
            self._held_bytes -= self._held.pop(term)[1]
        return changed

    def get(self, connection: Connection, terms: Iterable[str]) -> dict[str, BitMap]:
        """Return the bitmap of each term; an empty one where no entry has it."""
        found: dict[str, BitMap] = {}
        missing: list[str] = []
        for term in dict.fromkeys(terms):
            held = self._held.get(term)
            if held is None:
                missing.append(term)
            else:
                self._held.move_to_end(term)
                found[term] = held[0]
        for start in range(0, len(missing), _AT_ONCE):
            found.update(self._read(connection, missing[start : start + _AT_ONCE]))
        return found

    def starting(self, connection: Connection, beginning: str) -> tuple[BitMap, bool]:
        """Return the entries of all terms that begin so, and whether these are all."""
        until = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        rows = connection.execute(_RANGE, {"first": beginning, "until": until}).scalars().all()
        parts = [BitMap.deserialize(docs) for docs in rows[:MOST_RANGE_ROWS]]
        return BitMap.union(*parts) if parts else BitMap(), len(rows) <= MOST_RANGE_ROWS

    def _read(self, connection: Connection, terms: list[str]) -> dict[str, BitMap]:
        parts = defaultdict(list)
        sizes: dict[str, int] = defaultdict(int)
        for term, docs in connection.execute(_POSTINGS, {"terms": terms}):
            parts[term].append(BitMap.deserialize(docs))
            sizes[term] += len(docs)
        found = {term: BitMap.union(*parts[term]) if parts[term] else BitMap() for term in terms}
        for term, bitmap in found.items():
            self._hold(term, bitmap, sizes[term] + 200)  # what an entry of the table itself takes
        return found

    def _hold(self, term: str, bitmap: BitMap, size: int) -> None:
        self._held[term] = (bitmap, size)
        self._held_bytes += size
        while self._held_bytes > self._most and len(self._held) > 1:
            _, (_, freed) = self._held.popitem(last=False)
            self._held_bytes -= freed


def facet_terms(connection: Connection, beginning: str) -> list[str]:
    """Return all terms that begin so: the values of a facet."""
    until = beginning[:-1] + chr(ord(beginning[-1]) + 1)
    query = select(POSTING.c.term).where(POSTING.c.term >= beginning, POSTING.c.term < until)
    return list(connection.execute(query.distinct()).scalars())


def next_generation(connection: Connection) -> int:
    """Take the turn to write: other writers wait here until this transaction ends."""
    connection.execute(update(STATE).values(generation=STATE.c.generation + 1))
    return int(connection.execute(_GENERATION).scalar_one())


def write_change(connection: Connection, generation: int, change: Change) -> None:
    """Apply ``change`` to the index within the transaction that changes the entries."""
    for number, terms in _by_block(change).items():
        names = list(terms)
        for start in range(0, len(names), _AT_ONCE):
            part = {name: terms[name] for name in names[start : start + _AT_ONCE]}
            _write_block(connection, number, part)
    _tell(connection, generation, change.keys())


def _by_block(change: Change) -> dict[int, dict[str, tuple[list[int], list[int]]]]:
    blocks: dict[int, dict[str, tuple[list[int], list[int]]]] = defaultdict(dict)
    for term, sides in change.items():
        for side, numbers in enumerate(sides):
            for number, of_block in _parted(numbers):
                blocks[number].setdefault(term, ([], []))[side].extend(of_block)
    return blocks


def _parted(numbers: list[int]) -> Iterator[tuple[int, list[int]]]:
    if not numbers:
        return
    first, last = min(numbers) >> BLOCK_BITS, max(numbers) >> BLOCK_BITS
    if first == last:
        yield first, numbers
        return
    parts = defaultdict(list)
    for number in numbers:
        parts[number >> BLOCK_BITS].append(number)
    yield from parts.items()


def _write_block(connection: Connection, block: int, change: Change) -> None:
    rows = connection.execute(_BLOCK, {"block": block, "terms": list(change)})
    kept = {term: BitMap.deserialize(docs) for term, docs in rows}
    written, emptied = [], []
    for term, (added, removed) in change.items():
        bitmap = kept.get(term, BitMap())
        bitmap.update(added)
        bitmap.difference_update(BitMap(removed))
        if bitmap:
            written.append({"term": term, "block": block, "docs": bitmap.serialize()})
        elif term in kept:
            emptied.append((term, block))
    if written:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(POSTING)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["term", "block"], set_={"docs": insert.excluded.docs}
            ),
            written,
        )
    if emptied:
        place = tuple_(POSTING.c.term, POSTING.c.block)
        connection.execute(delete(POSTING).where(place.in_(emptied)))


def _tell(connection: Connection, generation: int, terms: Collection[str]) -> None:
    named = "\n".join(terms) if len(terms) <= MOST_NAMED_TERMS else None
    connection.execute(CHANGE.insert().values(generation=generation, terms=named))
    connection.execute(delete(CHANGE).where(CHANGE.c.generation <= generation - CHANGES_KEPT))


# Parameters by name: each statement is made once.
_GENERATION = select(STATE.c.generation)
_CHANGES = select(CHANGE.c.terms).where(CHANGE.c.generation > bindparam("since"))
_POSTINGS = select(POSTING.c.term, POSTING.c.docs).where(
    POSTING.c.term.in_(bindparam("terms", expanding=True))
)
_RANGE = (
    select(POSTING.c.docs)
    .where(POSTING.c.term >= bindparam("first"), POSTING.c.term < bindparam("until"))
    .limit(MOST_RANGE_ROWS + 1)
)
_BLOCK = select(POSTING.c.term, POSTING.c.docs).where(
    and_(
        POSTING.c.block == bindparam("block"),
        POSTING.c.term.in_(bindparam("terms", expanding=True)),
    )
)
