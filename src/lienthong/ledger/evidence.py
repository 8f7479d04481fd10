"""Evidence: one exchange, proven offline to anybody who has the root of trust.

    verdict = verify_evidence(bundle_bytes, trusted_root)
    verdict.time        # "asserted" or "proven"; a bundle that proves nothing raises
    verdict.proven.by   # "time-stamp", "witnesses" or ""
    verdict.checks      # what was checked, in order

The root of trust is never taken from the bundle: a bundle signed anew under another directory
would agree with itself. Protocol with the same numbers: docs/protocols/0001-message.md §9.

(1) the bundle has its form; (2) its directory leads to the root given; (3) the request was
signed by the node that spoke for the client; (4) the answer was signed by the node that spoke
for the provider, and answers this request; (5) the consumer's node acknowledged the answer, if
the bundle says so; (6) the provider's node logged the request, if the bundle says so;
(7) the bodies, if they are there, are those that were signed; (8) the times fit together;
(9) time-stamps and witnesses, if there are any, prove that it existed by then (evidence_time.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Any

import msgspec

from lienthong.directory.proof import verify_directory_proof
from lienthong.directory.records import TimeAuthority
from lienthong.directory.view import DirectoryView
from lienthong.errors import EvidenceMalformed, EvidenceRejected, LienthongError
from lienthong.identity.identifiers import ServiceId, SubsystemId
from lienthong.ledger.erasure import Erased, message_leaf
from lienthong.ledger.evidence_time import (
    LARGEST_CLOCK_DIFFERENCE,
    MOST_ANCHORS,
    Anchor,
    ProvenTime,
    judge_anchors,
)
from lienthong.ledger.heads import Head, parse_time
from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    REQUEST_COMMITMENTS,
    Answer,
    Request,
    acknowledged_leaf,
    answer_contents,
    answer_leaf,
    answer_lines,
    body_lines,
    check_answer,
    check_request,
    plain_fields,
    received_leaf,
    request_contents,
    request_leaf,
    request_lines,
)
from lienthong.ledger.proofs import ProofChecker
from lienthong.ledger.records import Proof

FORMAT = "lienthong-evidence-1"
LARGEST_BUNDLE = 64 * 1024 * 1024  # bytes; large bodies are exported as files of their own
# Which lines lie under which commitment; headers are not told.
_CONTENT_NAMES = {
    "line": ("@method", "@path", "@query", "@status"),
    "user": ("x-road-userid",),
    "dossier": ("x-road-issue",),
    "subject": ("lienthong-subject",),
    "body": ("content-digest", "content-length"),
}


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One signed message: in full or erased in part; with the proof of its sender."""

    proof: Proof
    request: Request | None = None
    answer: Answer | None = None
    erased: Erased | None = None


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An evidence file."""

    format: str
    exported_by: str
    exported_at: str
    directory: dict[str, Any]
    request: Part
    answer: Part
    received: Proof | None = None
    acknowledged: Proof | None = None
    request_body: bytes | None = None
    answer_body: bytes | None = None
    anchors: Annotated[tuple[Anchor, ...], msgspec.Meta(max_length=MOST_ANCHORS)] = ()


@dataclass(slots=True)
class Verdict:
    """What a bundle proves. ``request`` and ``answer``: the lines that were signed, by name."""

    time: str = "asserted"
    instance: str = ""
    request: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    proven: ProvenTime = field(default_factory=ProvenTime)


@dataclass(frozen=True, slots=True)
class _Read:
    """A message of the bundle, whichever form it came in."""

    leaf: bytes
    fields: dict[str, str]
    head: Head


def verify_evidence(
    content: bytes,
    trusted_root: bytes,
    authorities: Iterable[TimeAuthority] = (),
    witnesses_needed: int = 1,
) -> Verdict:
    """Judge a bundle against ``trusted_root`` (root.json of the directory).

    ``authorities``: time-stamping authorities that the judge trusts beside the directory's;
    ``witnesses_needed``: how many agencies that had no part in it prove a time.

    Raises EvidenceMalformed (not a bundle) or EvidenceRejected (proves nothing; says why).
    """
    bundle = read_bundle(content)  # (1)
    verdict = Verdict()
    try:
        view = verify_directory_proof(trusted_root, bundle.directory)  # (2)
        verdict.instance = view.instance
        verdict.checks.append("directory")
        heads = _verify_exchange(bundle, view, verdict)
        if bundle.anchors:  # (9)
            verdict.proven = judge_anchors(
                bundle.anchors, heads, view, authorities, witnesses_needed
            )
            verdict.time = "proven" if verdict.proven.by else "asserted"
            verdict.notes += verdict.proven.notes
            verdict.checks.append("anchors")
    except EvidenceRejected:
        raise
    except LienthongError as error:
        raise EvidenceRejected(reason=f"{error.code}: {error.message('en')}") from error
    return verdict


def read_bundle(content: bytes) -> Bundle:
    """Read a bundle's form. Raises EvidenceMalformed."""
    if len(content) > LARGEST_BUNDLE:
        raise EvidenceMalformed(reason=f"over {LARGEST_BUNDLE} bytes")
    try:
        bundle = msgspec.json.decode(content, type=Bundle)
    except msgspec.ValidationError as error:
        raise EvidenceMalformed(reason="a part is missing, or of another kind") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceMalformed(reason="not JSON") from error
    if bundle.format != FORMAT:
        raise EvidenceMalformed(reason="unknown format")
    return bundle


def _verify_exchange(bundle: Bundle, view: DirectoryView, verdict: Verdict) -> dict[str, Head]:
    """Check everything but the anchors; return the heads of the proofs by their names."""
    checker = ProofChecker()
    request = _verify_part(bundle.request, "request", checker, view)  # (3)
    _check_delegation(request, "x-road-client", view)
    verdict.checks.append("request")
    answer = _verify_part(bundle.answer, "answer", checker, view)  # (4)
    _check_delegation(answer, "x-road-service", view)
    _check_belongs(request, answer)
    verdict.checks.append("answer")
    verdict.request = {**request.fields, **_contents(bundle.request, REQUEST_COMMITMENTS)}
    verdict.answer = {**answer.fields, **_contents(bundle.answer, ANSWER_COMMITMENTS)}
    consumer, provider = request.fields["lienthong-sender"], answer.fields["lienthong-sender"]
    heads = {"request": request.head, "answer": answer.head}
    if bundle.acknowledged is not None:  # (5)
        leaf = acknowledged_leaf(answer.leaf)
        heads["acknowledged"] = checker.check(bundle.acknowledged, leaf, consumer, view)
        verdict.checks.append("acknowledged")
    if bundle.received is not None:  # (6)
        leaf = received_leaf(request.leaf)
        heads["received"] = checker.check(bundle.received, leaf, provider, view)
        verdict.checks.append("received")
    # Whoever holds a bundle must not choose a directory from before a revocation.
    if max(head.directory_version for head in heads.values()) > view.version:
        raise EvidenceRejected(reason="the directory is older than the one that the heads name")
    _check_bodies(bundle, verdict)  # (7)
    _check_times(request, answer)  # (8)
    verdict.checks.append("times")
    return heads


def _verify_part(part: Part, kind: str, checker: ProofChecker, view: DirectoryView) -> _Read:
    leaf, fields = _leaf_and_fields(part, kind)
    sender = fields.get("lienthong-sender", "")
    head = checker.check(part.proof, leaf, sender, view)
    return _Read(leaf, fields, head)


def _leaf_and_fields(part: Part, kind: str) -> tuple[bytes, dict[str, str]]:
    if kind == "request" and part.request is not None:
        check_request(part.request)
        return request_leaf(part.request), plain_fields(request_lines(part.request))
    if kind == "answer" and part.answer is not None:
        check_answer(part.answer)
        return answer_leaf(part.answer), plain_fields(answer_lines(part.answer))
    if part.erased is None:
        raise EvidenceMalformed(reason=f"no {kind}")
    names = REQUEST_COMMITMENTS if kind == "request" else ANSWER_COMMITMENTS
    leaf = message_leaf(part.erased, names)
    fields = plain_fields(part.erased.lines)
    if leaf is None or f"lienthong-{kind}" not in fields:
        raise EvidenceRejected(reason=f"what was kept of the {kind} does not fit its leaf")
    return leaf, fields


def _contents(part: Part, names: tuple[str, ...]) -> dict[str, str]:
    """The contents under the commitments that are still told, by name; headers left out.

    Only the names that belong under a commitment: a text that was kept of an erased message
    must not pose as another line. Raises EvidenceRejected.
    """
    texts: dict[str, str] = {}
    if part.request is not None:
        texts = dict(zip(names, request_contents(part.request), strict=True))
    elif part.answer is not None:
        texts = dict(zip(names, answer_contents(part.answer), strict=True))
    elif part.erased is not None:
        texts = {name: kept.text for name, kept in part.erased.kept.items()}
    told: dict[str, list[str]] = {}
    for commitment, text in texts.items():
        for row in text.split("\n") if text and commitment in _CONTENT_NAMES else ():
            name, separator, value = row.partition('": ')
            if not separator or name.removeprefix('"') not in _CONTENT_NAMES[commitment]:
                raise EvidenceRejected(reason=f"a line that has no place under {commitment}")
            told.setdefault(name.removeprefix('"'), []).append(value)
    return {name: ", ".join(values) for name, values in told.items()}


def _check_delegation(message: _Read, party: str, view: DirectoryView) -> None:
    identifier = message.fields.get(party, "")
    try:
        member = (
            SubsystemId(*identifier.split("/")).member
            if party == "x-road-client"
            else ServiceId(*identifier.split("/")).provider.member
        )
    except TypeError as error:
        raise EvidenceRejected(reason=f"{party} is not an identifier") from error
    if member.instance != view.instance:
        raise EvidenceRejected(reason=f"{party} belongs to another instance")
    view.check_delegation(str(member), message.head.node, message.head.time)


def _check_belongs(request: _Read, answer: _Read) -> None:
    same = ("x-road-request-id", "x-road-client", "x-road-service")
    if any(request.fields.get(name) != answer.fields.get(name) for name in same):
        raise EvidenceRejected(reason="request and answer are of two exchanges")
    if answer.fields.get("lienthong-request-leaf") != request.leaf.hex():
        raise EvidenceRejected(reason="the answer was given to another request")
    ends = (answer.fields["lienthong-sender"], answer.fields["lienthong-receiver"])
    if ends != (request.fields["lienthong-receiver"], request.fields["lienthong-sender"]):
        raise EvidenceRejected(reason="request and answer are between other nodes")


def _check_bodies(bundle: Bundle, verdict: Verdict) -> None:
    for kind, part, body in (
        ("request", bundle.request, bundle.request_body),
        ("answer", bundle.answer, bundle.answer_body),
    ):
        if part.erased is not None:
            verdict.notes.append(f"the {kind} was erased in part: what is gone is proven as a hash")
        if body is None:
            verdict.notes.append(f"no {kind} body in the bundle: its digest is proven, not more")
        elif _signed_body(part) != body_lines(sha256(body).digest(), len(body)):
            raise EvidenceRejected(reason=f"the {kind} body is not the one that was signed")
        else:
            verdict.checks.append(f"{kind} body")


def _signed_body(part: Part) -> str | None:
    """Digest and length as they were committed to; None when they were erased."""
    message = part.request or part.answer
    if message is not None:
        return body_lines(message.body, message.body_bytes)
    kept = part.erased.kept.get("body") if part.erased is not None else None
    return None if kept is None else kept.text


def _check_times(request: _Read, answer: _Read) -> None:
    moments = [
        _time(request.fields.get("lienthong-time", "")),
        request.head.time,
        _time(answer.fields.get("lienthong-time", "")),
        answer.head.time,
    ]
    for earlier, later in pairwise(moments):
        if later < earlier - LARGEST_CLOCK_DIFFERENCE:
            raise EvidenceRejected(reason="the times of request and answer contradict each other")


def _time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as error:
        raise EvidenceRejected(reason="a time is not in its form") from error
