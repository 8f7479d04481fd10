"""What changed in the contract as a whole: its identity, its key, its table, its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lienthong.contracts.comparison.changes import Change
from lienthong.contracts.models import Contract

ENDED = ("retired",)  # statuses of ODCS in which nothing is promised any more


def dataset_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change above the fields."""
    if old.id != new.id:
        yield Change("contract.id_changed", before=old.id, after=new.id)
    if old.key != new.key:
        yield Change("key.changed", before=old.key, after=new.key)
    if old.details.primary_key != new.details.primary_key:
        keys = [" + ".join(each.details.primary_key) for each in (old, new)]
        yield Change("key.primary_changed", "", *keys)
    if old.details.dataset != new.details.dataset:
        names = old.details.dataset, new.details.dataset
        yield Change("dataset.name_changed", "", *names)
    if old.table != new.table:
        yield Change("dataset.table_changed", before=old.table, after=new.table)
    if old.details.granularity != new.details.granularity:
        texts = old.details.granularity, new.details.granularity
        yield Change("dataset.granularity_changed", "", *texts)
    yield from _status_changes(old, new)
    yield from _word_changes(old, new)


def _status_changes(old: Contract, new: Contract) -> Iterator[Change]:
    if old.status != new.status:
        ended = new.status.casefold() in ENDED
        code = "contract.retired" if ended else "contract.status_changed"
        yield Change(code, before=old.status, after=new.status)


def _word_changes(old: Contract, new: Contract) -> Iterator[Change]:
    if old.legal_basis != new.legal_basis:
        bases = "; ".join(old.legal_basis), "; ".join(new.legal_basis)
        yield Change("contract.legal_basis_changed", "", *bases)
    if old.details.team.name != new.details.team.name:
        names = old.details.team.name, new.details.team.name
        yield Change("contract.owner_changed", "", *names)
    if _words(old) != _words(new):
        yield Change("contract.words_changed")


def _words(contract: Contract) -> tuple[Any, ...]:
    details = contract.details
    return (
        contract.name,
        contract.description,
        details.purpose,
        details.usage,
        details.limitations,
        details.domain,
        details.tenant,
        details.data_product,
        details.dataset_title,
        details.tags,
        details.synonyms,
        details.links,
        details.custom,
        details.team.members,
        details.support,
    )
