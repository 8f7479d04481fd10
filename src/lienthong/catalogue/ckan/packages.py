"""An entry as a package of CKAN, an owner as an organization, a domain as a group.

The shapes are those that CKAN 2.11 gives (https://docs.ckan.org/en/2.11/api/), as far as programs
that read CKAN look at them. What CKAN has no place for is in ``extras``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from lienthong.catalogue.addresses import Addresses, group_name, name_of
from lienthong.catalogue.models import CatalogueEntry

Json = dict[str, Any]

LICENSE = {"id": "notspecified", "title": "License not specified"}
_NOT_IN_TAG = re.compile(r"[^\w .-]")
_LONGEST_TAG = 100


def package_of(entry: CatalogueEntry, at: Addresses) -> Json:
    """The package of an entry."""
    tags = list(_tags(entry))
    resources = list(_resources(entry, at))
    organization = organization_of(entry.owner, entry.owner_name)
    return {
        "id": entry.key,
        "name": name_of(entry.key),
        "title": entry.title,
        "notes": entry.description,
        "url": at.home(entry),
        "version": entry.version,
        "type": "dataset",
        "state": "active",
        "private": False,
        "isopen": False,
        **_licence(entry),
        "author": entry.owner_name,
        "author_email": "",
        "maintainer": entry.owner_name,
        "maintainer_email": entry.contact.removeprefix("mailto:") if _is_mail(entry) else "",
        "creator_user_id": None,
        "metadata_created": _moment(entry.published),
        "metadata_modified": _moment(entry.modified),
        "owner_org": entry.owner,
        "organization": organization,
        "groups": [_group_in_package(entry.domain)] if entry.domain else [],
        "tags": tags,
        "num_tags": len(tags),
        "resources": resources,
        "num_resources": len(resources),
        "extras": [{"key": key, "value": value} for key, value in _extras(entry, at) if value],
        "relationships_as_subject": [],
        "relationships_as_object": [],
    }


def _licence(entry: CatalogueEntry) -> Json:
    """Of the package, where all of its distributions have the same; CKAN has no list of others'."""
    names = {each.licence for each in entry.distributions}
    if len(names) != 1 or not (name := names.pop()):
        return {"license_id": LICENSE["id"], "license_title": LICENSE["title"]}
    address = {"license_url": name} if name.startswith(("https://", "http://")) else {}
    return {"license_id": "other-open", "license_title": name, **address}


def organization_of(owner: str, title: str) -> Json:
    """The organization of an owner, as it stands in a package."""
    return {
        "id": owner,
        "name": name_of(owner),
        "title": title or owner,
        "type": "organization",
        "description": "",
        "image_url": "",
        "created": None,
        "is_organization": True,
        "approval_status": "approved",
        "state": "active",
    }


def group_of(domain: str) -> Json:
    """The group of a domain."""
    return {
        "id": domain,
        "name": group_name(domain),
        "title": domain,
        "display_name": domain,
        "type": "group",
        "description": "",
        "image_url": "",
        "image_display_url": "",
        "created": None,
        "is_organization": False,
        "approval_status": "approved",
        "state": "active",
    }


def tag_name(text: str) -> str:
    """A tag as CKAN allows it: letters, digits, space, ``_``, ``-``, ``.``; two to a hundred."""
    plain = _NOT_IN_TAG.sub(" ", text).strip()[:_LONGEST_TAG].strip()
    return plain if len(plain) > 1 else ""


def _moment(value: datetime) -> str:
    """CKAN writes UTC without saying so."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat()


def _is_mail(entry: CatalogueEntry) -> bool:
    return entry.contact.startswith("mailto:")


def _group_in_package(domain: str) -> Json:
    wanted = ("id", "name", "title", "display_name", "description", "image_display_url")
    group = group_of(domain)
    return {name: group[name] for name in wanted}


def _tags(entry: CatalogueEntry) -> Iterator[Json]:
    for name in dict.fromkeys(filter(None, map(tag_name, entry.tags))):
        yield {
            "id": name,
            "name": name,
            "display_name": name,
            "state": "active",
            "vocabulary_id": None,
        }


def _resources(entry: CatalogueEntry, at: Addresses) -> Iterator[Json]:
    if entry.service:
        yield _resource(
            entry,
            "service",
            "Tra cứu qua nút · look-up through a node",
            at.page(entry.key),
            f"{entry.service}: gọi qua nút của cơ quan mình, sau khi có thỏa thuận với cơ quan chủ"
            " quản. Called through the agency's own node, after an agreement with the owner.",
            ("JSON", "application/json"),
        )
    elif entry.distributions:
        for number, each in enumerate(entry.distributions):
            name, form = each.title or entry.title, (each.format, "")
            resource = _resource(entry, f"distribution-{number + 1}", name, each.url, "", form)
            access = {"access_url": each.access_url, "download_url": each.download_url}
            yield resource | access | {"license": each.licence, "position": number}
    elif entry.landing_page:
        name = "Trang của nguồn · page at its source"
        yield _resource(entry, "page", name, at.home(entry), "", ("HTML", "text/html"))


def _resource(
    entry: CatalogueEntry, part: str, name: str, url: str, text: str, form: tuple[str, str]
) -> Json:
    return {
        "id": f"{entry.key}#{part}",
        "package_id": entry.key,
        "name": name,
        "description": text,
        "url": url,
        "format": form[0],
        "mimetype": form[1],
        "position": 0,
        "state": "active",
        "created": _moment(entry.published),
        "last_modified": _moment(entry.modified),
        "metadata_modified": _moment(entry.modified),
        "size": None,
        "hash": "",
        "resource_type": None,
        "url_type": None,
    }


def _extras(entry: CatalogueEntry, at: Addresses) -> Iterator[tuple[str, str]]:
    facts = entry.facts
    yield "identifier", entry.key if entry.is_own else entry.contract_id
    yield "uri", at.dataset(entry.key)
    yield "contract_id", entry.contract_id
    yield "contract_sha256", entry.digest
    yield "classification", entry.classification.value if entry.fields else ""
    yield "legal_basis", "; ".join(entry.legal_basis)
    yield "frequency", entry.frequency
    yield "unit", entry.unit
    yield "spatial_text", entry.unit_name
    yield "fields", ", ".join(field.name for field in entry.fields)
    yield "records", "" if facts.records is None else str(facts.records)
    yield "data_updated", "" if facts.updated is None else _moment(facts.updated)
    yield "consumers", "" if facts.consumers is None else str(facts.consumers)
    yield "used_by", "; ".join(f"{each.name} ({each.member})" for each in entry.users)
    yield "used_for", "; ".join(dict.fromkeys(text for u in entry.users for text in u.purposes))
    yield "service", entry.service
    yield "title_en", entry.title_en
    yield "notes_en", entry.description_en
    yield "harvest_source", "" if entry.is_own else entry.source
