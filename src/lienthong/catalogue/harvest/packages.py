"""A package of somebody's CKAN read as a record; its types are not to be trusted.

record = record_of_package(package, root="https://du-lieu.example.vn")
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from lienthong.catalogue.harvest.models import Offered, Record, Unusable

MOST_TAGS = 50
MOST_RESOURCES = 100
_NO_LICENCE = ("", "notspecified", "License not specified", "License Not Specified")


def record_of_package(package: Any, root: str) -> Record:
    """Read one package. Raises Unusable."""
    if not isinstance(package, dict):
        raise Unusable("it is no object")
    extras = _extras(package.get("extras"))
    organization = _object(package, "organization")
    id_ = _text(package, "id")
    if not id_:
        raise Unusable("id is missing")
    name = _text(package, "name") or id_
    return Record(
        id=id_,
        identifier=extras.get("identifier") or extras.get("guid") or extras.get("uri") or id_,
        title=_text(package, "title") or name,
        title_en=extras.get("title_en", ""),
        description=_text(package, "notes"),
        description_en=extras.get("notes_en", ""),
        publisher=_text(organization, "title")
        or _text(organization, "name")
        or extras.get("publisher_name", "")
        or _text(package, "author"),
        landing_page=_text(package, "url") or f"{root}/dataset/{quote(name, safe='')}",
        issued=_text(package, "metadata_created"),
        modified=_text(package, "metadata_modified"),
        version=_text(package, "version"),
        frequency=extras.get("frequency", ""),
        domain=next(_titles(package, "groups"), ""),
        contact=_text(package, "maintainer_email"),
        tags=tuple(_titles(package, "tags"))[:MOST_TAGS],
        distributions=tuple(_resources(package))[:MOST_RESOURCES],
        legal_basis=tuple(filter(None, map(str.strip, extras.get("legal_basis", "").split(";")))),
    )


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise Unusable(f"{name} is not text")
    return found


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unusable(f"{name} is no object")
    return found


def _titles(package: dict[str, Any], name: str) -> Any:
    found = package.get(name)
    if found is None:
        return
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Unusable(f"{name} is no list of objects")
    for each in found:
        if title := _text(each, "title") or _text(each, "display_name") or _text(each, "name"):
            yield title


def _resources(package: dict[str, Any]) -> Iterator[Offered]:
    """What can be had of it; a resource that is no object of texts is passed over."""
    found = package.get("resources")
    given = (_plain(package, name) for name in ("license_url", "license_title", "license_id"))
    licence = next((each for each in given if each not in _NO_LICENCE), "")
    for each in found if isinstance(found, list) else ():
        if not isinstance(each, dict):
            continue
        url, download = _plain(each, "url"), _plain(each, "download_url")
        uploaded = each.get("url_type") == "upload"
        yield Offered(
            title=_plain(each, "name") or _plain(each, "description"),
            format=_plain(each, "format") or _plain(each, "mimetype"),
            access_url=_plain(each, "access_url") or url,
            download_url=download or (url if uploaded else ""),
            licence=_plain(each, "license") or licence,
        )


def _plain(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _extras(value: Any) -> dict[str, str]:
    """CKAN's pairs; old ones give an object. What is no text is passed over."""
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if isinstance(each, str)}
    if not isinstance(value, list):
        return {}
    pairs = ((each.get("key"), each.get("value")) for each in value if isinstance(each, dict))
    return {key: each for key, each in pairs if isinstance(key, str) and isinstance(each, str)}
