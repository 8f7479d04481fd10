"""Accounts and roles, for operators."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.errors import AccountExists, LienthongError
from lienthong.portal.accounts import folded_name, is_account_name
from lienthong.portal.roles import GRANTED, Role, roles_from
from lienthong.portal.visit import Visit

ROLE_NAMES = [role.value for role in GRANTED]


def all_of_them(visit: Visit) -> Response:
    accounts = visit.site.accounts.store.all()
    return visit.page("users.html", accounts=accounts, roles=ROLE_NAMES, members=_members(visit))


def add(visit: Visit) -> Response:
    """A new account with a one-time password, which this answer alone shows."""
    form = visit.form
    name = folded_name(form.wanted("name", 64))
    if name and not is_account_name(name):
        form.refuse("name", "users.name_invalid")
    shown_name = form.wanted("shown_name", 200)
    roles = roles_from(form.chosen("roles", ROLE_NAMES))
    member = _member(visit)
    password = ""
    if form.good:
        try:
            password = visit.site.accounts.add(name, shown_name, roles, member=member)
        except AccountExists:
            form.refuse("name", "users.name_taken")
    if not form.good:
        return all_of_them(visit)
    visit.audit("user.add", f"{name}: {' '.join(sorted(roles))} {member}".rstrip())
    return visit.page("one_time_password.html", name=name, password=password)


def show(visit: Visit) -> Response:
    account = visit.site.accounts.get(visit.path("name"))
    return visit.page("user.html", user=account, roles=ROLE_NAMES, members=_members(visit))


def change(visit: Visit) -> Response:
    """Name, member, roles, and whether the account may sign in."""
    form, accounts = visit.form, visit.site.accounts
    account = accounts.get(visit.path("name"))
    shown_name = form.wanted("shown_name", 200)
    roles = roles_from(form.chosen("roles", ROLE_NAMES))
    member = _member(visit)
    disabled = form.value("disabled") == "yes"
    if _last_operator(visit, account.name) and (disabled or Role.OPERATOR not in roles):
        form.refuse("roles", "users.last_operator")
    if not form.good:
        return show(visit)
    changes = {"shown_name": shown_name, "roles": roles, "member": member, "disabled": disabled}
    accounts.store.change(account.name, **changes)
    if disabled:
        visit.site.sessions.end_all(account.name)
    told = f"{account.name}: {' '.join(sorted(roles))} {member}{' disabled' if disabled else ''}"
    visit.audit("user.change", told)
    return visit.redirect(f"/console/users/{account.name}", "user_changed")


def reset_password(visit: Visit) -> Response:
    account = visit.site.accounts.get(visit.path("name"))
    password = visit.site.accounts.reset_password(account.name)
    visit.site.sessions.end_all(account.name)
    visit.audit("user.password", account.name)
    return visit.page("one_time_password.html", name=account.name, password=password)


def remove_second_factor(visit: Visit) -> Response:
    """For somebody who lost the telephone and the recovery codes."""
    account = visit.site.accounts.get(visit.path("name"))
    visit.site.accounts.remove_second_factor(account.name)
    visit.site.sessions.end_all(account.name)
    visit.audit("user.second-factor.remove", account.name)
    return visit.redirect(f"/console/users/{account.name}", "second_factor_removed")


def _members(visit: Visit) -> list[tuple[str, str]]:
    """The members that the console's node hosts; none where there is no node."""
    try:
        return [(each.id, each.name) for each in visit.site.desk.identity().members]
    except LienthongError:
        return []


def _member(visit: Visit) -> str:
    return visit.form.one_of("member", ["", *(each for each, _ in _members(visit))])


def _last_operator(visit: Visit, name: str) -> bool:
    operators = [
        each.name
        for each in visit.site.accounts.store.all()
        if Role.OPERATOR in each.roles and not each.disabled
    ]
    return operators == [name]
