"""Every check has a test that misses it: a record that ``make test-hostile`` holds us to.

``python -m tools.remove_checks --learn`` finds the test for a check that has none yet, or shows
that one must be written.
"""

from __future__ import annotations

from tools.checks import PACKAGE, all_checks
from tools.remove_checks import read_record


def test_every_check_has_a_test_or_a_reason() -> None:
    record = read_record()
    known = {**record["tests"], **record["kept"]}
    names = [check.name for check in all_checks(PACKAGE)]
    assert len(names) > 400
    assert [name for name in names if name not in known] == []
    assert all(len(reason) > 20 for reason in record["kept"].values())
    assert len(record["kept"]) < len(names) // 10, "few may stand without a test"
