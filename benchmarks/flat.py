"""Flat cost: what ingest, claim, a listing and a scrape cost at a small and at a large backlog.

A server each, side by side: a machine changes its pace within a minute by more than what is looked
for.
"""

import statistics
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

from benchmarks import backlog
from benchmarks.harness import Bench, metered, say
from benchmarks.load import Plan
from benchmarks.peers.hookline import PATH, SOURCE, Hookline
from benchmarks.processes import listening
from benchmarks.report import Row, Table
from benchmarks.server import Server, running
from gateway.adapters.ledger import calls
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.scripts import run as run_script

SMALL = 1000
BODY = b'{"zen":"Keep it logically awesome."}'  # small: what counts here is how many there are
SLICES = 8  # of the scripts' measure, for each round of the others
BATCHES = 25
AT_ONCE = 16
LISTED = 50
READS = 20


@dataclass(frozen=True, slots=True)
class Backlog:
    """So many pending events on a server, and the deployment that they are of."""

    size: int
    store: Server
    deployment: Hookline

    @property
    def name(self) -> str:
        return f"{self.size:,} pending"

    def renew(self) -> tuple[str, ...]:
        """What a measure has added to a small one is much of it. Says what is wrong with it then."""
        if self.size <= SMALL:
            self.store.clear()
            backlog.fill(self.store, self.deployment, self.size, BODY)
        held = int(self.store.client.zcard(f"hookline:pending:{SOURCE}"))
        return (f"only {held:,} are pending",) if held < self.size else ()


def run(bench: Bench) -> list[Table]:
    """The same measures at 1,000 pending events and at as many as the options say."""
    bench.store.clear()
    with ExitStack() as stack:
        large = stack.enter_context(running(bench.place("flat large")))
        both = [
            Backlog(SMALL, bench.store, bench.deployment("flat small")),
            Backlog(bench.options.pending, large, replace(bench, store=large).deployment("flat large")),
        ]
        _fill(both[1])
        by_name = {each.name: each for each in both}
        more = replace(bench, options=replace(bench.options, rounds=SLICES * bench.options.rounds))
        found = [
            more.interleave("flat cost: scripts", list(by_name), lambda name: scripts(by_name[name])),
            bench.interleave(
                "flat cost: ingest and reads", list(by_name), lambda name: ingest(bench, by_name[name])
            ),
        ]
    return [replace(table, baseline=both[0].name, ratios=_costs(table)) for table in found]


def _costs(table: Table) -> tuple[str, ...]:
    return tuple(column for column in table.rows[0].figures if column != "MB")


def _fill(large: Backlog) -> None:
    """And until the server has rewritten the file that this has made long: it copies memory then."""
    say(f"flat: a backlog of {large.size:,}")
    backlog.fill(large.store, large.deployment, large.size, BODY)
    while large.store.client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.2)


def scripts(of: Backlog) -> Row:
    """Microseconds by the server's own clock, for one event. What is added here is claimed."""
    faults = of.renew()
    source = backlog.source_of(of.deployment)
    arriving = backlog.events(BODY)

    def accept() -> None:
        batch = [(each, source, ("read",)) for each in islice(arriving, AT_ONCE)]
        run_script(of.store.client, backlog.KEYS, calls.accept(batch, backlog.LOOK_MS))

    def claim() -> None:
        queues = [(source.queue, AT_ONCE)]
        call = calls.claim(lease_ms=30_000, worker="bench", keep_books=True, queues=queues)
        run_script(of.store.client, backlog.KEYS, call)

    def sweep() -> None:
        run_script(of.store.client, backlog.KEYS, calls.sweep([SOURCE]))

    figures = {
        "accept µs": _script(of.store, accept) / AT_ONCE,
        "claim µs": _script(of.store, claim) / AT_ONCE,
        "sweep µs": _script(of.store, sweep),
        "MB": of.store.used_memory() / 2**20,
    }
    return Row(of.name, figures, faults)


def _script(store: Server, call: Callable[[], None]) -> float:
    """Microseconds that the server spends in one call, the mean of many."""
    call()
    store.reset_statistics()
    for _ in range(BATCHES):
        call()
    return store.script_microseconds() / BATCHES


def ingest(bench: Bench, of: Backlog) -> Row:
    """A gateway under the closed loop, and what a listing and a scrape take before."""
    faults = of.renew()
    options, deployment = bench.options, of.deployment
    plan = Plan(deployment.port, PATH, options.connections, options.seconds)
    with listening(
        deployment.serve(), deployment.port, deployment.log, deployment.environment
    ) as process:
        reads = {
            "list ms": _median_ms(lambda: _list(of.store)),
            "scrape ms": _median_ms(lambda: _scrape(deployment)),
        }
        replace(plan, seconds=options.warmup).run()
        with metered(process.pid, of.store) as used:
            load = plan.run()
    figures = {"req/s": load.accepted / load.seconds}
    figures |= dict(zip(("CPU µs", "redis µs"), used.microseconds(load.accepted), strict=True))
    return Row(of.name, figures | reads, faults)


def _list(store: Server) -> None:
    """What `hookline events list` reads; the command's own start is `start`'s to measure."""
    reader = Reader(store.client, backlog.KEYS)
    assert len(list(islice(reader.received([SOURCE], newest_first=True), LISTED))) == LISTED


def _scrape(deployment: Hookline) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.admin_port}/metrics") as answer:
        assert b"hookline_open_deliveries" in answer.read()


def _median_ms(read: Callable[[], None]) -> float:
    took = []
    for _ in range(READS):
        began = time.perf_counter()
        read()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
