"""What has already been done to a demo's state folder, so that a second run goes on from it."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Any

from lienthong.errors import DemoFolderInUse


class Journal:
    """A small file beside the state: chosen ports and finished commands."""

    def __init__(self, folder: Path, wanted: dict[str, Any]) -> None:
        self.file = folder / "demo.json"
        self.lock = Lock()
        self.content: dict[str, Any] = {**wanted, "done": []}
        if self.file.exists():
            self.content = self._read({*wanted, "done"})
        elif folder.exists() and any(folder.iterdir()):
            raise DemoFolderInUse(folder=folder)

    def _read(self, members: set[str]) -> dict[str, Any]:
        """Raises DemoFolderInUse when the file is not a journal."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if not members <= content.keys():
                raise ValueError("members")
        except (ValueError, AttributeError) as error:
            raise DemoFolderInUse(folder=self.file.parent) from error
        return dict(content)

    def __getitem__(self, name: str) -> Any:
        return self.content[name]

    def is_done(self, step: str) -> bool:
        """Whether a step was finished by this or an earlier run."""
        return step in self.content["done"]

    def finished(self, step: str) -> None:
        """Record that a step is finished."""
        with self.lock:
            self.content["done"].append(step)
            self.save()

    def save(self) -> None:
        """Write the journal in one motion."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".part")
        partial.write_text(json.dumps(self.content, ensure_ascii=False, indent=1), encoding="utf-8")
        partial.rename(self.file)
