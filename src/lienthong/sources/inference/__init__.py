"""Propose contracts for what a database or a file holds.

with open_look("postgresql://…") as look:
    text = propose(look.see("cong_dan"))      # the YAML of a contract
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lienthong.errors import NothingToDescribe
from lienthong.sources.file_readers import file_of
from lienthong.sources.inference.files import see_file
from lienthong.sources.inference.observation import TIME_LIMIT_SECONDS, TableSeen
from lienthong.sources.inference.proposal import propose

__all__ = ["Look", "TableSeen", "open_look", "propose"]


class Look:
    """A source under inspection: the tables it has, and a look at each."""

    def __init__(
        self,
        tables: Sequence[str],
        see: Callable[[str], TableSeen],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.tables = tuple(tables)
        self.see = see
        self.close = close

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_look(address: str, *, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> Look:
    """Open a database or file, read-only.

    ``sqlite:///…``, ``postgresql://…``, ``mysql://…``; ``csv:///…``, ``parquet:///…``,
    ``jsonl:///…``, or the path of such a file. Raises SourceAddressInvalid, SourceUnreachable,
    FileUnreadable, NothingToDescribe.
    """
    file = file_of(address)
    if file is not None:
        return Look([file[1].stem], lambda _: see_file(*file))
    from lienthong.sources.inference.databases import DatabaseLook

    look = DatabaseLook(address, time_limit_seconds=time_limit_seconds)
    try:
        tables = look.tables()
    except Exception:
        look.close()
        raise
    if not tables:
        look.close()
        raise NothingToDescribe(what=address.partition("://")[0], reason="no tables")
    return Look(tables, look.see, look.close)
