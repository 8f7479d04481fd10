"""Every route with every role: the status of each, in one table, and nothing that is not in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from lienthong.catalogue.harvest.models import Kind, Source, SourceState
from lienthong.catalogue.harvest.store import HarvestStore
from lienthong.portal.headers import POLICY
from lienthong.portal.roles import GRANTED, Role
from lienthong.portal.routes import PAGES
from lienthong.portal.tables import ACCOUNT, RECOVERY
from tests.fixtures.portal_desk import AGREEMENT, OWNER, REQUEST, KnownDesk
from tests.fixtures.portal_site import PortalSite, Visitor
from tests.unit.test_portal_contracts import FIRST, NOW, published

WHO = (Role.PUBLIC, *GRANTED)
NAMES = {role: role.value.replace("_", "-") for role in GRANTED}

# One line for each route and method; a column for each role:
#        public citizen officer data_owner operator auditor
# A number: the status of the answer. IN: sent to the page to sign in. NO: 403 for want of the role.
# TO: sent on (303). A form is sent empty but for its token: 422 means that it was looked at.
TABLE = """
GET  /                                          200 200 200 200 200 200
GET  /about                                     200 200 200 200 200 200
GET  /robots.txt                                200 200 200 200 200 200
GET  /catalogue                                 200 200 200 200 200 200
GET  /datasets/{key:path}                       200 200 200 200 200 200
GET  /ask/{key:path}                            IN  NO  200 NO  NO  NO
POST /ask/{key:path}                            IN  NO  422 NO  NO  NO
GET  /sign-in                                   200 TO  TO  TO  TO  TO
POST /sign-in                                   422 422 422 422 422 422
GET  /sign-in/code                              IN  IN  IN  IN  IN  IN
POST /sign-in/code                              IN  IN  IN  IN  IN  IN
GET  /sign-in/provider                          404 404 404 404 404 404
GET  /sign-in/provider/return                   404 404 404 404 404 404
POST /sign-out                                  IN  TO  TO  TO  TO  TO
GET  /account                                   IN  200 200 200 200 200
POST /account/password                          IN  422 422 422 422 422
GET  /account/second-factor                     IN  200 200 200 200 200
POST /account/second-factor                     IN  422 422 422 422 422
POST /account/second-factor/remove              IN  422 422 422 422 422
GET  /account/second-factor/code.svg            IN  200 200 200 200 200
GET  /console                                   IN  NO  200 200 200 200
GET  /console/messages                          IN  NO  200 200 NO  200
POST /console/messages                          IN  NO  422 422 NO  422
GET  /console/messages/{id}                     IN  NO  200 200 NO  200
POST /console/messages/{id}/evidence            IN  NO  200 200 NO  200
GET  /console/evidence                          IN  NO  200 200 NO  200
POST /console/evidence                          IN  NO  422 422 NO  422
GET  /console/agreements                        IN  NO  200 200 NO  200
GET  /console/agreements/{id}                   IN  NO  200 200 NO  200
POST /console/agreements/{id}/accept            IN  NO  NO  TO  NO  NO
POST /console/agreements/{id}/refuse            IN  NO  NO  422 NO  NO
POST /console/agreements/{id}/narrow            IN  NO  NO  422 NO  NO
POST /console/agreements/{id}/withdraw          IN  NO  422 NO  NO  NO
GET  /console/contracts                         IN  NO  200 200 200 200
GET  /console/contracts/submit                  IN  NO  NO  200 NO  NO
POST /console/contracts/submit                  IN  NO  NO  422 NO  NO
GET  /console/contracts/of/{key:path}           IN  NO  200 200 200 200
POST /console/contracts/of/{key:path}           IN  NO  NO  TO  NO  NO
GET  /console/health                            IN  NO  NO  NO  200 200
GET  /console/health/doctor                     IN  NO  NO  NO  200 200
GET  /console/harvest                           IN  NO  NO  NO  200 200
POST /console/harvest/{name}                    IN  NO  NO  NO  TO  NO
GET  /console/users                             IN  NO  NO  NO  200 NO
POST /console/users                             IN  NO  NO  NO  422 NO
GET  /console/users/{name}                      IN  NO  NO  NO  200 NO
POST /console/users/{name}                      IN  NO  NO  NO  422 NO
POST /console/users/{name}/password             IN  NO  NO  NO  200 NO
POST /console/users/{name}/second-factor        IN  NO  NO  NO  TO  NO
GET  /console/audit                             IN  NO  NO  NO  200 200
GET  /static/{mark}/{name:path}                 200 200 200 200 200 200
GET  /catalog                                   TO  TO  TO  TO  TO  TO
GET  /catalog.jsonld                            200 200 200 200 200 200
GET  /catalog.ttl                               200 200 200 200 200 200
GET  /dataset/{key:path}                        TO  TO  TO  TO  TO  TO
GET  /organization/{name}                       TO  TO  TO  TO  TO  TO
GET  /group/{name}                              404 404 404 404 404 404
GET  /legal-basis/{name:path}                   TO  TO  TO  TO  TO  TO
GET  /unit/{name}                               TO  TO  TO  TO  TO  TO
GET  /sitemap.xml                               200 200 200 200 200 200
GET  /sitemap-{number:int}.xml                  200 200 200 200 200 200
GET  /api                                       200 200 200 200 200 200
GET  /api/3                                     200 200 200 200 200 200
GET  /api/action/{action}                       200 200 200 200 200 200
POST /api/action/{action}                       200 200 200 200 200 200
GET  /api/3/action/{action}                     200 200 200 200 200 200
POST /api/3/action/{action}                     200 200 200 200 200 200
"""
KEY = f"{OWNER}/test-nguoi"


class Line(NamedTuple):
    """One cell of the table."""

    method: str
    path: str
    role: Role
    expected: str


def lines() -> list[Line]:
    found = []
    for row in TABLE.strip().splitlines():
        method, path, *expected = row.split()
        assert len(expected) == len(WHO), row
        found += [Line(method, path, role, word) for role, word in zip(WHO, expected, strict=True)]
    return found


LINES = lines()


class World:
    """A portal with somebody of each role, a node behind it, and one published dataset."""

    def __init__(self, portal: PortalSite, desk: KnownDesk) -> None:
        self.portal, self.desk = portal, desk
        self._visitors: dict[Role, Visitor] = {}

    def visitor(self, role: Role) -> Visitor:
        """Somebody of that role; signed in again after what ends a session."""
        known = self._visitors.get(role)
        if known is None or (role in NAMES and known.get("/account").status_code != 200):
            known = self.portal.signed_in(NAMES[role]) if role in NAMES else self.portal.visitor()
            self._visitors[role] = known
        return known

    def send(self, line: Line) -> Any:
        visitor, path = self.visitor(line.role), self.path(line.path)
        return visitor.get(path) if line.method == "GET" else visitor.send(path, {})

    def path(self, pattern: str) -> str:
        kept = AGREEMENT if "agreements" in pattern else REQUEST
        static = self.portal.site.static.address("portal.css").split("/")
        named = {"users": "somebody", "harvest": "ktvt"}
        holes = {
            "{key:path}": KEY,
            "{id}": kept,
            "{name}": next((name for part, name in named.items() if part in pattern), "g01"),
            "{action}": "package_list",
            "{mark}": static[2],
            "{name:path}": "/".join(static[3:]) if "static" in pattern else "luat",
            "{number:int}": "1",
        }
        for hole, value in holes.items():
            pattern = pattern.replace(hole, value)
        return pattern

    def what_there_is(self) -> list[Any]:
        """Accounts, recovery codes, entries, and what the node was told to do."""
        with self.portal.site.engine.connect() as connection:
            rows = [list(connection.execute(select(table))) for table in (ACCOUNT, RECOVERY)]
        entries = self.portal.site.catalogue.entries()
        return [rows, entries, list(self.desk.orders)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("portal")
    portal, desk = PortalSite(folder / "p"), KnownDesk(folder / "node")
    for role, name in NAMES.items():
        portal.add(name, role)
    portal.add("somebody", Role.CITIZEN)
    portal.site.desk = desk
    published(portal, FIRST, NOW)
    source = Source(name="ktvt", url="https://ktvt.example.vn", kind=Kind.CKAN, added=NOW,
                    state=SourceState())  # fmt: skip
    HarvestStore(portal.site.catalogue).put(source)
    yield World(portal, desk)
    portal.site.close()


def outcome(answer: Any) -> str:
    """The answer as the table writes it."""
    if answer.status_code == 303:
        place = str(answer.headers["location"])
        return "IN" if re.match(r"/sign-in(\?|$)", place) else "TO"
    if answer.status_code == 403 and "portal.forbidden" in answer.text:
        return "NO"
    return str(answer.status_code)


@pytest.mark.parametrize("line", LINES, ids=lambda each: f"{each.method} {each.path} {each.role}")
def test_a_route_answers_each_role_as_the_table_says(world: World, line: Line) -> None:
    answer = world.send(line)
    assert outcome(answer) == line.expected, answer.text[:500]
    assert answer.headers["content-security-policy"] == POLICY


def test_the_table_has_a_line_for_every_route_of_the_application_and_no_other(
    world: World,
) -> None:
    application = world.portal.app._app
    served = {
        (method, route.path)
        for route in application.routes  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }
    assert served == {(line.method, line.path) for line in LINES}


def test_the_table_agrees_with_the_roles_of_the_pages() -> None:
    """Where the program gives a role no right, the table says so; and the other way round."""
    expected = {(line.method, line.path, line.role): line.expected for line in LINES}
    for page in PAGES:
        for role in WHO:
            if role not in page.roles:
                word = expected[page.method, page.path, role]
                assert word == ("IN" if role is Role.PUBLIC else "NO"), (page.path, role)


REFUSED = [line for line in LINES if line.method == "POST" and line.expected in ("IN", "NO")]


@pytest.mark.parametrize("line", REFUSED, ids=lambda each: f"{each.path} {each.role}")
def test_a_refused_form_changes_nothing_and_is_in_the_audit(world: World, line: Line) -> None:
    visitor = world.visitor(line.role)
    token = visitor.token()
    before, path = world.what_there_is(), world.path(line.path)
    newest = max((each.id for each in world.portal.site.audit.lines(limit=1)), default=0)
    filled = {"shown_name": "Đổi", "roles": "operator", "member": "", "step": "publish",
              "reason": "x", "new": "x", "owner": OWNER, "contract": FIRST}  # fmt: skip
    visitor.http.post(path, data={"form_token": token, **filled})
    assert world.what_there_is() == before
    if line.path == "/sign-in/code":
        return  # open to all: without a password before it, it leads back and does nothing
    written = [each for each in world.portal.site.audit.lines() if each.id > newest]
    (told,) = [each for each in written if each.act == "page.refused"]
    wanted = "not signed in" if line.expected == "IN" else "portal.forbidden"
    assert (told.subject, told.outcome) == (path, wanted)
    assert told.account == ("-" if line.role is Role.PUBLIC else NAMES[line.role])


def test_a_form_with_a_wrong_token_is_in_the_audit_too(world: World) -> None:
    visitor = world.visitor(Role.OPERATOR)
    assert visitor.http.post("/console/users", data={"form_token": "x"}).status_code == 403
    line = world.portal.site.audit.lines(act="page.refused", limit=1)[0]
    assert (line.account, line.subject, line.outcome) == (
        "operator",
        "/console/users",
        "portal.form_stale",
    )


@pytest.mark.parametrize("path", ["/console/nothing", "/datasets/nothing", "/catalogue/x"])
@pytest.mark.parametrize("role", WHO)
def test_what_is_not_there_is_not_there_for_anybody(world: World, path: str, role: Role) -> None:
    assert world.visitor(role).get(path).status_code == 404


def test_an_agreement_or_message_that_is_not_there_is_a_404(world: World) -> None:
    visitor = world.visitor(Role.AUDITOR)
    assert visitor.get("/console/agreements/khong-co").status_code == 404
    assert visitor.get("/console/messages/khong-co").status_code == 404
