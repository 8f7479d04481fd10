"""The state folder of a portal: what lies where.

folder = PortalFolder(Path("/var/lib/lienthong/portal"))
folder.check()
"""

from __future__ import annotations

from pathlib import Path

from lienthong.errors import PortalNotInitialised
from lienthong.given_paths import make_given_folder, telling
from lienthong.portal.sealing import make_secret


class PortalFolder:
    """Paths within a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def settings(self) -> Path:
        return self.folder / "portal.toml"

    @property
    def secret(self) -> Path:
        return self.folder / "secret.key"

    @property
    def database(self) -> str:
        """The address of the database, unless a setting names another."""
        return f"sqlite:///{self.folder.absolute() / 'portal.db'}"

    @property
    def catalogue(self) -> str:
        """The address of the catalogue's database, unless a setting names another."""
        return f"sqlite:///{self.folder.absolute() / 'catalogue.db'}"

    def check(self) -> None:
        """Raises PortalNotInitialised."""
        if not self.settings.exists() or not self.secret.exists():
            raise PortalNotInitialised(path=self.folder)

    def make(self, settings: dict[str, str]) -> None:
        """Make what is missing; what is there stays. Raises PathUnusable."""
        make_given_folder(self.folder, 0o700)
        make_secret(self.secret)
        if not self.settings.exists():
            lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
            with telling(self.settings):
                self.settings.write_text("".join(lines), encoding="utf-8")
                self.settings.chmod(0o600)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
