"""The operations port: /health and /metrics."""

from __future__ import annotations

import asyncio
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lienthong.node import metrics as metrics_module
from lienthong.node.health import Check, HealthReport, operations_handler
from lienthong.node.metrics import NodeMetrics
from lienthong.transport.messages import Request, Response

SOUND = HealthReport((Check("directory", ok=True, reason="version 7"), Check("ledger", ok=True)))


def ask(
    target: str,
    report: HealthReport = SOUND,
    method: str = "GET",
    metrics: NodeMetrics | None = None,
) -> Response:
    registry = (metrics or NodeMetrics()).registry
    handler = operations_handler(lambda: report, registry)

    async def call() -> Response:
        return await handler(Request(method=method, target=target))

    return asyncio.run(call())


def test_a_sound_node_says_so_and_why() -> None:
    response = ask("/health")
    assert response.status == 200
    assert json.loads(response.body.read()) == {
        "status": "ok",
        "checks": [
            {"name": "directory", "ok": True, "reason": "version 7", "alarm": False},
            {"name": "ledger", "ok": True, "reason": "", "alarm": False},
        ],
    }


def test_a_failing_check_names_its_reason() -> None:
    failing = HealthReport((Check("ledger", ok=False, reason="disk full"),))
    response = ask("/health?x=1", failing)
    assert response.status == 500
    assert json.loads(response.body.read())["checks"][0]["reason"] == "disk full"


def test_a_node_in_maintenance_takes_no_traffic() -> None:
    response = ask("/health", HealthReport(SOUND.checks, maintenance=True))
    assert (response.status, json.loads(response.body.read())["status"]) == (503, "maintenance")


def test_a_check_that_breaks_is_a_failing_node() -> None:
    def broken() -> HealthReport:
        raise RuntimeError("001090000001")

    handler = operations_handler(broken, NodeMetrics().registry)

    async def call() -> Response:
        return await handler(Request(method="GET", target="/health"))

    response = asyncio.run(call())
    assert response.status == 500
    assert json.loads(response.body.read())["checks"] == [
        {"name": "report", "ok": False, "reason": "RuntimeError", "alarm": False}
    ]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/x", 404),
        ("POST", "/health", 405),
        ("HEAD", "/health", 200),
    ],
)
def test_answers_nothing_else(method: str, target: str, status: int) -> None:
    assert ask(target, method=method).status == status


def test_prometheus_reads_what_was_counted() -> None:
    metrics = NodeMetrics()
    labels = ("provider", "VN/GOV/G01/dancu/cong-dan", "answered")
    metrics.exchanges.add(*labels, 0.004, 80, 900)
    metrics.exchanges.add(*labels, 0.3, 20, 100)
    metrics.directory_version.set(7)
    text = ask("/metrics", metrics=metrics).body.read().decode()
    samples = {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["lienthong_exchanges_total", ""] == 2
    assert samples["lienthong_exchange_seconds_bucket", "0.005"] == 1
    assert samples["lienthong_exchange_seconds_bucket", "0.0025"] == 0
    assert samples["lienthong_exchange_seconds_bucket", "+Inf"] == 2
    assert samples["lienthong_exchange_seconds_count", ""] == 2
    assert samples["lienthong_body_bytes_total", ""] in {100, 1000}
    assert samples["lienthong_directory_version", ""] == 7
    assert ("process_resident_memory_bytes", "") in samples
    assert not any(name.endswith("_created") for name, _ in samples)


def test_too_many_label_values_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MOST_CHILDREN", 2)
    metrics = NodeMetrics()
    for number in range(10):
        metrics.refusals.child("provider", f"code.{number}").inc()
    text = ask("/metrics", metrics=metrics).body.read().decode()
    assert 'lienthong_refusals_total{code="other",role="other"} 8.0' in text


def test_two_nodes_in_one_process_count_apart() -> None:
    first, second = NodeMetrics(), NodeMetrics()
    first.in_flight.inc()
    assert b"lienthong_in_flight 0.0" in ask("/metrics", metrics=second).body.read()
