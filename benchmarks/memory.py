"""Memory: what an event takes in Redis while it is pending, and once finished; by kind of key."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from benchmarks import backlog
from benchmarks.harness import Bench
from benchmarks.report import Row, Table
from benchmarks.server import Server
from gateway.adapters.ledger import calls
from gateway.adapters.ledger.scripts import run as run_script
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Done

EVENTS: Final = {1: 10_000, 10: 10_000, 100: 1000}
"""By the size of their bodies in KB: enough that what the server takes once is little beside them."""
AT_ONCE: Final = 100
TOTALS: Final = ("used", "less body", "keys")


def run(bench: Bench) -> list[Table]:
    """A table of bytes an event: three body sizes, and three ages of an event."""
    list(measure(bench, 1))  # the scripts, once read, take memory too
    rows = [row for size in EVENTS for row in measure(bench, size)]
    kinds = sorted({kind for row in rows for kind in row.figures} - set(TOTALS))
    names = [*TOTALS, *kinds]
    rows = [Row(row.name, {name: row.figures.get(name, 0.0) for name in names}) for row in rows]
    words = (
        "used: by the server's own count; less body: without the body's bytes; keys: sum of the kinds,"
        " which leaves out the server's tables",
    )
    return [Table("memory, bytes an event", rows, words=words)]


def measure(bench: Bench, size: int) -> Iterator[Row]:
    """Pending, then finished, then with its body gone, as it is after the retention."""
    store = bench.store
    store.clear()
    empty = store.used_memory()
    deployment = bench.deployment("memory")
    body, events = size * 1024, EVENTS[size]
    ids = backlog.fill(store, deployment, events, b"x" * body)
    yield _row(store, f"{size} KB pending", empty, body, events)
    _work(store, backlog.source_of(deployment).queue)
    yield _row(store, f"{size} KB finished", empty, body, events)
    store.client.delete(*map(backlog.KEYS.body, ids))
    yield _row(store, f"{size} KB body gone", empty, 0, events)


def _work(store: Server, queue: str) -> None:
    """Claims and finishes all there is."""
    while True:
        claim = calls.claim(lease_ms=30_000, worker="bench", keep_books=True, queues=[(queue, AT_ONCE)])
        rows = [
            row for row in run_script(store.client, backlog.KEYS, claim) if isinstance(row, Claimed)
        ]
        if not rows:
            return
        done = [Finish(row.delivery, row.fence, Done(), AttemptOutcome.DONE) for row in rows]
        run_script(store.client, backlog.KEYS, calls.finish(done, keep_books=True))


def _row(store: Server, name: str, empty: int, body: int, events: int) -> Row:
    used = (store.used_memory() - empty) / events
    kinds = {kind: total / events for kind, total in by_kind(store.client).items()}
    return Row(name, {"used": used, "less body": used - body, "keys": sum(kinds.values()), **kinds})


def by_kind(client: Any) -> Counter[str]:
    """Bytes of all keys by what they hold: `hookline:event:evt_abc` counts as `event`."""
    found: Counter[str] = Counter()
    for key in client.scan_iter(count=1000):
        owner, kind = (part.decode() for part in key.split(b":")[:2])  # what follows may be no text
        found[kind if owner == "hookline" else f"{owner} {kind}"] += client.memory_usage(key, samples=0)
    return found
