"""Open a contract file, or say everything that is wrong with it.

contract = load_contract(Path("cong-dan.odcs.yaml"))
contract.fields["ho_ten"].classification        # Classification.PERSONAL
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lienthong.contracts.document import LARGEST_CONTRACT_BYTES, read_document
from lienthong.contracts.models import Contract
from lienthong.contracts.objects import contract_of
from lienthong.contracts.properties import property_problems
from lienthong.contracts.rules import law_problems, secret_problems, shape_problems
from lienthong.contracts.standard import standard_problems
from lienthong.errors import (
    ContractError,
    ContractTooLarge,
    ContractUnreadable,
    StateSecretField,
)


def load_contract(source: Path | str | bytes) -> Contract:
    """Read a contract from a file, or from the bytes of one.

    Raises the first problem found, a ContractError; StateSecretField before all others.
    """
    raw, place = _bytes_of(source)
    document = read_document(raw, place)
    for problem in _problems(document):
        raise problem
    return contract_of(document, raw)


def read_contract(source: Path | str | bytes) -> Contract:
    """Read any contract of ODCS 3, also one without legal basis and without our classes.

    For comparing and testing only: whatever is not classified counts as sensitive, and a state
    secret is refused as everywhere. Raises as ``load_contract``.
    """
    raw, place = _bytes_of(source)
    document = read_document(raw, place)
    for problem in _problems(document, with_law=False):
        raise problem
    return contract_of(document, raw)


def contract_problems(source: Path | str | bytes) -> list[ContractError]:
    """Return all problems of a contract; none means that ``load_contract`` succeeds."""
    try:
        raw, place = _bytes_of(source)
        return _problems(read_document(raw, place))
    except ContractError as error:
        return [error]


def _bytes_of(source: Path | str | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "contract"
    path = Path(source)
    try:
        if path.stat().st_size > LARGEST_CONTRACT_BYTES:
            raise ContractTooLarge(what="size_bytes", limit=LARGEST_CONTRACT_BYTES)
        return path.read_bytes(), str(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ContractUnreadable(place=str(path), reason=reason) from error


def _problems(document: dict[str, Any], *, with_law: bool = True) -> list[ContractError]:
    """Collect problems; a later stage runs only where the earlier ones found nothing."""
    secrets = list(secret_problems(document))
    broken = [*standard_problems(document)] or [*property_problems(document)]
    broken = broken or [*shape_problems(document)]
    if broken or not with_law:
        return secrets + broken
    laws = [each for each in law_problems(document) if not isinstance(each, StateSecretField)]
    return secrets + laws
