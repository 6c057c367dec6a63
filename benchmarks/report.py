"""What a run found: one figure a round and peer, their medians, and the table."""

import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, fields

from benchmarks.load import Load

BUSY_CLIENT = 0.9  # of one core: above it the client may be what was measured


@dataclass(frozen=True, slots=True)
class Round:
    """One peer in one round. CPU is in microseconds per accepted request."""

    peer: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    gateway_cpu_us: float
    redis_cpu_us: float
    client_cpu_us: float
    faults: tuple[str, ...]


def judge(warmup: Load, load: Load, stored: int | None) -> tuple[str, ...]:
    """Why a round's figures are not to be believed; empty when they are.

    `stored` is what the queue held after both loads, None for a peer that stores nothing.
    """
    accepted = warmup.accepted + load.accepted
    refused, lost = warmup.refused + load.refused, warmup.lost + load.lost
    checks = {
        "nothing was accepted": load.accepted == 0,
        f"{refused} answers were not 200: {load.statuses}": refused > 0,
        f"{lost} requests were not answered": lost > 0,
        f"{accepted} answered 200 but {stored} stored": stored not in (None, accepted),
        "the client was busy throughout": load.cpu_seconds > BUSY_CLIENT * load.seconds,
    }
    return tuple(fault for fault, found in checks.items() if found)


def medians(rounds: Iterable[Round]) -> dict[str, dict[str, float]]:
    """For each peer the median of every figure, and the lowest and highest request rate."""
    by_peer: dict[str, list[Round]] = {}
    for one in rounds:
        by_peer.setdefault(one.peer, []).append(one)
    return {peer: _median(of_peer) for peer, of_peer in by_peer.items()}


def _median(rounds: list[Round]) -> dict[str, float]:
    names = [field.name for field in fields(Round) if field.name not in {"peer", "faults"}]
    figures = {name: statistics.median(getattr(one, name) for one in rounds) for name in names}
    rates = [one.requests_per_second for one in rounds]
    return figures | {"lowest": min(rates), "highest": max(rates)}


def table(rounds: list[Round], reference: str) -> str:
    """The medians, a line a peer, with ratios against the peer named `reference`.

    A peer with a fault in any round is marked `!`, and the faults stand below.
    """
    found = medians(rounds)
    base = found.get(reference)
    doubted = {one.peer for one in rounds if one.faults}
    lines = [
        f"{'':10} {'req/s':>8} {'(lowest-highest)':>17} {'ratio':>7} {'p50 ms':>8} {'p99 ms':>8}"
        f" {'gateway µs':>10} {'ratio':>6} {'redis µs':>9} {'client µs':>10}"
    ]
    for peer, figures in found.items():
        rate, cpu = figures["requests_per_second"], figures["gateway_cpu_us"]
        spread = f"({figures['lowest']:,.0f}-{figures['highest']:,.0f})"
        faster = f"{rate / base['requests_per_second']:.1f}x" if base else "-"
        cost = f"{cpu / base['gateway_cpu_us']:.2f}" if base else "-"
        lines.append(
            f"{peer + '!' * (peer in doubted):10} {rate:>8,.0f} {spread:>17} {faster:>7}"
            f" {figures['p50_ms']:>8.2f} {figures['p99_ms']:>8.2f} {cpu:>10.0f} {cost:>6}"
            f" {figures['redis_cpu_us']:>9.1f} {figures['client_cpu_us']:>10.1f}"
        )
    lines += [f"! {one.peer}: {fault}" for one in rounds for fault in one.faults]
    return "\n".join(lines)


def machine_facts() -> dict[str, str]:
    """What else a figure depends on: the cores, the system, the interpreter."""
    return {
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
