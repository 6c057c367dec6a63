"""Flat cost: what ingest, claim, a listing and a scrape cost at a small and at a large backlog."""

import statistics
import time
import urllib.request
from collections.abc import Callable
from itertools import islice

from benchmarks import backlog
from benchmarks.harness import Bench, metered, say
from benchmarks.load import Plan
from benchmarks.peers.hookline import PATH, SOURCE, Hookline
from benchmarks.processes import listening
from benchmarks.report import Row, Table
from gateway.adapters.ledger import calls
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.scripts import run as run_script

SMALL = 1000
BODY = b'{"zen":"Keep it logically awesome."}'  # small: what counts here is how many there are
BATCHES = 100
AT_ONCE = 16
LISTED = 50
READS = 20


def run(bench: Bench) -> list[Table]:
    """The same measures at 1,000 pending events and at as many as the options say."""
    bench.store.clear()
    deployment = Hookline(bench.place("flat"), bench.store.url).write()
    rows, held = [], 0
    for size in (SMALL, bench.options.pending):
        say(f"flat: a backlog of {size:,}")
        backlog.fill(bench.store, deployment, max(0, size - held), BODY)
        _settle(bench)
        rows.append(measure(bench, deployment, size))
        held = int(bench.store.client.zcard(f"hookline:pending:{SOURCE}"))
        say(f"flat: {rows[-1]}")
    ratios = tuple(column for column in rows[0].figures if column != "MB")
    return [Table("flat cost, by pending events", rows, f"{SMALL:,} pending", ratios)]


def _settle(bench: Bench) -> None:
    """Until the server has rewritten the file that filling has made long: it copies memory then."""
    while bench.store.client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.2)


def measure(bench: Bench, deployment: Hookline, size: int) -> Row:
    """Scripts by the server's own clock for one event, reads by ours. What is added here is claimed."""
    store = bench.store
    source = backlog.source_of(deployment)
    arriving = backlog.events(BODY)

    def accept() -> None:
        batch = [(each, source, ("read",)) for each in islice(arriving, AT_ONCE)]
        run_script(store.client, backlog.KEYS, calls.accept(batch, backlog.LOOK_MS))

    def claim() -> None:
        queues = [(source.queue, AT_ONCE)]
        call = calls.claim(lease_ms=30_000, worker="bench", keep_books=True, queues=queues)
        run_script(store.client, backlog.KEYS, call)

    def sweep() -> None:
        run_script(store.client, backlog.KEYS, calls.sweep([SOURCE]))

    figures = {
        "accept µs": _script(bench, accept) / AT_ONCE,
        "claim µs": _script(bench, claim) / AT_ONCE,
        "sweep µs": _script(bench, sweep),
        "list ms": _median_ms(lambda: _list(bench)),
    }
    plan = Plan(deployment.port, PATH, bench.options.connections, bench.options.seconds)
    with listening(
        deployment.serve(), deployment.port, deployment.log, deployment.environment
    ) as process:
        figures["scrape ms"] = _median_ms(lambda: _scrape(deployment))
        Plan(deployment.port, PATH, bench.options.connections, bench.options.warmup).run()
        with metered(process.pid, store) as used:
            load = plan.run()
    figures |= {"req/s": load.accepted / load.seconds}
    figures |= dict(zip(("CPU µs", "redis µs"), used.microseconds(load.accepted), strict=True))
    figures["MB"] = store.used_memory() / 2**20
    return Row(f"{size:,} pending", figures)


def _script(bench: Bench, call: Callable[[], None]) -> float:
    """Microseconds that the server spends in one call, the mean of many."""
    call()
    bench.store.reset_statistics()
    for _ in range(BATCHES):
        call()
    return bench.store.script_microseconds() / BATCHES


def _list(bench: Bench) -> None:
    """What `hookline events list` reads; the command's own start is `start`'s to measure."""
    reader = Reader(bench.store.client, backlog.KEYS)
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
