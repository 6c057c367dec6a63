"""A gateway, workers that are started again, and a source that behaves: what trouble is measured on."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from tests.adapters.ledger_rig import a_source
from tests.chaos.rig import REPOSITORY, Crew, an_event
from tests.e2e.deployments import SIGNED
from tests.e2e.rig import SECRET, Deployment, Gateway

TROUBLED: Final = ("loud", "hang", "fail", "kill", "backlog")
CODE: Final = """
import os, time
from gateway.plugins import *

registry = Registry()
LOG = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

@registry.processor(source="good")
def good(event: Event) -> None:
    received = event.received_at.timestamp()
    os.write(LOG, f"{received} {time.time() - received} 200\\n".encode())

@registry.processor(source="loud")
def loud(event: Event) -> None: ...

@registry.processor(source="hang", timeout=3600)
def hang(event: Event) -> None:
    while os.path.exists(os.environ["GATE"]):
        time.sleep(0.05)

@registry.processor(source="fail")
def fail(event: Event) -> None:
    raise ConnectionError("it is away, and stays away")

@registry.processor(source="kill")
def kill(event: Event) -> None:
    os._exit(1)

@registry.processor(source="backlog")
def backlog(event: Event) -> None:
    time.sleep(0.02)
"""
BATCH: Final = 200
STOP_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Timed:
    """One request of the good source, or one start of its processor. Unix seconds and seconds."""

    at: float
    seconds: float
    status: int


class Bench:
    """Everything of one case. `look` is to be called again and again: it starts dead workers anew."""

    def __init__(self, crew: Crew, gateway: Gateway, workers: int, rate: float) -> None:
        self.crew = crew
        self.gateway = gateway
        self.deaths = 0
        self.most_memory = self.most_files = 0
        self._gate = gateway.deployment.root / "gate"
        self._workers = [crew.worker() for _ in range(workers)]
        self._sent = gateway.deployment.root / "sent.log"
        self._rate = rate

    def look(self) -> bool:
        for place, worker in enumerate(self._workers):
            if worker.process.poll() is not None:
                self.deaths += 1
                self._workers[place] = self.crew.worker(ready=False)
        gateway = Path("/proc") / str(self.gateway.process.pid)
        status = (gateway / "status").read_text()
        self.most_memory = max(self.most_memory, int(status.partition("VmRSS:")[2].split()[0]) * 1024)
        self.most_files = max(self.most_files, len(list((gateway / "fd").iterdir())))
        return True

    def watch(self, seconds: float) -> None:
        """For so long."""
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            self.look()
            time.sleep(0.1)

    @contextmanager
    def good(self) -> Iterator[None]:
        """The source that behaves, for the length of the block."""
        words = ("good", str(self.gateway.address[1]), str(self._rate))
        with self._sent.open("wb") as out, _sender(words, out.fileno()) as process:
            try:
                yield
            finally:
                process.terminate()

    @contextmanager
    def trouble(self, kind: str, rate: float, told: dict[str, int]) -> Iterator[None]:
        """Adds to `told` what its sender was answered."""
        self._gate.touch()
        if kind == "backlog":
            self._fill(int(rate))
        words = ("trouble", "loud" if kind == "neighbour" else kind, str(self.gateway.address[1]))
        quiet = kind in ("quiet", "backlog")
        process = None if quiet else _sender((*words, str(rate)), subprocess.PIPE)
        try:
            if process and process.stdout:
                process.stdout.readline()  # an interpreter has started
            yield
        finally:
            if process:
                process.terminate()
                output, _ = process.communicate(timeout=STOP_SECONDS)
                for word, many in json.loads(output or b"{}").items():
                    told[word] = told.get(word, 0) + many
            self._gate.unlink(missing_ok=True)

    def settle(self, seconds: float, least: float = 1.0) -> None:
        """Until nothing is left of the trouble, or so long."""
        limit = time.monotonic() + seconds
        keys = [Keys().pending(source) for source in TROUBLED]
        self.watch(least)
        while time.monotonic() < limit and any(map(self.crew.client.zcard, keys)):
            self.watch(0.2)

    def sent(self) -> list[Timed]:
        return _read(self._sent)

    def started(self) -> list[Timed]:
        return _read(self.gateway.deployment.root / "started.log")

    def _fill(self, many: int) -> None:
        """A backlog that is there at once."""
        source, stamp = a_source("backlog"), time.time_ns()
        for first in range(0, many, BATCH):
            events = [an_event("backlog", f"{stamp}-{first + n}") for n in range(BATCH)]
            rows = [(each, source, ("backlog",)) for each in events]
            run(self.crew.client, Keys(), ledger.accept(rows))


def a_bench(root: Path, settings: str = "", source: str = "") -> Deployment:
    """By default, but for `settings` in gateway.toml and `source` in every source's file."""
    environ = {"SECRET": SECRET, "STARTED": str(root / "started.log"), "GATE": str(root / "gate")}
    sources = dict.fromkeys(("good", *TROUBLED), source + SIGNED)
    text = settings + '[log]\nformat = "json"\n'
    return Deployment(root, sources, text, {"overload": CODE}, environ)


@contextmanager
def benches(deployment: Deployment, url: str, workers: int, rate: float) -> Iterator[Bench]:
    with Crew(deployment, url) as crew, Gateway(deployment, url) as gateway:
        yield Bench(crew, gateway, workers, rate)


def _sender(words: tuple[str, ...], out: int) -> "subprocess.Popen[bytes]":
    name, *rest = words
    command = [sys.executable, "-m", f"tests.chaos.overload.{name}", *rest]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, cwd=REPOSITORY)


def _read(log: Path) -> list[Timed]:
    whole, _, _ = log.read_text().rpartition("\n") if log.exists() else ("", "", "")
    rows = (line.split() for line in whole.splitlines())
    return [Timed(float(at), float(seconds), int(status)) for at, seconds, status in rows]
