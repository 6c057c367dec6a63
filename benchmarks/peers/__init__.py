"""What ingest is compared between: each peer is a command that listens on a port of 127.0.0.1."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import push
from benchmarks.peers.hookline import PATH, SOURCE, Hookline
from benchmarks.peers.installed import NODE, compiled_missing, node_missing


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of receiving GitHub's webhooks.

    `command` takes the port, a directory of its own and the URL of Redis, and finds `REDIS_URL`,
    `BENCH_SECRET` and `PORT` in its environment. `stored` says how many events the server holds
    now; None where nothing is stored. `missing` says why the peer cannot run here, or None.
    """

    name: str
    command: Callable[[int, Path, str], tuple[list[str], dict[str, str]]]
    path: str
    stored: Callable[[Any], int] | None
    missing: Callable[[], str | None] = lambda: None


def _uvicorn(application: str) -> Callable[[int, Path, str], tuple[list[str], dict[str, str]]]:
    """uvicorn as one would run it in production: uvloop, httptools, no access log."""
    options = ["--host=127.0.0.1", "--no-access-log", "--log-level=warning"]

    def command(port: int, _: Path, url: str) -> tuple[list[str], dict[str, str]]:
        run = [sys.executable, "-m", "uvicorn", application, *options, f"--port={port}"]
        return run, {"REDIS_URL": url, "BENCH_SECRET": push.SECRET}

    return command


def _hookline(
    workers: int, *, compiled: bool = False
) -> Callable[[int, Path, str], tuple[list[str], dict[str, str]]]:
    def command(port: int, place: Path, url: str) -> tuple[list[str], dict[str, str]]:
        deployment = Hookline(place, url, port=port, compiled=compiled).write()
        return deployment.serve(workers), deployment.environment

    return command


def _node(port: int, _: Path, url: str) -> tuple[list[str], dict[str, str]]:
    environment = {"REDIS_URL": url, "BENCH_SECRET": push.SECRET, "PORT": str(port)}
    return ["node", str(NODE / "ingest.mjs")], {**environment, "NODE_ENV": "production"}


def _rq(queue: str) -> Callable[[Any], int]:
    return lambda client: int(client.llen(f"rq:queue:{queue}"))


OBVIOUS = Peer("obvious", _uvicorn("benchmarks.peers.obvious:app"), "/github", _rq("github"))
BARE = Peer("bare route", _uvicorn("benchmarks.peers.bare:app"), "/github", None)
NODE_BULLMQ = Peer(
    "node + BullMQ", _node, "/github", lambda client: int(client.llen("bull:github:wait")), node_missing
)
HOOKLINE = Peer("hookline", _hookline(1), PATH, _rq(SOURCE))
HOOKLINE_COMPILED = Peer(
    "hookline, compiled", _hookline(1, compiled=True), PATH, _rq(SOURCE), compiled_missing
)
HOOKLINE_2 = Peer("hookline, 2 processes", _hookline(2), PATH, _rq(SOURCE))

ALL = (OBVIOUS, HOOKLINE, HOOKLINE_COMPILED, NODE_BULLMQ, HOOKLINE_2, BARE)
