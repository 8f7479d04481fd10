"""A witness's own rule: it signs a head only if that grew out of the last one it signed.

    book = WitnessBook(engine)
    line = book.cosign(head, note, old_size, path, sign)

What was signed last is on disk before the new signature is made, in one step that fails when
another process of the node was faster (C2SP tlog-witness). So a node never says of one ledger
that two histories of it are one, not after a crash either.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from lienthong.errors import (
    GrowthUnproven,
    HeadMalformed,
    LedgerForked,
    LedgerUnavailable,
    WitnessedOther,
)
from lienthong.ledger.database import reading, writing
from lienthong.ledger.heads import Head, parse_head
from lienthong.ledger.merkle import verify_consistency

metadata = MetaData()

witnessed = Table(
    "ledger_witnessed",
    metadata,
    Column("origin", String(1024), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
)


class WitnessBook:
    """The last head of every origin that this node has cosigned."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cosign(
        self,
        head: Head,
        note: str,
        old_size: int,
        path: list[bytes],
        sign: Callable[[Head], str],
    ) -> str:
        """Store ``head`` and return what ``sign`` makes of it; the head's own signature holds.

        ``path`` proves the growth from ``old_size`` (0: we have signed nothing of it yet).

        Raises HeadMalformed (``old_size`` beyond the head), WitnessedOther (we signed another
        size last), GrowthUnproven, LedgerForked (the same size with another root).
        """
        if old_size > head.size:
            raise HeadMalformed(reason="smaller than what it is to grow out of")
        last = self.last(head.origin)
        size = 0 if last is None else last.size
        if old_size != size:
            raise WitnessedOther(size=size, old=old_size, origin=head.origin)
        if last is not None and size == head.size and last.root != head.root:
            raise LedgerForked(origin=head.origin)
        root = b"" if last is None else last.root
        if not verify_consistency(size, head.size, path, root, head.root):
            raise GrowthUnproven(origin=head.origin)
        self._advance(head, note, size)
        return sign(head)

    def last(self, origin: str) -> Head | None:
        """The head of ``origin`` that was signed last."""
        note = self.last_note(origin)
        return None if note is None else parse_head(note)

    def last_note(self, origin: str) -> str | None:
        """The same as it was signed by its own node."""
        query = select(witnessed.c.head).where(witnessed.c.origin == origin)
        with reading(self._engine) as connection:
            note: str | None = connection.scalar(query)
        return note

    def _advance(self, head: Head, note: str, size: int) -> None:
        """Write the new head over the one of ``size``, if that is still the last one."""
        values = {"size": head.size, "head": note}
        at = (witnessed.c.origin == head.origin, witnessed.c.size == size)
        try:
            with writing(self._engine) as connection:
                if size == 0:
                    connection.execute(insert(witnessed).values(origin=head.origin, **values))
                    return
                done = connection.execute(update(witnessed).where(*at).values(values)).rowcount
        except LedgerUnavailable as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            done = 0
        if not done:
            newer = self.last(head.origin)
            raise WitnessedOther(
                size=0 if newer is None else newer.size, old=size, origin=head.origin
            )
