"""The state folder of a catalogue that runs by itself: settings, root of trust, database.

folder = CatalogueFolder.init(path, directory="https://directory.example.vn", root=root)
with folder.store() as store: ...
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        if not self._toml.exists():
            raise CatalogueNotInitialised(path=path)

    @classmethod
    def init(
        cls, path: Path, *, directory: str, root: bytes, database: str = ""
    ) -> CatalogueFolder:
        """Make the folder; what is there already stays. Raises DirectoryError, PathUnusable."""
        Trust(root, LONG_AGO)  # refuses what is no root of trust
        make_given_folder(path, 0o700)
        if not (path / "root.json").exists():
            write_given(path / "root.json", root)
        return cls._make(path, directory, database)

    @classmethod
    def for_search(cls, path: Path) -> CatalogueFolder:
        """Make a folder that takes no publications: of a demonstration."""
        make_given_folder(path, 0o700)
        return cls._make(path, "", "")

    @classmethod
    def _make(cls, path: Path, directory: str, database: str) -> CatalogueFolder:
        lines = [f"directory_url = {json.dumps(directory)}"]
        if database:
            lines.append(f"catalogue_database = {json.dumps(database)}")
        settings = path / "catalogue.toml"
        if not settings.exists():
            write_given(settings, ("\n".join(lines) + "\n").encode())
            settings.chmod(0o600)  # the database's address may hold a password
        folder = cls(path)
        open_catalogue(folder.database).dispose()
        return folder

    @property
    def _toml(self) -> Path:
        return self.path / "catalogue.toml"

    @property
    def root(self) -> Path:
        return self.path / "root.json"

    @property
    def settings(self) -> Settings:
        """Raises UnknownSetting, InvalidSetting."""
        return load_settings(self._toml, os.environ)

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
    def store(self) -> Iterator[CatalogueStore]:
        """Open the catalogue's database."""
        engine = open_catalogue(self.database)
        try:
            yield CatalogueStore(engine)
        finally:
            engine.dispose()
