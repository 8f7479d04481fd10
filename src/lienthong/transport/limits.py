"""Limits of both ends of HTTP, each with the attack or fault that it stops."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server.

    header_count                   many small headers: hash and memory exhaustion
    head_bytes                     one endless header line: memory exhaustion
    target_bytes                   endless request line (414)
    body_bytes                     disk exhaustion (413)
    spool_threshold_bytes          memory exhaustion by many large bodies at a time
    connections                    exhaustion of file descriptors: the slowest gives way, or 503
    handshake_seconds              clients that connect and never finish TLS
    header_seconds                 slowloris: a request head that arrives byte by byte
    idle_seconds                   kept-alive connections that nobody uses
    body_bytes_per_second          slow POST: least progress of a body (as Apache's reqtimeout)
    body_window_seconds            how long that progress is averaged over
    write_stall_seconds            slow read: a client that takes no bytes of the answer
    linger_seconds                 time for a refused client to read the refusal
    pipelined_requests             requests sent ahead in one go without waiting for answers
    sweep_seconds                  how often the timers above are looked at
    """

    header_count: int = 100
    head_bytes: int = 32 * KIB
    target_bytes: int = 8 * KIB
    body_bytes: int = GIB
    spool_threshold_bytes: int = MIB
    connections: int = 5000
    handshake_seconds: float = 10.0
    header_seconds: float = 10.0
    idle_seconds: float = 75.0
    body_bytes_per_second: int = 500
    body_window_seconds: float = 10.0
    write_stall_seconds: float = 30.0
    linger_seconds: float = 2.0
    pipelined_requests: int = 256
    sweep_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Limits of a client pool.

    header_count, head_bytes       a peer that answers with an endless head
    body_bytes                     a peer that fills the disk with its answer
    spool_threshold_bytes          memory exhaustion by many large answers at a time
    connections_per_address        one slow peer that ties up all connections
    opening_per_address            a peer that starts again, and has no time left for answers if all
                                   who wait for it shake hands with it at the same moment
    connections                    exhaustion of file descriptors
    idle_seconds                   shorter than a server's, so that it seldom closes first
    sweep_seconds                  precision of timeouts
    """

    header_count: int = 100
    head_bytes: int = 64 * KIB
    body_bytes: int = GIB
    spool_threshold_bytes: int = MIB
    connections_per_address: int = 256
    opening_per_address: int = 32
    connections: int = 4096
    idle_seconds: float = 55.0
    sweep_seconds: float = 0.1
