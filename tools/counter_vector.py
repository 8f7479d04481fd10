"""The golden vector of docs/protocols/0005-counters.md."""

from __future__ import annotations

import json
from typing import Any

from lienthong.node.counters.counts import SIZE_BOUNDS, Flow, Sizes
from lienthong.node.counters.documents import Counters, sign_counters, signed_bytes
from tools.vector_samples import CLIENT, CONSUMER, PROVIDER, SERVICE, fixed_key


def counters() -> Any:
    """A signed document, and the bytes under its signature."""
    sizes = Sizes(1240, (20, 0, 0, 0, 0, 0, 0), 0)
    flow = Flow(
        side="provider",
        client=CLIENT,
        service=SERVICE,
        other=CONSUMER,
        requests=20,
        request_sizes=sizes,
        outcomes={"answered": 18, "refused": 2},
        reasons={"Server.ServerProxy.AccessDenied": 2},
        answer_sizes=Sizes(90_000, (2, 18, 0, 0, 0, 0, 0), 0),
    )
    unnamed = Flow("consumer", CLIENT, "", CONSUMER, 1, Sizes(unknown=1), {}, {}, Sizes())
    counted = Counters(
        node=PROVIDER,
        hour="2026-06-01T07",
        made="2026-06-01T08:08:00.123Z",
        directory_version=7,
        size_bounds=SIZE_BOUNDS,
        flows=(unnamed, flow),
        refusals={"provider": {"message.expired": 3}},
    )
    key = fixed_key("provider")
    document = sign_counters(counted, key)
    return {
        "public_key": key.public.text,
        "document": json.loads(document),
        "signed": signed_bytes(document).decode(),
    }
