"""What changed in the contract as a whole: its identity, its key, its table, its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lienthong.contracts.comparison.changes import Change
from lienthong.contracts.models import Contract

ENDED = ("retired",)  # statuses of ODCS in which nothing is promised any more


def contract_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of the contract as a whole."""
    if old.id != new.id:
        yield Change("contract.id_changed", before=old.id, after=new.id)
    yield from _status_changes(old, new)
    yield from _word_changes(old, new)
    if old.details.context != new.details.context:
        yield Change("contract.other_changed")


def dataset_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of one object above its fields."""
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
    if old.details.physical_type != new.details.physical_type:
        kinds = old.details.physical_type, new.details.physical_type
        yield Change("dataset.kind_changed", "", *kinds)
    if new.details.deprecated and not old.details.deprecated:
        yield Change("dataset.deprecated")
    if _words_of_object(old) != _words_of_object(new):
        yield Change("dataset.words_changed")


def _words_of_object(contract: Contract) -> tuple[Any, ...]:
    details = contract.details
    return (contract.description, details.dataset_title, details.dataset_words)


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
        details.purpose,
        details.usage,
        details.limitations,
        details.domain,
        details.tenant,
        details.data_product,
        details.words,
        details.team.description,
        details.team.members,
        details.support,
    )
