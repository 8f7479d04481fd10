"""The catalogue over HTTP: nodes publish, programs search (protocol 0007).

    Starlette(routes=catalogue_routes(service))

Errors are RFC 9457 problems in Vietnamese and English.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lienthong.catalogue.problems import telling
from lienthong.catalogue.publishing import LARGEST_ENVELOPE_BYTES
from lienthong.catalogue.query import Query
from lienthong.catalogue.search import Found
from lienthong.catalogue.service import CatalogueService
from lienthong.catalogue.terms import FILTERS
from lienthong.errors import InvalidPublication, QueryInvalid

PATH = "/lienthong/1/catalogue"


def catalogue_routes(service: CatalogueService) -> list[Route]:
    """Return the routes over ``service``."""

    async def publish(request: Request) -> Response:
        envelope = await _body(request)
        taken = await run_in_threadpool(service.receive, envelope)
        return _json({"entry": taken.key, "version": taken.version, "act": taken.act})

    async def search(request: Request) -> Response:
        query = query_of(request)
        return _json(page_of(await run_in_threadpool(service.search.find, query)))

    async def entry(request: Request) -> Response:
        key = request.path_params["key"]
        return _json(await run_in_threadpool(service.store.get, key))

    async def history(request: Request) -> Response:
        key = request.path_params["key"]
        return _json({"history": await run_in_threadpool(service.store.history, key)})

    return [
        Route(PATH, telling(publish), methods=["POST"]),
        Route(PATH, telling(search), methods=["GET"]),
        Route(PATH + "/entries/{key:path}", telling(entry), methods=["GET"]),
        Route(PATH + "/history/{key:path}", telling(history), methods=["GET"]),
    ]


def query_of(request: Request) -> Query:
    """Read a search from a URL's parameters. Raises QueryInvalid."""
    given = request.query_params
    filters = {name: tuple(given.getlist(name)) for name in FILTERS if name in given}
    return Query(
        given.get("q", ""),
        filters,
        tuple(given.getlist("field")),
        _number(given.get("limit", "20"), "limit"),
        _number(given.get("offset", "0"), "offset"),
        _number(given.get("facets", "20"), "facets"),
    )


def page_of(found: Found) -> dict[str, Any]:
    """A page of results as it is written in JSON."""
    return {
        "total": found.total,
        "exact": found.exact,
        "entries": found.entries,
        "facets": found.facets,
    }


async def _body(request: Request) -> bytes:
    """Read the body, no further than an envelope can be."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > LARGEST_ENVELOPE_BYTES:
            raise InvalidPublication(reason=f"over {LARGEST_ENVELOPE_BYTES} bytes")
    return bytes(read)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryInvalid(reason=f"{name} is not a number")
    return int(text)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
