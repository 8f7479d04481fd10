"""A contract handed in by its owner: checked, compared with the published one, published.

What is wrong stands beside the text, each fault with its line; the text comes back as it was typed.
Nothing is published before somebody has seen what changes.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.responses import Response

from lienthong.catalogue.models import CatalogueEntry, entry_key
from lienthong.contracts.comparison import Difference, compare
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import Contract
from lienthong.contracts.places import place_of
from lienthong.errors import ContractError, LienthongError, VersionRuleBroken
from lienthong.portal.visit import Visit

LONGEST_EXCERPT = 120


class Fault(NamedTuple):
    """One fault as the page shows it: where, what, what to do, and the line itself."""

    place: str
    told: str
    remedy: str
    excerpt: str


class Review(NamedTuple):
    """A contract in order, and what it would change."""

    contract: Contract
    published: CatalogueEntry | None
    difference: Difference | None


def show(visit: Visit) -> Response:
    return _shown(visit)


def send(visit: Visit) -> Response:
    """Check the text; publish it when its owner has seen the review and says so."""
    form = visit.form
    owner = form.one_of("owner", [each for each, _ in owners(visit)])
    text = _text(visit)
    if not form.good:
        problems = contract_problems(_content(text)) if text.strip() else []
        return _shown(visit, text, faults=_faults(visit, problems, text))
    review, problems = _review(visit, owner, text)
    if review is None or problems:
        form.refuse("contract", "submit.faults", number=len(problems))
        return _shown(visit, text, faults=_faults(visit, problems, text))
    if form.value("step") != "publish":
        return _shown(visit, text, review=review)
    return _publish(visit, owner, text, review)


def owners(visit: Visit) -> list[tuple[str, str]]:
    """The members in whose name the visitor may hand in: (id, name)."""
    return [
        (each.id, each.name)
        for each in visit.site.desk.identity().members
        if visit.concerns(each.id)
    ]


def _text(visit: Visit) -> str:
    """What was handed in: the file, where there is one, else what was typed or pasted."""
    content = visit.form.file("file")
    if not content:
        # Browsers send CR LF for each end of a line of a form, whatever was typed.
        text = visit.form.value("contract").replace("\r\n", "\n")
        if not text.strip():
            visit.form.refuse("contract", "submit.wanted")
        return text
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        visit.form.refuse("file", "submit.not_utf8", byte=error.start)
        return visit.form.value("contract")


def _content(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _review(visit: Visit, owner: str, text: str) -> tuple[Review | None, list[ContractError]]:
    """The contract and what it changes; or all that is wrong with it."""
    content = _content(text)
    problems = contract_problems(content)
    if problems:
        return None, problems
    contract = load_contract(content)
    stored = visit.site.catalogue.stored(entry_key(owner, contract.id))
    entry = None if stored is None else stored.entry
    before = None if entry is None else visit.site.shelf.contract(entry.digest)
    if before is None:
        return Review(contract, entry, None), []
    try:
        difference = compare(before, contract)
        difference.check_version()
        if before.version == contract.version and before.digest != contract.digest:
            raise VersionRuleBroken(
                old=before.version, new=contract.version, needed=f"> {before.version}"
            )
    except ContractError as error:
        return Review(contract, entry, None), [error]
    return Review(contract, entry, difference), []


def _publish(visit: Visit, owner: str, text: str, review: Review) -> Response:
    named = f"{entry_key(owner, review.contract.id)} {review.contract.version}"
    try:
        visit.site.desk.publish(_order(owner, text, review.published))
    except LienthongError as error:
        visit.audit("contract.publish", named, error.code)
        visit.form.refuse("form", "form.said", told=error.message(visit.language))
        return _shown(visit, text, review=review)
    visit.audit("contract.publish", named)
    return visit.redirect(f"/console/contracts/of/{entry_key(owner, review.contract.id)}", "handed")


def _order(owner: str, text: str, published: CatalogueEntry | None) -> dict[str, object]:
    """What the node is asked: with a service, it keeps to the new version from then on."""
    if published is not None and published.service:
        return {"service": published.service, "contract": text}
    facts: dict[str, object] = {}
    if published is not None:
        updated = published.facts.updated
        facts = {"records": published.facts.records, "updated": updated and updated.isoformat()}
    return {"contract": text, "owner": owner, "facts": facts}


def _faults(visit: Visit, problems: list[ContractError], text: str) -> list[Fault]:
    lines, content = text.splitlines(), _content(text)
    found = []
    for problem in problems:
        place = place_of(problem, content)
        at = place.line if place.line is not None and place.line <= len(lines) else None
        excerpt = "" if at is None else lines[at - 1].strip()[:LONGEST_EXCERPT]
        found.append(
            Fault(
                place.text(visit.language),
                problem.message(visit.language),
                problem.remedy(visit.language),
                excerpt,
            )
        )
    return found


def _shown(
    visit: Visit, text: str = "", faults: list[Fault] | None = None, review: Review | None = None
) -> Response:
    return visit.page(
        "submit.html", owners=owners(visit), text=text, faults=faults or [], review=review
    )
