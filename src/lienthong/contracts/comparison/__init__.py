"""Two versions of a contract compared: what changed, whom it breaks, which number it needs.

    difference = compare(load_contract("v1.odcs.yaml"), load_contract("v2.odcs.yaml"))
    difference.breaking, difference.needed, difference.fits
    [change.code for change in difference.changes]     # ["field.removed", …]

Breaking is a change by which something that was promised to readers no longer holds, or something
that was taken from suppliers no longer is. Two widenings are compatible all the same, because
software of agencies must expect them: new values of an enumeration, and wider limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from lienthong.contracts.comparison.changes import Change, Level
from lienthong.contracts.comparison.dataset import contract_changes
from lienthong.contracts.comparison.objects import object_changes
from lienthong.contracts.comparison.promises import promise_changes
from lienthong.contracts.comparison.versions import Version
from lienthong.contracts.document import read_document
from lienthong.contracts.models import Contract
from lienthong.errors import VersionRuleBroken

__all__ = ["Change", "Difference", "Level", "Version", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """What lies between two versions of one contract.

    ``needed`` is the lowest version number that the changes allow the new contract to have.
    """

    changes: tuple[Change, ...]
    old_version: str
    new_version: str
    needed: str
    fits: bool

    @property
    def breaking(self) -> bool:
        """Whether the new version breaks somebody who used the old one."""
        return any(change.breaking for change in self.changes)

    def check_version(self) -> None:
        """Raise VersionRuleBroken if the new version number is too low for the changes."""
        if not self.fits:
            raise VersionRuleBroken(
                old=self.old_version[:40], new=self.new_version[:40], needed=self.needed
            )


def compare(old: Contract, new: Contract) -> Difference:
    """Compare two contracts. Raises VersionNumberInvalid where a version is not X.Y.Z."""
    changes = (
        *contract_changes(old, new),
        *object_changes(old, new),
        *promise_changes(old, new),
    )
    changes = changes or tuple(_unnamed_changes(old, new))
    level = max((change.level for change in changes), default=Level.NONE)
    before, after = Version.parse(old.version), Version.parse(new.version)
    needed = before.raised(level)
    ordered = sorted(changes, key=lambda change: (-change.level, change.code, change.place))
    return Difference(tuple(ordered), old.version, new.version, str(needed), after >= needed)


def _unnamed_changes(old: Contract, new: Contract) -> list[Change]:
    """One change for whatever no rule looks at, so that nothing passes as unchanged."""
    if old.raw == new.raw:
        return []
    documents = [read_document(contract.raw) for contract in (old, new)]
    for document in documents:
        document.pop("version", None)
    return [] if documents[0] == documents[1] else [Change("contract.other_changed")]
