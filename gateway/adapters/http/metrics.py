"""Metrics: everything that is shown is read from Redis at scrape time; `counters.py` adds to it.

So any process can serve them, several gateways add up, and a restart loses nothing but the last second.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from gateway import __version__
from gateway.adapters.http.counters import BUCKETS
from gateway.adapters.ledger.pressure import memory_share
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.spool.slots import State
from gateway.core.event import event_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a scrape shows, read in two round trips."""

    counters: dict[str, int]
    open: dict[str, int]
    dead: dict[str, int]
    depth: dict[str, int]
    oldest: dict[str, float]
    workers: int
    suspended: bool
    memory: float = 0.0


async def read_snapshot(client: "Redis", keys: Keys, sources: Iterable[tuple[str, str]]) -> Snapshot:
    """`sources`: (name, queue) pairs. Raises redis.RedisError."""
    pairs = list(sources)
    queues = list(dict.fromkeys(queue for _, queue in pairs))
    pipeline = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(keys.counters)
    pipeline.scard(f"{keys.rq}:workers")
    pipeline.exists(f"{keys.rq}:suspended")
    pipeline.info("memory")
    for name, _ in pairs:
        pipeline.zcard(keys.pending(name))
        pipeline.zcard(keys.dead(name))
        pipeline.zrange(keys.pending(name), 0, 0, withscores=True)
    for queue in queues:
        pipeline.llen(keys.queue(queue))
        pipeline.lindex(keys.queue(queue), 0)
    replies: list[Any] = await pipeline.execute()
    (seconds, micros), counters, workers, suspended, info, *rest = replies
    per_source = [rest[3 * i :][:3] for i in range(len(pairs))]
    per_queue = [rest[3 * len(pairs) + 2 * i :][:2] for i in range(len(queues))]
    now_ms = seconds * 1000 + micros // 1000
    heads = await _due_since(client, keys, [head for _, head in per_queue])
    oldest = {
        queue: max(0.0, (now_ms - (due or now_ms)) / 1000)
        for queue, due in zip(queues, heads, strict=True)
    }
    for (_, queue), (_, _, first) in zip(pairs, per_source, strict=True):
        if first:  # overdue by the index: its bell was lost, or its worker died
            oldest[queue] = max(oldest[queue], (now_ms - first[0][1]) / 1000)
    return Snapshot(
        counters={name.decode(): int(value) for name, value in counters.items()},
        open={name: row[0] for (name, _), row in zip(pairs, per_source, strict=True)},
        dead={name: row[1] for (name, _), row in zip(pairs, per_source, strict=True)},
        depth={queue: row[0] for queue, row in zip(queues, per_queue, strict=True)},
        oldest=oldest,
        workers=workers,
        suspended=bool(suspended),
        memory=memory_share(info),
    )


async def _due_since(client: "Redis", keys: Keys, jobs: list[bytes | None]) -> list[int | None]:
    """Since when the delivery of each job is due, in ms; None where there is none."""
    pipeline = client.pipeline(transaction=False)
    for job in jobs:
        found = event_of(job.decode("utf-8", "replace").rpartition("-")[0]) if job else None
        event, number = found or ("", 0)
        pipeline.hmget(keys.event(event), f"{number}t", "r")  # nothing has moved it since it came
    rows: list[list[bytes | None]] = await pipeline.execute()
    return [int(due or came or 0) or None for due, came in rows]


def render(
    snapshot: Snapshot | None, spool: State | None = None, problems: Iterable[str] = ()
) -> bytes:
    """The Prometheus text. None: Redis, or the spool, could not be read, and that is what it says.
    `problems`: what is wrong with the server, of a closed list."""
    registry = CollectorRegistry()
    registry.register(_Collector(snapshot, spool, tuple(problems)))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(
        self, snapshot: Snapshot | None, spool: State | None, problems: tuple[str, ...]
    ) -> None:
        self._snapshot = snapshot
        self._spool = spool
        self._problems = problems

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("hookline_build_info", "The version that runs", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily(
            "hookline_redis_up", "1 when the ledger can be read", value=int(self._snapshot is not None)
        )
        wrong = GaugeMetricFamily(
            "hookline_redis_problem", "1 for each thing that is wrong with Redis", labels=["problem"]
        )
        for problem in self._problems:
            wrong.add_metric([problem], 1)
        yield wrong
        if self._spool:
            yield from _spooled(self._spool, time.time())
        if self._snapshot:
            yield from _state(self._snapshot)
            yield from _totals(self._snapshot.counters)
            yield _durations(self._snapshot.counters)


def _state(snapshot: Snapshot) -> Iterator[Metric]:
    gauges: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("open_deliveries", "Deliveries that are neither done nor dead", "source", snapshot.open),
        ("dead_letters", "Deliveries that wait for an operator", "source", snapshot.dead),
        ("queue_depth", "Deliveries waiting in the queue", "queue", snapshot.depth),
        ("oldest_waiting_seconds", "Age of the oldest delivery that is due", "queue", snapshot.oldest),
    )
    for name, text, label, values in gauges:
        gauge = GaugeMetricFamily(f"hookline_{name}", text, labels=[label])
        for key, value in values.items():
            gauge.add_metric([key], value)
        yield gauge
    yield GaugeMetricFamily("hookline_workers", "Workers registered with RQ", value=snapshot.workers)
    yield GaugeMetricFamily(
        "hookline_redis_memory_ratio",
        "Memory that Redis uses, of maxmemory, else of its machine's",
        value=snapshot.memory,
    )
    yield GaugeMetricFamily(
        "hookline_workers_suspended",
        "1 when `rq suspend` holds all workers",
        value=int(snapshot.suspended),
    )


def _spooled(state: State, now: float) -> Iterator[Metric]:
    """Of this machine's disk, whatever Redis says."""
    events = GaugeMetricFamily("hookline_spool_events", "Requests that wait on disk", labels=["source"])
    for source, many in state.requests.items():
        events.add_metric([source], many)
    yield events
    age = max(0.0, now - state.oldest) if state.oldest else 0.0
    gauges = (
        ("bytes", "Bytes of the requests that wait on disk", state.size),
        ("oldest_seconds", "Age of the oldest request that waits on disk", age),
        ("damaged", "Corrupt requests, and files that were damaged", state.set_aside),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(f"hookline_spool_{name}", text, value=value)


TOTALS: Final = {
    "requests": ("Requests by how they ended", ("source", "outcome", "reason")),
    "attempts": ("Attempts by how they ended", ("source", "processor", "outcome")),
    "dead": ("Dead letters ever made", ("source", "reason")),
    "overtaken": ("Deliveries that a newer one has overtaken", ("source", "processor")),
    "emitted": ("Events that processors emitted", ("source", "processor", "result")),
    "replays": ("Deliveries put back", ("source",)),
    "replayed": ("Events that came again under a new id", ("source",)),
    "spool": ("Requests for the spool, and back from it", ("source", "result")),
    "quarantine": ("Requests for the quarantine", ("source", "result")),
}
NAMES: Final = {
    "dead": "dead_lettered",
    "spool": "spool_requests",
    "replayed": "replayed_events",
    "overtaken": "overtaken_deliveries",
    "emitted": "emitted_events",
}


def _totals(counters: dict[str, int]) -> Iterator[Metric]:
    for kind, (text, labels) in TOTALS.items():
        family = CounterMetricFamily(f"hookline_{NAMES.get(kind, kind)}", text, labels=labels)
        for field, value in sorted(counters.items()):
            found, *values = field.split("|")
            if found == kind and len(values) == len(labels):
                family.add_metric(values, value)
        yield family


def _durations(counters: dict[str, int]) -> Metric:
    family = HistogramMetricFamily(
        "hookline_request_duration_seconds", "From the first byte to the answer", labels=["source"]
    )
    for field, micros in sorted(counters.items()):
        kind, _, source = field.partition("|")
        if kind == "micros":
            counts = [counters.get(f"bucket|{source}|{i}", 0) for i in range(len(BUCKETS) + 1)]
            bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
            buckets = [(bound, sum(counts[: i + 1])) for i, bound in enumerate(bounds)]
            family.add_metric([source], buckets, sum_value=micros / 1_000_000)
    return family
