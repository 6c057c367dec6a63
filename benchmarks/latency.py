"""End to end: from a webhook's first byte sent to its processor's first line, on an idle system."""

import itertools
import socket
import time
from contextlib import ExitStack

from benchmarks import push
from benchmarks.harness import Bench
from benchmarks.load import quantile
from benchmarks.peers.hookline import PATH, Hookline
from benchmarks.processes import listening, running, until
from benchmarks.report import Row, Table

RATE = 20.0
WARMUP = 10
PATIENCE_SECONDS = 20.0


def run(bench: Bench) -> list[Table]:
    """20 webhooks a second, one gateway, one worker that has nothing else to do."""
    title = "latency, sent to processor started, 20/s"
    return [bench.interleave(title, ["hookline"], lambda name: measure(bench, name))]


def measure(bench: Bench, name: str) -> Row:
    """Both clocks are this machine's: the sender's here, and the processor's."""
    bench.store.clear()
    deployment = bench.deployment("latency", "stamp")
    deployment.stamps.write_text("")
    many = bench.options.webhooks + WARMUP
    with ExitStack() as stack:
        serve, environment = deployment.serve(), deployment.environment
        stack.enter_context(listening(serve, deployment.port, deployment.log, environment))
        stack.enter_context(running(deployment.worker(32), deployment.log, environment))
        until(lambda: bench.store.client.scard("rq:workers") > 0, PATIENCE_SECONDS)
        sent = send(deployment.port, many)
        until(lambda: len(_stamps(deployment)) >= many, PATIENCE_SECONDS)
    started = _stamps(deployment)
    counted = dict(itertools.islice(sent.items(), WARMUP, None))
    found = [(started[each] - at) * 1000 for each, (at, _) in counted.items() if each in started]
    answered = [(end - at) * 1000 for at, end in counted.values()]
    missed = len(counted) - len(found)
    figures = {
        "p50 ms": quantile(found, 0.5),
        "p99 ms": quantile(found, 0.99),
        "max ms": quantile(found, 1.0),
        "answer p50": quantile(answered, 0.5),
        "answer p99": quantile(answered, 0.99),
        "webhooks": len(found),
    }
    return Row(name, figures, (f"{missed} were never started",) if missed else ())


def send(port: int, many: int) -> dict[str, tuple[float, float]]:
    """By delivery id, when each was sent and when answered, in Unix seconds."""
    times: dict[str, tuple[float, float]] = {}
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number, request in enumerate(itertools.islice(push.requests(PATH, many), many)):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            at = time.time()
            connection.sendall(request)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
            times[push.delivery_of(request)] = (at, time.time())
    return times


def _stamps(deployment: Hookline) -> dict[str, float]:
    lines = deployment.stamps.read_text().splitlines()
    return {delivery: float(at) for delivery, at in (line.split() for line in lines)}
