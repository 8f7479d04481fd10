"""The steps of an agreement: propose, receive, accept, refuse, withdraw.

    agreement = await service.propose(proposal)      # at either side
    await service.accept(agreement.id)               # at the other

Every step is one signed statement. It is written to the ledger, then kept, then in force on
this node, and then brought to the nodes of both parties, at once or when they are back.
Steps run one at a time; deciding requests (``AgreementBook``) never waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from lienthong.agreements.book import AgreementBook
from lienthong.agreements.delivery import Courier, PeerLink
from lienthong.agreements.documents import envelope_bytes, parse_envelope, parse_statement
from lienthong.agreements.models import (
    Act,
    Agreement,
    AgreementDocument,
    Party,
    Statement,
    Status,
    whole_second,
)
from lienthong.agreements.proposals import Offers, Proposal, check_offered, draft
from lienthong.agreements.store import AgreementStore, Delivery
from lienthong.agreements.verification import Directory, check_proposed, may, verify_statement
from lienthong.errors import (
    AgreementConflict,
    DirectoryError,
    NotAParty,
    PartyWithoutNode,
    PeriodOver,
    StepNotAllowed,
    TooManyProposals,
    UnknownAgreement,
)
from lienthong.identity.keys import SigningKey

MOST_OPEN_PROPOSALS = 1000  # of one member: a flood of proposals must not fill the database

OnEvent = Callable[[str, Agreement, bytes], Awaitable[None]]


class Signer(NamedTuple):
    """The node that speaks for the members that it hosts, and its signing key."""

    node: str
    key: SigningKey


class AgreementService:
    """Agreements of one node. ``directory`` returns the directory's current view.

    ``on_event(act, agreement, statement)`` is awaited for each new statement before it takes
    effect; when it raises, nothing is changed. ``offers`` describes the node's own services,
    so that it accepts only what it can give. ``tell`` is awaited with an agreement's id after
    each change, for other gateways of the node, which ``follow`` it. Call ``load`` first.
    """

    def __init__(
        self,
        store: AgreementStore,
        book: AgreementBook,
        signer: Signer,
        directory: Callable[[], Directory],
        link: PeerLink,
        *,
        on_event: OnEvent | None = None,
        offers: Offers | None = None,
        tell: Callable[[str], Awaitable[None]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._book = book
        self._signer = signer
        self._directory = directory
        self._on_event = on_event
        self._offers = offers
        self._tell = tell
        self._clock = clock
        self._courier = Courier(store, link, self._learn, clock)
        self._one_step = asyncio.Lock()

    def load(self) -> None:
        """Fill the book from the store, with the counts of the daily quotas."""
        self._book.reload(self._store.all())
        self._book.restore_usage(self._store.usage())

    async def follow(self, agreement_id: str) -> None:
        """Another gateway of this node has changed an agreement."""
        agreement = await asyncio.to_thread(self._store.get, agreement_id)
        if agreement is not None:
            self._book.put(agreement)

    async def follow_all(self) -> None:
        """Other gateways may have changed any agreement."""
        self._book.reload(await asyncio.to_thread(self._store.all))

    def save_usage(self) -> None:
        """Keep the counts of the daily quotas; call it every few seconds and on stop.

        After a crash counting goes on from the last call.
        """
        usages = self._book.usage()
        if usages:
            self._store.save_usage(usages)

    async def propose(self, proposal: Proposal) -> Agreement:
        """Propose an agreement in the name of the side that this node hosts.

        Raises InvalidAgreementDocument, EndpointWanted, PeriodOver, NotAParty,
        PartyWithoutNode, ServiceMismatch.
        """
        document = draft(proposal, Party.CONSUMER)
        if document.valid_until <= self._clock():
            raise PeriodOver(until=document.valid_until.isoformat())
        hosted = self._hosted(document)
        if not hosted:
            raise NotAParty(node=self._signer.node)
        if Party.PROVIDER in hosted:
            document = self._with_contract(document)
        if Party.CONSUMER not in hosted:
            document = msgspec.structs.replace(document, proposed_by=Party.PROVIDER)
        if not self._nodes_of(document, document.proposed_by.other):
            raise PartyWithoutNode(subsystem=document.subsystem_of(document.proposed_by.other))
        statement = self._sign(document, Act.PROPOSE, document.proposed_by, "")
        async with self._one_step:
            agreement = await self._add(Agreement(document, ()), (statement,), deliver=True)
        await self._courier.deliver([agreement.id])
        return agreement

    async def accept(self, agreement_id: str) -> Agreement:
        """Accept what the other side proposed. Raises StepNotAllowed, ServiceMismatch."""
        return await self._step(agreement_id, Act.ACCEPT, "", {Status.PROPOSED})

    async def refuse(self, agreement_id: str, reason: str) -> Agreement:
        """Refuse what the other side proposed, for good. Raises StepNotAllowed."""
        return await self._step(agreement_id, Act.REFUSE, reason, {Status.PROPOSED})

    async def withdraw(self, agreement_id: str, reason: str) -> Agreement:
        """End an agreement at once, whoever proposed it. Raises StepNotAllowed."""
        return await self._step(
            agreement_id, Act.WITHDRAW, reason, {Status.PROPOSED, Status.ACTIVE}
        )

    async def receive(self, document: bytes, sender: str) -> bytes:
        """Take in an envelope from the node ``sender``; answer with what is known now.

        ``sender`` has been authenticated by the caller. Doing it twice changes nothing.
        Raises InvalidAgreementDocument, NotAParty, AgreementConflict, StatementNotAccepted,
        TooManyProposals.
        """
        return envelope_bytes(await self._learn(document, sender))

    async def deliver_pending(self) -> int:
        """Try again what other nodes have not confirmed; return how many arrived."""
        return await self._courier.deliver()

    async def share_again(self) -> int:
        """Exchange all agreements with the nodes of their parties.

        For a node restored from a backup, and when the directory names a new node of a
        party. Returns how many arrived; the others stay queued.
        """
        now = self._clock()
        for agreement in await asyncio.to_thread(self._store.all):
            if agreement.status(now) is not Status.EXPIRED:
                await self._save(agreement, deliver=True)
        return await self._courier.deliver()

    async def agreements(self) -> list[Agreement]:
        """Return every agreement that this node knows."""
        return await asyncio.to_thread(self._store.all)

    async def agreement(self, agreement_id: str) -> Agreement:
        """Return one agreement. Raises UnknownAgreement."""
        agreement = await asyncio.to_thread(self._store.get, agreement_id)
        if agreement is None:
            raise UnknownAgreement(agreement=agreement_id[:36])
        return agreement

    async def undelivered(self) -> list[Delivery]:
        """Return what other nodes have not confirmed yet, with the last error."""
        return await asyncio.to_thread(self._store.deliveries)

    async def partner_nodes(self) -> set[str]:
        """The nodes of all with whom this node has, had or was offered an agreement."""
        known = await self.agreements()
        return {node for each in known for node in self._nodes(each.document)} - {self._signer.node}

    def now(self) -> datetime:
        """The time by which statuses are told."""
        return self._clock()

    async def _step(
        self, agreement_id: str, act: Act, reason: str, wanted: set[Status]
    ) -> Agreement:
        async with self._one_step:
            agreement = await self.agreement(agreement_id)
            party = self._speaker(agreement.document, act)
            if agreement.statement(party, act) is None:
                status = agreement.status(self._clock())
                if status not in wanted:
                    raise StepNotAllowed(act=act, agreement=agreement.id, status=status)
                if act is Act.ACCEPT and party is Party.PROVIDER:
                    check_offered(agreement.document, self._offers)
                statement = self._sign(agreement.document, act, party, reason)
                agreement = await self._add(agreement, (statement,), deliver=True)
        await self._courier.deliver([agreement.id])
        return agreement

    async def _learn(self, data: bytes, sender: str) -> Agreement:
        received = parse_envelope(data)
        hosting = self._nodes(received.document)
        for node in (sender, self._signer.node):
            if node not in hosting:
                raise NotAParty(node=node)
        async with self._one_step:
            known = await asyncio.to_thread(self._store.get, received.id)
            if known is None:
                check_proposed(received)
                self._check_flood(received)
                known = Agreement(received.document, ())
            elif known.document.digest != received.document.digest:
                raise AgreementConflict(agreement=received.id)
            return await self._add(known, self._news(known, received), deliver=False)

    def _news(self, known: Agreement, received: Agreement) -> tuple[Statement, ...]:
        """Return the statements that are new here, each verified."""
        news = tuple(
            each for each in received.statements if known.statement(each.party, each.act) is None
        )
        for statement in news:
            verify_statement(known.document, statement, self._directory(), self._clock())
        return news

    async def _add(
        self, known: Agreement, news: tuple[Statement, ...], *, deliver: bool
    ) -> Agreement:
        if not news:
            return known
        agreement = known.with_statements(news)
        if self._on_event is not None:
            for statement in news:
                await self._on_event(statement.act, agreement, statement.canonical)
        await self._save(agreement, deliver=deliver)
        self._book.put(agreement)
        if self._tell is not None:
            await self._tell(agreement.id)
        return agreement

    async def _save(self, agreement: Agreement, *, deliver: bool) -> None:
        nodes = self._nodes(agreement.document) - {self._signer.node} if deliver else set()
        now = self._clock().timestamp()
        await asyncio.to_thread(self._store.save, agreement, sorted(nodes), now)

    def _sign(self, document: AgreementDocument, act: Act, party: Party, reason: str) -> Statement:
        key = self._signer.key.current
        unsigned = Statement(
            agreement=document.id,
            digest=document.digest,
            act=act,
            party=party,
            node=self._signer.node,
            key_id=key.public.key_id,
            algorithm=key.public.algorithm,
            time=whole_second(self._clock()),
            reason=" ".join(reason.split()),
        )
        signed = msgspec.structs.replace(unsigned, signature=key.sign(unsigned.signed_bytes))
        return parse_statement(signed.canonical)

    def _nodes(self, document: AgreementDocument) -> set[str]:
        """All nodes that host one of the parties now."""
        return {node for party in Party for node in self._nodes_of(document, party)}

    def _nodes_of(self, document: AgreementDocument, party: Party) -> tuple[str, ...]:
        try:
            return self._directory().nodes_of(document.subsystem_of(party), self._clock())
        except DirectoryError:
            return ()  # a party that left the directory must not keep the other bound

    def _hosted(self, document: AgreementDocument) -> frozenset[Party]:
        node = self._signer.node
        return frozenset(party for party in Party if node in self._nodes_of(document, party))

    def _speaker(self, document: AgreementDocument, act: Act) -> Party:
        """The side in whose name this node may do ``act``."""
        hosted = self._hosted(document)
        if not hosted:
            raise NotAParty(node=self._signer.node)
        speakers = sorted(hosted & may(document, act))
        if not speakers:
            raise StepNotAllowed(act=act, agreement=document.id, status="the other party's turn")
        return speakers[0]

    def _with_contract(self, document: AgreementDocument) -> AgreementDocument:
        check_offered(document, self._offers)
        offered = self._offers(document.service) if self._offers else None
        if offered is None or document.contract is not None:
            return document
        return msgspec.structs.replace(document, contract=offered.contract)

    def _check_flood(self, received: Agreement) -> None:
        document, now = received.document, self._clock()
        proposer = document.member_of(document.proposed_by)
        waiting = sum(
            each.status(now) is Status.PROPOSED
            and each.document.member_of(each.document.proposed_by) == proposer
            for each in self._book.agreements()
        )
        if waiting >= MOST_OPEN_PROPOSALS:
            raise TooManyProposals(party=proposer, most=MOST_OPEN_PROPOSALS)
