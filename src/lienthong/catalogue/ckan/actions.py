"""The actions of CKAN's Action API that read, each a method of the same name.

    actions = Actions(store, search, at)
    actions.call("package_show", {"id": "vn-gov-g01-cong-dan"})

There is nothing to write and nothing private, so nobody has to sign in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lienthong import __version__
from lienthong.catalogue.addresses import Addresses, group_name, key_of, name_of
from lienthong.catalogue.ckan.asking import (
    FACET_FIELDS,
    facet_fields,
    listing_of,
    number,
    truth,
)
from lienthong.catalogue.ckan.packages import (
    LICENSE,
    Json,
    group_of,
    organization_of,
    package_of,
    tag_name,
)
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.query import MOST_LISTED, Listing, Order
from lienthong.catalogue.search import CatalogueSearch, FacetValue, Found
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.terms import TAG
from lienthong.errors import EntryUnknown, QueryInvalid

CKAN_VERSION = "2.11.0"  # the API that these actions are those of
MOST_NAMES = 100_000  # names of one answer; a client that wants more asks by pages
PACKAGES = 10

Asked = Mapping[str, Any]


class Actions:
    """All actions over one catalogue. Blocking. Raises QueryInvalid, EntryUnknown."""

    def __init__(self, store: CatalogueStore, search: CatalogueSearch, at: Addresses) -> None:
        self._store = store
        self._search = search
        self._at = at
        self._known: dict[str, Callable[[Asked], Any]] = {
            action.__name__.lstrip("_"): action
            for action in (
                self._site_read,
                self._status_show,
                self._help_show,
                self._license_list,
                self._package_list,
                self._current_package_list_with_resources,
                self._package_show,
                self._package_search,
                self._resource_show,
                self._organization_list,
                self._organization_show,
                self._group_list,
                self._group_show,
                self._tag_list,
                self._tag_show,
            )
        }

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def call(self, name: str, asked: Asked) -> Any:
        """Call an action by name."""
        return self._known[name](asked)

    # --- the site ---------------------------------------------------------------------

    def _site_read(self, asked: Asked) -> bool:
        """Whether everybody may read."""
        return True

    def _status_show(self, asked: Asked) -> Json:
        """What this site is."""
        return {
            "ckan_version": CKAN_VERSION,
            "lienthong_version": __version__,
            "site_url": self._at.url,
            "site_title": "Danh mục cơ sở dữ liệu dùng chung",
            "site_description": "Catalogue of shared databases",
            "locale_default": "vi",
            "error_emails_to": None,
            "extensions": [],
        }

    def _help_show(self, asked: Asked) -> str:
        """What an action does. Parameter: name."""
        action = self._known.get(str(asked.get("name", "")))
        if action is None:
            raise EntryUnknown(entry=str(asked.get("name", ""))[:200])
        return action.__doc__ or ""

    def _license_list(self, asked: Asked) -> list[Json]:
        """Licences: data is shared by law and agreement, so there is but the one that says so."""
        license_: Json = {**LICENSE, "status": "active", "url": "", "is_generic": True}
        flags = ("domain_content", "domain_data", "domain_software")
        return [license_ | dict.fromkeys(flags, False)]

    # --- packages ---------------------------------------------------------------------

    def _package_list(self, asked: Asked) -> list[str]:
        """Names of all packages. Parameters: limit, offset."""
        limit = min(MOST_NAMES, number(asked, "limit", MOST_NAMES))
        return [name_of(key) for key in self._store.keys(limit, number(asked, "offset", 0))]

    def _current_package_list_with_resources(self, asked: Asked) -> list[Json]:
        """Packages, the last changed first. Parameters: limit, offset."""
        listing = Listing(
            limit=min(MOST_LISTED, number(asked, "limit", PACKAGES)),
            offset=number(asked, "offset", 0),
            facet_values=0,
            order=Order.MODIFIED_LAST,
        )
        return [package_of(entry, self._at) for entry in self._search.find(listing).entries]

    def _package_show(self, asked: Asked) -> Json:
        """One package. Parameter: id, which may be its name."""
        return package_of(self._entry(_id(asked)), self._at)

    def _package_search(self, asked: Asked) -> Json:
        """Search. Parameters: q, fq, fq_list, rows, start, sort, facet, facet.field, facet.limit,
        facet.mincount."""
        words = str(asked.get("q") or "").strip() not in ("", "*:*", "*")
        default = Order.RELEVANCE if words else Order.MODIFIED_LAST
        listing = listing_of(asked, lambda: self._search.values("domain"), default)
        found = self._search.find(listing)
        least = number(asked, "facet.mincount", 1)
        facets = {name: _items(name, found, least) for name in facet_fields(asked)}
        return {
            "count": found.total,
            "sort": str(asked.get("sort") or "score desc, metadata_modified desc"),
            "results": [package_of(entry, self._at) for entry in found.entries],
            "facets": {
                name: {item["name"]: item["count"] for item in items}
                for name, items in facets.items()
            },
            "search_facets": {
                name: {"title": name, "items": items} for name, items in facets.items()
            },
        }

    def _resource_show(self, asked: Asked) -> Json:
        """One resource. Parameter: id."""
        wanted = _id(asked)
        package = package_of(self._entry(wanted.rpartition("#")[0]), self._at)
        for resource in package["resources"]:
            if resource["id"] == wanted:
                found: Json = resource
                return found
        raise EntryUnknown(entry=wanted)

    # --- organizations, groups, tags --------------------------------------------------

    def _organization_list(self, asked: Asked) -> list[Any]:
        """Owners. Parameters: all_fields, limit, offset, organizations."""
        organizations = [_organization(value) for value in self._counted("agency")]
        return _listed(organizations, asked, "organizations")

    def _organization_show(self, asked: Asked) -> Json:
        """One owner. Parameters: id, which may be its name; include_datasets."""
        wanted = _id(asked)
        for value in self._counted("agency"):
            if wanted in (value.value, name_of(value.value)):
                return _organization(value) | self._datasets(asked, "agency", value.value)
        raise EntryUnknown(entry=wanted)

    def _group_list(self, asked: Asked) -> list[Any]:
        """Domains. Parameters: all_fields, limit, offset, groups."""
        groups = [_group(value) for value in self._counted("domain")]
        return _listed(groups, asked, "groups")

    def _group_show(self, asked: Asked) -> Json:
        """One domain. Parameters: id, which may be its name; include_datasets."""
        wanted = _id(asked)
        for value in self._counted("domain"):
            if wanted in (value.value, group_name(value.value)):
                return _group(value) | self._datasets(asked, "domain", value.value)
        raise EntryUnknown(entry=wanted)

    def _tag_list(self, asked: Asked) -> list[Any]:
        """Tags. Parameters: query, all_fields."""
        if asked.get("vocabulary_id"):
            raise EntryUnknown(entry=str(asked["vocabulary_id"])[:200])
        part = str(asked.get("query") or "").casefold()
        names = dict.fromkeys(filter(None, map(tag_name, self._search.values(TAG))))
        found = sorted(name for name in names if part in name.casefold())[:MOST_NAMES]
        return [_tag(name) for name in found] if truth(asked, "all_fields") else found

    def _tag_show(self, asked: Asked) -> Json:
        """One tag. Parameter: id, which is its name."""
        wanted = _id(asked)
        if wanted in map(tag_name, self._search.values(TAG)):
            return _tag(wanted)
        raise EntryUnknown(entry=wanted)

    # ----------------------------------------------------------------------------------

    def _entry(self, wanted: str) -> CatalogueEntry:
        try:
            return self._store.get(wanted)
        except EntryUnknown:
            return self._store.get(key_of(wanted))

    def _counted(self, facet: str) -> tuple[FacetValue, ...]:
        found = self._search.find(Listing(limit=0, facet_values=MOST_NAMES))
        return tuple(sorted(found.facets[facet], key=lambda each: each.value))

    def _datasets(self, asked: Asked, facet: str, value: str) -> Json:
        if not truth(asked, "include_datasets"):
            return {}
        listing = Listing(
            filters={facet: (value,)}, limit=MOST_LISTED, facet_values=0, order=Order.KEY
        )
        entries = self._search.find(listing).entries
        return {"packages": [package_of(entry, self._at) for entry in entries]}


def _id(asked: Asked) -> str:
    wanted = asked.get("id")
    if not isinstance(wanted, str) or not wanted:
        raise QueryInvalid(reason="id is missing")
    return wanted[:1_000]


def _organization(value: FacetValue) -> Json:
    found = organization_of(value.value, value.label)
    return found | {
        "display_name": found["title"],
        "image_display_url": "",
        "package_count": value.count,
        "num_followers": 0,
    }


def _group(value: FacetValue) -> Json:
    return group_of(value.value) | {"package_count": value.count, "num_followers": 0}


def _tag(name: str) -> Json:
    return {"id": name, "name": name, "display_name": name, "vocabulary_id": None}


def _listed(all_of_them: list[Json], asked: Asked, only: str) -> list[Any]:
    """A page of organizations or groups; names alone, unless all fields are asked for."""
    wanted = asked.get(only)
    found = sorted(all_of_them, key=lambda each: str(each["name"]))
    if isinstance(wanted, list):
        found = [each for each in found if each["name"] in wanted]
    start = number(asked, "offset", 0)
    page = found[start : start + number(asked, "limit", MOST_NAMES)]
    return page if truth(asked, "all_fields") else [each["name"] for each in page]


def _items(field: str, found: Found, least: int) -> list[Json]:
    """The values of one facet, as CKAN names them."""
    if field == "license_id":
        title = LICENSE["title"]
        return [{"name": LICENSE["id"], "display_name": title, "count": found.total}]
    names: dict[str, Callable[[str], str]] = {"organization": name_of, "groups": group_name}
    named = names.get(field, str)
    return [
        {"name": named(value.value), "display_name": value.label, "count": value.count}
        for value in found.facets.get(FACET_FIELDS[field], ())
        if value.count >= least
    ]
