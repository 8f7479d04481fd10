"""Home, about, and what search engines may read."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from lienthong.catalogue.query import Query
from lienthong.portal.visit import Visit

MOST_USED = 6
COUNTED = 100  # agencies and domains; where there are more, the page says so


def home(visit: Visit) -> Response:
    """What this is, the search, the domains, and what is used most."""
    found = visit.site.search.find(Query(limit=MOST_USED, facet_values=COUNTED))
    return visit.page("home.html", found=found, counted=COUNTED)


def about(visit: Visit) -> Response:
    """How sharing works, who may see what, and what is kept."""
    return visit.page("about.html")


def robots(visit: Visit) -> Response:
    """Public pages may be read by all; the console by none."""
    closed = "".join(f"Disallow: {path}\n" for path in ("/console", "/account", "/ask", "/sign-in"))
    return PlainTextResponse(f"User-agent: *\n{closed}Sitemap: {visit.site.url}/sitemap.xml\n")
