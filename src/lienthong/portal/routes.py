"""The one table of pages: path, methods, who may, what answers.

A role that is not in a page's row gets nothing from it; the check is in ``app.py``, before the
handler runs. ``tests/unit/test_portal_routes.py`` has the status of every row for every role.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from starlette.responses import Response

from lienthong.portal.forms import (
    LARGEST_CONTRACT_FORM_BYTES,
    LARGEST_FORM_BYTES,
    LARGEST_UPLOAD_BYTES,
)
from lienthong.portal.roles import EVERYBODY, SIGNED_IN, STAFF, Role
from lienthong.portal.views import (
    agreements,
    ask,
    audit,
    catalogue,
    contracts,
    evidence,
    harvest,
    health,
    messages,
    overview,
    own_account,
    public,
    sign_in,
    submit,
    users,
)
from lienthong.portal.visit import Visit

Handler = Callable[[Visit], Response]

RECORDS = frozenset({Role.OFFICER, Role.DATA_OWNER, Role.AUDITOR})  # who may see what was asked
PARTIES = frozenset({Role.OFFICER, Role.DATA_OWNER})
OWNER = frozenset({Role.DATA_OWNER})
ASKER = frozenset({Role.OFFICER})
OPERATOR = frozenset({Role.OPERATOR})
WATCH = frozenset({Role.OPERATOR, Role.AUDITOR})


class Page(NamedTuple):
    """One row. ``largest`` bounds what may be sent to it, in bytes."""

    path: str
    method: str
    roles: frozenset[Role]
    handler: Handler
    largest: int = LARGEST_FORM_BYTES


PAGES: tuple[Page, ...] = (
    Page("/", "GET", EVERYBODY, public.home),
    Page("/about", "GET", EVERYBODY, public.about),
    Page("/robots.txt", "GET", EVERYBODY, public.robots),
    Page("/catalogue", "GET", EVERYBODY, catalogue.search),
    Page("/datasets/{key:path}", "GET", EVERYBODY, catalogue.dataset),
    Page("/ask/{key:path}", "GET", ASKER, ask.show),
    Page("/ask/{key:path}", "POST", ASKER, ask.send),
    Page("/sign-in", "GET", EVERYBODY, sign_in.show),
    Page("/sign-in", "POST", EVERYBODY, sign_in.check_password),
    Page("/sign-in/code", "GET", EVERYBODY, sign_in.show_code),
    Page("/sign-in/code", "POST", EVERYBODY, sign_in.check_code),
    Page("/sign-in/provider", "GET", EVERYBODY, sign_in.go_to_provider),
    Page("/sign-in/provider/return", "GET", EVERYBODY, sign_in.return_from_provider),
    Page("/sign-out", "POST", SIGNED_IN, sign_in.sign_out),
    Page("/account", "GET", SIGNED_IN, own_account.show),
    Page("/account/password", "POST", SIGNED_IN, own_account.change_password),
    Page("/account/second-factor", "GET", SIGNED_IN, own_account.second_factor),
    Page("/account/second-factor", "POST", SIGNED_IN, own_account.confirm_second_factor),
    Page("/account/second-factor/remove", "POST", SIGNED_IN, own_account.remove_second_factor),
    Page("/account/second-factor/code.svg", "GET", SIGNED_IN, own_account.qr_code),
    Page("/console", "GET", STAFF, overview.show),
    Page("/console/messages", "GET", RECORDS, messages.search),
    Page("/console/messages", "POST", RECORDS, messages.search_citizen),
    Page("/console/messages/{id}", "GET", RECORDS, messages.show),
    Page("/console/messages/{id}/evidence", "POST", RECORDS, evidence.export),
    Page("/console/evidence", "GET", RECORDS, evidence.show),
    Page("/console/evidence", "POST", RECORDS, evidence.verify, LARGEST_UPLOAD_BYTES),
    Page("/console/agreements", "GET", RECORDS, agreements.all_of_them),
    Page("/console/agreements/{id}", "GET", RECORDS, agreements.show),
    Page("/console/agreements/{id}/accept", "POST", PARTIES, agreements.accept),
    Page("/console/agreements/{id}/refuse", "POST", PARTIES, agreements.refuse),
    Page("/console/agreements/{id}/narrow", "POST", OWNER, agreements.narrow),
    Page("/console/agreements/{id}/withdraw", "POST", PARTIES, agreements.withdraw),
    Page("/console/contracts", "GET", STAFF, contracts.all_of_them),
    Page("/console/contracts/submit", "GET", OWNER, submit.show),
    Page("/console/contracts/submit", "POST", OWNER, submit.send, LARGEST_CONTRACT_FORM_BYTES),
    Page("/console/contracts/of/{key:path}", "GET", STAFF, contracts.show),
    Page("/console/contracts/of/{key:path}", "POST", OWNER, contracts.measure),
    Page("/console/health", "GET", WATCH, health.show),
    Page("/console/health/doctor", "GET", WATCH, health.doctor),
    Page("/console/harvest", "GET", WATCH, harvest.show),
    Page("/console/harvest/{name}", "POST", OPERATOR, harvest.run_soon),
    Page("/console/users", "GET", OPERATOR, users.all_of_them),
    Page("/console/users", "POST", OPERATOR, users.add),
    Page("/console/users/{name}", "GET", OPERATOR, users.show),
    Page("/console/users/{name}", "POST", OPERATOR, users.change),
    Page("/console/users/{name}/password", "POST", OPERATOR, users.reset_password),
    Page("/console/users/{name}/second-factor", "POST", OPERATOR, users.remove_second_factor),
    Page("/console/audit", "GET", WATCH, audit.show),
)
