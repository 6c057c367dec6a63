"""Rejections: what a forged request costs, and what a flood of them does to genuine ones."""

from contextlib import ExitStack
from dataclasses import replace

from benchmarks import push
from benchmarks.harness import Bench, metered, say
from benchmarks.load import Load, Plan, counted
from benchmarks.peers.hookline import PATH
from benchmarks.processes import listening
from benchmarks.report import Row, Table

FORGED = "not-the-secret"
FRESH = "accepted, a connection each"  # as a forged one has: a refusal ends its connection
COSTS = {"accepted": (push.SECRET, 0), FRESH: (push.SECRET, 1), "forged": (FORGED, 0)}
FLOOD = 3.0  # times the capacity
GENUINE_RATE = 100.0
FLOOD_CONNECTIONS = 256  # what bounds how many of the forged wait at once


def run(bench: Bench) -> list[Table]:
    """Costs side by side, then genuine requests alone and inside a flood."""
    costs = bench.interleave("cost of a request", [*COSTS], lambda name: _cost(bench, name))
    costs = replace(costs, baseline=FRESH, ratios=("CPU µs", "answers/s"))
    capacity = costs.rows[0].figures["answers/s"]
    say(f"reject: a capacity of {capacity:,.0f} a second")
    names = ["genuine alone", "in the flood"]
    flood = bench.interleave(
        f"genuine requests at {GENUINE_RATE:.0f}/s in a flood of forged ones at 3 x capacity",
        names,
        lambda name: _flooded(bench, name, capacity * FLOOD if name == names[1] else 0.0),
    )
    word = "The flood comes from many addresses, so that no limit by address stops it."
    return [costs, replace(flood, words=(word,))]


def _cost(bench: Bench, name: str) -> Row:
    """CPU of the gateway and commands of Redis for one request of this kind, in a closed loop."""
    bench.store.clear()
    deployment = bench.deployment("reject")
    secret, fresh = COSTS[name]
    # From many addresses: one alone runs out of ports where each request has a connection.
    plan = Plan(
        deployment.port,
        PATH,
        bench.options.connections,
        bench.options.seconds,
        secret,
        spread=1,
        fresh=fresh,
    )
    with listening(
        deployment.serve(), deployment.port, deployment.log, deployment.environment
    ) as process:
        replace(plan, seconds=bench.options.warmup).run()
        bench.store.reset_statistics()
        with metered(process.pid, bench.store) as used:
            load = plan.run()
        commands = bench.store.commands()
    answers = sum(load.statuses.values())
    cpu, redis = used.microseconds(answers)
    figures = {"answers/s": answers / load.seconds, "CPU µs": cpu, "redis µs": redis}
    figures |= {"commands": commands / (answers or 1), "p99 ms": load.p99_ms}
    wanted = {"401"} if secret == FORGED else {"200"}
    return Row(name, figures, _unexpected(load, wanted))


def _flooded(bench: Bench, name: str, rate: float) -> Row:
    """Latency of the genuine, from the times they were due."""
    options = bench.options
    bench.store.clear()
    deployment = bench.deployment("reject")
    genuine = Plan(deployment.port, PATH, 8, options.seconds, rate=GENUINE_RATE)
    flood = Plan(
        deployment.port,
        PATH,
        FLOOD_CONNECTIONS,
        options.seconds + 2 * options.warmup,
        FORGED,
        rate,
        spread=1,
    )
    with ExitStack() as stack:
        serve = deployment.serve()
        process = stack.enter_context(
            listening(serve, deployment.port, deployment.log, deployment.environment)
        )
        replace(genuine, seconds=options.warmup).run()
        forging = flood.start() if rate else None
        if forging:
            replace(genuine, seconds=options.warmup).run()
        with metered(process.pid, bench.store) as used:
            load = genuine.run()
        forged = counted(forging) if forging else None
    figures = {"p50 ms": load.p50_ms, "p99 ms": load.p99_ms, "genuine/s": load.accepted / load.seconds}
    figures["forged/s"] = sum(forged.statuses.values()) / forged.seconds if forged else 0.0
    figures["asked/s"] = rate
    figures["cores"] = used.process / used.clock
    return Row(name, figures, _unexpected(load, {"200"}))


def _unexpected(load: Load, wanted: set[str]) -> tuple[str, ...]:
    faults = [f"answers: {load.statuses}"] if set(load.statuses) != wanted else []
    return (*faults, *([f"{load.lost} were not answered"] if load.lost else []))
