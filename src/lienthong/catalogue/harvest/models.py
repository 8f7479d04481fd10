"""What harvesting speaks of: a source, a record as its source tells it, the account of a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from lienthong.catalogue.models import Moment

MOST_TOLD = 100  # errors of one run that are kept; their number is kept anyway


class Kind(StrEnum):
    """How a source is asked."""

    CKAN = "ckan"  # the Action API
    DCAT = "dcat"  # RDF: Turtle, JSON-LD or RDF/XML, by Hydra's pages


class State(StrEnum):
    """Where a record of a source stands."""

    SHOWN = "shown"
    DUPLICATE = "duplicate"  # another entry is the same dataset
    FAILED = "failed"  # cannot be read; what was shown before is still shown
    GONE = "gone"  # its source has it no longer


class SourceState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is remembered of a source from run to run; times are Unix times."""

    newest: str = ""  # CKAN: the latest ``metadata_modified`` that was seen
    whole: float = 0.0  # the last whole walk
    own_checked: float = 0.0  # until when our own entries were compared with its records
    pages: dict[str, SeenPage] = {}  # DCAT: by address
    due: float = 0.0  # when it is harvested next
    failures: int = 0  # runs in a row that the source broke off


class SeenPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page as it was last read: while it has the same tag it has the same records."""

    tag: str
    records: tuple[str, ...]
    next: str = ""
    total: int | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue that is harvested."""

    name: Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    url: Annotated[str, Meta(pattern='^https?://[^\\s<>"{}|\\\\^`]+$', max_length=1000)]
    kind: Kind
    added: Moment
    state: SourceState
    every_seconds: Annotated[float, Meta(ge=0)] | None = None  # None: as set for all; 0: by hand


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution as its source tells it."""

    title: str = ""
    format: str = ""
    access_url: str = ""
    download_url: str = ""
    licence: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as its source tells it, in plain types; nothing of it has been believed yet."""

    id: str
    identifier: str = ""
    title: str = ""
    title_en: str = ""
    description: str = ""
    description_en: str = ""
    publisher: str = ""
    landing_page: str = ""
    issued: str = ""
    modified: str = ""
    version: str = ""
    frequency: str = ""
    domain: str = ""
    contact: str = ""
    tags: tuple[str, ...] = ()
    legal_basis: tuple[str, ...] = ()
    distributions: tuple[Offered, ...] = ()


class Unusable(Exception):
    """A record that cannot be read; the text is an English reason."""


class BadRecord(msgspec.Struct, frozen=True):
    """A record that its source tells in a form that is none; ``id`` where it has one."""

    id: str
    reason: str


class Outcome(StrEnum):
    """How a run ended."""

    WHOLE = "whole"  # all of the source was seen
    CHANGES = "changes"  # what has changed since the last run was seen
    HELD = "held"  # seen whole, but too much would go: nothing was withdrawn
    BROKEN = "broken"  # the source failed on the way; what came before is kept


class Run(msgspec.Struct, kw_only=True):
    """The account of one run."""

    source: str
    started: Moment
    ended: Moment | None = None
    outcome: Outcome = Outcome.BROKEN
    reason: str = ""
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: int = 0
    failed: int = 0
    gone: int = 0
    errors: list[BadRecord] = []

    def fail(self, record: str, reason: str) -> None:
        self.failed += 1
        if len(self.errors) < MOST_TOLD:
            self.errors.append(BadRecord(record[:300], reason))
