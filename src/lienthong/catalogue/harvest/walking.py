"""Walking through a source, page by page: CKAN's Action API, or DCAT as RDF.

    for page in walk: page.records, page.same
    walk.whole        # whether all of the source was seen, none twice, none missing

What is not seen counts as gone only after a whole walk, so each walk is strict about being one:
the total has to be the same on all pages and equal what came; pages may not repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

from lienthong.catalogue.harvest.fetching import Fetcher, SourceFailed, joined
from lienthong.catalogue.harvest.models import BadRecord, Record, SeenPage, Source, Unusable
from lienthong.catalogue.harvest.packages import record_of_package
from lienthong.catalogue.harvest.rdf_process import RdfProcess

ROWS = 100
MOST_PAGES = 20_000
RDF_TYPES = {
    "text/turtle": "turtle",
    "application/x-turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/json": "json-ld",
    "application/rdf+xml": "xml",
    "application/xml": "xml",
    "text/xml": "xml",
}
ENDINGS = {".ttl": "turtle", ".nt": "nt", ".jsonld": "json-ld", ".json": "json-ld"}
ENDINGS |= {".rdf": "xml", ".xml": "xml"}
_ACCEPT_RDF = "text/turtle, application/ld+json;q=0.9, application/rdf+xml;q=0.8"


class Page(NamedTuple):
    """Records of one page; ``same``: ids of records that are known to be as they were."""

    records: list[Record | BadRecord]
    same: tuple[str, ...] = ()
    total: int | None = None  # of all pages, if the source says so


class Walk(Protocol):
    """One walk; ``whole`` and ``newest`` count after the last page."""

    whole: bool
    newest: str

    def __iter__(self) -> Iterator[Page]: ...


class CkanWalk:
    """All packages, or those changed ``since`` (CKAN's own notation). Raises SourceFailed."""

    def __init__(
        self, fetcher: Fetcher, source: Source, most_records: int, since: str = ""
    ) -> None:
        self.whole = False
        self.newest = since
        self._fetcher = fetcher
        self._root = source.url.rstrip("/")
        self._most = most_records
        self._since = since
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[Page]:
        start, total, steady = 0, -1, True
        while total < 0 or start < total:
            count, results = self._ask(start)
            steady &= total in (-1, count)
            total = count
            if total > self._most:
                raise SourceFailed(f"over {self._most} records")
            if not results and start < total:
                raise SourceFailed("cut off")
            start += len(results)
            yield Page(self._records(results), total=total)
        self.whole = steady and not self._since and len(self._seen) == total

    def count(self) -> int:
        """How many packages there are, whatever has changed."""
        return _answered(self._get({"rows": "0"}))[0]

    def _ask(self, start: int) -> tuple[int, list[Any]]:
        asked = {"rows": str(ROWS), "start": str(start), "sort": "id asc"}
        if self._since:
            asked["fq"] = f"metadata_modified:[{self._since}Z TO *]"
        return _answered(self._get(asked))

    def _get(self, asked: dict[str, str]) -> bytes:
        address = f"{self._root}/api/3/action/package_search?{urlencode(asked)}"
        return self._fetcher.get(address, "application/json").body

    def _records(self, results: list[Any]) -> list[Record | BadRecord]:
        found: list[Record | BadRecord] = []
        for result in results:
            try:
                record = record_of_package(result, self._root)
            except Unusable as error:
                known = result.get("id") if isinstance(result, dict) else None
                id_ = known if isinstance(known, str) else ""
                found.append(BadRecord(id_[:300], str(error)))
                self._seen.add(id_ or f"#{len(self._seen)}")
                continue
            if record.id in self._seen:
                continue  # the source moved while we read: it comes once more
            self._seen.add(record.id)
            self.newest = max(self.newest, record.modified)
            found.append(record)
        return found


def _answered(body: bytes) -> tuple[int, list[Any]]:
    """CKAN's envelope opened: the count and the results."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SourceFailed("not JSON") from error
    result = value.get("result") if isinstance(value, dict) else None
    if not isinstance(result, dict) or value.get("success") is not True:
        raise SourceFailed("no answer of CKAN")
    count, results = result.get("count"), result.get("results")
    if type(count) is not int or count < 0 or not isinstance(results, list):
        raise SourceFailed("no answer of CKAN")
    return count, results


class DcatWalk:
    """All datasets of an RDF catalogue. Raises SourceFailed.

    ``pages`` are those of the last walk; afterwards ``pages_now`` are those of this one.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        reader: RdfProcess,
        source: Source,
        most_records: int,
        pages: dict[str, SeenPage],
    ) -> None:
        self.whole = False
        self.newest = ""
        self.pages_now: dict[str, SeenPage] = {}
        self._fetcher = fetcher
        self._reader = reader
        self._source = source
        self._most = most_records
        self._pages = pages
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[Page]:
        address, total = self._source.url, None
        while address:
            if address in self.pages_now or len(self.pages_now) >= MOST_PAGES:
                raise SourceFailed("its pages go round in a circle")
            page, seen = self._page(address)
            before = len(self._seen)
            self._seen.update(seen.records)
            if len(self._seen) == before and seen.next:
                raise SourceFailed("a page brings nothing new, and names another one")
            if len(self._seen) > self._most:
                raise SourceFailed(f"over {self._most} records")
            self.pages_now[address] = seen
            total = seen.total if total is None else total
            yield page._replace(total=total)
            address = self._next(address, seen.next)
        self.whole = total is None or total == len(self._seen)

    def _page(self, address: str) -> tuple[Page, SeenPage]:
        known = self._pages.get(address)
        answer = self._fetcher.get(address, _ACCEPT_RDF, known.tag if known else "")
        if answer.status == 304:
            if known is None:
                raise SourceFailed(f"status {answer.status}")
            return Page([], known.records), known
        form = _form(answer.type, answer.url)
        found = self._reader.read(answer.body, form, answer.url)
        if not found["is_catalogue"] and not found["records"]:
            raise SourceFailed("no catalogue in it")
        records = [_record(each) for each in found["records"]]
        ids = tuple(record.id for record in records)
        seen = SeenPage(answer.tag, ids, str(found["next"]), found["total"])
        return Page(records), seen

    def _next(self, address: str, following: str) -> str:
        if not following:
            return ""
        following = joined(address, following)
        if _host(following) != _host(self._source.url):
            raise SourceFailed("the next page is on another host")
        return following


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _form(kind: str, url: str) -> str:
    path = urlsplit(url).path.lower()
    by_ending = next((form for end, form in ENDINGS.items() if path.endswith(end)), "")
    form = RDF_TYPES.get(kind) or by_ending
    if not form or kind == "text/html":
        raise SourceFailed(f"no RDF: {kind[:60]}")
    return form


def _record(value: dict[str, Any]) -> Record | BadRecord:
    try:
        return msgspec.convert(value, Record)
    except msgspec.ValidationError:
        return BadRecord(str(value.get("id", ""))[:300], "a member of the wrong type")
