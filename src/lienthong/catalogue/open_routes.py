"""What programs of others read: DCAT, CKAN's Action API, sitemaps. Read-only, for everybody.

    Starlette(routes=open_routes(store, search, Addresses("https://du-lieu.example.vn")))

| Address | Answer |
|---|---|
| ``/catalog.jsonld``, ``/catalog.ttl`` | DCAT-AP 3, ``page``, ``modified_since`` |
| ``/catalog`` | the same, in the form that ``Accept`` asks for |
| ``/dataset/<entry>.ttl``, ``….jsonld``, ``/dataset/<entry>`` | one dataset |
| ``/organization/…``, ``/group/…``, ``/legal-basis/…``, ``/unit/…`` | its datasets |
| ``/api/3/action/…`` | CKAN (``ckan/routes.py``) |
| ``/sitemap.xml``, ``/sitemap-<n>.xml`` | for search engines |
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from lienthong.catalogue.addresses import Addresses, group_name, key_of
from lienthong.catalogue.ckan.actions import Actions
from lienthong.catalogue.ckan.routes import ckan_routes
from lienthong.catalogue.dcat.pages import read_page, write_dataset, write_page
from lienthong.catalogue.dcat.writing import JSON_LD, TURTLE
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.problems import Handler, telling
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.sitemap import sitemap, sitemap_file
from lienthong.catalogue.store import CatalogueStore
from lienthong.errors import EntryUnknown, QueryInvalid

HTML = "text/html"
_FORMS = {".ttl": TURTLE, ".jsonld": JSON_LD}
_SECONDS = "max-age=60"

Answering = Callable[[Request], Response]


def open_routes(store: CatalogueStore, search: CatalogueSearch, at: Addresses) -> list[Route]:
    """Return the routes over one catalogue."""
    reader = _Reader(store, search, at)
    table: list[tuple[str, Answering]] = [
        ("/catalog.jsonld", lambda request: reader.catalogue(request, JSON_LD)),
        ("/catalog.ttl", lambda request: reader.catalogue(request, TURTLE)),
        ("/catalog", reader.negotiated_catalogue),
        ("/dataset/{key:path}", reader.dataset),
        ("/organization/{name}", reader.organization),
        ("/group/{name}", reader.group),
        ("/legal-basis/{name:path}", reader.law),
        ("/unit/{name}", reader.unit),
        ("/sitemap.xml", lambda _: _xml(sitemap(store, at))),
        ("/sitemap-{number:int}.xml", reader.sitemap_file),
    ]
    routes = [Route(path, telling(_threaded(answer)), methods=["GET"]) for path, answer in table]
    return [*routes, *ckan_routes(Actions(store, search, at), at.url)]


def robots_route(at: Addresses) -> Route:
    """``robots.txt`` of a catalogue without pages; the portal has one of its own."""

    async def robots(_request: Request) -> Response:
        return PlainTextResponse(f"User-agent: *\nDisallow: /api/\nSitemap: {at.url}/sitemap.xml\n")

    return Route("/robots.txt", robots, methods=["GET"])


class _Reader:
    def __init__(self, store: CatalogueStore, search: CatalogueSearch, at: Addresses) -> None:
        self._store = store
        self._search = search
        self._at = at

    def catalogue(self, request: Request, form: str) -> Response:
        given = request.query_params
        page = read_page(
            self._search, _number(given.get("page", "1")), _since(given.get("modified_since", ""))
        )
        if page.number > page.last:
            raise QueryInvalid(reason="there is no such page")
        return _tagged(request, *write_page(page, self._at, form), form)

    def negotiated_catalogue(self, request: Request) -> Response:
        form = preferred(request.headers.get("accept", ""))
        if form == HTML and self._at.has_pages:
            return _see(f"{self._at.url}/catalogue")
        return self.catalogue(request, JSON_LD if form == HTML else form)

    def dataset(self, request: Request) -> Response:
        key, form = self._form_of(request)
        entry = self._find(key)
        if form == HTML:
            if self._at.has_pages:
                return _see(self._at.page(entry.key))
            form = JSON_LD
        return _tagged(request, *write_dataset(entry, self._at, form), form)

    def _form_of(self, request: Request) -> tuple[str, str]:
        """The key and the form; a contract's own id may end like a form's name."""
        key = request.path_params["key"]
        for ending, form in _FORMS.items():
            if key.endswith(ending) and self._store.stored(key) is None:
                return key.removesuffix(ending), form
        return key, preferred(request.headers.get("accept", ""))

    def _find(self, key: str) -> CatalogueEntry:
        try:
            return self._store.get(key)
        except EntryUnknown:  # CKAN's programs make addresses of names
            return self._store.get(key_of(key))

    # --- what a dataset names ---------------------------------------------------------

    def organization(self, request: Request) -> Response:
        return self._found("agency", key_of(request.path_params["name"]))

    def group(self, request: Request) -> Response:
        wanted = request.path_params["name"]
        for domain in self._search.values("domain"):
            if group_name(domain) == wanted:
                return self._found("domain", domain)
        raise EntryUnknown(entry=wanted[:200])

    def law(self, request: Request) -> Response:
        return self._found("legal_basis", request.path_params["name"])

    def unit(self, request: Request) -> Response:
        return self._found("unit", request.path_params["name"])

    def _found(self, facet: str, value: str) -> Response:
        path = "/catalogue" if self._at.has_pages else "/lienthong/1/catalogue"
        return _see(f"{self._at.url}{path}?{urlencode({facet: value})}")

    def sitemap_file(self, request: Request) -> Response:
        return _xml(sitemap_file(self._store, self._at, request.path_params["number"]))


def preferred(accept: str) -> str:
    """The form that a client likes best; people's browsers like HTML."""
    best, most = HTML, 0.0
    for part in accept.split(",")[:50]:
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        weight = next((_weight(each) for each in parameters if each.startswith("q=")), 1.0)
        form = {"application/json": JSON_LD, "application/x-turtle": TURTLE}.get(name, name)
        if form in (HTML, JSON_LD, TURTLE) and weight > most:
            best, most = form, weight
    return best


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0


def _threaded(answer: Answering) -> Handler:
    async def answering(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return answering


def _tagged(request: Request, body: bytes, tag: str, form: str) -> Response:
    headers = {"etag": tag, "cache-control": _SECONDS, "vary": "accept"}
    known = (each.strip() for each in request.headers.get("if-none-match", "").split(","))
    if tag.removeprefix("W/") in {each.removeprefix("W/") for each in known}:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=form, headers=headers)


def _xml(body: bytes) -> Response:
    return Response(body, media_type="application/xml", headers={"cache-control": _SECONDS})


def _see(address: str) -> Response:
    """What the address names is no document, but there is one about it (303)."""
    return RedirectResponse(address, 303, headers={"vary": "accept"})


def _number(text: str, name: str = "page") -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryInvalid(reason=f"{name} is not a number")
    return int(text)


def _since(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise QueryInvalid(reason=f"no moment: {text[:40]}") from error
