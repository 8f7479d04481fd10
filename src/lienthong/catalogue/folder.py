"""The state folder of a catalogue that runs by itself: settings, root of trust, database.

folder = CatalogueFolder.init(path, directory="https://directory.example.vn", root=root)
with folder.opened() as service: ...
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lienthong.catalogue.service import CatalogueService
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.trust import LONG_AGO, Trust
from lienthong.errors import CatalogueNotInitialised
from lienthong.given_paths import make_given_folder, telling, write_given
from lienthong.settings import Settings, load_settings


class CatalogueFolder:
    """Where a catalogue's files lie. Raises CatalogueNotInitialised when there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not self.root.exists():
            raise CatalogueNotInitialised(path=path)

    @classmethod
    def init(
        cls, path: Path, *, directory: str, root: bytes, database: str = ""
    ) -> CatalogueFolder:
        """Make the folder; what is there already stays. Raises DirectoryError, PathUnusable."""
        Trust(root, LONG_AGO)  # refuses what is no root of trust
        make_given_folder(path, 0o700)
        lines = [f"directory_url = {json.dumps(directory)}"]
        if database:
            lines.append(f"catalogue_database = {json.dumps(database)}")
        settings = path / "catalogue.toml"
        if not settings.exists():
            write_given(settings, ("\n".join(lines) + "\n").encode())
            settings.chmod(0o600)
        if not (path / "root.json").exists():
            write_given(path / "root.json", root)
        folder = cls(path)
        open_catalogue(folder.database).dispose()
        return folder

    @property
    def root(self) -> Path:
        return self.path / "root.json"

    @property
    def settings(self) -> Settings:
        """Raises UnknownSetting, InvalidSetting."""
        return load_settings(self.path / "catalogue.toml", os.environ)

    @property
    def database(self) -> str:
        """The SQLAlchemy address of its database."""
        return str(self.settings.catalogue_database) or f"sqlite:///{self.path}/catalogue.db"

    def mirror(self) -> DirectoryMirror:
        """The catalogue's own copy of the directory."""
        with telling(self.root):
            trusted = self.root.read_bytes()
        return DirectoryMirror(self.path / "directory", self.settings.directory_url, trusted)

    @contextmanager
    def opened(self, mirror: DirectoryMirror | None = None) -> Iterator[CatalogueService]:
        """Open the catalogue; to search only, no copy of the directory is needed."""
        engine = open_catalogue(self.database)
        try:
            known = mirror or self.mirror()
            yield CatalogueService(CatalogueStore(engine), lambda: known.view)
        finally:
            engine.dispose()
