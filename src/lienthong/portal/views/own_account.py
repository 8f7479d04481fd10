"""One's own account: password, second factor, recovery codes."""

from __future__ import annotations

import io

import segno
from starlette.responses import Response

from lienthong.errors import PageForbidden, PasswordWeak, SignInLocked, SignInRefused
from lienthong.portal.account_store import Account
from lienthong.portal.accounts import check_password
from lienthong.portal.totp import provisioning_uri
from lienthong.portal.visit import Visit


def show(visit: Visit) -> Response:
    account = _own(visit)
    left = visit.site.accounts.store.recovery_left(account.name)
    return visit.page("account.html", recovery_left=left)


def change_password(visit: Visit) -> Response:
    """Present and new password; other sessions of the account end."""
    form, account = visit.form, _own(visit)
    present, new = form.value("present"), form.value("new")
    for name in ("present", "new"):
        if not form.value(name):
            form.refuse(name, "form.wanted")
    if new and form.value("again") != new:
        form.refuse("again", "account.differ")
    if new:
        try:
            check_password(new, account.name)
        except PasswordWeak as error:
            form.refuse("new", "account.weak", **error.facts)
    if present:
        try:
            if form.good:
                visit.site.accounts.change_password(account, present, new)
            else:  # all that is wrong is told at once
                visit.site.accounts.check_present(account, present)
        except SignInRefused:
            form.refuse("present", "account.present_wrong")
        except SignInLocked as error:
            form.refuse("present", "sign_in.locked", **error.facts)
    if not form.good:
        return show(visit)
    assert visit.session is not None
    visit.site.sessions.end_all(account.name, except_digest=visit.session.digest)
    visit.audit("password.change")
    return visit.redirect("/account", "password_changed")


def second_factor(visit: Visit) -> Response:
    """The secret to take into an authenticator, until a code confirms it."""
    account = _own(visit)
    if account.has_second_factor:
        return visit.redirect("/account")
    secret = visit.site.accounts.pending_secret(account)
    uri = provisioning_uri(secret, account.name)
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return visit.page("second_factor.html", secret=grouped, uri=uri)


def qr_code(visit: Visit) -> Response:
    """The same as a picture for a telephone's camera."""
    account = _own(visit)
    if account.has_second_factor:
        raise PageForbidden()
    uri = provisioning_uri(visit.site.accounts.pending_secret(account), account.name)
    picture = io.BytesIO()
    segno.make(uri, error="m").save(picture, kind="svg", scale=5, border=4, light="#ffffff")
    headers = {"Cache-Control": "no-store"}
    return Response(picture.getvalue(), media_type="image/svg+xml", headers=headers)


def confirm_second_factor(visit: Visit) -> Response:
    """A code proves that the authenticator works; recovery codes are shown once."""
    account = _own(visit)
    if account.has_second_factor:
        return visit.redirect("/account")
    code = visit.form.wanted("code", 40)
    if visit.form.good:
        try:
            codes = visit.site.accounts.confirm_second_factor(account, code)
        except SignInRefused:
            visit.form.refuse("code", "account.code_wrong")
        else:
            visit.audit("second-factor.add")
            return visit.page("recovery_codes.html", codes=codes)
    return second_factor(visit)


def remove_second_factor(visit: Visit) -> Response:
    """Only with a code of it: a session left open must not be enough."""
    account = _own(visit)
    code = visit.form.wanted("code", 40)
    if visit.form.good and account.has_second_factor:
        try:
            visit.site.accounts.check_second_factor(account, code)
        except (SignInRefused, SignInLocked):
            visit.form.refuse("code", "account.code_wrong")
        else:
            visit.site.accounts.remove_second_factor(account.name)
            visit.audit("second-factor.remove")
            return visit.redirect("/account", "second_factor_removed")
    return show(visit)


def _own(visit: Visit) -> Account:
    if visit.account is None:
        raise PageForbidden()
    return visit.account
