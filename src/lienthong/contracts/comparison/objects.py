"""What changed in the objects of a contract: gone, new, renamed, and each in itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lienthong.contracts.comparison.changes import Change
from lienthong.contracts.comparison.dataset import dataset_changes
from lienthong.contracts.comparison.fields import field_changes
from lienthong.contracts.comparison.promises import object_promise_changes
from lienthong.contracts.models import Contract


def object_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of objects; where there are several, each change names its own."""
    pairs = _pairs(old, new)
    several = max(len(old.objects), len(new.objects)) > 1
    before = {each.details.dataset for each, _ in pairs}
    after = {each.details.dataset for _, each in pairs}
    for each in old.objects:
        if each.details.dataset not in before:
            yield Change("dataset.removed", each.details.dataset)
    for each in new.objects:
        if each.details.dataset not in after:
            yield Change("dataset.added", each.details.dataset)
    for one, other in pairs:
        for change in _changes(one, other):
            yield _placed(change, one.details.dataset) if several else change
    yield from _served_changes(old, new, pairs)


def _changes(old: Contract, new: Contract) -> Iterator[Change]:
    yield from dataset_changes(old, new)
    yield from field_changes(old, new)
    yield from object_promise_changes(old, new)


def _pairs(old: Contract, new: Contract) -> list[tuple[Contract, Contract]]:
    """Objects of one name; of those left over, such as read the same table, or are alone."""
    named = {each.details.dataset: each for each in new.objects}
    found = [(o, named[o.details.dataset]) for o in old.objects if o.details.dataset in named]
    taken = {o.details.dataset for o, _ in found}
    gone = [each for each in old.objects if each.details.dataset not in taken]
    left = [each for each in new.objects if each.details.dataset not in taken]
    if len(old.objects) == len(new.objects) == len(gone) == 1:
        return [(gone[0], left[0])]
    for one in gone:
        other = next((each for each in left if each.table == one.table), None)
        if other is not None:
            left.remove(other)
            found.append((one, other))
    return found


def _served_changes(
    old: Contract, new: Contract, pairs: list[tuple[Contract, Contract]]
) -> Iterator[Change]:
    before, after = old.details.dataset, new.details.dataset
    names = {(one.details.dataset, other.details.dataset) for one, other in pairs}
    if old.objects and new.objects and (before, after) not in names:
        yield Change("dataset.served_changed", before=before, after=after)


def _placed(change: Change, name: str) -> Change:
    return replace(change, place=f"{name}.{change.place}" if change.place else name)
