"""Workers in processes of their own, processors that leave a trace of each run, and the ledger.

with Crew(Deployment(...), redis_url) as crew:
    worker = crew.worker()
    worker.kill()
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from redis import Redis

from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.cli.shared.exits import UNAVAILABLE
from gateway.core.event import Event, delivery_id, event_id
from tests.adapters.ledger_rig import Rig, Row, a_source
from tests.e2e.rig import PATIENT, PROCESSORS, Deployment, until

REPOSITORY: Final = Path(__file__).parent.parent.parent
UNVERIFIED: Final = '[verify]\nscheme = "unverified"\n'
QUICK: Final = (
    "[worker]\n"
    'concurrency = 8\nlease = "{lease}"\nlook_interval = "1s"\n'
    'sweep_interval = "200ms"\ngrace = "{grace}"\n'
    '[defaults.retry]\nattempts = 3\nfirst_delay = "100ms"\n'
    '[server]\nflood_limit = "1000000/minute"\n[log]\nformat = "json"\n'
)
# One write of one line on a descriptor opened for appending: lines never mix, whoever dies.
EFFECTS: Final = """
import os, time

LOG = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

def note(event, phase):
    words = (event.provider_id, event.processor, event.attempt, event.fence, os.getpid(), phase)
    line = " ".join(map(str, words)) + f" {time.time()}\\n"
    os.write(LOG, line.encode())
    os.fsync(LOG)
"""


def a_deployment(
    root: Path,
    processors: str,
    sources: Iterable[str] = ("github",),
    *,
    lease: str = "2s",
    grace: str = "5s",
    more: str = "",
    redis: str = PATIENT,
) -> Deployment:
    """`processors`: a module in which `note(event, phase)` leaves a line in the effect log. `redis`: a
    table of the settings; where the server is to go away, what is the default is tested."""
    head = (
        f"from {PROCESSORS}.effects import note\nfrom gateway.plugins import *\nregistry = Registry()\n"
    )
    return Deployment(
        root,
        dict.fromkeys(sources, UNVERIFIED + more),
        redis + QUICK.format(lease=lease, grace=grace),
        {"effects": EFFECTS, "all": head + processors},
        {"EFFECTS": str(root / "effects.log")},
    )


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt as its effects show it; `ended` None: it was cut off. Times are Unix seconds."""

    value: str
    processor: str
    attempt: int
    fence: int
    pid: int
    started: float
    ended: float | None


class Process:
    """Something that runs beside us, with a log, until it is stopped or killed."""

    def __init__(self, words: list[str], environ: dict[str, str], cwd: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                words, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """The whole JSON lines so far, of this event."""
        whole, _, _ = self.text().rpartition("\n")
        lines = [json.loads(text) for text in whole.splitlines() if text.startswith("{")]
        return [line for line in lines if not event or line["event"] == event]

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def is_unavailable(self) -> bool:
        """Whether it has ended because it could not reach its server."""
        return self.process.poll() == UNAVAILABLE

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)


class Crew:
    """Starts workers of one deployment and ends them all; reads effects and ledger."""

    def __init__(self, deployment: Deployment, redis_url: str) -> None:
        self.deployment = deployment
        self.url = redis_url
        self._processes: list[Process] = []
        deployment.write()

    def __enter__(self) -> Self:
        self.client: Redis = Redis.from_url(self.url)
        self.rig = Rig(self.client)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._processes:
            if each.process.poll() is None:
                each.kill()
        self.client.close()

    def worker(self, *options: str, ready: bool = True) -> Process:
        """`hookline worker`; `ready`: only when it has begun to work."""
        process = self._run(self.deployment.command("worker", *options), self._environ(), REPOSITORY)
        if ready:
            until(lambda: process.lines("worker.started") or process.is_unavailable, what="a worker")
        # A server that stood still for longer than it waits: a supervisor starts it again.
        return self.worker(*options) if ready and process.is_unavailable else process

    def stock(self, *queues: str, options: Iterable[str] = ()) -> Process:
        """`rq worker`, started as a user would, in the directory of the deployment."""
        program = str(Path(sys.executable).parent / "rq")
        words = [program, "worker", "-S", "json", "-u", self.url, *options, *queues]
        place = {
            "HOOKLINE_CONFIG": str(self.deployment.root / "config"),
            "HOOKLINE_PROCESSORS": str(self.deployment.root / PROCESSORS),
        }
        return self._run(words, self._environ() | place, self.deployment.root)

    def _environ(self) -> dict[str, str]:
        return self.deployment.environment(self.url) | {"PYTHONPATH": str(REPOSITORY)}

    def _run(self, words: list[str], environ: dict[str, str], cwd: Path) -> Process:
        log = self.deployment.root / f"process-{len(self._processes)}.log"
        self._processes.append(Process(words, environ, cwd, log))
        return self._processes[-1]

    # Events and what became of them

    def accept(
        self, *values: str, source: str = "github", processors: Iterable[str] = ("process",)
    ) -> None:
        events = [(an_event(source, value), a_source(source), tuple(processors)) for value in values]
        run(self.client, Keys(), ledger.accept(events, look_ms=1000))

    def row(self, value: str, number: int = 1, source: str = "github") -> Row:
        return self.rig.row(delivery_id(an_event(source, value).id, number))

    def lines(self) -> list[str]:
        """Of the effect log, the whole ones."""
        log = self.deployment.root / "effects.log"
        return log.read_text().splitlines() if log.exists() else []

    def runs(self) -> list[Run]:
        """Every attempt that began, in order."""
        return list(runs_of(self.lines()))

    def pids(self) -> set[int]:
        """Of every process that was started here."""
        return {each.pid for each in self._processes}


def an_event(source: str, value: str) -> Event:
    return Event(
        id=event_id(source, "id", value.encode()),
        source=source,
        type="push",
        provider_id=value,
        headers=(),
        body=b"{}",
        received_at=0.0,
    )


def runs_of(effects: Iterable[str]) -> Iterator[Run]:
    lines = [line.split() for line in effects]
    ends = {tuple(words[:5]): float(words[6]) for words in lines if words[5] == "end"}
    for words in lines:
        if words[5] == "start":
            value, processor, attempt, fence, pid, _, at = words
            ended = ends.get(tuple(words[:5]))
            yield Run(value, processor, int(attempt), int(fence), int(pid), float(at), ended)


@contextmanager
def own_server() -> Iterator[tuple[Path, str]]:
    """A new directory, and the URL of a server that keeps its data there."""
    with TemporaryDirectory(prefix="hookline-chaos-") as folder:
        root = Path(folder)
        with EmbeddedServer(root / "redis", find_binary(prefer_bundled=True)) as server:
            yield root, server.url


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
