"""What both edges of a node refuse and leave in doubt, one fault at a time.

The program's own code on a real directory and ledger, in one process; other nodes are played.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import pytest

from lienthong.agreements.book import AgreementBook
from lienthong.errors import (
    AgreementError,
    AnswerInDoubt,
    BodyTooLarge,
    ClientNotAuthenticated,
    ConnectFailed,
    CosignatureInvalid,
    DescriptionMissing,
    ForeignMessage,
    GrowthUnproven,
    InconsistentAnswer,
    InvalidSetting,
    LedgerUnavailable,
    LienthongError,
    MessageExpired,
    MessageMalformed,
    MessageReplayed,
    NoCommonVersion,
    NodeDraining,
    NodeUnreachable,
    PeerClosed,
    RecordNotFound,
    ServiceDisabled,
    ServiceProtocolMismatch,
    TimedOut,
    TimeStampInvalid,
    UnknownClient,
    UnknownPath,
    UnknownService,
    WrongSecurityServer,
)
from lienthong.exchange import consumer, housekeeping, peer_edge, time_stamping, wire
from lienthong.exchange.answers import AnswerWriter
from lienthong.exchange.client_edge import ClientEdge
from lienthong.exchange.clients import ClientRegistry, ClientSystem, ConnectionType
from lienthong.exchange.convoy import LARGEST_CONVOY, LARGEST_MESSAGE_AND_BODY
from lienthong.exchange.elsewhere import Elsewhere
from lienthong.exchange.execution import Execution, Permit
from lienthong.exchange.fairness import FairShares
from lienthong.exchange.faults import PeerFault, read_peer_fault
from lienthong.exchange.housekeeping import Housekeeping
from lienthong.exchange.once import OnceRegister, Running
from lienthong.exchange.peer_edge import PeerEdge
from lienthong.exchange.provider import ProviderEdge, _same_answer
from lienthong.exchange.receipts import LARGEST_PARCEL
from lienthong.exchange.services import Service, ServiceRegistry
from lienthong.exchange.time_stamping import StampingPlan, TimeStamper, given_authorities
from lienthong.exchange.versions import PeerVersions
from lienthong.exchange.wire import Signed
from lienthong.exchange.witness_desk import WitnessDesk, read_notes
from lienthong.exchange.witness_rounds import WitnessRounds, _line
from lienthong.exchange.xroad.paths import parse_service_target
from lienthong.identity.identifiers import NodeId
from lienthong.ledger.cosignatures import cosign
from lienthong.ledger.heads import parse_head
from lienthong.ledger.messages import received_leaf
from lienthong.settings import load_settings
from lienthong.transport.client import Address
from lienthong.transport.messages import Body, Connection, Request, Response
from tests.fixtures.hostile_edge import US, HostileEdge, Signing, headers_of
from tests.fixtures.ledgers import REPLY, answer_to, request_of
from tests.spec import message_reference as reference

HIM = "VN/GOV/H37/n1"
LEAF = bytes(32)
NOBODY = Connection(None, "127.0.0.1:1", False)
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileEdge]:
    made = HostileEdge(tmp_path_factory.mktemp("edge"))
    yield made
    made.close()


def run(edge: HostileEdge, work: Coroutine[Any, Any, Result]) -> Result:
    """In the loop in which the node's ledger writes."""
    return edge._loop.run_until_complete(work)


class Said:
    """A transport whose other end answers so, or fails so."""

    def __init__(self, *answers: Response | Exception) -> None:
        self._answers = list(answers)
        self.sent = 0

    async def send(self, address: Address, request: Request, **_: object) -> Response:
        answer = self._answers[min(self.sent, len(self._answers) - 1)]
        self.sent += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def response(status: int, body: bytes = b"", **headers: str) -> Response:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status, named, Body.of(body))


# --- clients of our own --------------------------------------------------------------------


def test_a_client_system_is_known_and_connects_as_it_was_registered() -> None:
    own, plain, secure = "VN/GOV/G01/motcua", NOBODY, Connection(b"der", "127.0.0.1:1", True)
    registry = ClientRegistry()
    with pytest.raises(UnknownClient):
        registry.check(own, secure)
    registry.put(ClientSystem(own, ConnectionType.HTTPS))
    registry.check(own, secure)
    with pytest.raises(ClientNotAuthenticated):
        registry.check(own, plain)
    registry.put(ClientSystem(own, ConnectionType.MTLS, frozenset({"0" * 64})))
    for connection in (plain, secure, Connection(None, "127.0.0.1:1", True)):
        with pytest.raises(ClientNotAuthenticated):
            registry.check(own, connection)


def test_a_node_that_drains_takes_no_more(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.core, "draining", True)
    clients = ClientEdge(edge.core, ClientRegistry())
    rest = Request("GET", "/r1/VN/GOV/H37/dancu/x", [])
    wsdl = Request("GET", "/wsdl?xRoadInstance=VN", [])
    for request in (rest, wsdl):
        with pytest.raises(NodeDraining):
            run(edge, clients._answer(request, 0.0))
    with pytest.raises(NodeDraining):
        edge.ask([], b"", edge.connections["H37"])


def call_of(edge: HostileEdge, service: str, server: NodeId | None = None) -> Any:
    target = parse_service_target(f"/r1/{service}")
    xroad = SimpleNamespace(security_server=server, client="VN/GOV/G01/motcua")
    return SimpleNamespace(target=target, xroad=xroad, view=edge.mirror.view)


def test_a_service_must_be_somewhere_and_there_where_the_client_wants_it(
    edge: HostileEdge,
) -> None:
    with pytest.raises(UnknownService):
        edge.consumer._nodes(call_of(edge, "VN/GOV/H37/khong-co/x"))
    wanted = call_of(edge, "VN/GOV/H37/dancu/x", NodeId("VN", "GOV", "H37", "n9"))
    with pytest.raises(WrongSecurityServer):
        edge.consumer._nodes(wanted)


# --- asking another node -------------------------------------------------------------------


def sent_by(edge: HostileEdge, **fields: Any) -> Any:
    asked = request_of(
        client="VN/GOV/G01/motcua",
        service="VN/GOV/H37/dancu/x",
        sender=US,
        receiver=HIM,
        time=edge.time,
        **fields,
    )
    leaf = reference.leaf(msgspec.to_builtins(asked))
    http = Request("POST", wire.MESSAGE_PATH, [], Body.of(b"{}"))
    return SimpleNamespace(message=asked, leaf=leaf, http=http)


def send(edge: HostileEdge, said: Said, monkeypatch: pytest.MonkeyPatch) -> Response:
    monkeypatch.setattr(consumer, "RESEND_PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(edge.core, "carrier", said)
    call = call_of(edge, "VN/GOV/H37/dancu/x")
    return run(edge, edge.consumer._send(call, sent_by(edge), HIM))


def test_a_message_whose_answer_does_not_come_is_in_doubt(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Said(TimedOut(address="x", timeout_seconds=1))
    with pytest.raises(AnswerInDoubt):
        send(edge, late, monkeypatch)
    assert late.sent == 1
    closed = Said(PeerClosed(address="x"))
    with pytest.raises(AnswerInDoubt):
        send(edge, closed, monkeypatch)
    assert closed.sent == 3
    refused = Said(PeerClosed(address="x"), response(400))  # says nothing of the first sending
    with pytest.raises(AnswerInDoubt):
        send(edge, refused, monkeypatch)


def test_a_service_none_of_whose_nodes_is_there_is_unreachable(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RESEND_PAUSES_SECONDS", (0.0,))
    nobody = Said(ConnectFailed(address="x", reason="refused"))
    monkeypatch.setattr(edge.core, "carrier", nobody)
    monkeypatch.setattr(edge.core, "transport", nobody)
    clients = ClientRegistry([ClientSystem("VN/GOV/G01/motcua", ConnectionType.HTTP)])
    asking = consumer.ConsumerEdge(edge.core, clients)
    headers = [("x-road-client", "VN/GOV/G01/motcua")]
    http = Request("GET", "/r1/VN/GOV/H37/dancu/x", headers, Body.of(b""), NOBODY)
    with pytest.raises(NodeUnreachable):
        run(edge, asking._answer(http, 0.0))


def answer_by(edge: HostileEdge, sent: Any, status: int = 200) -> Response:
    """A good answer, signed by the node that was asked."""
    fields = msgspec.to_builtins(answer_to(sent.message, salts=bytes(48)))
    proof = edge.proof(reference.leaf(fields), Signing())
    headers = headers_of(json.dumps(fields), json.dumps(proof))
    return Response(status, headers, Body.of(REPLY), "", edge.connections["H37"])


def test_an_answer_comes_over_a_connection_and_is_of_the_version_that_was_asked(
    edge: HostileEdge,
) -> None:
    sent = sent_by(edge)
    assert edge.take(None, sent, answer_by(edge, sent)).message.request_id
    nowhere = answer_by(edge, sent)
    nowhere.connection = None
    with pytest.raises(InconsistentAnswer, match="connection"):
        edge.take(None, sent, nowhere)
    newer = SimpleNamespace(**{**vars(sent), "message": request_of_version(sent.message, 2)})
    with pytest.raises(InconsistentAnswer, match="version"):
        edge.take(None, newer, answer_by(edge, sent))


def request_of_version(request: Any, version: int) -> Any:
    return msgspec.structs.replace(request, version=version)


def test_an_unsigned_refusal_is_told_as_what_it_is(edge: HostileEdge) -> None:
    sent = sent_by(edge)
    fault = {"type": "Server.ServerProxy", "code": "message.x", "message": "m", "detail": "d"}
    refusal = answer_by(edge, sent, 503)
    refusal.body = Body.of(json.dumps(fault).encode())
    with pytest.raises((PeerFault, InconsistentAnswer)) as told:
        edge.take(None, sent, refusal)
    assert isinstance(told.value, PeerFault) or "503" in str(told.value)
    found = read_peer_fault(response(500, b" " * 100_000))
    assert isinstance(found, InconsistentAnswer)
    assert "too many bytes" in str(found)


def test_an_answer_that_our_ledger_does_not_take_is_in_doubt(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise LedgerUnavailable()

    sent = sent_by(edge)
    monkeypatch.setattr(edge.core, "committer", SimpleNamespace(record=full))
    with pytest.raises(AnswerInDoubt):
        edge.take(None, sent, answer_by(edge, sent))


def test_a_node_with_which_we_share_no_version_is_named(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.core, "transport", Said(response(200, b'{"versions":[7,8]}')))
    with pytest.raises(NoCommonVersion):
        run(edge, PeerVersions(edge.core)._ask(HIM))


# --- what Core checks for all --------------------------------------------------------------


def test_a_connection_is_a_nodes_that_we_dialled_and_shows_a_certificate(
    edge: HostileEdge,
) -> None:
    with pytest.raises(ForeignMessage, match="no node"):
        edge.core.check_dialled(Address("10.0.0.1", 1, True), edge.connections["H37"])
    with pytest.raises(ForeignMessage, match="no certificate"):
        edge.core.check_peer(NOBODY, HIM, edge.mirror.view)


def test_a_message_says_a_time_after_our_ledger_was_restored(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.core.check_time(edge.time, "the request")
    with pytest.raises(MessageExpired, match="not a time"):
        edge.core.check_time("now", "the request")
    monkeypatch.setattr(edge.core, "not_before", edge.now + timedelta(seconds=1))
    with pytest.raises(MessageExpired, match="restored"):
        edge.core.check_time(edge.time, "the request")


# --- answering once ------------------------------------------------------------------------


def elsewhere(found: Any, seconds: float = 60.0) -> Elsewhere:
    async def alive(_: int) -> bool:
        return True

    answers: Any = None
    book: Any = SimpleNamespace(find=lambda request_id: found)
    return Elsewhere(answers, book, alive, seconds)


def test_a_request_that_another_gateway_has_is_answered_there_or_in_doubt() -> None:
    request = request_of()
    with pytest.raises(AnswerInDoubt):
        asyncio.run(elsewhere(None).answer(request, LEAF))
    another = SimpleNamespace(leaf=received_leaf(bytes([1]) * 32), answer=None, gateway=1)
    with pytest.raises(MessageReplayed):
        asyncio.run(elsewhere(another).answer(request, LEAF))
    working = SimpleNamespace(leaf=received_leaf(LEAF), answer=None, gateway=1)
    with pytest.raises(AnswerInDoubt):
        asyncio.run(elsewhere(working, 0.0).answer(request, LEAF))


def test_whoever_waits_for_an_execution_that_is_given_up_is_in_doubt() -> None:
    async def main() -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.cancel()
        await _same_answer(Running(LEAF, answer), request_of())

    with pytest.raises(AnswerInDoubt):
        asyncio.run(main())


def test_what_was_executed_and_cannot_be_logged_is_in_doubt(
    edge: HostileEdge,
) -> None:
    async def fail(*_: object) -> None:
        raise LedgerUnavailable()

    execution: Any = SimpleNamespace(decide=lambda *_: Permit("metadata", "x"), run=fail)
    once = OnceRegister(edge.core.remembered)
    provider = ProviderEdge(edge.core, execution, AnswerWriter(edge.core), once)
    fields = msgspec.to_builtins(request_of(request_id="in doubt", time=edge.time, salts=bytes(96)))
    proof = edge.proof(reference.leaf(fields), Signing())
    http = Request("POST", wire.MESSAGE_PATH, headers_of(json.dumps(fields), json.dumps(proof)))
    signed: Signed = wire.read_request(http)

    async def main() -> None:
        turn = await FairShares().begin("H37")
        once.begin("in doubt", signed.leaf, edge.now)
        await provider._execute_once(http, signed, signed.leaf, turn, 0.0)

    with pytest.raises(AnswerInDoubt):
        run(edge, main())


def test_a_service_is_there_open_described_and_agreed(edge: HostileEdge) -> None:
    there, closed = "VN/GOV/G01/dancu/x", "VN/GOV/G01/dancu/y"
    registry = ServiceRegistry([Service(there), Service(closed, enabled=False)])
    assert registry.find(there).id == there
    with pytest.raises(UnknownService):
        registry.find("VN/GOV/G01/dancu/z")
    with pytest.raises(ServiceDisabled):
        registry.find(closed)
    threads: Any = None
    execution = Execution(edge.core, registry, AgreementBook(), threads)
    request = request_of(service=there)
    with pytest.raises(AgreementError):
        execution._check(request, "/", None, 1)
    with pytest.raises(DescriptionMissing):
        execution._openapi("VN/GOV/G01/dancu", "serviceCode=x")
    wsdl = request_of(service="VN/GOV/G01/dancu/getWsdl")
    with pytest.raises(ServiceProtocolMismatch):
        asyncio.run(execution._metaservice(wsdl, Request("GET", "/", [])))


# --- what other nodes ask beside messages --------------------------------------------------


@pytest.fixture
def desk(edge: HostileEdge) -> PeerEdge:
    async def nothing(*_: object) -> bytes:
        return b"{}"

    unused: Any = None
    return PeerEdge(edge.core, edge.provider, unused, nothing, unused)


def asked(edge: HostileEdge, method: str, target: str, size: int = 0) -> Request:
    headers = [(wire.NODE_HEADER, HIM)]
    return Request(method, target, headers, Body.of(bytes(size)), edge.connections["H37"])


def test_other_paths_and_too_many_bytes_are_refused(edge: HostileEdge, desk: PeerEdge) -> None:
    with pytest.raises(UnknownPath):
        run(edge, desk._other(asked(edge, "GET", "/none")))
    for path, limit in (
        (wire.AGREEMENTS_PATH, peer_edge.LARGEST_AGREEMENT),
        (wire.RECEIPTS_PATH, LARGEST_PARCEL),
    ):
        with pytest.raises(BodyTooLarge):
            run(edge, desk._other(asked(edge, "POST", path, limit + 1)))
    with pytest.raises(BodyTooLarge):
        desk._convoy(
            asked(
                edge, "POST", min(wire.CONVOY_PATHS), LARGEST_CONVOY + LARGEST_MESSAGE_AND_BODY + 1
            )
        )


def test_receipts_and_proofs_of_growth_have_a_form(edge: HostileEdge, desk: PeerEdge) -> None:
    with pytest.raises(MessageMalformed, match="receipts"):
        run(edge, desk._other(asked(edge, "POST", wire.RECEIPTS_PATH, 3)))
    for query in ("", "epoch=0", "epoch=0&first=1&second=x", "epoch=-1&first=1&second=2"):
        with pytest.raises(MessageMalformed, match=r"wanted|range"):
            run(edge, desk._other(asked(edge, "GET", f"{wire.CONSISTENCY_PATH}?{query}")))
    with pytest.raises(MessageMalformed, match="range"):
        peer_edge._numbers("epoch=0&first=2&second=1")
    with pytest.raises(MessageMalformed, match="wanted"):
        peer_edge._numbers("epoch=0")
    growth = f"{wire.CONSISTENCY_PATH}?epoch=0&first=1&second={1 << 30}"
    with pytest.raises(RecordNotFound):
        run(edge, desk._other(asked(edge, "GET", growth)))
    with pytest.raises(RecordNotFound):
        peer_edge._note("")


def asking(edge: HostileEdge, *answers: Response) -> Any:
    """Housekeeping's own methods, with another node that says this."""
    unused: Any = None
    made = Housekeeping(edge.core, unused, unused)
    edge.core.transport = Said(*answers)
    return made


def test_what_another_node_says_of_its_ledger_is_judged(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.core, "transport", edge.core.transport)  # put back afterwards
    note = edge.head_note(bytes(32), Signing())
    first = parse_head(note)
    with pytest.raises(MessageMalformed, match="HTTP status 404"):
        run(edge, asking(edge, response(404)).call(HIM, "GET", "/x", b""))
    with pytest.raises(MessageMalformed, match="too large"):
        run(edge, asking(edge, response(200, b" " * 100_000))._head_of_size(first))
    with pytest.raises(GrowthUnproven):
        run(edge, asking(edge, response(200, note.encode()))._head_of_size(first))
    peer: Any = SimpleNamespace(consistent=first, head=first)
    large = b"[" + b" " * housekeeping.LARGEST_PROOF_BODY + b"]"
    for body in (b"no list", large):
        with pytest.raises(MessageMalformed, match="consistency proof"):
            run(edge, asking(edge, response(200, body))._consistency_path(peer))


# --- witnesses -----------------------------------------------------------------------------


@pytest.fixture
def witness(edge: HostileEdge) -> WitnessDesk:
    book: Any = SimpleNamespace(cosign=lambda *_: "line")
    key: Any = SimpleNamespace(current=edge.agencies["G01"].signing_key)
    return WitnessDesk(edge.core, book, key)


def body_of(content: bytes) -> Request:
    return Request("POST", "/", [], Body.of(content))


def test_a_witness_signs_for_others_and_within_bounds(
    edge: HostileEdge, witness: WitnessDesk
) -> None:
    with pytest.raises(BodyTooLarge):
        run(edge, witness._cosigned(body_of(bytes(1 << 22))))
    with pytest.raises(BodyTooLarge):
        run(edge, witness.heads(HIM, body_of(bytes(1 << 22))))
    ours = edge.head_note(bytes(32), Signing(by="G01"))
    theirs = edge.head_note(bytes(32), Signing(by="G66"))
    assert run(edge, witness._cosigned(body_of(b"old 0\n\n" + theirs.encode()))) == "line"
    with pytest.raises(CosignatureInvalid, match="its own ledger"):
        run(edge, witness._cosigned(body_of(b"old 0\n\n" + ours.encode())))
    with pytest.raises(MessageMalformed):
        read_notes(b"[")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", MessageMalformed),
        ("epoch=0", MessageMalformed),
        ("epoch=0&size=x", MessageMalformed),
        ("epoch=0&size=0", RecordNotFound),
        ("epoch=-1&size=1", RecordNotFound),
        (f"epoch=0&size={1 << 70}", RecordNotFound),  # more than a database counts
    ],
)
def test_a_head_of_a_size_is_asked_for_in_one_form(
    edge: HostileEdge, witness: WitnessDesk, query: str, error: type[LienthongError]
) -> None:
    with pytest.raises(error):
        run(edge, witness.head_at(HIM, Request("GET", f"/head-at?{query}", [])))


@pytest.fixture
def newest(edge: HostileEdge) -> Any:
    return SimpleNamespace(note=edge.head_note(bytes(32), Signing(by="G01")), place=0)


def rounds(edge: HostileEdge) -> Any:
    store = SimpleNamespace(cosigned_place=lambda *_: None, put_cosignature=lambda *_: None)
    return SimpleNamespace(
        _core=edge.core,
        _store=store,
        _view=lambda: edge.mirror.view,
        _asked=None,
    )


def test_only_the_witness_that_was_asked_has_signed(edge: HostileEdge, newest: Any) -> None:
    head = parse_head(newest.note)
    good = cosign(head, HIM, edge.agencies["H37"].signing_key, edge.now)
    other = cosign(head, "VN/GOV/G66/n1", edge.agencies["G66"].signing_key, edge.now)

    def signed(answer: Response) -> None:
        async def told(*_: object) -> Response:
            return answer

        own = rounds(edge)
        own._asked = told
        run(edge, WitnessRounds._have_signed(own, HIM, newest))

    signed(response(200, good.encode()))
    with pytest.raises(CosignatureInvalid, match="did not sign"):
        signed(response(200, other.encode()))
    with pytest.raises(MessageMalformed):
        signed(response(500, good.encode()))
    with pytest.raises(CosignatureInvalid, match="form"):
        _line(response(200, bytes(100_000)))


def test_a_witness_that_refuses_to_compare_is_told_of(
    edge: HostileEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = edge.head_note(bytes(32), Signing(by="G66"))
    monkeypatch.setattr(edge.core, "transport", Said(response(500, b"[]")))
    held = SimpleNamespace(note=note, head=parse_head(note))
    monkeypatch.setattr(edge.core, "peers", SimpleNamespace(all=lambda: [held]))
    with pytest.raises(MessageMalformed, match="HTTP status 500"):
        run(edge, WitnessRounds._compare(rounds(edge), HIM))


# --- time-stamps ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("time_stamp_urls", "ftp://x"), ("time_stamp_policy", "khong.phai")]
)
def test_settings_of_stamping_are_read_at_the_start(name: str, value: str) -> None:
    settings = load_settings(None, {f"LIENTHONG_{name.upper()}": value})
    with pytest.raises(InvalidSetting, match=name):
        StampingPlan.of(settings)


def test_a_file_of_authorities_must_be_one(tmp_path: Any) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    for path in (tmp_path / "a.pem", tmp_path / "none.pem"):
        with pytest.raises(InvalidSetting):
            given_authorities(str(path))


def stamper(edge: HostileEdge, answer: Response) -> TimeStamper:
    plan = StampingPlan(("http://127.0.0.1:1/",), "", (), timedelta(hours=1))
    store: Any = None
    transport: Any = Said(answer)
    return TimeStamper(edge.core, store, transport, plan)


def test_an_authority_that_refuses_or_writes_too_much_has_not_stamped(
    edge: HostileEdge, newest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_stamping, "accept_reply", None)  # nothing of it is read
    for answer, reason in ((response(500), "500"), (response(200, bytes(1 << 20)), "too large")):
        with pytest.raises(TimeStampInvalid, match=reason):
            run(edge, stamper(edge, answer)._ask("http://127.0.0.1:1/", newest))


def test_a_stamp_from_the_future_is_none(
    edge: HostileEdge, newest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = SimpleNamespace(time=datetime(2999, 1, 1, tzinfo=UTC), accuracy=timedelta(0))
    monkeypatch.setattr(time_stamping, "accept_reply", lambda *_: (None, far))
    with pytest.raises(TimeStampInvalid, match="future"):
        run(edge, stamper(edge, response(200, b"x"))._ask("http://127.0.0.1:1/", newest))
