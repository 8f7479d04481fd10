"""Times as people in Vietnam read them; files, APIs and JSON keep UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))


def vietnam_time(text: str) -> str:
    """Rewrite an ISO 8601 time for a table: ``2026-01-01 07:00:00 +07:00``."""
    moment = datetime.fromisoformat(text).astimezone(VIETNAM)
    return moment.isoformat(" ", "seconds").replace("+07:00", " +07:00")
