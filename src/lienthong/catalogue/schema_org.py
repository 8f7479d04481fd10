"""An entry as a schema.org Dataset, for search engines: a data block within the page.

    <script type="application/ld+json">{{ markup_of(entry, at) }}</script>

A block of this type is data: a browser never runs it, so a strict Content Security Policy
needs no exception for it. https://developers.google.com/search/docs/appearance/structured-data
"""

from __future__ import annotations

import json
from typing import Any

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.models import CatalogueEntry
from lienthong.contracts.classification import Classification

LONGEST_DESCRIPTION = 5_000  # what Google reads
SHORTEST_DESCRIPTION = 50
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def markup_of(entry: CatalogueEntry, at: Addresses) -> str:
    """Return JSON that cannot end the script element, whatever the entry says."""
    text = json.dumps(dataset_of(entry, at), ensure_ascii=False)
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def dataset_of(entry: CatalogueEntry, at: Addresses) -> dict[str, Any]:
    """The Dataset; members that nothing is known of are left out."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "@id": at.dataset(entry.key),
        "url": at.page(entry.key),
        "name": entry.title,
        "alternateName": entry.title_en,
        "description": _description(entry),
        "identifier": entry.key if entry.is_own else entry.contract_id,
        "version": entry.version,
        "inLanguage": "vi" if entry.is_own else "",
        "isAccessibleForFree": True,
        "conditionsOfAccess": _conditions(entry),
        "keywords": list(entry.tags),
        "dateModified": (entry.facts.updated or entry.modified).isoformat(),
        "datePublished": entry.published.isoformat(),
        "creator": _organization(entry, at),
        "spatialCoverage": _place(entry),
        "variableMeasured": [
            {"@type": "PropertyValue", "name": field.name, "description": field.title}
            for field in entry.fields
        ],
        "includedInDataCatalog": {"@type": "DataCatalog", "url": at.url + "/catalog"},
        "sameAs": at.home(entry) if entry.landing_page else "",
        "distribution": [
            {
                "@type": "DataDownload",
                "name": each.title,
                "contentUrl": each.url,
                "encodingFormat": each.format,
                **({"license": each.licence} if each.licence else {}),
            }
            for each in entry.distributions
        ],
        "isBasedOn": [{"@type": "Legislation", "name": text} for text in entry.legal_basis],
    }
    return {name: value for name, value in data.items() if value not in ("", [])}


def _description(entry: CatalogueEntry) -> str:
    """At least the title and who owns it: engines pass over short descriptions."""
    if len(entry.description) >= SHORTEST_DESCRIPTION:
        return entry.description[:LONGEST_DESCRIPTION]
    said = entry.description or entry.title
    return f"{said.rstrip('.')}. {entry.title}, {entry.owner_name or entry.owner}."


def _conditions(entry: CatalogueEntry) -> str:
    if not entry.fields or entry.classification is Classification.PUBLIC:
        return ""
    return "Theo thỏa thuận với cơ quan chủ quản. By agreement with the owner."


def _organization(entry: CatalogueEntry, at: Addresses) -> dict[str, Any]:
    return {
        "@type": "GovernmentOrganization" if entry.is_own else "Organization",
        "@id": at.organization(entry.owner),
        "name": entry.owner_name or entry.owner,
        "identifier": entry.owner,
    }


def _place(entry: CatalogueEntry) -> str:
    return entry.unit_name or ("Việt Nam" if entry.is_own else "")
