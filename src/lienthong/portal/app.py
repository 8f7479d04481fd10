"""The application: who may, then the form and its token, then the handler in a thread.

app = portal_app(site)       # an ASGI application
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lienthong.catalogue.open_routes import open_routes
from lienthong.errors import FormStale, LienthongError, PageForbidden, PageUnknown
from lienthong.portal.forms import read_form
from lienthong.portal.headers import SecurityHeaders
from lienthong.portal.roles import Role
from lienthong.portal.routes import PAGES, Page
from lienthong.portal.site import Site
from lienthong.portal.visit import Visit

logger = logging.getLogger("lienthong.portal")

Endpoint = Callable[[Request], Awaitable[Response]]
# What somebody may open whose one-time password is still to be changed.
BEFORE_CHANGE = frozenset({"/account", "/account/password", "/sign-out"})


def portal_app(site: Site) -> SecurityHeaders:
    """Return the application over ``site``."""
    routes = [Route(page.path, _endpoint(site, page), methods=[page.method]) for page in PAGES]
    static = Route("/static/{mark}/{name:path}", site.static.serve, methods=["GET"])
    tellers = {
        LienthongError: _error_teller(site),
        HTTPException: _http_teller(site),
        Exception: _defect_teller(site),
    }
    for_programs = open_routes(site.catalogue, site.search, site.addresses)
    app = Starlette(routes=[static, *routes, *for_programs], exception_handlers=tellers)
    return SecurityHeaders(app, https=site.https)


def find_visit(site: Site, request: Request) -> Visit:
    """Who it is: by the session of the cookie, when its account may still sign in."""
    token = request.cookies.get(site.session_cookie, "")
    session = site.sessions.find(token) if token else None
    if session is None:
        return Visit(site, request, None, None)
    account = site.accounts.store.get(session.account)
    if account is None or account.disabled:
        site.sessions.end(session.digest)
        return Visit(site, request, None, None)
    return Visit(site, request, session, account if session.whole else None)


def _endpoint(site: Site, page: Page) -> Endpoint:
    async def answer(request: Request) -> Response:
        visit = await run_in_threadpool(find_visit, site, request)
        try:
            return visit.finish(await _answered(site, page, visit))
        except (PageForbidden, FormStale) as error:
            if page.method == "POST":
                await run_in_threadpool(_write_down, visit, error.code)
            raise

    return answer


async def _answered(site: Site, page: Page, visit: Visit) -> Response:
    refused = _refusal(page, visit)
    if refused is not None:
        if page.method == "POST":
            await run_in_threadpool(_write_down, visit, "not signed in")
        return refused
    if page.method == "POST":
        visit.form = await read_form(visit.request, page.largest)
        if not _same_origin(visit.request, site) or not visit.is_form_token(
            visit.form.value("form_token")
        ):
            raise FormStale()
    return await run_in_threadpool(page.handler, visit)


def _write_down(visit: Visit, outcome: str) -> None:
    """A form that was refused before its handler did anything; never what was in it."""
    visit.audit("page.refused", visit.request.url.path, outcome)


def _refusal(page: Page, visit: Visit) -> Response | None:
    """Deny by default. Raises PageForbidden for somebody signed in."""
    account = visit.account
    private = Role.PUBLIC not in page.roles and page.path not in BEFORE_CHANGE
    if account is not None and account.must_change and private:
        return visit.redirect("/account")
    if visit.roles & page.roles:
        return None
    if account is not None:
        raise PageForbidden()
    if page.method != "GET":
        return visit.redirect("/sign-in")
    wanted = visit.request.url.path
    if visit.request.url.query:
        wanted += "?" + visit.request.url.query
    return visit.redirect(f"/sign-in?next={quote(wanted, safe='')}")


def _same_origin(request: Request, site: Site) -> bool:
    """Browsers say where a form came from; what comes from elsewhere is refused early."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or origin in {site.url, f"{request.url.scheme}://{request.url.netloc}"}


def _error_teller(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def tell(request: Request, error: Exception) -> Response:
        assert isinstance(error, LienthongError)
        return await run_in_threadpool(_error_page, site, request, error)

    return tell


def _http_teller(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def tell(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return await run_in_threadpool(_error_page, site, request, PageUnknown())
        return PlainTextResponse(str(error.detail), error.status_code, error.headers)

    return tell


def _defect_teller(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def tell(request: Request, error: Exception) -> Response:
        logger.error("portal.defect", exc_info=error)
        return await run_in_threadpool(_error_page, site, request, LienthongError())

    return tell


def _error_page(site: Site, request: Request, error: LienthongError) -> Response:
    try:
        visit = find_visit(site, request)
    except LienthongError:  # the database is away: nobody is known
        visit = Visit(site, request, None, None)
    facts = {"code": error.code, "told": error.message(visit.language)}
    return visit.finish(
        visit.page("error.html", error.status, **facts, remedy=error.remedy(visit.language))
    )
