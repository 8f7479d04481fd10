"""Test the rows of a source against the quality that its contract promises.

report = measure_quality(load_contract("cong-dan.odcs.yaml"), "sqlite:///…")
"""

from lienthong.sources.quality.measuring import measure_quality
from lienthong.sources.quality.results import CheckResult, Outcome, QualityReport

__all__ = ["CheckResult", "Outcome", "QualityReport", "measure_quality"]
