"""What all checks of one examination know: whose state folder it is, and whether it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.view import DirectoryView
from lienthong.errors import LienthongError
from lienthong.node.state import Identity, StateFolder
from lienthong.settings import Settings, load_settings


@dataclass(frozen=True)
class Context:
    """``view`` is the node's own copy of the directory; ``process`` its pid while it runs."""

    state: StateFolder
    identity: Identity
    settings: Settings
    view: DirectoryView | None
    view_error: LienthongError | None
    process: int | None

    @classmethod
    def of(cls, state: StateFolder, environment: Mapping[str, str] = os.environ) -> Context:
        """Raises NodeNotInitialised, NodeStateDamaged, ConfigurationError leaves."""
        identity = state.read_identity()
        settings = load_settings(state.settings, environment)
        view, trouble = None, None
        try:
            view = DirectoryMirror(state.directory, [], state.root.read_bytes()).view
        except (LienthongError, OSError) as error:
            trouble = error if isinstance(error, LienthongError) else LienthongError()
        return cls(state, identity, settings, view, trouble, _process_of(state))

    @property
    def node(self) -> str:
        return self.identity.node

    @property
    def database(self) -> str:
        return str(self.settings.database or f"sqlite:///{self.state.database}")

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite")

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


def _process_of(state: StateFolder) -> int | None:
    """The process that runs this node, if one does; its lock must not be touched."""
    try:
        process = int(state.lock.read_text())
        os.kill(process, 0)
    except PermissionError:
        return process
    except (OSError, ValueError, OverflowError):
        return None
    return process
