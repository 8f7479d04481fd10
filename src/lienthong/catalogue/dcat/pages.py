"""The whole catalogue, page by page, linked as Hydra says; and one dataset by itself.

    page = read_page(search, 1)
    body, tag = write_page(page, at, JSON_LD)

Entries stand in the order in which they came in, so a page changes only when one of its own
entries does, or one before it is withdrawn. Its tag (``ETag``) tells a harvester what it has
read before: the total, which changes with every new entry, is not in the tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.dcat.mapping import (
    dataset_node,
    moment,
    nodes_of,
    record_node,
    service_node,
)
from lienthong.catalogue.dcat.vocabulary import (
    LANGUAGES,
    THEMES,
    VIETNAM,
    Node,
    in_english,
    in_vietnamese,
    language,
)
from lienthong.catalogue.dcat.writing import WRITERS
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.query import Listing, Order
from lienthong.catalogue.search import CatalogueSearch
from lienthong.errors import QueryInvalid

ROWS = 100  # datasets of one page: as many as CKAN's DCAT pages have
LAST_PAGE = 1_000_000


class Page(NamedTuple):
    """One page, before it is written in one of the forms."""

    number: int
    total: int
    entries: tuple[CatalogueEntry, ...]
    since: datetime | None

    @property
    def last(self) -> int:
        return max(1, -(-self.total // ROWS))


def read_page(search: CatalogueSearch, number: int, since: datetime | None = None) -> Page:
    """Read page ``number``, from 1, of what was changed ``since``. Raises QueryInvalid."""
    if not 1 <= number <= LAST_PAGE:
        raise QueryInvalid(reason=f"page is not 1 to {LAST_PAGE}")
    listing = Listing(
        limit=ROWS,
        offset=(number - 1) * ROWS,
        facet_values=0,
        order=Order.NUMBER,
        since=since,
    )
    found = search.find(listing)
    return Page(number, found.total, found.entries, since)


def write_page(page: Page, at: Addresses, form: str) -> tuple[bytes, str]:
    """Return the page in a form of ``WRITERS``, and its tag."""
    datasets = [node for entry in page.entries for node in nodes_of(entry, at)]
    body = WRITERS[form]([*_catalogue(page, at), *_links(page, at, form), *datasets])
    whole = (form, at, page.number < page.last, page.total if page.number == 1 else 0, datasets)
    tag = sha256(msgspec.json.encode(whole)).hexdigest()[:32]
    return body, f'W/"{tag}"'


def write_dataset(entry: CatalogueEntry, at: Addresses, form: str) -> tuple[bytes, str]:
    """Return one dataset by itself, and its tag."""
    body = WRITERS[form](nodes_of(entry, at))
    return body, f'"{sha256(body).hexdigest()[:32]}"'


def _catalogue(page: Page, at: Addresses) -> Iterator[Node]:
    iri = at.url + "/catalog"
    node: Node = {
        "@id": iri,
        "@type": "dcat:Catalog",
        "dct:title": [
            in_vietnamese("Danh mục cơ sở dữ liệu dùng chung"),
            in_english("Catalogue of shared databases"),
        ],
        "dct:description": [
            in_vietnamese(
                "Cơ sở dữ liệu nào có, căn cứ nào, gồm những trường gì, và xin quyền thế nào."
            ),
            in_english(
                "Which databases there are, under which law, with which fields, how to ask."
            ),
        ],
        "dct:publisher": {"@id": at.url + "/#publisher"},
        "dct:language": [{"@id": language} for language in LANGUAGES],
        "dct:spatial": {"@id": VIETNAM},
        "foaf:homepage": {"@id": at.url + "/"},
        "dcat:themeTaxonomy": [{"@id": THEMES}, {"@id": at.url + "/group"}],
        "dcat:dataset": [{"@id": dataset_node(entry, at)} for entry in page.entries],
        "dcat:record": [{"@id": record_node(entry, at)} for entry in page.entries],
        "dcat:service": [
            {"@id": service_node(entry, at)} for entry in page.entries if entry.service
        ],
    }
    if page.entries:
        node["dct:modified"] = moment(max(entry.modified for entry in page.entries))
    yield {name: value for name, value in node.items() if value != []}
    yield {
        "@id": at.url + "/#publisher",
        "@type": "foaf:Agent",
        "foaf:name": at.shown_publisher,
    }
    yield {"@id": at.url + "/", "@type": "foaf:Document"}
    yield {"@id": VIETNAM, "@type": "dct:Location"}
    yield from map(language, LANGUAGES)
    yield _scheme(THEMES, "Chủ đề của EU", "Data theme of the EU")
    yield _scheme(at.url + "/group", "Lĩnh vực", "Domain")


def _scheme(iri: str, title: str, english: str) -> Node:
    titles = [in_vietnamese(title), in_english(english)]
    return {"@id": iri, "@type": "skos:ConceptScheme", "dct:title": titles}


def _links(page: Page, at: Addresses, form: str) -> Iterator[Node]:
    """Hydra's links, under its names of today and under those that CKAN's programs know."""
    node: Node = {
        "@id": page_address(page, page.number, at, form),
        "@type": ["hydra:PartialCollectionView", "hydra:PagedCollection"],
        "hydra:totalItems": page.total,
        "hydra:itemsPerPage": ROWS,
    }
    others = {"first": 1, "last": page.last}
    if page.number > 1:
        others["previous"] = page.number - 1
    if page.number < page.last:
        others["next"] = page.number + 1
    for name, number in others.items():
        address = page_address(page, number, at, form)
        node[f"hydra:{name}"] = {"@id": address}
        node[f"hydra:{name}Page"] = address
    yield node


def page_address(page: Page, number: int, at: Addresses, form: str) -> str:
    ending = "ttl" if form == "text/turtle" else "jsonld"
    asked = {"page": str(number)}
    if page.since is not None:
        asked["modified_since"] = page.since.isoformat()
    return f"{at.url}/catalog.{ending}?{urlencode(asked)}"
