"""Several gateway processes: whether two give twice what one gives.

Client, server and gateways share the machine's cores, and where there are two, one gateway and what it
needs fill them. So each process is held to a fifth of a core, and what they give together is measured.
"""

from contextlib import ExitStack
from dataclasses import replace

from benchmarks import share
from benchmarks.harness import Bench, metered, say
from benchmarks.load import Plan, judge
from benchmarks.peers.hookline import PATH, SOURCE
from benchmarks.processes import children, listening, until
from benchmarks.report import Row, Table

SHARE = 0.2  # of a core, each
MOST = 4
BEAR_SECONDS = 20.0


def run(bench: Bench) -> list[Table]:
    """One to four processes; nothing where control groups can not be made."""
    if reason := share.missing():
        say(f"scale is left out: {reason}")
        return []
    title = f"ingest, each gateway process held to {SHARE:.0%} of a core"
    by_name = {_name(many): many for many in range(1, MOST + 1)}
    table = bench.interleave(title, list(by_name), lambda name: measure(bench, name, by_name[name]))
    return [replace(table, baseline=_name(1), ratios=("req/s",))]


def _name(many: int) -> str:
    return "1 process" if many == 1 else f"{many} processes"


def measure(bench: Bench, name: str, many: int) -> Row:
    """So many processes on one port, and as many times the connections."""
    bench.store.clear()
    deployment = bench.deployment(name)
    plan = Plan(deployment.port, PATH, bench.options.connections * many, bench.options.seconds)
    with ExitStack() as stack:
        groups = stack.enter_context(ExitStack())  # removed once what is in them has ended
        process = stack.enter_context(
            listening(deployment.serve(many), deployment.port, deployment.log, deployment.environment)
        )
        assert until(lambda: len(_gateways(process.pid, many)) == many, BEAR_SECONDS)
        for number, pid in enumerate(_gateways(process.pid, many)):
            groups.enter_context(share.held(pid, f"{many}-{number}", SHARE))
        warmup = replace(plan, seconds=bench.options.warmup).run()
        with metered(process.pid, bench.store) as used:
            load = plan.run()
        stored = bench.store.queue_length(SOURCE)
    cpu, redis = used.microseconds(load.accepted)
    figures = {
        "req/s": load.accepted / load.seconds,
        "p50 ms": load.p50_ms,
        "p99 ms": load.p99_ms,
        "CPU µs": cpu,
        "cores": used.process / used.clock,
        "redis µs": redis,
    }
    return Row(name, figures, judge(warmup, load, stored))


def _gateways(pid: int, many: int) -> list[int]:
    """Several have a parent, which answers nothing itself."""
    return [pid] if many == 1 else children(pid)
