"""How long a decision takes: agreement, endpoint, purpose, fields, rate and daily quota.

    python -m benchmarks.agreements --agreements 1000

Ours is ``AgreementBook.decide`` with that many agreements in the book; the limit is what the
design leaves for it in the path of a request.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta

from benchmarks.form import alternate, print_line
from lienthong.agreements.book import AgreementBook, Question
from lienthong.agreements.models import Act, Agreement, Party, Statement
from lienthong.agreements.paths import normalise_path
from lienthong.agreements.proposals import Proposal, draft

LIMIT_MICROSECONDS = 5.0
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ASKED = frozenset({"ho_ten", "noi_thuong_tru", "so_dien_thoai"})


def agreement(number: int) -> Agreement:
    """One in force, with all of its limits, for a consumer of its own."""
    document = draft(
        Proposal(
            consumer=f"VN/GOV/H{number}/motcua",
            service="VN/GOV/G01/dancu/cong-dan",
            purposes=("1.004222",),
            legal_basis="Nghị định 47/2020/NĐ-CP",
            valid_from=NOW - timedelta(days=30),
            valid_until=NOW + timedelta(days=30),
            fields=("ho_ten", "noi_thuong_tru"),
            rate=1_000_000_000,
            daily_quota=1_000_000_000,
        ),
        Party.CONSUMER,
    )
    return Agreement(document, (_said(document.id, Act.PROPOSE), _said(document.id, Act.ACCEPT)))


def _said(agreement_id: str, act: Act) -> Statement:
    """The book trusts its statements: signatures were checked when they came in."""
    return Statement(
        agreement=agreement_id,
        digest="0" * 64,
        act=act,
        party=Party.CONSUMER if act is Act.PROPOSE else Party.PROVIDER,
        node="VN/GOV/H37/n1",
        key_id="k",
        algorithm="ed25519",
        time=NOW,
    )


def microseconds(book: AgreementBook, raw_path: str, consumers: int, decisions: int) -> float:
    """Return the processor time of one decision, from the raw path of the request on."""
    began = time.process_time()
    for number in range(decisions):
        question = Question(
            f"VN/GOV/H{number % consumers}/motcua",
            "VN/GOV/G01/dancu/cong-dan",
            "POST",
            normalise_path(raw_path),
            None,
            ASKED,
            NOW,
        )
        assert book.decide(question).allowed
    return (time.process_time() - began) / decisions * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agreements", type=int, default=1_000)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    book = AgreementBook(agreement(number) for number in range(options.agreements))
    rounds = alternate(
        options.rounds,
        ours=lambda: microseconds(book, "/records:lookup", options.agreements, options.decisions),
        theirs=lambda: LIMIT_MICROSECONDS,
    )
    print_line(
        benchmark="agreements",
        case="records:lookup",
        unit="µs of processor time per decision",
        ours=rounds.ours,
        theirs=rounds.theirs,
        theirs_is="limit of the design",
        size={"agreements": options.agreements, "decisions": options.decisions},
    )


if __name__ == "__main__":
    main()
