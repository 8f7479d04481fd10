"""Signing in by an OpenID Connect provider: code flow with PKCE, Authlib as the client.

1. ``begin``: the address at the provider, and what this browser must bring back (sealed).
2. ``finish``: state compared, code exchanged, ID token verified: signature by the provider's
   keys, issuer, audience, time, nonce (OpenID Connect Core 1.0 §3.1.3.7).

An account is made at the first sign-in, with the role ``citizen`` and nothing else.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lienthong.errors import ProviderFailed
from lienthong.portal.sealing import Sealer

TIMEOUT_SECONDS = 10.0
JOURNEY_SECONDS = 600  # from our page to the provider and back
METADATA_SECONDS = 3600.0
SKEW_SECONDS = 60
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]  # never "none", never a shared secret


@dataclass(frozen=True, slots=True)
class Provider:
    """Which provider, and who we are there."""

    issuer: str
    client_id: str
    client_secret: str
    name: str
    return_address: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider names; ``subject`` is its issuer and its own id."""

    subject: str
    name: str


class OpenIdConnect:
    """One provider. Blocking; from any thread."""

    def __init__(self, provider: Provider, sealer: Sealer) -> None:
        self.provider = provider
        self._sealer = sealer
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._one = threading.Lock()

    def begin(self, after: str) -> tuple[str, str]:
        """Return the address to go to, and the sealed cookie. Raises ProviderFailed."""
        state, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(48)
        with self._session(state) as session:
            address, _ = session.create_authorization_url(
                self._address("authorization_endpoint"),
                state=state,
                nonce=nonce,
                code_verifier=verifier,
            )
        journey = {"state": state, "nonce": nonce, "verifier": verifier, "after": after}
        return str(address), self._sealer.seal(json.dumps(journey))

    def finish(self, cookie: str, state: str, code: str) -> tuple[Person, str]:
        """Return the person and the page wanted. Raises ProviderFailed."""
        sealed = self._sealer.unseal(cookie, JOURNEY_SECONDS)
        if sealed is None:
            raise ProviderFailed(reason="the sign-in took too long or began in another browser")
        journey = json.loads(sealed)
        if not state or not secrets.compare_digest(journey["state"].encode(), state.encode()):
            raise ProviderFailed(reason="the answer belongs to another sign-in")
        token = self._exchange(state, code, journey["verifier"])
        claims = self._verified(str(token.get("id_token", "")), journey["nonce"])
        name = str(claims.get("name") or claims.get("email") or claims["sub"])
        return Person(f"{self.provider.issuer}|{claims['sub']}", name[:200]), journey["after"]

    def _session(self, state: str) -> OAuth2Session:
        return OAuth2Session(
            self.provider.client_id,
            self.provider.client_secret,
            scope="openid profile email",
            state=state,
            redirect_uri=self.provider.return_address,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_SECONDS,
        )

    def _exchange(self, state: str, code: str, verifier: str) -> dict[str, Any]:
        with self._session(state) as session:
            try:
                return dict(
                    session.fetch_token(
                        self._address("token_endpoint"),
                        code=code,
                        code_verifier=verifier,
                        timeout=TIMEOUT_SECONDS,
                    )
                )
            except (OAuthError, requests.RequestException, ValueError) as error:
                raise ProviderFailed(reason="the provider did not take the code") from error

    def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        try:
            keys = KeySet.import_key_set(cast(Any, self._get(self._address("jwks_uri"))))
            claims = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=SKEW_SECONDS,
                iss={"essential": True, "value": self._metadata_of()["issuer"]},
                aud={"essential": True, "value": self.provider.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, KeyError) as error:
            raise ProviderFailed(reason="the ID token does not hold") from error
        party = claims.get("azp", self.provider.client_id)
        if party != self.provider.client_id or not str(claims["sub"]):
            raise ProviderFailed(reason="the ID token does not hold")
        return dict(claims)

    def _address(self, name: str) -> str:
        try:
            return str(self._metadata_of()[name])
        except KeyError as error:
            raise ProviderFailed(reason="the provider's description is incomplete") from error

    def _metadata_of(self) -> dict[str, Any]:
        with self._one:
            if self._metadata is None or time.monotonic() - self._metadata[0] > METADATA_SECONDS:
                issuer = self.provider.issuer.rstrip("/")
                found = self._get(f"{issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != issuer:
                    raise ProviderFailed(reason="the provider names another issuer")
                self._metadata = (time.monotonic(), found)
            return self._metadata[1]

    def _get(self, address: str) -> dict[str, Any]:
        try:
            answer = requests.get(address, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            answer.raise_for_status()
            return dict(answer.json())
        except (requests.RequestException, ValueError, TypeError) as error:
            raise ProviderFailed(reason="the provider does not answer") from error
