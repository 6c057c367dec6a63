"""What is compared: each peer is a command that listens on a port of 127.0.0.1."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import hookline


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of receiving GitHub's webhooks.

    `command` takes the port and a directory of its own, and finds `REDIS_URL` and `BENCH_SECRET`
    in its environment. `queue` is the RQ queue that must hold one job for each 200; None
    where nothing is stored. `missing` says why the peer cannot run here, or None.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    path: str
    queue: str | None
    missing: Callable[[], str | None] = lambda: None


def _uvicorn(application: str) -> Callable[[int, Path], list[str]]:
    """uvicorn as one would run it in production: uvloop, httptools, no access log."""
    options = ["--host=127.0.0.1", "--no-access-log", "--log-level=warning"]

    def command(port: int, _: Path) -> list[str]:
        return [sys.executable, "-m", "uvicorn", application, *options, f"--port={port}"]

    return command


OBVIOUS = Peer("obvious", _uvicorn("benchmarks.peers.obvious:app"), "/github", "github")
BARE = Peer("bare", _uvicorn("benchmarks.peers.bare:app"), "/github", None)
HOOKLINE = Peer("hookline", hookline.command, hookline.PATH, hookline.SOURCE, missing=hookline.missing)

ALL = (OBVIOUS, HOOKLINE, BARE)
