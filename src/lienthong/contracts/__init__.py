"""Open Data Contract Standard contracts: read, check, turn into OpenAPI."""

from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import Contract, Field

__all__ = ["Contract", "Field", "contract_problems", "load_contract"]
