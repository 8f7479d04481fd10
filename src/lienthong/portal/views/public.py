"""Home, about, and what search engines may read."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from lienthong.catalogue.query import Query
from lienthong.portal.visit import Visit

NEWEST = 6
FACETS_ON_HOME = 10


def home(visit: Visit) -> Response:
    """What this is, the search, the domains, and what is used most."""
    found = visit.site.search.find(Query(limit=NEWEST, facet_values=FACETS_ON_HOME))
    return visit.page("home.html", found=found)


def about(visit: Visit) -> Response:
    """How sharing works, who may see what, and what is kept."""
    return visit.page("about.html")


def robots(visit: Visit) -> Response:
    """Public pages may be read by all; the console by none."""
    closed = "".join(f"Disallow: {path}\n" for path in ("/console", "/account", "/ask", "/sign-in"))
    return PlainTextResponse(f"User-agent: *\n{closed}Sitemap: {visit.site.url}/sitemap.xml\n")
