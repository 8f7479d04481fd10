"""Adding up the counters of many nodes: a call that both sides counted is one call.

    sums = add_up([counters, …])
    sums.flows, sums.disagreements

Where the provider's node has told, its answers count: it made them. Where it has not, what the
consumer's node received. What one side has and the other has not is shown, never hidden: an
answer that was lost on its way, or a node that keeps something back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from lienthong.node.counters.counts import UNKNOWN, Flow
from lienthong.node.counters.documents import Counters


class Traffic(msgspec.Struct, frozen=True):
    """What went between a client and a service, over all hours and nodes asked."""

    client: str
    service: str
    calls: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    request_bytes: int
    answer_bytes: int


class Disagreement(msgspec.Struct, frozen=True):
    """Two nodes have counted the same answers differently."""

    hour: str
    client: str
    service: str
    consumer_node: str
    provider_node: str
    received: int  # answers, as the consumer's node has it
    sent: int  # answers, as the provider's node has it


class Sums(msgspec.Struct, frozen=True):
    """All that could be added up."""

    flows: tuple[Traffic, ...]
    disagreements: tuple[Disagreement, ...]
    refusals: dict[str, dict[str, int]]

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.flows)


_Lane = tuple[str, str, str, str, str]  # hour, client, service, consumer's node, provider's node


def add_up(documents: Iterable[Counters]) -> Sums:
    """Add up verified documents; each node and hour at most once."""
    consuming: dict[_Lane, Flow] = {}
    providing: dict[_Lane, Flow] = {}
    told: set[tuple[str, str]] = set()
    refusals: dict[str, Counter[str]] = {}
    for document in documents:
        told.add((document.node, document.hour))
        for side, counts in document.refusals.items():
            refusals.setdefault(side, Counter()).update(counts)
        for flow in document.flows:
            nodes = (document.node, flow.other)
            if flow.side == "consumer":
                consuming[document.hour, flow.client, flow.service, *nodes] = flow
            else:
                providing[document.hour, flow.client, flow.service, *nodes[::-1]] = flow
    return Sums(
        _traffic(_counted(consuming, providing, told)),
        tuple(_disagreements(consuming, providing, told)),
        {side: dict(sorted(counts.items())) for side, counts in sorted(refusals.items())},
    )


def _counted(
    consuming: dict[_Lane, Flow], providing: dict[_Lane, Flow], told: set[tuple[str, str]]
) -> Iterable[tuple[_Lane, Flow]]:
    """Each lane once: the provider's count, or the consumer's where the provider has not told."""
    yield from providing.items()
    for lane, flow in consuming.items():
        hour, _, _, _, provider = lane
        if (provider, hour) not in told:
            yield lane, flow


def _traffic(counted: Iterable[tuple[_Lane, Flow]]) -> tuple[Traffic, ...]:
    sums: dict[tuple[str, str], list[Flow]] = {}
    for (_, client, service, _, _), flow in counted:
        sums.setdefault((client, service), []).append(flow)
    return tuple(_added(*key, flows) for key, flows in sorted(sums.items()))


def _added(client: str, service: str, flows: list[Flow]) -> Traffic:
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for flow in flows:
        outcomes.update(flow.outcomes)
        reasons.update(flow.reasons)
    return Traffic(
        client=client,
        service=service or UNKNOWN,
        calls=sum(flow.answers for flow in flows),
        outcomes=dict(sorted(outcomes.items())),
        reasons=dict(sorted(reasons.items())),
        request_bytes=sum(flow.request_sizes.bytes for flow in flows),
        answer_bytes=sum(flow.answer_sizes.bytes for flow in flows),
    )


def _disagreements(
    consuming: dict[_Lane, Flow], providing: dict[_Lane, Flow], told: set[tuple[str, str]]
) -> Iterable[Disagreement]:
    for lane in sorted(consuming.keys() | providing.keys()):
        hour, client, service, consumer, provider = lane
        if (consumer, hour) not in told or (provider, hour) not in told:
            continue
        received = consuming[lane].answers if lane in consuming else 0
        sent = providing[lane].answers if lane in providing else 0
        if received != sent:
            yield Disagreement(hour, client, service, consumer, provider, received, sent)
