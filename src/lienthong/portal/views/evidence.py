"""Evidence: taken out of the ledger, and judged by the root of trust that the node holds."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.errors import EvidenceError, LienthongError
from lienthong.given_paths import read_given
from lienthong.ledger.evidence import verify_evidence
from lienthong.node.verdict_view import verdict_facts
from lienthong.portal.views.messages import find
from lienthong.portal.visit import Visit


def export(visit: Visit) -> Response:
    """A file that anybody can check without us."""
    exchange = find(visit, visit.path("id"))
    content = visit.site.desk.evidence(exchange.request_id)
    visit.audit("evidence.export", exchange.request_id)
    name = f"bang-chung-{exchange.request_id}.json"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(content, media_type="application/vnd.lienthong.evidence", headers=headers)


def show(visit: Visit) -> Response:
    return visit.page("evidence.html", verdict=None, reason="")


def verify(visit: Visit) -> Response:
    """Judge a file that somebody has brought."""
    content = visit.form.file("bundle")
    if not content:
        visit.form.refuse("bundle", "evidence.file_wanted")
        return show(visit)
    root = read_given(visit.site.desk.folder.root)
    try:
        verdict = verdict_facts(verify_evidence(content, root))
    except LienthongError as error:
        if not isinstance(error, EvidenceError):
            raise
        visit.audit("evidence.verify", "", "invalid")
        return visit.page("evidence.html", 422, verdict=None, reason=error.message(visit.language))
    visit.audit("evidence.verify", str(verdict["request"].get("x-road-request-id", "")), "valid")
    return visit.page("evidence.html", verdict=verdict, reason="")
