"""The forms in which a harvested dataset can be had, as distributions of DCAT-AP 3."""

from __future__ import annotations

from collections.abc import Iterator

from lienthong.catalogue.addresses import Addresses, iri
from lienthong.catalogue.dcat.vocabulary import Node, file_type
from lienthong.catalogue.models import CatalogueEntry, Distribution


def distribution_nodes(entry: CatalogueEntry, at: Addresses) -> list[str]:
    """Their addresses, in the order of the entry."""
    return [_address(entry, at, number) for number in range(len(entry.distributions))]


def distributions_of(entry: CatalogueEntry, at: Addresses) -> Iterator[Node]:
    """The distributions, and the formats and licences that they name."""
    for number, each in enumerate(entry.distributions):
        node: Node = {
            "@id": _address(entry, at, number),
            "@type": "dcat:Distribution",
            "dct:title": each.title or entry.title,
            "dcat:accessURL": {"@id": iri(each.access_url or each.download_url)},
        }
        if each.download_url:
            node["dcat:downloadURL"] = {"@id": iri(each.download_url)}
        if each.format:
            node["dct:format"] = {"@id": _format(each, at)}
            yield {"@id": _format(each, at), "@type": "dct:MediaTypeOrExtent"}
        if each.licence:
            node["dct:license"] = {"@id": _licence(each, at)}
            yield {"@id": _licence(each, at), "@type": "dct:LicenseDocument"}
        yield node


def _address(entry: CatalogueEntry, at: Addresses, number: int) -> str:
    return f"{at.dataset(entry.key)}#distribution-{number + 1}"


def _format(each: Distribution, at: Addresses) -> str:
    return file_type(each.format) or at.format(each.format)


def _licence(each: Distribution, at: Addresses) -> str:
    return iri(each.licence) if each.has_licence_address else at.licence(each.licence)
