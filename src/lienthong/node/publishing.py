"""Publishing to the catalogue, in the name of an owner whom this node hosts.

    await Publishing(node).publish("VN/GOV/G01/dancu/cong-dan")

The node adds what it knows itself: which agencies have an agreement in force.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lienthong.agreements.models import Status
from lienthong.catalogue.models import Act, DataUser, Facts
from lienthong.catalogue.publishing import Draft, draft_of, sign_publication
from lienthong.catalogue.sending import send
from lienthong.contracts.comparison import compare
from lienthong.contracts.loading import load_contract
from lienthong.errors import NothingToPublish, SubsystemNotHosted
from lienthong.node.data_users import users_of
from lienthong.node.measured_quality import facts_of_report
from lienthong.node.store import ServiceDefinition
from lienthong.sources.quality import measure_quality

if TYPE_CHECKING:
    from lienthong.node.node import Node

NAMED = "named"  # of the setting ``catalogue_users``
MEASURING_SECONDS = 60.0  # of one statement: whoever asked waits for the answer


class Publishing:
    """Signs publications with the node's key and brings them to the catalogue."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last_second = 0  # of the last publication: see ``_a_second_later``
        self._one = asyncio.Lock()

    async def publish_service(self, service_id: str, facts: Facts, url: str) -> dict[str, Any]:
        """Publish the contract that a service of this node keeps to.

        Raises NothingToPublish, NotFound, CatalogueUnreachable, CatalogueRefused.
        """
        definition = self._definition(service_id)
        consumers, users = await self._users(service_id)
        named: Any = users or msgspec.UNSET
        facts = msgspec.structs.replace(facts, consumers=consumers, users=named)
        return await self._publish(definition.contract.encode(), facts, url, service=service_id)

    async def publish_measured(self, service_id: str, url: str) -> dict[str, Any]:
        """Measure the service's source by its contract, then publish both.

        Raises as ``publish_service``, and SourceError leaves where the source is away.
        """
        definition = self._definition(service_id)
        contract = load_contract(definition.contract.encode())
        report = await asyncio.to_thread(
            measure_quality, contract, definition.source, time_limit_seconds=MEASURING_SECONDS
        )
        return await self.publish_service(service_id, facts_of_report(report), url)

    async def publish_version(self, service_id: str, contract: str, url: str) -> dict[str, Any]:
        """Let a service keep to a new version of its contract, and publish that.

        What cannot be opened, measured or published leaves the service as it was. Raises as
        ``publish_measured``, and VersionRuleBroken where the number is too low for what changed.
        """
        former = self._definition(service_id)
        compare(
            load_contract(former.contract.encode()), load_contract(contract.encode())
        ).check_version()
        administration = self._node.administration
        await administration.add_service(msgspec.structs.replace(former, contract=contract))
        try:
            return await self.publish_measured(service_id, url)
        except BaseException:
            await administration.add_service(former)
            raise

    async def publish_contract(
        self, contract: bytes, owner: str, facts: Facts, url: str
    ) -> dict[str, Any]:
        """Publish a contract that has no service yet. Raises as ``publish_service``."""
        self._check_hosted(owner)
        return await self._publish(contract, facts, url, owner=owner)

    async def withdraw(self, contract: bytes, owner: str, reason: str, url: str) -> dict[str, Any]:
        """Take a dataset out of the catalogue; its history stays. Raises as ``publish_service``."""
        self._check_hosted(owner)
        known = load_contract(contract)
        draft = Draft(Act.WITHDRAW, owner, known.id, known.version, known.digest, reason=reason)
        return await self._send(draft, b"", url)

    def _definition(self, service_id: str) -> ServiceDefinition:
        definition = self._node.administration.definition(service_id)
        if definition.kind != "contract":
            raise NothingToPublish(reason=f"{service_id} has no contract")
        return definition

    async def _publish(
        self, content: bytes, facts: Facts, url: str, *, owner: str = "", service: str = ""
    ) -> dict[str, Any]:
        contract = load_contract(content)
        draft = draft_of(contract, owner=owner, service=service, facts=facts)
        return await self._send(draft, content, url)

    async def _send(self, draft: Draft, content: bytes, url: str) -> dict[str, Any]:
        address = url or str(self._node.settings.catalogue_url)
        if not address:
            raise NothingToPublish(reason="no address of a catalogue")
        async with self._one:
            key, now = self._node.keys.signing, await self._a_second_later()
            envelope = await asyncio.to_thread(
                sign_publication, draft, self._node.identity.node, key, now, content
            )
            return await asyncio.to_thread(send, address, envelope)

    async def _a_second_later(self) -> datetime:
        """Now, in another second than the publication before: times are whole seconds, and the
        catalogue takes up only what is later than what it has."""
        while True:
            now = self._node.clock.now()
            if int(now.timestamp()) != self._last_second:
                self._last_second = int(now.timestamp())
                return now
            await asyncio.sleep(1.0 - now.timestamp() % 1.0)

    async def _users(self, service_id: str) -> tuple[int, tuple[DataUser, ...]]:
        """Who has an agreement in force. Whatever else the setting says than ``named``: a count."""
        now = self._node.clock.now()
        agreements = await asyncio.to_thread(self._node.agreement_store.all)
        in_force = (
            each.document
            for each in agreements
            if each.document.service == service_id and each.status(now) is Status.ACTIVE
        )
        return users_of(in_force, named=self._node.settings.catalogue_users == NAMED)

    def _check_hosted(self, owner: str) -> None:
        """The catalogue asks the directory again; this only tells it sooner and better."""
        if owner not in {each.id for each in self._node.identity.members}:
            raise SubsystemNotHosted(subsystem=owner, node=self._node.identity.node)
