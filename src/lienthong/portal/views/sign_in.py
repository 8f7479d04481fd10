"""Signing in: password, second factor, provider; and out."""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from lienthong.errors import AccountExists, PageUnknown, SignInLocked, SignInRefused
from lienthong.portal.account_store import Account
from lienthong.portal.accounts import folded_name
from lienthong.portal.oidc import JOURNEY_SECONDS, OpenIdConnect, Person
from lienthong.portal.roles import STAFF, Role
from lienthong.portal.visit import Visit

LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")  # a path of ours, never another host


def show(visit: Visit) -> Response:
    if visit.account is not None:
        return visit.redirect(_next(visit.query("next"), visit.account))
    return visit.page("sign_in.html", next=visit.query("next"))


def check_password(visit: Visit) -> Response:
    """Name and password; then the second factor where there is one."""
    form, accounts = visit.form, visit.site.accounts
    after, name = form.value("next"), form.wanted("name", 64)
    password = form.value("password")
    if not password:
        form.refuse("password", "form.wanted")
    if not form.good:
        return visit.page("sign_in.html", next=after)
    try:
        account = accounts.sign_in(name, password)
    except (SignInRefused, SignInLocked) as error:
        return _refused(visit, "sign_in.html", "password", error, folded_name(name), next=after)
    _end_present(visit)
    if account.has_second_factor:
        _begin(visit, account, whole=False)
        return visit.redirect(f"/sign-in/code?next={quote(after, safe='')}")
    return _welcome(visit, account, "password", after)


def show_code(visit: Visit) -> Response:
    if _half_signed_in(visit) is None:
        return visit.redirect("/sign-in")
    return visit.page("sign_in_code.html", next=visit.query("next"))


def check_code(visit: Visit) -> Response:
    """The second factor."""
    account = _half_signed_in(visit)
    if account is None:
        return visit.redirect("/sign-in")
    after, code = visit.form.value("next"), visit.form.wanted("code", 40)
    if not visit.form.good:
        return visit.page("sign_in_code.html", next=after)
    try:
        visit.site.accounts.check_second_factor(account, code)
    except (SignInRefused, SignInLocked) as error:
        return _refused(visit, "sign_in_code.html", "code", error, account.name, next=after)
    _end_present(visit)
    return _welcome(visit, account, "second factor", after)


def go_to_provider(visit: Visit) -> Response:
    address, sealed = _provider(visit).begin(visit.query("next"))
    visit.set_cookie(visit.site.journey_cookie, sealed, JOURNEY_SECONDS)
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def return_from_provider(visit: Visit) -> Response:
    """Back from the provider with a code, which is worth nothing without our sealed cookie."""
    cookie = visit.request.cookies.get(visit.site.journey_cookie, "")
    provider = _provider(visit)
    person, after = provider.finish(cookie, visit.query("state"), visit.query("code"))
    visit.drop_cookie(visit.site.journey_cookie)
    account = _account_of(visit, person)
    if account.disabled:
        visit.audit("sign-in", "provider", "refused", account.name)
        raise SignInRefused()
    _end_present(visit)
    return _welcome(visit, account, "provider", after)


def sign_out(visit: Visit) -> Response:
    visit.audit("sign-out")
    _end_present(visit)
    visit.drop_cookie(visit.site.session_cookie)
    return visit.redirect("/", "signed_out")


def _provider(visit: Visit) -> OpenIdConnect:
    if visit.site.provider is None:
        raise PageUnknown()
    return visit.site.provider


def _account_of(visit: Visit, person: Person) -> Account:
    """The account that belongs to somebody at the provider; made at the first sign-in."""
    accounts = visit.site.accounts
    account = accounts.store.by_subject(person.subject)
    if account is not None:
        return account
    name = _name_for(person)
    try:
        accounts.add(name, person.name, [Role.CITIZEN], subject=person.subject)
        visit.audit("user.add", name, "first sign-in by provider", name)
    except AccountExists:
        pass  # made by the same person's other window, a moment ago
    found = accounts.store.by_subject(person.subject)
    if found is None:
        raise SignInRefused()
    return found


def _name_for(person: Person) -> str:
    """A name nobody chose: readable, and different for each subject."""
    plain = unicodedata.normalize("NFD", person.name.lower().replace("đ", "d"))
    readable = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
    return f"{readable[:40] or 'user'}-{sha256(person.subject.encode()).hexdigest()[:8]}"


def _half_signed_in(visit: Visit) -> Account | None:
    if visit.session is None or visit.session.whole:
        return None
    return visit.site.accounts.get(visit.session.account)


def _refused(
    visit: Visit,
    template: str,
    field: str,
    error: SignInRefused | SignInLocked,
    name: str,
    **context: str,
) -> Response:
    locked = isinstance(error, SignInLocked)
    visit.audit("sign-in", "password" if field == "password" else "second factor",
                "locked" if locked else "refused", name)  # fmt: skip
    visit.form.refuse(field, "sign_in.locked" if locked else "sign_in.refused", **error.facts)
    return visit.page(template, 429 if locked else 422, **context)


def _begin(visit: Visit, account: Account, *, whole: bool) -> None:
    token = visit.site.sessions.begin(account.name, whole=whole)
    visit.set_cookie(visit.site.session_cookie, token)


def _end_present(visit: Visit) -> None:
    """A session never outlives a change of who it is (session fixation)."""
    if visit.session is not None:
        visit.site.sessions.end(visit.session.digest)


def _welcome(visit: Visit, account: Account, how: str, after: str) -> Response:
    visit.audit("sign-in", how, "done", account.name)
    visit.site.sessions.clean()
    _begin(visit, account, whole=True)
    return visit.redirect("/account" if account.must_change else _next(after, account))


def _next(wanted: str, account: Account) -> str:
    if LOCAL.fullmatch(wanted):
        return wanted
    return "/console" if account.roles & STAFF else "/catalogue"
