"""Contracts and quality: the node's services, and what the catalogue says of them."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.portal.visit import Visit

MOST_ENTRIES = 500


def show(visit: Visit) -> Response:
    services = [each for each in visit.site.desk.services() if visit.concerns(each["id"])]
    entries = [
        entry
        for member in visit.site.desk.identity().members
        if visit.concerns(member.id)
        for entry in visit.site.catalogue.entries(after=member.id + "/", limit=MOST_ENTRIES)
        if entry.owner == member.id
    ]
    return visit.page(
        "contracts.html",
        services=services,
        entries=entries,
        published={entry.service for entry in entries},
    )
