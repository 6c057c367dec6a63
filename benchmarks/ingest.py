"""Ingest: webhooks acknowledged a second, by whom, at what cost; and at a steady rate."""

from contextlib import ExitStack
from dataclasses import replace

from benchmarks import peers
from benchmarks.harness import Bench, metered, say
from benchmarks.load import Load, Plan, judge
from benchmarks.peers import Peer
from benchmarks.processes import free_port, listening
from benchmarks.report import Row, Table

STEADY_RATE = 300.0
COLUMNS = ("req/s", "CPU µs", "p99 ms")


def run(bench: Bench) -> list[Table]:
    """A closed loop, then a steady rate, with every peer that can run here."""
    chosen, words = _available(bench)
    found = []
    for title, rate in (("ingest, closed loop", 0.0), ("ingest, 300 req/s", STEADY_RATE)):
        by_name = {peer.name: peer for peer in chosen if not rate or peer.stored}

        def measured(name: str, rate: float = rate, by_name: dict[str, Peer] = by_name) -> Row:
            return measure(bench, by_name[name], rate)

        table = bench.interleave(title, list(by_name), measured)
        baseline = peers.NODE_BULLMQ if peers.NODE_BULLMQ in chosen else peers.OBVIOUS
        ratios = () if rate else COLUMNS
        found.append(replace(table, baseline=baseline.name, ratios=ratios, words=words))
    return found


def _available(bench: Bench) -> tuple[list[Peer], tuple[str, ...]]:
    """The peers to run, and a word on each that cannot."""
    wanted = bench.wanted([peer.name for peer in peers.ALL])
    chosen = [peer for peer in peers.ALL if peer.name in wanted]
    reasons = [f"{peer.name} is left out: {reason}" for peer in chosen if (reason := peer.missing())]
    for reason in reasons:
        say(reason)
    return [peer for peer in chosen if not peer.missing()], tuple(reasons)


def measure(bench: Bench, peer: Peer, rate: float) -> Row:
    """Starts `peer` on an empty server, warms it up, loads it, and checks what it stored."""
    options = bench.options
    bench.store.clear()
    port = free_port()
    place = bench.place(peer.name)
    command, environment = peer.command(port, place, bench.store.url)
    plan = Plan(port, peer.path, options.connections, options.seconds, rate=rate)
    with ExitStack() as stack:
        process = stack.enter_context(listening(command, port, place / "log", environment))
        warmup = replace(plan, seconds=options.warmup, rate=0.0).run()
        with metered(process.pid, bench.store) as used:
            load = plan.run()
        stored = peer.stored(bench.store.client) if peer.stored else None
    cpu, redis = used.microseconds(load.accepted)
    return Row(peer.name, _figures(load, cpu, redis), judge(warmup, load, stored))


def _figures(load: Load, cpu: float, redis: float) -> dict[str, float]:
    return {
        "req/s": load.accepted / load.seconds,
        "p50 ms": load.p50_ms,
        "p99 ms": load.p99_ms,
        "CPU µs": cpu,
        "redis µs": redis,
        "client µs": load.cpu_seconds * 1e6 / (load.accepted or float("nan")),
    }
