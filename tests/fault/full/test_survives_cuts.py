"""The link between the nodes is cut and restored under load: with a reset, and in silence."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lienthong.demo.public_commands import program
from tests.fixtures.faults import namespaces
from tests.fixtures.faults.namespaces import NamespacesForbidden, RoutedLink
from tests.fixtures.faults.stage import Stage, module, started, stopped, under_load
from tests.fixtures.federation import Federation
from tests.fixtures.ports import free_ports

CUTS_SECONDS = (1.0, 3.0, 15.0)
WHOLE_SECONDS = 2.0


def cut(stage: Stage, seconds: float, begin: Callable[[], None], end: Callable[[], None]) -> float:
    # As long as it will be cut, and a little: half of all calls have to succeed, which they would
    # not where the machine is so quick that hardly anything but the cuts is left.
    stage.flow(seconds + WHOLE_SECONDS)
    begin()
    time.sleep(seconds)
    end()
    return time.monotonic()


@pytest.mark.parametrize("silent", [False, True], ids=["reset", "silent"])
def test_a_link_that_is_cut_in_a_relay_loses_nothing(tmp_path: Path, silent: bool) -> None:
    name = "link cut (relay), silent" if silent else "link cut (relay), reset"
    with Federation(tmp_path) as federation:
        port = free_ports(1)[0]
        consumer = federation.node("H37", subsystem="motcua")
        provider = federation.node(
            "G01", subsystem="dancu", peer_address=f"https://127.0.0.1:{port}"
        )
        relay = started(
            module("proxy", port, provider.host, provider.peer_port), tmp_path / "relay.log"
        )
        try:
            with under_load(federation, consumer, provider, name) as stage:
                breaking = signal.SIGUSR2 if silent else signal.SIGUSR1
                for seconds in CUTS_SECONDS:
                    begin = partial(relay.send_signal, breaking)
                    end = partial(relay.send_signal, signal.SIGHUP)
                    stage.fault(partial(cut, stage, seconds, begin, end))
        finally:
            stopped(relay)
    stage.assert_survived()


@pytest.mark.parametrize("silent", [False, True], ids=["reset", "silent"])
def test_a_line_between_network_namespaces_that_is_cut_loses_nothing(
    tmp_path: Path, silent: bool
) -> None:
    name = "line cut (namespaces), silent" if silent else "line cut (namespaces), reset"
    try:
        with RoutedLink.open() as link, Federation(tmp_path, host=namespaces.US) as federation:
            consumer = federation.node("H37", subsystem="motcua", host=namespaces.CONSUMER)
            provider = federation.node("G01", subsystem="dancu", host=namespaces.PROVIDER)
            provider.launcher = ("ip", "netns", "exec", link.provider, *program())
            with under_load(
                federation, consumer, provider, name, service_host=namespaces.US
            ) as stage:
                begin = link.silence if silent else link.sever
                for seconds in CUTS_SECONDS:
                    stage.fault(partial(cut, stage, seconds, begin, link.mend))
    except NamespacesForbidden as error:
        pytest.skip(f"no network namespaces here ({error}); the relay's cuts were run")
    stage.assert_survived()
