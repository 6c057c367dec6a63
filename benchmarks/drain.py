"""Drain: jobs a second from a cold backlog, and with ingest going on."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from subprocess import run as run_to_end
from typing import Any

from benchmarks import backlog, push
from benchmarks.harness import Bench, Used, metered, say
from benchmarks.load import Plan, counted
from benchmarks.peers.hookline import PATH, SOURCE, Hookline
from benchmarks.peers.installed import (
    HERE,
    NODE,
    PYTHON,
    compiled_missing,
    node_missing,
    python_missing,
)
from benchmarks.processes import listening, running
from benchmarks.report import Row, Table

BASELINE = "dramatiq, 8 threads"
BODY = push.body()
ROOT = HERE.parents[1]
POLL_SECONDS = 0.01
LONGEST_SECONDS = 180.0
WARM = 0.05  # of the backlog: what a worker does before its pace is looked at


@dataclass(frozen=True, slots=True)
class Queue:
    """A way to drain. `left` counts what is not done yet; `share` is how much of the backlog a slow one
    gets, since its pace does not depend on it."""

    name: str
    fill: Callable[[Bench, int], None]
    work: Callable[[Bench], tuple[list[str], dict[str, str]]]
    left: Callable[[Any], int]
    missing: Callable[[], str | None] = lambda: None
    share: float = 1.0


def run(bench: Bench) -> list[Table]:
    """No-op jobs of every peer, waiting jobs, and a drain beside ingest."""
    noop = _table(bench, "drain, no-op jobs from a cold backlog", NO_OP)
    waits = _table(bench, "drain, jobs that wait 50 ms, concurrency 100", WAITING)
    tables = [replace(noop, baseline=BASELINE, ratios=("jobs/s",)), waits]
    if bench.wanted(["hookline"]):
        tables.append(
            bench.interleave("drain while ingest goes on", ["hookline"], _beside_ingest(bench))
        )
    return [table for table in tables if table.rows]


def _table(bench: Bench, title: str, queues: list[Queue]) -> Table:
    wanted = set(bench.wanted([each.name for each in queues]))
    reasons = {each.name: each.missing() for each in queues if each.name in wanted}
    words = tuple(f"{name} is left out: {reason}" for name, reason in reasons.items() if reason)
    for word in words:
        say(word)
    able = {each.name: each for each in queues if each.name in wanted and not reasons[each.name]}
    table = bench.interleave(title, list(able), lambda name: measure(bench, able[name]))
    return replace(table, words=words)


def measure(bench: Bench, queue: Queue) -> Row:
    """The pace once a twentieth is done, so that no interpreter's start is in it, until all is done."""
    bench.store.clear()
    jobs = max(200, round(bench.options.jobs * queue.share))
    queue.fill(bench, jobs)
    found = queue.left(bench.store.client)
    command, environment = queue.work(bench)
    with running(command, bench.place(queue.name) / "log", environment) as process:
        warm = _await(bench, queue.left, round(found * (1 - WARM)))
        with metered(process.pid, bench.store) as used:
            left = _await(bench, queue.left, 0)
    faults = {f"{found} of {jobs} jobs were stored": found != jobs, f"{left} jobs were left": left > 0}
    return Row(
        queue.name,
        _figures(warm - left, used) | {"jobs": jobs},
        tuple(fault for fault, holds in faults.items() if holds),
    )


def _figures(done: int, used: Used) -> dict[str, float]:
    cpu, redis = used.microseconds(done)
    return {"jobs/s": done / used.clock, "CPU µs": cpu, "redis µs": redis}


def _await(bench: Bench, left: Callable[[Any], int], most: int) -> int:
    """How many are left once no more than `most` are, or when patience is over."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (now := left(bench.store.client)) > most and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return now


def _beside_ingest(bench: Bench) -> Callable[[str], Row]:
    """A gateway under a closed loop and a worker with a backlog, at once: both paces."""

    def measured(name: str) -> Row:
        bench.store.clear()
        deployment = bench.deployment("beside")
        backlog.fill(bench.store, deployment, bench.options.jobs)
        plan = Plan(deployment.port, PATH, bench.options.connections, bench.options.seconds)
        with ExitStack() as stack:
            serve = listening(
                deployment.serve(), deployment.port, deployment.log, deployment.environment
            )
            stack.enter_context(serve)
            work = running(deployment.worker(100), deployment.log, deployment.environment)
            worker = stack.enter_context(work)
            before = _await(bench, _hookline_left, round(bench.options.jobs * (1 - WARM)))
            with metered(worker.pid, bench.store) as used:
                load = counted(plan.start())
                after = _hookline_left(bench.store.client)
            began = time.perf_counter()
            left = _await(bench, _hookline_left, 0)
        done = before + load.accepted - after
        figures = {"ingest/s": load.accepted / load.seconds, "drain/s": done / used.clock}
        figures |= {"CPU µs": used.microseconds(done)[0], "left after": after}
        figures |= {"to empty s": time.perf_counter() - began, "p99 ms": load.p99_ms}
        return Row(name, figures, (f"{left} jobs were left",) if left else ())

    return measured


# How each fills, works and is counted


def _to_end(command: list[str], bench: Bench) -> None:
    run_to_end(command, check=True, env=_environment(bench))


def _environment(bench: Bench) -> dict[str, str]:
    return {**os.environ, "REDIS_URL": bench.store.url, "BENCH_BODY": BODY.decode()}


def _filler(*command: str) -> Callable[[Bench, int], None]:
    return lambda bench, jobs: _to_end([*command, str(jobs)], bench)


def _worker(*command: str) -> Callable[[Bench], tuple[list[str], dict[str, str]]]:
    def work(bench: Bench) -> tuple[list[str], dict[str, str]]:
        filled = [part.format(url=bench.store.url) for part in command]
        return filled, {**_environment(bench), "PYTHONPATH": os.pathsep.join(map(str, (HERE, ROOT)))}

    return work


def _hookline_left(client: Any) -> int:
    return int(client.zcard(f"hookline:pending:{SOURCE}"))


def _hookline(name: str, function: str, concurrency: int, *, compiled: bool = False) -> Queue:
    def deployment(bench: Bench) -> Hookline:
        return Hookline(bench.place(name), bench.store.url, function, compiled).write()

    def work(bench: Bench) -> tuple[list[str], dict[str, str]]:
        made = deployment(bench)
        return made.worker(concurrency), made.environment

    def fill(bench: Bench, jobs: int) -> None:
        backlog.fill(bench.store, deployment(bench), jobs)

    missing = compiled_missing if compiled else lambda: None
    return Queue(name, fill, work, _hookline_left, missing)


def _rq(name: str, worker_class: str, share: float) -> Queue:
    program = "import sys; from rq.cli import main; sys.argv[0] = 'rq'; main()"
    command = (
        sys.executable,
        "-c",
        program,
        "worker",
        "--url",
        "{url}",
        "--quiet",
        *worker_class.split(),
    )
    fill = _filler(sys.executable, "-m", "benchmarks.peers.rq_jobs")

    def left(client: Any) -> int:
        return int(client.llen("rq:queue:drain") + client.zcard("rq:wip:drain"))

    return Queue(name, fill, _worker(*command, "drain"), left, share=share)


def _bullmq(concurrency: int, wait_ms: int = 0) -> Queue:
    script = str(NODE / "drain.mjs")

    def left(client: Any) -> int:
        return int(client.llen("bull:drain:wait") + client.llen("bull:drain:active"))

    return Queue(
        f"BullMQ, concurrency {concurrency}",
        _filler("node", script, "fill"),
        _worker("node", script, "work", str(concurrency), str(wait_ms)),
        left,
        node_missing,
    )


ARQ = Queue(
    "arq",
    _filler(str(PYTHON), str(HERE / "arq_jobs.py")),
    _worker(str(PYTHON), "-m", "arq", "arq_jobs.WorkerSettings"),
    lambda client: int(client.zcard("arq:queue")),
    python_missing,
    share=0.5,
)
DRAMATIQ = Queue(
    BASELINE,
    _filler(str(PYTHON), str(HERE / "dramatiq_jobs.py")),
    _worker(str(PYTHON), "-m", "dramatiq", "--processes=1", "--threads=8", "dramatiq_jobs"),
    lambda client: int(client.hlen("dramatiq:default.msgs")),
    python_missing,
    share=0.5,
)
NO_OP = [
    _hookline("hookline, concurrency 50", "nothing", 50),
    _hookline("hookline, concurrency 100", "nothing", 100),
    _hookline("hookline, compiled, concurrency 50", "nothing", 50, compiled=True),
    _hookline("hookline, compiled, concurrency 100", "nothing", 100, compiled=True),
    DRAMATIQ,
    ARQ,
    _bullmq(1),
    _bullmq(50),
    _rq("RQ SimpleWorker", "--worker-class rq.SimpleWorker", 0.1),
    _rq("RQ Worker", "", 0.02),
]
WAITING = [
    _hookline("hookline, sync", "wait", 100),
    _hookline("hookline, async", "wait async", 100),
    _bullmq(100, 50),
]
