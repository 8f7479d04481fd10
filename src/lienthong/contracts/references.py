"""Where the relationships of a contract lead: an object of this file, of another, or a table.

    beside = Neighbours(folder=Path("contracts"))
    target = target_of(contract, relationship, beside)     # Target("dm_xa", ("MA_XA",))

ODCS 3.2 writes a target as ``object.property``, or as a path of ids or names,
``schema/object/properties/property``, before which ``file.yaml#`` may stand. A name that is no
object of the contract is taken for a table of the same source. Files of other contracts are read
where they are given or lie beside the contract; nothing is ever fetched from an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lienthong.contracts.details import Relationship
from lienthong.contracts.loading import read_contract
from lienthong.contracts.models import Contract
from lienthong.errors import ContractError


class Target(NamedTuple):
    """Table and columns that hold the values of a relationship, in the order of its fields."""

    table: str
    columns: tuple[str, ...]


class Unresolved(Exception):
    """A target cannot be found; the message says why."""


class Neighbours:
    """Contracts that others refer to by their file's name."""

    def __init__(self, folder: Path | None = None, given: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._given = {path.name: path for path in given}
        self._read: dict[str, Contract] = {}

    def find(self, name: str) -> Contract:
        """The contract in the file of this name. Raises Unresolved."""
        if name not in self._read:
            self._read[name] = self._found(name)
        return self._read[name]

    def _found(self, name: str) -> Contract:
        path = self._given.get(PurePosixPath(name).name) or self._beside(name)
        if path is None:
            raise Unresolved(f"contract file {name} is neither given nor beside this one")
        try:
            return read_contract(path)
        except ContractError as error:
            raise Unresolved(f"contract file {name} does not load: {error.code}") from error

    def _beside(self, name: str) -> Path | None:
        if self._folder is None or "://" in name:
            return None
        folder = self._folder.resolve()
        path = (folder / name).resolve()
        # A contract from elsewhere must not have files read that lie outside its folder.
        return path if path.is_relative_to(folder) and path.is_file() else None


def target_of(contract: Contract, link: Relationship, beside: Neighbours) -> Target:
    """Follow a relationship to table and columns. Raises Unresolved."""
    places = [_place(contract, text, beside) for text in link.target_text]
    if len(places) != len(link.fields):
        raise Unresolved("not as many targets as fields")
    if len({table for table, _ in places}) != 1:
        raise Unresolved("targets in several tables")
    return Target(places[0][0], tuple(column for _, column in places))


def _place(contract: Contract, text: str, beside: Neighbours) -> tuple[str, str]:
    if "/" in text or "#" in text:
        return _by_path(contract, text, beside)
    name, _, rest = text.partition(".")
    known = _object(contract, name)
    if known is None:
        table, _, column = text.rpartition(".")
        return table, column
    if "." in rest:
        raise Unresolved(f"target {text} lies inside a nested value")
    field = _field(known, rest)
    # A column may be left out of the contract, and still be what values are compared with.
    return known.table, rest if field is None else field


def _by_path(contract: Contract, text: str, beside: Neighbours) -> tuple[str, str]:
    file, _, path = text.rpartition("#")
    whole = beside.find(file) if file else contract
    parts = path.strip("/").split("/")
    if len(parts) > 4:
        raise Unresolved(f"target {text} lies inside a nested value")
    if len(parts) != 4 or (parts[0], parts[2]) != ("schema", "properties"):
        raise Unresolved(f"target {text} is no property of an object")
    known = _object(whole, parts[1])
    column = None if known is None else _field(known, parts[3])
    if known is None or column is None:
        raise Unresolved(f"target {text} does not exist")
    return known.table, column


def _object(contract: Contract, name: str) -> Contract | None:
    """The object of this name, or else of this id."""
    named = {each.details.dataset_id: each for each in contract.objects}
    named |= {each.details.dataset: each for each in contract.objects}
    return named.get(name)


def _field(known: Contract, name: str) -> str | None:
    """The column of the field of this name, or else of this id."""
    named = {each.details.id: each.column for each in known.fields.values()}
    named |= {each.name: each.column for each in known.fields.values()}
    return named.get(name)
