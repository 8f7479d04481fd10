"""Who a visitor may be. Which role may open which page stands in ``routes.py``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """An account has one or several; everybody, signed in or not, has ``PUBLIC``."""

    PUBLIC = "public"
    CITIZEN = "citizen"
    OFFICER = "officer"
    DATA_OWNER = "data_owner"
    OPERATOR = "operator"
    AUDITOR = "auditor"


EVERYBODY = frozenset(Role)
SIGNED_IN = EVERYBODY - {Role.PUBLIC}
STAFF = SIGNED_IN - {Role.CITIZEN}
GRANTED = tuple(role for role in Role if role is not Role.PUBLIC)  # what an account may be given


def roles_from(names: Iterable[str]) -> frozenset[Role]:
    """The known ones of ``names``; a role that this program does not know gives no right."""
    known = {role.value: role for role in GRANTED}
    return frozenset(known[name] for name in names if name in known)
