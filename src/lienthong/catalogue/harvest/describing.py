"""A record of a source as an entry of ours: cleaned, bounded, and not able to pass for ours.

entry = entry_of_record(record, source, now)

Texts lose their markup, control characters and changes of direction. The owner is always within
the source (``harvested:<source>/…``): no source can put a dataset under an agency's name of ours.
A record that says of itself that it is a state secret is refused.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

from lienthong.catalogue.harvest.models import Record, Source, Unusable
from lienthong.catalogue.models import HARVESTED, CatalogueEntry, Distribution
from lienthong.catalogue.words import fold
from lienthong.contracts.classification import is_state_secret

LONGEST_TITLE, LONGEST_DESCRIPTION, LONGEST_WORDS = 500, 10_000, 200
MOST_TAGS = 30
MOST_DISTRIBUTIONS, LONGEST_FORMAT = 50, 40
_BLOCKS = re.compile(r"<(script|style|iframe|object)\b.{0,20000}?(</\1\s*>|$)", re.I | re.S)
_TAGS = re.compile(r"</?[A-Za-z!?][^<>]{0,2000}>")
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SPACES = re.compile(r"[^\S\n]+")
_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ADDRESS = re.compile(r"https?://[^\s<>\"{}|\\^`\x00-\x1f]{1,1900}")
_MAIL = re.compile(r"(mailto:)?[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}")
_FREQUENCY = re.compile(r"authority/frequency/([A-Z_0-9]+)$")
_WORDS = {
    "CONT": "liên tục",
    "UPDATE_CONT": "liên tục",
    "HOURLY": "hằng giờ",
    "DAILY": "hằng ngày",
    "WEEKLY": "hằng tuần",
    "MONTHLY": "hằng tháng",
    "QUARTERLY": "hằng quý",
    "ANNUAL": "hằng năm",
    "IRREG": "không định kỳ",
}


def entry_of_record(record: Record, source: Source, now: datetime) -> CatalogueEntry:
    """Return the entry. Raises Unusable."""
    title = clean(record.title, LONGEST_TITLE).replace("\n", " ")
    if not fold(title):
        raise Unusable("title is missing")
    tags = tuple(dict.fromkeys(filter(None, (_word(tag) for tag in record.tags))))[:MOST_TAGS]
    if any(map(is_state_secret, (*tags, _word(record.domain)))):
        raise Unusable("it calls itself a state secret")
    publisher = _word(record.publisher) or source.name
    return CatalogueEntry(
        key=f"{HARVESTED}{source.name}/{_plain_id(record.id)}",
        contract_id=_word(record.identifier) or record.id[:LONGEST_WORDS],
        version=_word(record.version)[:50],
        title=title,
        title_en=clean(record.title_en, LONGEST_TITLE),
        description=clean(record.description, LONGEST_DESCRIPTION),
        description_en=clean(record.description_en, LONGEST_DESCRIPTION),
        owner=f"{HARVESTED}{source.name}/{_plain_id('-'.join(fold(publisher))[:60])}",
        owner_name=publisher,
        published=_moment(record.issued, now),
        modified=now.replace(microsecond=0),
        domain=_word(record.domain),
        tags=tags,
        legal_basis=tuple(filter(None, (clean(each, 300) for each in record.legal_basis[:20]))),
        frequency=_frequency(record.frequency),
        source=source.url,
        landing_page=address(record.landing_page),
        distributions=tuple(_distributions(record)),
        contact=_contact(record.contact),
    )


def _distributions(record: Record) -> Iterator[Distribution]:
    """Those that have an address which a page may link to, each once."""
    found: dict[tuple[str, str], Distribution] = {}
    for each in record.distributions[:MOST_DISTRIBUTIONS]:
        one = Distribution(
            title=clean(each.title, LONGEST_WORDS).replace("\n", " "),
            format=_format(each.format),
            access_url=address(each.access_url),
            download_url=address(each.download_url),
            licence=address(each.licence) or _word(each.licence),
        )
        if one.url:
            found.setdefault((one.url, one.format), one)
    yield from found.values()


def _format(text: str) -> str:
    """A short name: the last part of an address of a list, or of a media type."""
    last = _word(text).rstrip("/").rpartition("/")[2].rpartition("#")[2]
    return last[:LONGEST_FORMAT].upper()


def clean(text: str, longest: int) -> str:
    """Plain text out of what may be HTML."""
    text = text[: 4 * longest]
    for _ in range(2):  # what was escaped may be markup itself
        text = html.unescape(_TAGS.sub(" ", _BLOCKS.sub(" ", text)))
    text = _FORBIDDEN.sub("", unicodedata.normalize("NFC", _TAGS.sub(" ", text)))
    text = _SPACES.sub(" ", text).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def address(text: str) -> str:
    """An address that a page may link to, or nothing: never ``javascript:``."""
    text = text.strip()
    if not _ADDRESS.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
        return text if parts.hostname and parts.username is None else ""
    except ValueError:
        return ""


def _word(text: str) -> str:
    return clean(text, LONGEST_WORDS).replace("\n", " ")


def _plain_id(text: str) -> str:
    if _PLAIN_ID.fullmatch(text):
        return text
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _contact(text: str) -> str:
    text = text.strip()
    if _MAIL.fullmatch(text):
        return "mailto:" + text.removeprefix("mailto:")
    return address(text)


def _frequency(text: str) -> str:
    known = _FREQUENCY.search(text)
    return _WORDS.get(known[1], "") if known else _word(text)[:60]


def _moment(text: str, now: datetime) -> datetime:
    """When its source published it; now where it does not say, or says the future."""
    try:
        moment = datetime.fromisoformat(text.strip()[:40])
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return now.replace(microsecond=0)
    return min(moment, now).replace(microsecond=0)
