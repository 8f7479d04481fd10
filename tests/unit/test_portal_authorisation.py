"""Every page with every role: what the one table says, and nothing else, is what happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lienthong.portal.forms import LARGEST_FORM_BYTES
from lienthong.portal.roles import GRANTED, Role
from lienthong.portal.routes import PAGES, Page
from lienthong.portal.views.sign_in import LOCAL
from tests.fixtures.portal_site import PASSWORD, PortalSite, Visitor
from tests.fixtures.portal_world import made_entries

WHO = (Role.PUBLIC, *GRANTED)
NAMES = {role: role.value.replace("_", "-") for role in GRANTED}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    made = PortalSite(tmp_path_factory.mktemp("portal"))
    for role, name in NAMES.items():
        made.add(name, role)
    yield made
    made.site.close()


@pytest.fixture(scope="module")
def visitors(portal: PortalSite) -> dict[Role, Visitor]:
    signed_in = {role: portal.signed_in(name) for role, name in NAMES.items()}
    return {Role.PUBLIC: portal.visitor(), **signed_in}


def path_of(page: Page) -> str:
    parts = {"{key:path}": "VN/GOV/G01/x", "{id}": "9f1c", "{name}": "messages"}
    path = page.path
    for hole, value in parts.items():
        path = path.replace(hole, value)
    return path


def test_the_table_names_each_page_once_and_leaves_out_nobody_by_mistake() -> None:
    rows = [(page.path, page.method) for page in PAGES]
    assert len(rows) == len(set(rows))
    console = [page for page in PAGES if page.path.startswith("/console")]
    assert all(not {Role.PUBLIC, Role.CITIZEN} & page.roles for page in console)


def test_a_page_answers_no_method_but_its_own(portal: PortalSite) -> None:
    visitor = portal.signed_in("operator")
    assert visitor.http.delete("/console/users").status_code == 405
    assert visitor.http.put("/account/password").status_code == 405


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.method == "POST"], ids=lambda page: page.path
)
def test_a_form_without_its_token_changes_nothing(
    page: Page, visitors: dict[Role, Visitor]
) -> None:
    visitor = visitors[next(role for role in WHO if role in page.roles)]
    for token in ("", "x", "đ"):
        answer = visitor.http.post(path_of(page), data={"form_token": token})
        assert answer.status_code == 403
        assert "portal.form_stale" in answer.text


def test_a_token_of_another_browser_is_no_token(portal: PortalSite) -> None:
    theirs = portal.signed_in("operator").token()
    mine = portal.signed_in("officer")
    assert mine.http.post("/sign-out", data={"form_token": theirs}).status_code == 403


def test_a_form_sent_from_another_site_is_refused_even_with_a_token(portal: PortalSite) -> None:
    visitor = portal.signed_in("officer")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert visitor.send("/sign-out", {}, headers=headers).status_code == 403


def test_a_form_larger_than_any_is_refused(portal: PortalSite) -> None:
    visitor = portal.visitor()
    answer = visitor.send("/sign-in", {"name": "x" * (LARGEST_FORM_BYTES + 1)})
    assert answer.status_code == 413


def test_signing_in_begins_another_session_and_signing_out_ends_it(portal: PortalSite) -> None:
    visitor = portal.signed_in("officer")
    cookie = portal.site.session_cookie
    first = visitor.http.cookies[cookie]
    visitor.send("/sign-in", {"name": "officer", "password": PASSWORD})
    second = visitor.http.cookies[cookie]
    assert first != second
    visitor.send("/sign-out", {})
    for token in (first, second):
        thief = portal.visitor()
        thief.http.cookies.set(cookie, token)
        assert thief.get("/account").status_code == 303


def test_cookies_are_for_this_site_and_no_script(portal: PortalSite) -> None:
    answer = portal.visitor().send("/sign-in", {"name": "officer", "password": PASSWORD})
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags


def test_an_https_portal_binds_its_cookies_to_the_host_and_asks_for_https(tmp_path: Path) -> None:
    portal = PortalSite(tmp_path / "p", portal_url="https://du-lieu.example.vn")
    portal.add("an", Role.OFFICER)
    answer = portal.visitor().send("/sign-in", {"name": "an", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-lienthong_session=")
    assert "Secure" in cookie
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    portal.site.close()


def test_a_one_time_password_opens_the_page_to_change_it_and_no_other(portal: PortalSite) -> None:
    password = portal.site.accounts.add("moi", "Mới", [Role.OPERATOR])
    visitor = portal.visitor()
    visitor.send("/sign-in", {"name": "moi", "password": password})
    assert visitor.get("/console/users").headers["location"] == "/account"
    changed = {"present": password, "new": PASSWORD, "again": PASSWORD}
    assert visitor.send("/account/password", changed).status_code == 303
    assert visitor.get("/console/users").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a b",
        "",
    ],
)
def test_after_signing_in_nobody_is_sent_to_another_site(portal: PortalSite, address: str) -> None:
    sent = {"name": "officer", "password": PASSWORD, "next": address}
    answer = portal.visitor().send("/sign-in", sent)
    assert answer.headers["location"] == "/console"
    assert not LOCAL.fullmatch(address)


def test_a_wrong_form_comes_back_whole_with_errors_beside_its_fields(portal: PortalSite) -> None:
    visitor = portal.signed_in("operator")
    typed = {"name": "Ông Ba!", "shown_name": "<b>Ba</b>", "roles": "king", "member": "VN/GOV/X"}
    answer = visitor.send("/console/users", typed)
    assert answer.status_code == 422
    for name in ("name", "roles", "member"):
        assert f'id="{name}-error"' in answer.text
    assert "&lt;b&gt;Ba&lt;/b&gt;" in answer.text
    assert "Ông Ba!" in answer.text
    assert "Lựa chọn không có trong danh sách." in answer.text


def test_all_that_is_wrong_with_a_new_password_is_told_at_once(portal: PortalSite) -> None:
    visitor = portal.signed_in("operator")
    wrong = {"present": "sai", "new": "a", "again": "b"}
    answer = visitor.send("/account/password", wrong)
    assert answer.status_code == 422
    for name in ("present", "new", "again"):
        assert f'id="{name}-error"' in answer.text


def test_the_last_operator_stays_one(tmp_path: Path) -> None:
    portal = PortalSite(tmp_path / "p")
    portal.add("an", Role.OPERATOR)
    visitor = portal.signed_in("an")
    sent = {"shown_name": "An", "roles": "auditor", "member": ""}
    answer = visitor.send("/console/users/an", sent)
    assert answer.status_code == 422
    assert "người vận hành cuối cùng" in answer.text
    assert portal.site.accounts.get("an").roles == {Role.OPERATOR}
    portal.site.close()


def test_what_operators_do_is_written_down(portal: PortalSite) -> None:
    visitor = portal.signed_in("operator")
    sent = {"name": "dung", "shown_name": "Dũng", "roles": "citizen", "member": ""}
    answer = visitor.send("/console/users", sent)
    assert answer.status_code == 200
    assert "Mật khẩu dùng một lần" in answer.text
    assert visitor.send("/console/users/dung/password", {}).status_code == 200
    acts = [
        (line.account, line.act, line.subject.split(":")[0]) for line in portal.site.audit.lines()
    ]
    assert acts[:2] == [("operator", "user.password", "dung"), ("operator", "user.add", "dung")]
    assert "Dũng" in visitor.get("/console/users/dung").text
    assert "dung" in visitor.get("/console/audit").text


def test_pages_speak_english_when_asked_and_keep_it(portal: PortalSite) -> None:
    visitor = portal.visitor()
    assert '<html lang="vi">' in visitor.get("/").text
    assert "never the citizen again" in visitor.get("/?lang=en").text
    assert '<html lang="en">' in visitor.get("/about").text
    assert '<html lang="en">' in visitor.get("/about?lang=zz").text


def test_a_dataset_s_markup_cannot_end_its_script_element(portal: PortalSite) -> None:
    entry = next(iter(made_entries(1)))
    evil = "</script><script>alert(1)</script>"
    portal.site.catalogue.save([msgspec.structs.replace(entry, title=evil, description=evil)])
    page = portal.visitor().get(f"/datasets/{entry.key}").text
    assert "<script>alert" not in page
    block = page.partition('ld+json">')[2].partition("</script>")[0]
    assert json.loads(block)["name"] == evil


def test_static_files_are_named_by_their_content(portal: PortalSite) -> None:
    address = portal.site.static.address("portal.css")
    answer = portal.visitor().get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    old = portal.visitor().get("/static/000000000000/portal.css")
    assert "immutable" not in old.headers["cache-control"]
    assert portal.visitor().get("/static/x/../../portal.toml").status_code == 404
    assert portal.visitor().get("/static/x/..%2f..%2fsecret.key").status_code == 404
