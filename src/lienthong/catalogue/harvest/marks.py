"""By which marks two records, of whatever sources, are the same dataset.

- the same identifier, where it is one for the whole world: an address, a URN, a UUID, or of ours;
- the same landing page;
- the same title, description and publisher, where the description says something.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.words import fold

SHORTEST_DESCRIPTION = 40  # characters; "Không có mô tả" is no sign of being the same
_WORLDWIDE = re.compile(
    r"[a-z][a-z0-9+.-]*:.{4,}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[^/\s]+/[^/\s]+/.+", re.I
)


class Marks(NamedTuple):
    """Each a digest, or None where there is nothing to tell by."""

    identifier: str | None
    landing: str | None
    content: str | None


def marks_of(entry: CatalogueEntry) -> Marks:
    """The marks of an entry; of ours, its key is the identifier."""
    identifier = entry.key if entry.is_own else entry.contract_id
    return Marks(
        _digest(_address(identifier)) if _WORLDWIDE.fullmatch(identifier) else None,
        _landing(entry.landing_page),
        content_mark(entry),
    )


def content_mark(entry: CatalogueEntry) -> str | None:
    """The mark of what an entry says."""
    if len(entry.description) < SHORTEST_DESCRIPTION:
        return None
    parts = (entry.title, entry.description, entry.owner_name)
    return _digest("\n".join(" ".join(fold(part)) for part in parts))


def _landing(page: str) -> str | None:
    """None for a page that is a whole site's: it tells nothing of one dataset."""
    try:
        parts = urlsplit(page)
    except ValueError:
        return None
    if not parts.path.strip("/") and not parts.query:
        return None
    return _digest(_address(page))


def _address(text: str) -> str:
    """One form of an address: http or https, with or without a slash at its end."""
    return re.sub(r"^https?://(www\.)?", "", text.strip().casefold()).rstrip("/")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
