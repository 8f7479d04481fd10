"""Writing answers: made, logged and signed in one act; given again from the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from lienthong.errors import AnswerInDoubt
from lienthong.exchange.core import Core
from lienthong.exchange.once import Finished
from lienthong.exchange.wire import encode_json
from lienthong.exchange.xroad.faults import Fault, Place, fault_response
from lienthong.ledger.committer import Committed
from lienthong.ledger.erasure import is_erased
from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    Answer,
    Request,
    checked_answer_leaf,
    new_salts,
)
from lienthong.ledger.records import CommittedGroup, Entry, EntryKind, Located
from lienthong.transport.messages import Body, Headers

DEFAULT_ACCEPT = "application/json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: the answer's content and why it is what it is."""

    outcome: str  # answered | refused | failed | in-doubt
    status: int
    headers: Headers
    body: Body
    reason: str
    agreement: str = ""
    purpose: str = ""


def fault_outcome(fault: Fault, outcome: str, accept: str | None, agreement: str = "") -> Outcome:
    """An outcome whose content is an X-Road fault; the consumer's node spells it its own way."""
    response = fault_response(fault, accept or DEFAULT_ACCEPT, "camel")
    return Outcome(outcome, response.status, response.headers, response.body, fault.code, agreement)


class AnswerWriter:
    """Signs answers through the ledger."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def write(
        self, request: Request, leaf: bytes, outcome: Outcome, mode: str
    ) -> tuple[Finished, Committed]:
        """Log and sign an answer; it may be sent when this returns."""
        core = self._core
        answer = self._answer(request, leaf, outcome)
        answer_leaf = checked_answer_leaf(answer)
        json = encode_json(answer)
        body, body_file = await core.bodies.keep(
            outcome.body, mode, request.request_id, "answer-sent"
        )
        entry = Entry(EntryKind.ANSWER_SENT, answer_leaf, json, body_file=body_file)
        # An "in doubt" is not the answer: the gateway that executes may still give that.
        known_as = "" if outcome.outcome == "in-doubt" else request.request_id
        committed = await core.committer.record(core.kept(entry, mode), body, known_as)
        return Finished(json, committed.proof_json(), outcome.body), committed

    def _answer(self, request: Request, leaf: bytes, outcome: Outcome) -> Answer:
        core = self._core
        return Answer(
            version=request.version,
            request_id=request.request_id,
            request_leaf=leaf,
            client=request.client,
            service=request.service,
            sender=core.node,
            receiver=request.sender,
            agreement=outcome.agreement,
            purpose=outcome.purpose,
            reason=outcome.reason,
            outcome=outcome.outcome,
            time=core.now_text(),
            status=outcome.status,
            headers=tuple(outcome.headers),
            body=outcome.body.sha256(),
            body_bytes=outcome.body.size,
            salts=new_salts(ANSWER_COMMITMENTS),
        )

    async def in_doubt(self, request: Request, leaf: bytes) -> Finished:
        """A signed statement that nobody knows whether the request was executed."""
        error = AnswerInDoubt(request_id=request.request_id)
        fault = Fault.of(error, Place.PROVIDER, request.request_id, self._core.settings.language)
        outcome = fault_outcome(fault, "in-doubt", None)
        finished, _ = await self.write(request, leaf, outcome, "metadata")
        return finished

    async def again(self, located: Located, request: Request, leaf: bytes) -> Finished:
        """The same answer once more, from the ledger; in doubt when its body is not kept."""
        loop = asyncio.get_running_loop()
        finished = await loop.run_in_executor(None, self._from_ledger, located)
        return finished or await self.in_doubt(request, leaf)

    def _from_ledger(self, located: Located) -> Finished | None:
        core = self._core
        group = core.store.group(located.place)
        entry = group.entries[located.index]
        if is_erased(entry.message):
            return None
        body = group.bodies.get(located.index)
        kept = core.bodies.open(entry.body_file) if entry.body_file else Body.of(body or b"")
        if kept is None or kept.sha256() != _digest_of(entry.message):
            return None
        proof = CommittedGroup.stored(group, core.store.subtree).proof_json(located.index)
        return Finished(entry.message, proof, kept)

    @staticmethod
    def located(committed: Committed) -> Located:
        return Located(committed.place, committed.index)


def _digest_of(message: bytes) -> bytes:
    return msgspec.json.decode(message, type=Answer).body
