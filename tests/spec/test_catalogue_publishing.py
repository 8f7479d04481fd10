"""Publishing by protocol 0007: what is taken up, and which error each hostile publication gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette

from lienthong.catalogue.models import Act, Facts, Publication, Quality
from lienthong.catalogue.publishing import (
    LARGEST_ENVELOPE_BYTES,
    draft_of,
    sign_publication,
    signed_bytes,
)
from lienthong.catalogue.query import Query
from lienthong.catalogue.routes import PATH, catalogue_routes
from lienthong.catalogue.service import CatalogueService
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.contracts.drafting import LEGAL_BASIS_WANTED
from lienthong.contracts.loading import load_contract
from lienthong.errors import (
    EntryUnknown,
    InvalidPublication,
    LegalBasisMissing,
    PublicationConflict,
    PublicationNotAccepted,
    PublicationOutdated,
)
from lienthong.identity.keys import PrivateKey
from tests.fixtures.agreement_parties import NOW, START, Clock, Country

OWNER, NODE = "VN/GOV/G01", "VN/GOV/G01/n1"
SERVICE = "VN/GOV/G01/dancu/cong-dan"
STRANGER, STRANGERS_NODE = "VN/GOV/H37", "VN/GOV/H37/n1"
KEY = f"{OWNER}/vn-demo-cong-dan"
CONTRACT = Path("src/lienthong/demo/contracts/cong-dan.odcs.yaml").read_bytes()


UNNAMED_BASIS = CONTRACT.replace(
    "Luật Căn cước 26/2023/QH15; Nghị định 47/2020/NĐ-CP".encode(), LEGAL_BASIS_WANTED.encode()
)


class World:
    """A directory, a catalogue over it, and a node's signature at hand."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.country = Clock(), Country()
        self.country.add_member(OWNER, {"dancu": (NODE,), "khac": ()})
        self.country.add_member(STRANGER, {"motcua": (STRANGERS_NODE,)})
        self.country.add_node(NODE)
        self.country.add_node(STRANGERS_NODE)
        self.engine = open_catalogue(f"sqlite:///{folder}/catalogue.db")
        store = CatalogueStore(self.engine)
        self.service = CatalogueService(store, self.country.view, self.clock)

    def envelope(
        self,
        contract: bytes = CONTRACT,
        *,
        node: str = NODE,
        key: PrivateKey | None = None,
        age: timedelta = timedelta(),
        carry: bytes | None = None,
        **changes: Any,
    ) -> bytes:
        draft = draft_of(load_contract(contract), service=SERVICE)._replace(**changes)
        signer = key or self.country.node_keys[node]
        now = self.clock() - age
        return sign_publication(draft, node, signer, now, contract if carry is None else carry)

    def publish(self, contract: bytes = CONTRACT, **options: Any) -> Publication:
        self.clock.pass_seconds(1)
        return self.service.receive(self.envelope(contract, **options))

    def withdraw(self, contract: bytes = CONTRACT, **options: Any) -> Publication:
        return self.publish(contract, act=Act.WITHDRAW, carry=b"", **options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.engine.dispose()


def changed(old: bytes, new: bytes) -> bytes:
    assert old in CONTRACT
    return CONTRACT.replace(old, new)


def version(number: str, purpose: str = "") -> bytes:
    text = changed(b"version: 1.0.0", f"version: {number}".encode())
    return text + purpose.encode()


def resigned(world: World, envelope: bytes, **members: Any) -> bytes:
    """Change members of a publication and sign it anew, as the node itself could."""
    value = msgspec.json.decode(envelope)
    value["publication"].update(members, signature="")
    publication = msgspec.convert(value["publication"], Publication, strict=False)
    signature = world.country.node_keys[NODE].sign(signed_bytes(publication))
    value["publication"] = msgspec.to_builtins(
        msgspec.structs.replace(publication, signature=signature)
    )
    return msgspec.json.encode(value)


# --- what is taken up ----------------------------------------------------------------


def test_a_published_contract_is_found_with_all_that_an_entry_shows(world: World) -> None:
    facts = Facts(records=111, updated=START, quality=Quality(12, 1, START), consumers=4)
    world.publish(facts=facts)
    (entry,) = world.service.search.find(Query("cong dan")).entries
    assert (entry.key, entry.service, entry.node) == (KEY, SERVICE, NODE)
    assert entry.facts == facts
    assert entry.legal_basis
    assert {field.name for field in entry.fields} >= {"so_dinh_danh", "ho_ten"}
    assert entry.classification.value == "sensitive"
    assert world.service.store.contract(entry.digest) == CONTRACT


def test_every_version_stays_in_the_history(world: World) -> None:
    world.publish()
    world.publish(version("1.1.0"))
    world.withdraw(version("1.1.0"), reason="Gộp vào tập khác")
    world.publish(version("2.0.0"))
    history = [each.publication for each in world.service.store.history(KEY)]
    assert [(each.act, each.version) for each in history] == [
        (Act.PUBLISH, "1.0.0"),
        (Act.PUBLISH, "1.1.0"),
        (Act.WITHDRAW, "1.1.0"),
        (Act.PUBLISH, "2.0.0"),
    ]
    assert all(world.service.store.contract(each.digest) for each in history)
    assert world.service.store.get(KEY).version == "2.0.0"
    assert world.service.store.get(KEY).published == history[0].time


def test_the_same_version_again_brings_new_facts(world: World) -> None:
    world.publish(facts=Facts(consumers=1))
    world.publish(facts=Facts(consumers=2))
    assert world.service.store.get(KEY).facts.consumers == 2


def test_the_same_publication_twice_is_one(world: World) -> None:
    envelope = world.envelope()
    assert world.service.receive(envelope) == world.service.receive(envelope)
    assert len(world.service.store.history(KEY)) == 1


def test_a_withdrawn_dataset_is_not_found_and_keeps_its_history(world: World) -> None:
    world.publish()
    world.withdraw(reason="Ngừng cung cấp")
    assert world.service.search.find(Query("cong dan")).total == 0
    with pytest.raises(EntryUnknown):
        world.service.store.get(KEY)
    assert world.service.store.history(KEY)[-1].publication.reason == "Ngừng cung cấp"


def test_a_contract_without_a_service_is_published_by_its_owner(world: World) -> None:
    world.publish(service="")
    assert world.service.store.get(KEY).service == ""


def test_a_proposed_contract_is_not_published_before_its_legal_basis_is_named(
    world: World,
) -> None:
    with pytest.raises(LegalBasisMissing):
        world.publish(UNNAMED_BASIS)


# --- what is refused -----------------------------------------------------------------

Attack = Callable[[World], object]


def _stranger_publishes_for_the_owner(world: World) -> object:
    return world.publish(node=STRANGERS_NODE)


def _stranger_takes_the_owners_service(world: World) -> object:
    return world.publish(node=STRANGERS_NODE, owner=STRANGER)


def _subsystem_that_the_node_does_not_have(world: World) -> object:
    return world.publish(service="VN/GOV/G01/khac/cong-dan")


def _key_of_somebody_else(world: World) -> object:
    return world.publish(key=PrivateKey.generate())


def _signature_of_another_key_under_the_nodes_name(world: World) -> object:
    value = msgspec.json.decode(world.envelope(key=PrivateKey.generate()))
    value["publication"]["key_id"] = world.country.node_keys[NODE].public.key_id
    return world.service.receive(msgspec.json.encode(value))


def _revoked_key(world: World) -> object:
    world.country.revoke_key(NODE, NOW)
    return world.publish()


def _stolen_key_that_dates_back_before_its_revocation(world: World) -> object:
    world.country.revoke_key(NODE, NOW)
    world.clock.pass_seconds(60)
    return world.service.receive(world.envelope(age=timedelta(seconds=120)))


def _key_that_ran_out(world: World) -> object:
    world.country.add_node(NODE, key_until=NOW - timedelta(days=1))
    return world.publish()


def _revoked_delegation(world: World) -> object:
    world.country.add_member(OWNER, {"dancu": (NODE,)}, revoked=(NODE,))
    return world.publish()


def _from_the_future(world: World) -> object:
    return world.service.receive(world.envelope(age=-timedelta(minutes=5)))


def _sent_again_next_day(world: World) -> object:
    return world.service.receive(world.envelope(age=timedelta(days=1)))


NOT_ACCEPTED: list[Attack] = [
    _stranger_publishes_for_the_owner,
    _subsystem_that_the_node_does_not_have,
    _key_of_somebody_else,
    _signature_of_another_key_under_the_nodes_name,
    _revoked_key,
    _stolen_key_that_dates_back_before_its_revocation,
    _key_that_ran_out,
    _revoked_delegation,
    _from_the_future,
    _sent_again_next_day,
]


def _changed_facts(world: World) -> object:
    value = msgspec.json.decode(world.envelope())
    value["publication"]["facts"]["consumers"] = 1_000_000
    return world.service.receive(msgspec.json.encode(value))


def test_facts_changed_on_the_way_break_the_signature(world: World) -> None:
    with pytest.raises(PublicationNotAccepted):
        _changed_facts(world)


@pytest.mark.parametrize("attack", NOT_ACCEPTED, ids=lambda attack: attack.__name__.strip("_"))
def test_what_the_directory_gives_no_right_to_is_not_accepted(world: World, attack: Attack) -> None:
    with pytest.raises(PublicationNotAccepted):
        attack(world)
    assert world.service.store.count() == 0
    assert world.service.store.history(KEY) == []


def _other_contract_in_the_envelope(world: World) -> object:
    return world.publish(carry=version("1.0.0", "# other\n"))


def _state_secret_inside(world: World) -> object:
    secret = changed(b"classification: sensitive", "classification: mật".encode())
    digest = sha256(secret).hexdigest()
    return world.publish(carry=secret, digest=digest)


def _another_id_than_the_contracts(world: World) -> object:
    return world.publish(contract_id="vn-demo-ket-hon")


def _another_version_than_the_contracts(world: World) -> object:
    return world.publish(version="9.0.0")


def _version_that_has_no_order(world: World) -> object:
    return world.publish(changed(b"version: 1.0.0", b"version: newest"))


def _another_instance(world: World) -> object:
    return world.publish(owner="VN-TEST/GOV/G01", service="")


def _percent_encoded_owner(world: World) -> object:
    return world.publish(owner="VN/GOV/G%301", service="")


def _no_contract(world: World) -> object:
    return world.publish(carry=b"")


def _withdrawal_with_a_contract(world: World) -> object:
    world.publish()
    return world.publish(act=Act.WITHDRAW)


def _line_break_in_the_reason(world: World) -> object:
    world.publish()
    return world.withdraw(reason="một\nhai")


def _fraction_of_a_second(world: World) -> object:
    envelope = world.envelope()
    return world.service.receive(resigned(world, envelope, time="2026-06-01T08:00:00.500000Z"))


def _too_large(world: World) -> object:
    return world.service.receive(b" " * (LARGEST_ENVELOPE_BYTES + 1))


def _unknown_member(world: World) -> object:
    value = msgspec.json.decode(world.envelope())
    value["publication"]["price"] = 1
    return world.service.receive(msgspec.json.encode(value))


def _negative_records(world: World) -> object:
    value = msgspec.json.decode(world.envelope())
    value["publication"]["facts"]["records"] = -1
    return world.service.receive(msgspec.json.encode(value))


def _more_failed_than_rules(world: World) -> object:
    value = msgspec.json.decode(world.envelope())
    checked = {"rules": 1, "failed": 2, "checked": "2026-01-01T00:00:00Z"}
    value["publication"]["facts"]["quality"] = checked
    return world.service.receive(msgspec.json.encode(value))


def _legal_basis_still_to_be_named(world: World) -> object:
    draft = draft_of(load_contract(CONTRACT), service=SERVICE)
    draft = draft._replace(digest=sha256(UNNAMED_BASIS).hexdigest())
    key = world.country.node_keys[NODE]
    return world.service.receive(sign_publication(draft, NODE, key, world.clock(), UNNAMED_BASIS))


def _no_json(world: World) -> object:
    return world.service.receive(b"\xff{")


def _deep_nesting(world: World) -> object:
    return world.service.receive(b"[" * 100_000)


INVALID: list[Attack] = [
    _stranger_takes_the_owners_service,
    _other_contract_in_the_envelope,
    _state_secret_inside,
    _another_id_than_the_contracts,
    _another_version_than_the_contracts,
    _version_that_has_no_order,
    _another_instance,
    _percent_encoded_owner,
    _no_contract,
    _withdrawal_with_a_contract,
    _line_break_in_the_reason,
    _fraction_of_a_second,
    _too_large,
    _unknown_member,
    _negative_records,
    _more_failed_than_rules,
    _legal_basis_still_to_be_named,
    _no_json,
    _deep_nesting,
]


@pytest.mark.parametrize("attack", INVALID, ids=lambda attack: attack.__name__.strip("_"))
def test_what_is_no_publication_or_contradicts_its_contract_is_invalid(
    world: World, attack: Attack
) -> None:
    before = world.service.store.count()
    with pytest.raises(InvalidPublication):
        attack(world)
    assert world.service.store.count() in {before, 1}
    assert all(each.publication.act is Act.PUBLISH for each in world.service.store.history(KEY))


def _older_version(world: World) -> object:
    world.publish(version("1.10.0"))
    return world.publish(version("1.9.0"))


def _same_version_with_other_content(world: World) -> object:
    world.publish()
    return world.publish(version("1.0.0", "# other\n"))


def _same_version_written_otherwise(world: World) -> object:
    world.publish()
    return world.publish(version('"1.0"'))


def _old_version_after_a_withdrawal(world: World) -> object:
    world.publish(version("2.0.0"))
    world.withdraw(version("2.0.0"))
    return world.publish(version("1.0.0"))


def _withdrawal_of_what_was_never_there(world: World) -> object:
    return world.withdraw()


def _second_withdrawal(world: World) -> object:
    world.publish()
    world.withdraw()
    return world.withdraw()


def _withdrawal_of_an_older_version(world: World) -> object:
    world.publish()
    world.publish(version("1.1.0"))
    return world.withdraw()


CONFLICTS: list[Attack] = [
    _older_version,
    _same_version_with_other_content,
    _same_version_written_otherwise,
    _old_version_after_a_withdrawal,
    _withdrawal_of_what_was_never_there,
    _second_withdrawal,
    _withdrawal_of_an_older_version,
]


@pytest.mark.parametrize("attack", CONFLICTS, ids=lambda attack: attack.__name__.strip("_"))
def test_versions_only_go_up_and_never_change(world: World, attack: Attack) -> None:
    with pytest.raises(PublicationConflict):
        attack(world)


def test_an_earlier_publication_cannot_undo_a_later_one(world: World) -> None:
    early = world.envelope()
    world.publish()
    world.withdraw()
    with pytest.raises(PublicationOutdated):
        world.service.receive(early)
    assert world.service.store.count() == 0


# --- over HTTP -----------------------------------------------------------------------


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    content_type: str | None
    json: Any


class Client:
    """HTTP to a catalogue that really listens."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **parameters: str) -> Answer:
        return self._ask("GET", f"{path}?{urlencode(parameters)}", None)

    def post(self, path: str, body: bytes) -> Answer:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content_type = answer.headers["content-type"]
            return Answer(answer.status, content_type, msgspec.json.decode(answer.read()))
        finally:
            connection.close()


@pytest.fixture
def client(world: World, free_port: int) -> Iterator[Client]:
    application = Starlette(routes=catalogue_routes(world.service))
    config = uvicorn.Config(application, "127.0.0.1", free_port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield Client(free_port)
    server.should_exit = True
    thread.join()


def test_over_http_a_dataset_is_published_searched_read_and_withdrawn(
    world: World, client: Client
) -> None:
    answer = client.post(PATH, world.envelope())
    assert (answer.status, answer.json["entry"]) == (200, KEY)
    page = client.get(PATH, q="công dân", classification="sensitive").json
    assert (page["total"], page["exact"], page["entries"][0]["key"]) == (1, True, KEY)
    assert page["facets"]["classification"][0]["chosen"] is True
    assert client.get(f"{PATH}/entries/{KEY}").json["version"] == "1.0.0"
    assert len(client.get(f"{PATH}/history/{KEY}").json["history"]) == 1
    assert client.get(f"{PATH}/entries/VN/GOV/G01/nothing").status == 404


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": "many"}, "catalogue.query"),
        ({"limit": "101"}, "catalogue.query"),
        ({"offset": "-1"}, "catalogue.query"),
        ({"q": "a" * 301}, "catalogue.query"),
    ],
)
def test_over_http_errors_are_problems_in_both_languages(
    client: Client, parameters: dict[str, str], code: str
) -> None:
    answer = client.get(PATH, **parameters)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"] != answer.json["detail_en"]


def test_over_http_a_body_without_end_is_cut_off(client: Client) -> None:
    answer = client.post(PATH, b" " * (LARGEST_ENVELOPE_BYTES + 1))
    assert answer.json["code"] == InvalidPublication.code
