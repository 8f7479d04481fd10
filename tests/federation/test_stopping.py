"""A node that is told to stop ends quietly, whatever its sources are."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fixtures.federation import Federation
from tests.fixtures.people import CONTRACT_TEXT, store_in_csv


def test_a_node_with_a_csv_source_ends_without_noise(tmp_path: Path) -> None:
    with Federation(tmp_path / "f") as federation:
        node = federation.node("G01", subsystem="dancu")
        federation.start()
        contract = tmp_path / "nguoi.odcs.yaml"
        contract.write_text(CONTRACT_TEXT, encoding="utf-8")
        source = store_in_csv(tmp_path / "nguoi.csv")
        service = ("--subsystem", "dancu", "--code", "cong-dan")
        node.command("service", "add", *service, "--contract", str(contract), "--source", source)
        node.stop()
        node.run()  # the service is opened at the start this time
        node.wait()
        assert node.stop() == 0
        lines = node.log.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if not line.startswith("{")] == []
        assert json.loads(lines[-1])["event"] == "node.stopped"
