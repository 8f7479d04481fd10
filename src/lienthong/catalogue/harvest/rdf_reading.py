"""Read the RDF of a stranger: runs as a process of its own, under limits, without a network.

    python -m lienthong.catalogue.harvest.rdf_reading

From standard input one line of JSON (form, base, length) and the bytes; to standard output one
line of JSON: the datasets, the next page, the total; or the reason why not. Readers of RDF are
large, and some follow addresses that they find: here a hook refuses every connection, DOCTYPE and
remote contexts are refused before, and a bomb ends this process alone (``rdf_process.py``).
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any

MEMORY_BYTES = 2 << 30
LONGEST_TEXT = 20_000
DEEPEST = 60
MOST_DISTRIBUTIONS = 100
_DOCTYPE = re.compile("<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODING = re.compile(r"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"']*)["']""")


def main() -> int:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    from rdflib import Graph  # noqa: F401 - it has opened what it needs before the hook

    sys.addaudithook(_refuse_network)
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        content = sys.stdin.buffer.read(asked["length"])
        sys.stdout.write(json.dumps(_answer(asked, content)) + "\n")
        sys.stdout.flush()
    return 0


def _refuse_network(event: str, _arguments: Any) -> None:
    if event.startswith("socket.") or event in ("urllib.Request", "subprocess.Popen", "os.system"):
        raise PermissionError("a reader of RDF asks nobody")


def _answer(asked: dict[str, Any], content: bytes) -> dict[str, Any]:
    try:
        _check(content, asked["form"])
        return _read(content, asked["form"], asked["base"])
    except _Refused as error:
        return {"reason": str(error)}
    except (Exception, RecursionError) as error:  # readers raise what they like
        return {"reason": f"not readable: {type(error).__name__}"}


class _Refused(Exception):
    """What is not even tried; the text is an English reason."""


_PREFIXES = {
    "dct": "http://purl.org/dc/terms/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "hydra": "http://www.w3.org/ns/hydra/core#",
}


def _check(content: bytes, form: str) -> None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Refused("not UTF-8") from error
    if form == "xml":
        if (found := _ENCODING.match(text)) and found[1].lower() != "utf-8":
            raise _Refused("not UTF-8")  # what follows could hide a DOCTYPE
        if _DOCTYPE.search(text):
            raise _Refused("it has a DOCTYPE")
    if form == "json-ld":
        _check_contexts(json.loads(content), 0)


def _check_contexts(value: Any, depth: int) -> None:
    """Contexts have to be within the document: none is fetched."""
    if depth > DEEPEST:
        raise _Refused("nested too deeply")
    if isinstance(value, dict):
        for name, each in value.items():
            contexts = each if isinstance(each, list) else [each]
            if name == "@import" or (
                name == "@context" and any(isinstance(one, str) for one in contexts)
            ):
                raise _Refused("it names a context elsewhere")
            _check_contexts(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_contexts(each, depth + 1)


def _read(content: bytes, form: str, base: str) -> dict[str, Any]:
    from rdflib import Graph, URIRef
    from rdflib.namespace import DCAT, RDF

    graph = Graph().parse(data=content, format=form, publicID=base)
    reader = _Reader(graph)
    datasets = [
        reader.dataset(node)
        for node in sorted(set(graph.subjects(RDF.type, DCAT.Dataset)), key=str)
        if isinstance(node, URIRef) or reader.first(node, "dct:identifier")
    ]
    is_catalogue = (None, RDF.type, DCAT.Catalog) in graph
    return {"records": datasets, "is_catalogue": is_catalogue, **reader.paging()}


class _Reader:
    """Reads what DCAT says of datasets out of a graph."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def _iri(self, name: str) -> Any:
        from rdflib import URIRef

        prefix, _, local = name.partition(":")
        return URIRef(_PREFIXES[prefix] + local)

    def dataset(self, node: Any) -> dict[str, Any]:
        publishers = [self._name(each) for each in self._all(node, "dct:publisher")]
        publishers += [self._name(each) for each in self._all(node, "dct:creator")]
        contacts = [
            address
            for each in self._all(node, "dcat:contactPoint")
            for name in ("vcard:hasURL", "vcard:hasEmail")
            if (address := self.first(each, name))
        ]
        identifier = self.first(node, "dct:identifier")
        return {
            "id": str(node) if node.__class__.__name__ == "URIRef" else identifier,
            "identifier": identifier or str(node),
            "title": self._text(node, "dct:title"),
            "title_en": self._text(node, "dct:title", "en", only=True),
            "description": self._text(node, "dct:description"),
            "description_en": self._text(node, "dct:description", "en", only=True),
            "publisher": next(filter(None, publishers), ""),
            "landing_page": self.first(node, "dcat:landingPage") or str(node),
            "issued": self.first(node, "dct:issued"),
            "modified": self.first(node, "dct:modified"),
            "version": self.first(node, "dcat:version") or self.first(node, "owl:versionInfo"),
            "frequency": self.first(node, "dct:accrualPeriodicity"),
            "domain": next((self._name(each) for each in self._all(node, "dcat:theme")), ""),
            "contact": next(iter(contacts), ""),
            "tags": [str(each)[:300] for each in self._all(node, "dcat:keyword")][:50],
            "distributions": self._distributions(node),
            "legal_basis": [
                name
                for each in self._all(node, "dcatap:applicableLegislation")[:20]
                if (name := self._name(each))
            ],
        }

    def _distributions(self, node: Any) -> list[dict[str, str]]:
        licence = self._named(node, "dct:license")
        return [
            {
                "title": self._text(each, "dct:title"),
                "format": self._named(each, "dct:format") or self._named(each, "dcat:mediaType"),
                "access_url": self.first(each, "dcat:accessURL"),
                "download_url": self.first(each, "dcat:downloadURL"),
                "licence": self._named(each, "dct:license") or licence,
            }
            for each in self._all(node, "dcat:distribution")[:MOST_DISTRIBUTIONS]
        ]

    def _named(self, node: Any, name: str) -> str:
        """What a property names: its address; a node without one by its name."""
        for each in self._all(node, name):
            if each.__class__.__name__ == "BNode":
                return self._name(each)
            return str(each)[:LONGEST_TEXT]
        return ""

    def paging(self) -> dict[str, Any]:
        following = [
            str(each)
            for name in ("hydra:next", "hydra:nextPage")
            for each in self._graph.objects(None, self._iri(name))
        ]
        totals = [
            int(text)
            for each in self._graph.objects(None, self._iri("hydra:totalItems"))
            if (text := str(each)).isascii() and text.isdigit() and len(text) < 10
        ]
        return {"next": next(iter(following), ""), "total": next(iter(totals), None)}

    def first(self, node: Any, name: str) -> str:
        return next((str(each)[:LONGEST_TEXT] for each in self._all(node, name)), "")

    def _all(self, node: Any, name: str) -> list[Any]:
        return sorted(self._graph.objects(node, self._iri(name)), key=str)

    def _text(self, node: Any, name: str, language: str = "vi", only: bool = False) -> str:
        """In Vietnamese if it is there; else without a language; else whatever is there."""
        found = self._all(node, name)
        by_language: dict[str, list[str]] = {}
        for each in found:
            tongue = (getattr(each, "language", None) or "").split("-")[0]
            by_language.setdefault(tongue, []).append(str(each)[:LONGEST_TEXT])
        wanted = [language] if only else [language, "", *by_language]
        return next(self._in(by_language, wanted), "")

    def _in(self, by_language: dict[str, list[str]], wanted: list[str]) -> Iterator[str]:
        for each in wanted:
            yield from by_language.get(each, [])

    def _name(self, node: Any) -> str:
        if node.__class__.__name__ == "Literal":
            return str(node)[:LONGEST_TEXT]
        names = ("foaf:name", "skos:prefLabel", "dct:title", "rdfs:label", "vcard:fn")
        return next((text for name in names if (text := self._text(node, name))), "")


if __name__ == "__main__":
    raise SystemExit(main())
