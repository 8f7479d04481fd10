"""An entry as resources of DCAT-AP 3.

    nodes = nodes_of(entry, Addresses("https://du-lieu.example.vn"))

Nodes are flat JSON-LD: each has an address and names others by theirs, so that the same list is
written as JSON-LD or as Turtle, and what many entries share is written once.

| Of the entry | In DCAT-AP |
|---|---|
| title, description, in Vietnamese and English | ``dct:title``, ``dct:description`` |
| owner | ``dct:publisher``, ``dcat:contactPoint`` |
| domain | ``dcat:theme``: our own, and the EU's where it has one |
| the most closed class of its fields | ``dct:accessRights`` |
| legal basis | ``dcatap:applicableLegislation`` |
| unit | ``dct:spatial``; Vietnam for bodies of the whole country |
| how often | ``dct:accrualPeriodicity`` |
| contract | ``dct:conformsTo``, named by its SHA-256 (RFC 6920) |
| service | ``dcat:distribution`` and ``dcat:DataService`` |
| agencies that use it | ``prov:qualifiedAttribution`` with the role *user* of ISO 19115 |
| distributions of a harvested one | ``dcat:distribution`` (``distributions.py``) |
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime

from lienthong.catalogue.addresses import Addresses, iri
from lienthong.catalogue.dcat.distributions import distribution_nodes, distributions_of
from lienthong.catalogue.dcat.vocabulary import (
    JSON_FORMAT,
    JSON_MEDIA_TYPE,
    LANGUAGES,
    USER_ROLE,
    VIETNAM,
    Node,
    frequency,
    in_english,
    in_vietnamese,
    language,
    rights,
    theme,
)
from lienthong.catalogue.models import CatalogueEntry

ATTRIBUTION = "prov:Attribution"


def nodes_of(entry: CatalogueEntry, at: Addresses) -> list[Node]:
    """Return the dataset first, then its record, then all that it names."""
    shared = [
        _publisher(entry, at),
        _contact(entry, at),
        *_themes(entry, at),
        *(_law(text, at) for text in entry.legal_basis),
        *_places(entry, at),
    ]
    known = [node for node in (_rights(entry), frequency(entry.frequency)) if node]
    known += [language(LANGUAGES[0])] if entry.is_own else []
    home: Node = {"@id": at.home(entry), "@type": "foaf:Document"}
    service = list(_service(entry, at)) if entry.service else []
    service += [] if entry.service else distributions_of(entry, at)
    contract = [_contract(entry)] if entry.digest else []
    dataset = _dataset(entry, at)
    users = list(_users(entry, at))
    return [dataset, _record(entry, at), *shared, *known, home, *contract, *service, *users]


def dataset_node(entry: CatalogueEntry, at: Addresses) -> str:
    return at.dataset(entry.key)


def service_node(entry: CatalogueEntry, at: Addresses) -> str:
    return at.dataset(entry.key) + "#service"


def record_node(entry: CatalogueEntry, at: Addresses) -> str:
    return at.dataset(entry.key) + "#record"


def moment(value: datetime) -> Node:
    return {"@value": value.isoformat(), "@type": "xsd:dateTime"}


def _dataset(entry: CatalogueEntry, at: Addresses) -> Node:
    iri_of = at.dataset(entry.key)
    node: Node = {
        "@id": iri_of,
        "@type": ["dcat:Dataset", "dcat:Resource"],
        "dct:title": _texts(entry, entry.title, entry.title_en),
        "dct:description": _texts(entry, entry.description or entry.title, entry.description_en),
        "dct:identifier": entry.key if entry.is_own else entry.contract_id,
        "dct:publisher": {"@id": at.organization(entry.owner)},
        "dcat:contactPoint": {"@id": iri_of + "#contact"},
        "dcat:keyword": [_text(entry, tag) for tag in entry.tags],
        "dcat:theme": [{"@id": each["@id"]} for each in _themes(entry, at)],
        "dcatap:applicableLegislation": [{"@id": at.law(text)} for text in entry.legal_basis],
        "dct:spatial": [{"@id": each["@id"]} for each in _places(entry, at)],
        "dct:issued": moment(entry.published),
        "dct:modified": moment(entry.facts.updated or entry.modified),
        "dcat:version": entry.version,
        "dcat:landingPage": {"@id": at.home(entry)},
    }
    if known := _rights(entry):
        node["dct:accessRights"] = {"@id": known["@id"]}
    if often := frequency(entry.frequency):
        node["dct:accrualPeriodicity"] = {"@id": often["@id"]}
    if entry.is_own:
        node["dct:language"] = {"@id": LANGUAGES[0]}
    if entry.digest:
        node["dct:conformsTo"] = {"@id": _contract_iri(entry.digest)}
    if entry.service:
        node["dcat:distribution"] = {"@id": iri_of + "#distribution"}
    if entry.users:
        places = [each["@id"] for each in _users(entry, at) if each["@type"] == ATTRIBUTION]
        node["prov:qualifiedAttribution"] = [{"@id": place} for place in places]
    if entry.distributions and not entry.service:
        node["dcat:distribution"] = [{"@id": each} for each in distribution_nodes(entry, at)]
    return {name: value for name, value in node.items() if value not in ("", [])}


def _record(entry: CatalogueEntry, at: Addresses) -> Node:
    return {
        "@id": record_node(entry, at),
        "@type": "dcat:CatalogRecord",
        "foaf:primaryTopic": {"@id": at.dataset(entry.key)},
        "dct:issued": moment(entry.published),
        "dct:modified": moment(entry.modified),
    }


def _publisher(entry: CatalogueEntry, at: Addresses) -> Node:
    name = entry.owner_name or entry.owner
    return {
        "@id": at.organization(entry.owner),
        "@type": "foaf:Agent",
        "foaf:name": _text(entry, name),
        "dct:identifier": entry.owner,
    }


def _users(entry: CatalogueEntry, at: Addresses) -> Iterator[Node]:
    """The agencies with an agreement in force, each by an attribution and as an agent."""
    for number, user in enumerate(entry.users, 1):
        yield {
            "@id": f"{at.dataset(entry.key)}#user-{number}",
            "@type": ATTRIBUTION,
            "prov:agent": {"@id": at.organization(user.member)},
            "dcat:hadRole": {"@id": USER_ROLE},
            **(
                {"dct:description": list(map(in_vietnamese, user.purposes))}
                if user.purposes
                else {}
            ),
        }
        if user.member != entry.owner:
            yield {
                "@id": at.organization(user.member),
                "@type": "foaf:Agent",
                "foaf:name": in_vietnamese(user.name),
                "dct:identifier": user.member,
            }
    if entry.users:
        yield {"@id": USER_ROLE, "@type": "dcat:Role"}


def _contact(entry: CatalogueEntry, at: Addresses) -> Node:
    node: Node = {
        "@id": at.dataset(entry.key) + "#contact",
        "@type": ["vcard:Kind", "vcard:Organization"],
        "vcard:fn": entry.owner_name or entry.owner,
    }
    address = iri(entry.contact) or at.home(entry)
    node["vcard:hasEmail" if address.startswith("mailto:") else "vcard:hasURL"] = {"@id": address}
    return node


def _themes(entry: CatalogueEntry, at: Addresses) -> list[Node]:
    if not entry.domain:
        return []
    own: Node = {
        "@id": at.group(entry.domain),
        "@type": "skos:Concept",
        "skos:prefLabel": in_vietnamese(entry.domain),
        "skos:inScheme": {"@id": at.url + "/group"},
    }
    other = theme(entry.domain)
    return [own, other] if other else [own]


def _law(text: str, at: Addresses) -> Node:
    return {"@id": at.law(text), "@type": "eli:LegalResource", "dct:title": in_vietnamese(text)}


def _places(entry: CatalogueEntry, at: Addresses) -> list[Node]:
    if entry.unit:
        return [
            {
                "@id": f"{at.url}/unit/{iri(entry.unit)}",
                "@type": "dct:Location",
                "skos:prefLabel": in_vietnamese(entry.unit_name or entry.unit),
                "dct:identifier": entry.unit,
            }
        ]
    return [{"@id": VIETNAM, "@type": "dct:Location"}] if entry.is_own else []


def _rights(entry: CatalogueEntry) -> Node | None:
    return rights(entry.classification) if entry.fields else None


def _contract_iri(digest: str) -> str:
    """Name a contract by its content: RFC 6920 §3."""
    try:
        value = base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
    except ValueError:  # an entry that was made by hand
        return f"urn:lienthong:contract:{iri(digest)}"
    return f"ni:///sha-256;{value}"


def _contract(entry: CatalogueEntry) -> Node:
    return {
        "@id": _contract_iri(entry.digest),
        "@type": "dct:Standard",
        "dct:title": f"{entry.contract_id} {entry.version} (Open Data Contract Standard)",
        "dct:identifier": entry.digest,
    }


def _service(entry: CatalogueEntry, at: Addresses) -> Iterator[Node]:
    dataset, place = at.dataset(entry.key), service_node(entry, at)
    laws = [{"@id": at.law(text)} for text in entry.legal_basis]
    rest: Node = {"dcatap:applicableLegislation": laws} if laws else {}
    if entry.digest:
        rest["dct:conformsTo"] = {"@id": _contract_iri(entry.digest)}
    yield {
        "@id": dataset + "#distribution",
        "@type": "dcat:Distribution",
        "dct:title": [
            in_vietnamese(f"{entry.title}: tra cứu qua nút"),
            in_english(f"{entry.title_en or entry.title}: look-up through a node"),
        ],
        "dct:description": [in_vietnamese(_HOW_VI), in_english(_HOW_EN)],
        "dcat:accessURL": {"@id": at.page(entry.key)},
        "dcat:accessService": {"@id": place},
        "dct:format": {"@id": JSON_FORMAT},
        "dcat:mediaType": {"@id": JSON_MEDIA_TYPE},
        **rest,
    }
    service: Node = {
        "@id": place,
        "@type": ["dcat:DataService", "dcat:Resource"],
        "dct:title": [in_vietnamese(entry.title), in_english(entry.title_en or entry.title)],
        "dct:description": [
            in_vietnamese(f"{_HOW_VI} Dịch vụ: {entry.service}"),
            in_english(f"{_HOW_EN} Service: {entry.service}"),
        ],
        "dct:identifier": entry.service,
        "dcat:endpointURL": {"@id": at.page(entry.key)},
        "dcat:servesDataset": {"@id": dataset},
        "dct:publisher": {"@id": at.organization(entry.owner)},
        "dcat:contactPoint": {"@id": dataset + "#contact"},
        "dcat:landingPage": {"@id": at.home(entry)},
        **rest,
    }
    if known := _rights(entry):
        service["dct:accessRights"] = {"@id": known["@id"]}
    yield service
    yield {"@id": JSON_FORMAT, "@type": "dct:MediaTypeOrExtent"}
    yield {"@id": JSON_MEDIA_TYPE, "@type": "dct:MediaType"}


_HOW_VI = (
    "Gọi qua nút Liên Thông của cơ quan mình (/r1/…), sau khi có thỏa thuận với cơ quan chủ quản."
)
_HOW_EN = "Called through the agency's own node (/r1/…), after an agreement with the owner."


def _text(entry: CatalogueEntry, text: str) -> Node | str:
    """Our own words are Vietnamese; the language of harvested ones is not known."""
    return in_vietnamese(text) if entry.is_own else text


def _texts(entry: CatalogueEntry, text: str, english: str) -> list[Node | str]:
    return [_text(entry, text), *([in_english(english)] if english else [])]
