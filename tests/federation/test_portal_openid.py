"""Signing in by a real OpenID Connect provider, which runs as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from lienthong.errors import ProviderFailed
from lienthong.portal.oidc import JOURNEY_SECONDS, OpenIdConnect
from lienthong.portal.roles import Role
from tests.fixtures.database_servers import find_free_port
from tests.fixtures.federation import READY_SECONDS
from tests.fixtures.portal_site import PortalSite, Visitor


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = find_free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address, running)
            yield address
        finally:
            running.terminate()


def _wait(address: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert running.poll() is None
        try:
            found = requests.get(f"{address}/.well-known/openid-configuration", timeout=5)
            if found.status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError("the provider is not ready")


@pytest.fixture
def portal(issuer: str, tmp_path: Path) -> Iterator[PortalSite]:
    made = PortalSite(
        tmp_path / "p",
        oidc_issuer=issuer,
        oidc_client_id="cong-web",
        oidc_client_secret="a secret of the test",
        oidc_name="Định danh",
    )
    yield made
    made.site.close()


def go(visitor: Visitor, subject: str, after: str = "") -> str:
    """Go to the provider and agree there; returns our address that it sends back to."""
    address = visitor.get(f"/sign-in/provider?next={after}").headers["location"]
    back = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=90)
    parts = urlsplit(back.headers["location"])
    return f"{parts.path}?{parts.query}"


def test_who_signs_in_for_the_first_time_gets_an_account_that_may_nothing_special(
    portal: PortalSite,
) -> None:
    visitor = portal.visitor()
    assert "Đăng nhập bằng Định danh" in visitor.get("/sign-in").text
    answer = visitor.get(go(visitor, "nguyen-thi-an", "/account"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert visitor.get("/account").status_code == 200
    assert visitor.get("/console").status_code == 403
    (account,) = portal.site.accounts.store.all()
    assert account.roles == {Role.CITIZEN}
    assert account.password == ""


def test_the_same_person_comes_back_to_the_same_account_with_the_roles_given_meanwhile(
    portal: PortalSite,
) -> None:
    for _ in range(2):
        visitor = portal.visitor()
        visitor.get(go(visitor, "binh"))
        (account,) = portal.site.accounts.store.all()
        portal.site.accounts.store.change(account.name, roles={Role.OFFICER})
    assert visitor.get("/console").status_code == 200


def test_an_account_switched_off_does_not_come_in_by_the_provider(portal: PortalSite) -> None:
    visitor = portal.visitor()
    visitor.get(go(visitor, "cuong"))
    (account,) = portal.site.accounts.store.all()
    portal.site.accounts.store.change(account.name, disabled=True)
    again = portal.visitor()
    assert again.get(go(again, "cuong")).status_code == 403
    assert again.get("/account").status_code == 303


def test_another_browser_cannot_finish_a_sign_in(portal: PortalSite) -> None:
    victim, attacker = portal.visitor(), portal.visitor()
    stolen = go(attacker, "attacker")
    victim.get("/sign-in/provider")
    for visitor in (victim, portal.visitor()):
        assert visitor.get(stolen).status_code == 502
        assert visitor.get("/account").status_code == 303


def test_a_code_counts_once_and_a_changed_state_not_at_all(portal: PortalSite) -> None:
    visitor = portal.visitor()
    back = go(visitor, "an")
    assert visitor.get(back.replace("state=", "state=x")).status_code == 502
    assert visitor.get(back.replace("code=", "code=x")).status_code == 502
    visitor = portal.visitor()
    back = go(visitor, "an")
    journey = visitor.http.cookies[portal.site.journey_cookie]
    assert visitor.get(back).status_code == 303
    thief = portal.visitor()
    thief.http.cookies.set(portal.site.journey_cookie, journey)
    assert thief.get(back).status_code == 502


def test_an_id_token_for_another_journey_or_application_is_refused(portal: PortalSite) -> None:
    provider = portal.site.provider
    assert isinstance(provider, OpenIdConnect)
    address, sealed = provider.begin("/")
    back = requests.post(address, data={"sub": "an"}, allow_redirects=False, timeout=90)
    code = dict(pair.split("=") for pair in urlsplit(back.headers["location"]).query.split("&"))
    token = provider._exchange(code["state"], code["code"], _verifier(portal, sealed))["id_token"]
    with pytest.raises(ProviderFailed):
        provider._verified(token, "another nonce")
    head, body, signature = token.split(".")
    for forged in (f"{head}.{body}.", f"{head}.{body}.{signature[:-4]}AAAA", "", "a.b.c"):
        with pytest.raises(ProviderFailed):
            provider._verified(forged, "any")
    assert JOURNEY_SECONDS <= 600


def _verifier(portal: PortalSite, sealed: str) -> str:
    opened = portal.site.sealer.unseal(sealed)
    assert opened is not None
    return str(json.loads(opened)["verifier"])


def test_a_provider_that_is_away_is_told(tmp_path: Path) -> None:
    portal = PortalSite(
        tmp_path / "p", oidc_issuer=f"http://127.0.0.1:{find_free_port()}", oidc_client_id="x"
    )
    answer = portal.visitor().get("/sign-in/provider")
    assert answer.status_code == 502
    assert "nhà cung cấp không trả lời" in answer.text
    portal.site.close()
