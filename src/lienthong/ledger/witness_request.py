"""What a node sends to a witness: C2SP tlog-witness, ``add-checkpoint``.

old 1201                                      the size that the witness signed last; 0: none
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=  consistency proof, one hash a line
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=

lienthong/VN/GOV/G01/n1/0                     the head with its signature
1234
…
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from lienthong.errors import MessageMalformed
from lienthong.ledger.heads import LONGEST_HEAD

MOST_HASHES = 63  # C2SP; no tree of ours has as many levels
LARGEST_REQUEST = 4 * LONGEST_HEAD  # bytes
_REQUEST = re.compile(
    r"old (?P<old>0|[1-9][0-9]{0,14})\n"
    r"(?P<path>(?:[A-Za-z0-9+/]{43}=\n){0,63})"
    r"\n(?P<note>.+)",
    re.DOTALL,
)


class WitnessRequest(NamedTuple):
    """A head to be cosigned, and how it grew out of the one of ``old_size``."""

    old_size: int
    path: list[bytes]
    note: str


def format_witness_request(request: WitnessRequest) -> bytes:
    path = "".join(f"{base64.b64encode(each).decode()}\n" for each in request.path)
    return f"old {request.old_size}\n{path}\n{request.note}".encode()


def parse_witness_request(content: bytes) -> WitnessRequest:
    """Read the form; the head in it is not judged. Raises MessageMalformed."""
    try:
        if len(content) > LARGEST_REQUEST:
            raise ValueError("size")
        found = _REQUEST.fullmatch(content.decode())
        if found is None:
            raise ValueError("form")
        path = [base64.b64decode(line, validate=True) for line in found["path"].split()]
        request = WitnessRequest(int(found["old"]), path, found["note"])
        if format_witness_request(request) != content:
            raise ValueError("not canonical")
    except ValueError as error:
        raise MessageMalformed(reason="not in the form of a request to a witness") from error
    return request
