"""One request of one visitor: who it is, in which language, with which form.

Handlers get a ``Visit`` and return a response; they run in a thread and may block.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lienthong.portal.account_store import Account
from lienthong.portal.forms import Form
from lienthong.portal.roles import Role
from lienthong.portal.sessions import Session
from lienthong.portal.texts import LANGUAGES, has_text, text

if TYPE_CHECKING:
    from lienthong.portal.site import Site

LANGUAGE_COOKIE = "lienthong_language"
YEAR_SECONDS = 365 * 24 * 3600


class Visit:
    """Who asks for what. ``account`` is None for somebody not signed in."""

    def __init__(
        self, site: Site, request: Request, session: Session | None, account: Account | None
    ) -> None:
        self.site = site
        self.request = request
        self.session = session
        self.account = account
        self.form = Form()
        self.language, self._told_language = _language(request)
        self._cookies: list[tuple[str, str, int | None]] = []
        self._visitor = request.cookies.get(site.visitor_cookie, "")

    # --- who ---

    @property
    def roles(self) -> frozenset[Role]:
        given = frozenset() if self.account is None else self.account.roles
        return given | {Role.PUBLIC}

    def has(self, *roles: str) -> bool:
        return bool({Role(role) for role in roles} & self.roles)

    @property
    def name(self) -> str:
        return "" if self.account is None else self.account.name

    @property
    def member(self) -> str:
        """The member in whose name the account acts; empty: all that the node hosts."""
        return "" if self.account is None else self.account.member

    def concerns(self, *identifiers: str) -> bool:
        """Whether one of the identifiers belongs to the account's member."""
        return not self.member or any(
            each == self.member or each.startswith(self.member + "/") for each in identifiers
        )

    @property
    def address(self) -> str:
        client = self.request.client
        return "" if client is None else client.host

    def audit(self, act: str, subject: str = "", outcome: str = "done", name: str = "") -> None:
        """Write down what was done; before the page says that it is."""
        self.site.audit.write(name or self.name or "-", act, subject, outcome, self.address)

    # --- what was sent ---

    @property
    def is_fragment(self) -> bool:
        """Whether the script asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true" and not self.request.headers.get(
            "hx-history-restore-request"
        )

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()

    def path(self, name: str) -> str:
        return str(self.request.path_params.get(name, ""))

    # --- what is answered ---

    def text(self, name: str, /, **facts: object) -> str:
        return text(self.language, name, **facts)

    def text_or(self, name: str, otherwise: str) -> str:
        return text(self.language, name) if has_text(self.language, name) else otherwise

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Render a template; with errors in the form the status is 422."""
        if status == 200 and not self.form.good:
            status = 422
        html = self.site.pages.render(template, self, context)
        response = Response(html, status, media_type="text/html")
        private = self.account is not None or self.session is not None
        response.headers["Cache-Control"] = "no-store" if private else "no-cache"
        response.headers["Vary"] = "Cookie, HX-Request"
        return response

    def redirect(self, address: str, done: str = "") -> Response:
        """See other; ``done`` names the text that the next page shows once."""
        if done:
            address += ("&" if "?" in address else "?") + f"done={done}"
        return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})

    def form_token(self) -> str:
        """The token for a form on this page; a visitor without a session gets a cookie."""
        return self.site.sealer.form_token(self._held_cookie(make=True))

    def is_form_token(self, token: str) -> bool:
        held = self._held_cookie(make=False)
        return bool(held) and self.site.sealer.is_form_token(held, token)

    def _held_cookie(self, *, make: bool) -> str:
        token = self.request.cookies.get(self.site.session_cookie, "")
        if self.session is not None and token:
            return token
        if not self._visitor and make:
            self._visitor = secrets.token_urlsafe(24)
            self.set_cookie(self.site.visitor_cookie, self._visitor)
        return self._visitor

    def set_cookie(self, name: str, value: str, seconds: int | None = None) -> None:
        self._cookies.append((name, value, seconds))

    def drop_cookie(self, name: str) -> None:
        self._cookies.append((name, "", 0))

    def finish(self, response: Response) -> Response:
        """Add the cookies."""
        if self._told_language:
            self.set_cookie(LANGUAGE_COOKIE, self.language, YEAR_SECONDS)
        for name, value, seconds in self._cookies:
            response.set_cookie(
                name,
                value,
                max_age=seconds,
                path="/",
                secure=self.site.https,
                httponly=True,
                samesite="lax",
            )
        return response


def _language(request: Request) -> tuple[str, bool]:
    """The language, and whether this very request chose it."""
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        return asked, True
    kept = request.cookies.get(LANGUAGE_COOKIE, "")
    return (kept if kept in LANGUAGES else LANGUAGES[0]), False
