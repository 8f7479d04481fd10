"""Who did what on these pages."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.portal.visit import Visit

ROWS = 100


def show(visit: Visit) -> Response:
    before = visit.query("before")
    lines = visit.site.audit.lines(
        account=visit.query("account")[:64],
        act=visit.query("act")[:64],
        before=int(before) if before.isdecimal() and len(before) < 16 else None,
        limit=ROWS,
    )
    more = lines[-1].id if len(lines) == ROWS else None
    return visit.page("audit.html", lines=lines, more=more)
