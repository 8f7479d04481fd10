"""Everything that handlers use, made once from a state folder and its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher
from sqlalchemy import Engine

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.portal.account_store import AccountStore
from lienthong.portal.accounts import Accounts
from lienthong.portal.audit import Audit
from lienthong.portal.desk import NodeDesk
from lienthong.portal.files import StaticFiles
from lienthong.portal.folder import PortalFolder
from lienthong.portal.names import Names
from lienthong.portal.oidc import OpenIdConnect, Provider
from lienthong.portal.pages import Pages
from lienthong.portal.roles import Role
from lienthong.portal.sealing import read_secret
from lienthong.portal.sessions import SessionStore
from lienthong.portal.shelf import ContractShelf
from lienthong.portal.tables import open_portal
from lienthong.settings import Settings

FIRST_ADMINISTRATOR = "admin"
RETURN_PATH = "/sign-in/provider/return"


class Site:
    """The parts of one portal. Raises PortalNotInitialised, PortalStateDamaged,
    PortalFilesMissing, PortalStoreFailed, ConfigurationError."""

    def __init__(
        self,
        folder: PortalFolder,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        folder.check()
        self.settings = settings
        self.url = (settings.portal_url or f"http://{settings.portal_listen}").rstrip("/")
        self.https = self.url.startswith("https://")
        prefix = "__Host-" if self.https else ""  # RFC 6265bis §4.1.3.2: this host, HTTPS, path /
        self.session_cookie = f"{prefix}lienthong_session"
        self.visitor_cookie = f"{prefix}lienthong_visitor"
        self.journey_cookie = f"{prefix}lienthong_journey"
        self.sealer = read_secret(folder.secret)
        self.engine: Engine = open_portal(settings.database or folder.database)
        self.accounts = Accounts(AccountStore(self.engine), self.sealer, clock, hasher)
        self.sessions = SessionStore(self.engine, clock)
        self.audit = Audit(self.engine, clock)
        self.desk = NodeDesk(
            Path(settings.portal_node_state) if settings.portal_node_state else None
        )
        self.catalogue = CatalogueStore(
            open_catalogue(settings.catalogue_database or folder.catalogue)
        )
        self.search = CatalogueSearch(self.catalogue)
        self.shelf = ContractShelf(self.catalogue)
        self.addresses = Addresses(self.url, has_pages=True, publisher=settings.catalogue_publisher)
        self.static = StaticFiles()
        self.names = Names(lambda identifiers: self.desk.names(identifiers))
        self.pages = Pages(self.static, self.names)
        self.provider = self._provider()

    def first_administrator(self) -> str:
        """Make the first account when there is none; returns its one-time password, or ""."""
        if self.accounts.store.any():
            return ""
        password = self.accounts.add(
            FIRST_ADMINISTRATOR, "Người vận hành", [Role.OPERATOR, Role.AUDITOR]
        )
        self.audit.write("-", "user.add", FIRST_ADMINISTRATOR, "first start", "")
        return password

    def close(self) -> None:
        self.engine.dispose()
        self.search.close()
        self.catalogue.engine.dispose()

    def _provider(self) -> OpenIdConnect | None:
        settings = self.settings
        if not settings.oidc_issuer or not settings.oidc_client_id:
            return None
        provider = Provider(
            settings.oidc_issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret,
            settings.oidc_name,
            self.url + RETURN_PATH,
        )
        return OpenIdConnect(provider, self.sealer)
