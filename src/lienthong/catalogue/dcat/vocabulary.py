"""Words of others that we use: prefixes, and the EU's lists that DCAT-AP asks for.

https://semiceu.github.io/DCAT-AP/releases/3.0.1/ §9 names the lists.
"""

from __future__ import annotations

from typing import Any

from lienthong.catalogue.words import fold
from lienthong.contracts.classification import Classification

Node = dict[str, Any]

PREFIXES = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EU = "http://publications.europa.eu/resource/authority/"
VIETNAM = _EU + "country/VNM"
LANGUAGES = (_EU + "language/VIE", _EU + "language/ENG")
THEMES = _EU + "data-theme"
# Of ISO 19115-1's CI_RoleCode: "party who uses the resource".
USER_ROLE = "http://standards.iso.org/iso/19115/resources/Codelists/gml/CI_RoleCode.xml#user"
JSON_FORMAT = _EU + "file-type/JSON"
JSON_MEDIA_TYPE = "https://www.iana.org/assignments/media-types/application/json"

# Formats that sources name, of the EU's list of file types.
_FILE_TYPES = {
    "CSV", "DOC", "DOCX", "GEOJSON", "GML", "GZIP", "HTML", "JPEG", "JSON", "JSON_LD", "KML", "KMZ",
    "ODS", "ODT", "PARQUET", "PDF", "PNG", "RDF_XML", "RDF_TURTLE", "SHP", "TIFF", "TSV", "TXT",
    "WFS_SRVC", "WMS_SRVC", "XLS", "XLSX", "XML", "ZIP",
}  # fmt: skip
_FILE_TYPE_NAMES = {
    "SPREADSHEETML.SHEET": "XLSX",
    "VND.MS-EXCEL": "XLS",
    "LD+JSON": "JSON_LD",
    "JSON-LD": "JSON_LD",
    "JSONLD": "JSON_LD",
    "TURTLE": "RDF_TURTLE",
    "TTL": "RDF_TURTLE",
    "RDF+XML": "RDF_XML",
    "RDF": "RDF_XML",
    "GEO+JSON": "GEOJSON",
    "PLAIN": "TXT",
    "WMS": "WMS_SRVC",
    "WFS": "WFS_SRVC",
    "SHAPEFILE": "SHP",
}

# Internal data is for agencies under conditions; personal data is closed to the public for good.
_RIGHTS = {
    Classification.PUBLIC: "PUBLIC",
    Classification.INTERNAL: "RESTRICTED",
    Classification.PERSONAL: "NON_PUBLIC",
    Classification.SENSITIVE: "NON_PUBLIC",
}

_FREQUENCIES = {
    "lien tuc": "CONT",
    "continuous": "CONT",
    "continual": "CONT",
    "hang gio": "HOURLY",
    "hourly": "HOURLY",
    "1 h": "HOURLY",
    "hang ngay": "DAILY",
    "daily": "DAILY",
    "1 d": "DAILY",
    "hang tuan": "WEEKLY",
    "weekly": "WEEKLY",
    "7 d": "WEEKLY",
    "1 w": "WEEKLY",
    "hang thang": "MONTHLY",
    "monthly": "MONTHLY",
    "1 m": "MONTHLY",
    "1 month": "MONTHLY",
    "hang quy": "QUARTERLY",
    "quarterly": "QUARTERLY",
    "3 month": "QUARTERLY",
    "nua nam": "ANNUAL_2",
    "6 thang": "ANNUAL_2",
    "hang nam": "ANNUAL",
    "yearly": "ANNUAL",
    "annual": "ANNUAL",
    "annually": "ANNUAL",
    "1 y": "ANNUAL",
    "khong dinh ky": "IRREG",
    "irregular": "IRREG",
    "irreg": "IRREG",
}

# Beginnings of domains' names, folded, to themes of the EU; the first that fits counts.
_THEMES = (
    ("dan cu", "SOCI", "Population and society"),
    ("ho tich", "SOCI", "Population and society"),
    ("lao dong", "SOCI", "Population and society"),
    ("bao hiem", "SOCI", "Population and society"),
    ("tu phap", "JUST", "Justice, legal system and public safety"),
    ("an ninh", "JUST", "Justice, legal system and public safety"),
    ("y te", "HEAL", "Health"),
    ("giao duc", "EDUC", "Education, culture and sport"),
    ("van hoa", "EDUC", "Education, culture and sport"),
    ("giao thong", "TRAN", "Transport"),
    ("nong nghiep", "AGRI", "Agriculture, fisheries, forestry and food"),
    ("moi truong", "ENVI", "Environment"),
    ("dat dai", "REGI", "Regions and cities"),
    ("xay dung", "REGI", "Regions and cities"),
    ("nang luong", "ENER", "Energy"),
    ("khoa hoc", "TECH", "Science and technology"),
    ("doanh nghiep", "ECON", "Economy and finance"),
    ("thue", "ECON", "Economy and finance"),
    ("tai chinh", "ECON", "Economy and finance"),
    ("cong thuong", "ECON", "Economy and finance"),
    ("noi vu", "GOVE", "Government and public sector"),
    ("ngoai vu", "INTR", "International issues"),
)


def rights(classification: Classification) -> Node:
    """The access right of a class."""
    return {"@id": f"{_EU}access-right/{_RIGHTS[classification]}", "@type": "dct:RightsStatement"}


def frequency(text: str) -> Node | None:
    """The EU's frequency for how often data is brought up to date, in a contract's words."""
    code = _FREQUENCIES.get(" ".join(fold(text)))
    return (code and {"@id": f"{_EU}frequency/{code}", "@type": "dct:Frequency"}) or None


def theme(domain: str) -> Node | None:
    """The EU's theme of a domain."""
    folded = " ".join(fold(domain))
    for beginning, code, label in _THEMES:
        if folded.startswith(beginning):
            return {
                "@id": f"{THEMES}/{code}",
                "@type": "skos:Concept",
                "skos:prefLabel": in_english(label),
                "skos:inScheme": {"@id": THEMES},
            }
    return None


def language(iri: str) -> Node:
    """One of ``LANGUAGES``."""
    return {"@id": iri, "@type": "dct:LinguisticSystem"}


def in_vietnamese(text: str) -> Node:
    return {"@value": text, "@language": "vi"}


def in_english(text: str) -> Node:
    return {"@value": text, "@language": "en"}


def file_type(name: str) -> str:
    """The address of a format in the EU's list of file types, or nothing."""
    code = _FILE_TYPE_NAMES.get(name, name)
    return _EU + "file-type/" + code if code in _FILE_TYPES else ""
