"""Published contracts, read for pages: what they promise, how it was kept, what changed.

shelf.contract(entry.digest)                  # or None, where this program cannot read it
rules_of(contract, entry.facts.quality)       # each rule with its latest result
difference_of(old, new)                       # or the reason why they cannot be compared
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lienthong.catalogue.models import Act, CatalogueEntry, Kept, Quality, RuleResult
from lienthong.catalogue.store import CatalogueStore
from lienthong.contracts.comparison import Difference, compare
from lienthong.contracts.details import ServiceLevel
from lienthong.contracts.loading import load_contract
from lienthong.contracts.models import Contract
from lienthong.errors import ContractError
from lienthong.sources.quality.checks import Check, Measure, checks_of
from lienthong.sources.quality.results import wanted

CONTRACTS_HELD = 64  # read contracts in memory; checking a large one takes a tenth of a second
UNMEASURED = "unmeasured"


class RuleLine(NamedTuple):
    """One rule as a page shows it; ``measure`` says what is counted, in a word with a text."""

    rule: str
    measure: str
    fields: tuple[str, ...]
    expected: str
    outcome: str
    result: RuleResult | None
    description: str = ""
    severity: str = ""


class Version(NamedTuple):
    """One published content of a contract; the newest word about it."""

    version: str
    digest: str
    kept: Kept


class Compared(NamedTuple):
    """Two versions and what lies between them; ``trouble`` where that cannot be told."""

    old: Version
    new: Version
    difference: Difference | None
    trouble: ContractError | None


class ContractShelf:
    """Contracts of one catalogue. Blocking; from any thread."""

    def __init__(self, catalogue: CatalogueStore) -> None:
        self._catalogue = catalogue
        self._read = lru_cache(CONTRACTS_HELD)(self._load)

    def contract(self, digest: str) -> Contract | None:
        """A published contract; None where there is none, or only rules of older days took it."""
        return self._read(digest) if digest else None

    def compare(self, old: Version, new: Version) -> Compared:
        """What changed from one version to another."""
        before, after = self.contract(old.digest), self.contract(new.digest)
        if before is None or after is None:
            return Compared(old, new, None, ContractError())
        try:
            return Compared(old, new, compare(before, after), None)
        except ContractError as error:
            return Compared(old, new, None, error)

    def _load(self, digest: str) -> Contract | None:
        content = self._catalogue.contract(digest)
        if content is None:
            return None
        try:
            return load_contract(content)
        except ContractError:
            return None


def rules_of(contract: Contract | None, quality: Quality | None) -> list[RuleLine]:
    """Each rule of the contract with its latest result; those that are not kept come first."""
    results = {} if quality is None else {each.rule: each for each in quality.results}
    lines = [_line(check, results.pop(check.name[:300], None)) for check in _checks(contract)]
    # Of a contract that cannot be read here, and of rules that this program names otherwise.
    lines += [
        RuleLine(each.rule, Measure.NOTHING.value, each.fields, each.expected, each.outcome, each)
        for each in results.values()
    ]
    order = ("failed", "not-measured", "warned", UNMEASURED, "passed", "left-out")
    return sorted(lines, key=lambda line: order.index(line.outcome))


def versions_of(history: Sequence[Kept]) -> list[Version]:
    """The published contents of an entry, newest first, each once."""
    found: dict[str, Version] = {}
    for kept in history:
        said = kept.publication
        if said.act is Act.PUBLISH:
            found.pop(said.digest, None)
            found[said.digest] = Version(said.version, said.digest, kept)
    return list(reversed(found.values()))


def promised(
    shelf: ContractShelf, entry: CatalogueEntry
) -> tuple[tuple[ServiceLevel, ...], list[RuleLine]]:
    """What an entry's contract promises: service levels, and rules with their results."""
    contract = shelf.contract(entry.digest)
    levels = () if contract is None else contract.details.service_levels
    return levels, rules_of(contract, entry.facts.quality)


def _checks(contract: Contract | None) -> list[Check]:
    return [] if contract is None else checks_of(contract)


def _line(check: Check, result: RuleResult | None) -> RuleLine:
    read_by_people = check.measure is Measure.NOTHING
    return RuleLine(
        rule=check.name,
        measure=check.measure.value,
        fields=check.fields,
        expected=(result.expected if result else "") or ("" if read_by_people else wanted(check)),
        outcome=result.outcome if result else "left-out" if read_by_people else UNMEASURED,
        result=result,
        description=check.description,
        severity="" if check.grave else check.severity,
    )
