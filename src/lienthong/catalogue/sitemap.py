"""What search engines are told to read: sitemap.xml, in several files where one may not hold all.

https://www.sitemaps.org/protocol.html: a file lists at most 50,000 addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.store import CatalogueStore
from lienthong.errors import QueryInvalid

MOST_ADDRESSES = 50_000
_SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
_PAGES = ("/", "/catalogue", "/about")


def sitemap(store: CatalogueStore, at: Addresses, most: int = MOST_ADDRESSES) -> bytes:
    """The one sitemap, or the index of several."""
    files = -(-store.numbers() // _datasets_of(most))
    if files <= 1:
        return sitemap_file(store, at, 1, most)
    places = (f"<sitemap><loc>{at.url}/sitemap-{n}.xml</loc></sitemap>\n" for n in _upto(files))
    return _document("sitemapindex", places)


def sitemap_file(
    store: CatalogueStore, at: Addresses, number: int, most: int = MOST_ADDRESSES
) -> bytes:
    """Sitemap ``number``, from 1. Raises QueryInvalid."""
    each = _datasets_of(most)
    if number not in _upto(max(1, -(-store.numbers() // each))):
        raise QueryInvalid(reason="there is no such page")
    places = store.places((number - 1) * each, number * each)
    urls = [_url(at.page(key), modified) for key, modified in places]
    if at.has_pages and number == 1:
        urls = [*(_url(at.url + path) for path in _PAGES), *urls]
    return _document("urlset", urls)


def _datasets_of(most: int) -> int:
    """Datasets of one file; an entry's number says in which, so that files change little."""
    return most - len(_PAGES)


def _upto(files: int) -> range:
    return range(1, files + 1)


def _url(address: str, modified: datetime | None = None) -> str:
    last = f"<lastmod>{modified.isoformat()}</lastmod>" if modified else ""
    return f"<url><loc>{escape(address)}</loc>{last}</url>\n"


def _document(name: str, lines: Iterable[str]) -> bytes:
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_SPACE}">\n'
    return "".join((start, *lines, f"</{name}>\n")).encode()
