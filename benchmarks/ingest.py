"""Measures ingest: each peer in turn, round after round, on one server, by one load generator.

    python -m benchmarks.ingest --seconds 5 --rounds 5 --json figures.json

Rounds are interleaved and start with another peer each time, so that a machine that slows down
slows all of them. Each measure starts the peer afresh on an empty server and warms it up.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks import peers, push, report, server
from benchmarks.load import run_process
from benchmarks.peers import Peer
from benchmarks.processes import cpu_seconds, free_port, listening
from benchmarks.report import Round


def measure(peer: Peer, store: server.Server, directory: Path, options: argparse.Namespace) -> Round:
    """Starts `peer` on an empty server, warms it up, loads it, and checks what it stored."""
    store.clear()
    port = free_port()
    own = directory / peer.name
    own.mkdir(exist_ok=True)
    environment = {"REDIS_URL": store.url, "BENCH_SECRET": push.SECRET}
    with listening(peer.command(port, own), port, own / "log", environment) as process:
        warmup = run_process(port, peer.path, options.connections, options.warmup)
        before = cpu_seconds(process.pid), store.cpu_seconds()
        load = run_process(port, peer.path, options.connections, options.seconds)
        after = cpu_seconds(process.pid), store.cpu_seconds()
        stored = store.queue_length(peer.queue) if peer.queue else None
    microseconds = 1e6 / (load.accepted or float("nan"))
    return Round(
        peer=peer.name,
        requests_per_second=load.accepted / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        gateway_cpu_us=(after[0] - before[0]) * microseconds,
        redis_cpu_us=(after[1] - before[1]) * microseconds,
        client_cpu_us=load.cpu_seconds * microseconds,
        faults=report.judge(warmup, load, stored),
    )


def available(only: list[str]) -> list[Peer]:
    """The peers to run; says on stderr which are left out, and why."""
    chosen = []
    for peer in peers.ALL:
        if only and peer.name not in only:
            continue
        if reason := peer.missing():
            print(f"{peer.name} is left out: {reason}", file=sys.stderr)
        else:
            chosen.append(peer)
    if not chosen:
        raise SystemExit("no peer is left to measure")
    return chosen


def run(options: argparse.Namespace) -> tuple[dict[str, str], list[Round]]:
    """The facts of the machine and the figures of every round."""
    chosen, rounds = available(options.only), []
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as name:
        directory = Path(name)
        with server.running(directory) as store:
            fsync = f"{server.fsync_microseconds(directory):.0f} µs for 4 KB in {tempfile.gettempdir()}"
            facts = report.machine_facts() | store.facts() | {"fsync": fsync}
            for number in range(options.rounds):
                turn = number % len(chosen)
                for peer in chosen[turn:] + chosen[:turn]:
                    rounds.append(measure(peer, store, directory, options))
                    rate = rounds[-1].requests_per_second
                    print(f"round {number + 1}: {peer.name} {rate:,.0f} req/s", file=sys.stderr)
    return facts, rounds


def main() -> int:
    """0 when every figure can be believed, else 1."""
    parser = argparse.ArgumentParser(description="Measures ingest against two other ways.")
    parser.add_argument("--seconds", type=float, default=5.0, help="timed, a peer and round")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before the timed ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--only", action="append", default=[], choices=[peer.name for peer in peers.ALL]
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    options = parser.parse_args()
    facts, rounds = run(options)
    facts["load"] = f"{options.connections} connections, {options.seconds:g} s, {options.rounds} rounds"
    print(*(f"{name}: {fact}" for name, fact in facts.items()), sep="\n", end="\n\n")
    print(report.table(rounds, peers.OBVIOUS.name))
    if options.json:
        found = {"facts": facts, "medians": report.medians(rounds)}
        found["rounds"] = [asdict(one) for one in rounds]
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(one.faults for one in rounds))


if __name__ == "__main__":
    sys.exit(main())
