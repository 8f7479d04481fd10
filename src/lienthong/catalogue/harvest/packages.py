"""A package of somebody's CKAN read as a record; its types are not to be trusted.

record = record_of_package(package, root="https://du-lieu.example.vn")
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lienthong.catalogue.harvest.models import Record, Unusable

MOST_TAGS = 50


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


def _extras(value: Any) -> dict[str, str]:
    """CKAN's pairs; old ones give an object. What is no text is passed over."""
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if isinstance(each, str)}
    if not isinstance(value, list):
        return {}
    pairs = ((each.get("key"), each.get("value")) for each in value if isinstance(each, dict))
    return {key: each for key, each in pairs if isinstance(key, str) and isinstance(each, str)}
