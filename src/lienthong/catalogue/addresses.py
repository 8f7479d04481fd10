"""Under which addresses the catalogue's things stand on the web, and their CKAN names.

    at = Addresses("https://du-lieu.example.vn")
    at.dataset("VN/GOV/G01/cong-dan")    # https://du-lieu.example.vn/dataset/VN/GOV/G01/cong-dan
    name_of("VN/GOV/G01/cong-dan")       # vn-gov-g01-cong-dan
    key_of("vn-gov-g01-cong-dan")        # VN/GOV/G01/cong-dan

CKAN wants names of lower-case letters, digits, ``-`` and ``_``. An entry's name can be read back,
so that no table of names is kept: capitals of the owner become small, slashes ``-``, any other
character its number between underscores.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from lienthong.catalogue.models import HARVESTED, CatalogueEntry
from lienthong.catalogue.words import fold

_PARTS_OF_OWNER = 3
_ODD_IN_OWNER = re.compile(r"[^A-Z0-9]")
_ODD = re.compile(r"[^a-z0-9-]")
_CODED = re.compile(r"_([0-9a-f]{1,6})_")
_NOT_IN_IRI = re.compile('[\x00-\x20<>"{}|\\\\^`\x7f-\x9f\ud800-\udfff]')


class Addresses(NamedTuple):
    """``url``: the public root, without a slash at its end. ``has_pages``: people read there too;
    otherwise only programs do."""

    url: str
    has_pages: bool = False
    publisher: str = ""

    @property
    def shown_publisher(self) -> str:
        return self.publisher or self.url.split("://")[-1]

    def dataset(self, key: str) -> str:
        """The dataset itself: what other catalogues know it by."""
        return f"{self.url}/dataset/{quote(key, safe='/:')}"

    def page(self, key: str) -> str:
        """Where people read about it and see how to ask for access."""
        if self.has_pages:
            return f"{self.url}/datasets/{quote(key, safe='/:')}"
        return self.dataset(key)

    def organization(self, owner: str) -> str:
        return f"{self.url}/organization/{name_of(owner)}"

    def group(self, domain: str) -> str:
        return f"{self.url}/group/{group_name(domain)}"

    def law(self, text: str) -> str:
        """A law of Vietnam has no address of its own; this one finds what rests on it."""
        return f"{self.url}/legal-basis/{quote(text, safe='')}"

    def licence(self, text: str) -> str:
        """A licence that its source names without an address."""
        return f"{self.url}/licence/{quote(text, safe='')}"

    def format(self, name: str) -> str:
        """A format that the EU's list does not have."""
        return f"{self.url}/format/{quote(name, safe='')}"

    def home(self, entry: CatalogueEntry) -> str:
        """The landing page: of a harvested entry, the one at its source."""
        return iri(entry.landing_page) if entry.landing_page else self.page(entry.key)


def iri(text: str) -> str:
    """Percent-encode what may not stand in an IRI."""
    return _NOT_IN_IRI.sub(lambda found: quote(found[0].encode("utf-8", "replace")), text)


def name_of(key: str) -> str:
    """Return the CKAN name of an entry's key, or of an owner's id."""
    if key.startswith(HARVESTED):
        source, _, rest = key.removeprefix(HARVESTED).partition("/")
        return f"harvested--{source}--{_coded(_ODD, rest)}"
    parts = key.split("/", _PARTS_OF_OWNER)
    owner = (_coded(_ODD_IN_OWNER, part).lower() for part in parts[:_PARTS_OF_OWNER])
    return "-".join((*owner, *(_coded(_ODD, part) for part in parts[_PARTS_OF_OWNER:])))


def key_of(name: str) -> str:
    """Return the key that has the CKAN name; of what is no such name, anything."""
    if name.startswith("harvested--"):
        source, _, rest = name.removeprefix("harvested--").partition("--")
        return f"{HARVESTED}{source}/{_decoded(rest)}"
    parts = name.split("-", _PARTS_OF_OWNER)
    owner = (_decoded(part, upper=True) for part in parts[:_PARTS_OF_OWNER])
    return "/".join((*owner, *(_decoded(part) for part in parts[_PARTS_OF_OWNER:])))


def group_name(domain: str) -> str:
    """Return the CKAN name of a domain; it cannot be read back."""
    slug = "-".join(fold(domain))[:60]
    if slug == domain:
        return slug
    return f"{slug}-{sha256(domain.encode()).hexdigest()[:6]}"


def _coded(odd: re.Pattern[str], text: str) -> str:
    return odd.sub(lambda found: f"_{ord(found[0]):x}_", text)


def _decoded(text: str, upper: bool = False) -> str:
    parts = _CODED.split(text)
    for at, part in enumerate(parts):
        if at % 2:
            number = int(part, 16)
            parts[at] = chr(number) if number < 0x110000 else ""
        elif upper:
            parts[at] = part.upper()
    return "".join(parts)
