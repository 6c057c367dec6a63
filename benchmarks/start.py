"""Start: from a command to readiness, `--help`, and what idle processes take."""

import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from urllib.error import URLError

from benchmarks.harness import Bench
from benchmarks.peers.hookline import Hookline
from benchmarks.processes import memory_mb, running, until
from benchmarks.report import Row, Table

PATIENCE_SECONDS = 20.0
STEP_SECONDS = 0.002
IDLE_SECONDS = 1.0
NAMES = ("serve", "worker", "--help", "python -c pass")


def run(bench: Bench) -> list[Table]:
    """Milliseconds and megabytes; an interpreter that does nothing stands beside them."""
    return [bench.interleave("start", list(NAMES), lambda name: measure(bench, name))]


def _registered(bench: Bench) -> bool:
    return bool(bench.store.client.scard("rq:workers"))


def measure(bench: Bench, name: str) -> Row:
    deployment = bench.deployment("start")
    if name == "serve":
        return _kept(deployment, name, deployment.serve(), lambda: _ready(deployment))
    if name == "worker":
        bench.store.clear()
        return _kept(deployment, name, deployment.worker(32), lambda: _registered(bench))
    arguments = ["-m", "gateway", "--help"] if name == "--help" else ["-c", "pass"]
    began = time.perf_counter()
    subprocess.run([deployment.python, *arguments], check=True, stdout=subprocess.DEVNULL)
    took = (time.perf_counter() - began) * 1000
    return Row(name, {"ready ms": took, "RSS MB": float("nan"), "PSS MB": float("nan")})


def _kept(deployment: Hookline, name: str, command: list[str], ready: Callable[[], bool]) -> Row:
    """One that goes on: until it is ready, then what it takes while it has nothing to do."""
    with ExitStack() as stack:
        began = time.perf_counter()
        process = stack.enter_context(running(command, deployment.log, deployment.environment))
        came = until(ready, PATIENCE_SECONDS, STEP_SECONDS)
        took = (time.perf_counter() - began) * 1000
        time.sleep(IDLE_SECONDS)
        memory = memory_mb(process.pid)
    figures = {"ready ms": took, "RSS MB": memory["Rss"], "PSS MB": memory["Pss"]}
    return Row(name, figures, () if came else ("it was not ready in time",))


def _ready(deployment: Hookline) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{deployment.port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
