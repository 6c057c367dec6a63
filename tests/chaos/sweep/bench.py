"""What one case needs: an empty database behind a proxy, processes that can be killed, an effect log.

A Workshop has what all cases share: the server, the process that forks, a deployment.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from redis import Redis

from tests.adapters.ledger_rig import Rig
from tests.chaos.proxy import Harm, Proxy
from tests.chaos.sweep.case import DELAY_SECONDS, LEASE_SECONDS, STOP_SECONDS, Case, Fate
from tests.chaos.sweep.processes import end, is_alive, owner
from tests.chaos.sweep.zygote import REPOSITORY, Zygote
from tests.e2e.rig import PROCESSORS, Deployment

GATEWAY: Final = f"""
[worker]
concurrency = 8
lease = "{LEASE_SECONDS}s"
look_interval = "1s"
sweep_interval = "200ms"
[defaults.retry]
attempts = 8
first_delay = "100ms"
longest_delay = "300ms"
[redis]
durability = "memory"
timeout = "400ms"
[server]
flood_limit = "1000000/minute"
[log]
format = "json"
"""
SOURCE: Final = """
{more}
[verify]
scheme = "unverified"
[identity]
event_id = ["{{header.X-Event-Id}}"]
"""
SOURCES: Final = {
    "shop": SOURCE.format(more="spool = false"),
    "kept": SOURCE.format(more="spool = true"),
}
# An event's name says what happens to it. Only its first run fails, or is discarded.
ALL: Final = """
import os, time
from gateway.plugins import *

registry = Registry()

def note(event, phase):
    log = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(log, f"{event.provider_id} {os.getpid()} {phase} {event.fence}\\n".encode())
    os.close(log)

def process(event: Event) -> None:
    note(event, "start")
    kind = event.provider_id.partition("-")[0]
    if kind == "slow":
        time.sleep(0.9)
    first = not any(os.path.exists(os.environ["EFFECTS"] + "." + each) for each in (event.provider_id,))
    if kind in ("fails", "dead") and first:
        note(event, "refused")
        open(os.environ["EFFECTS"] + "." + event.provider_id, "w").close()
        raise Discard("no") if kind == "dead" else ValueError
    note(event, "end")

for source in ("shop", "kept"):
    registry.processor(source=source, name=source)(process)
"""


@dataclass(slots=True)
class Workshop:
    """`databases`: the numbers of those that nobody uses."""

    root: Path
    socket: str
    zygote: Zygote
    databases: "asyncio.Queue[int]"

    def __post_init__(self) -> None:
        Deployment(self.root, SOURCES, GATEWAY, {"all": ALL}).write()

    @property
    def place(self) -> dict[str, str]:
        """As both kinds of worker read it."""
        return {
            "HOOKLINE_CONFIG": str(self.root / "config"),
            "HOOKLINE_PROCESSORS": str(self.root / PROCESSORS),
        }


class Bench:
    """One case, or (None) a run without any fault.

    async with Bench(workshop, case) as bench: ...
    """

    def __init__(self, workshop: Workshop, case: Case | None) -> None:
        self.case = case
        self.struck: int | None = None  # the process that was hit
        self.went_on_at = 0.0  # when nothing of the fault is left, by the monotonic clock
        self._workshop = workshop
        self._stack = AsyncExitStack()
        self._sessions: list[int] = []

    async def __aenter__(self) -> Self:
        self.database = await self._workshop.databases.get()
        self.folder = self._workshop.root / f"case-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.direct = f"unix://{self._workshop.socket}?db={self.database}"
        self.client: Redis = Redis.from_url(self.direct)
        self.client.flushdb()
        self.rig = Rig(self.client)
        harm = None
        if self.case:
            harm = Harm(self.case.spot, self.case.fault, self._strike, DELAY_SECONDS)
        forgetful = self.case is None or self.case.spot.name.startswith("load-")
        proxy = Proxy(self._workshop.socket, harm, forgetful=forgetful)
        self.proxy = await self._stack.enter_async_context(proxy)
        self.through = f"redis://127.0.0.1:{self.proxy.port}/{self.database}"
        return self

    async def __aexit__(self, *_: object) -> None:
        end(self._sessions)
        await self._stack.aclose()
        self.client.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._workshop.databases.put_nowait(self.database)

    # Processes

    def start(self, *words: str, url: str = "", environ: Mapping[str, str] | None = None) -> int:
        """A command in a process of its own, with the server at `url` (default: through the proxy)."""
        own = {
            "REDIS_URL": url or self.through,
            "EFFECTS": str(self.folder / "effects"),
            "HOOKLINE_SPOOL": str(self.folder / "spool"),
            "PYTHONPATH": str(REPOSITORY),  # for the child that runs what has crashed once
        }
        pid = self._workshop.zygote.fork(
            words, self._workshop.place | own | dict(environ or {}), self.folder, self.folder / "log"
        )
        self._sessions.append(pid)
        return pid

    def needs_another(self, pids: Sequence[int]) -> bool:
        """As a supervisor sees it: all have ended, or the only one is stopped."""
        stopped = self.case and self.case.fate is Fate.STOP and self.struck is not None
        return not any(map(is_alive, pids)) or bool(stopped and len(pids) == 1)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def effects(self) -> list[list[str]]:
        """Words of each line of the effect log."""
        path = self.folder / "effects"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    # The fault

    @property
    def over(self) -> bool:
        """Whether the fault has happened, and a process that was stopped goes on again."""
        return self.struck is not None and time.monotonic() >= self.went_on_at

    def _strike(self, port: int) -> None:
        assert self.case
        pid = owner(port, self.proxy.port, self._sessions)
        self.struck = pid or 0
        self.went_on_at = time.monotonic()
        if not pid or self.case.fate is Fate.ON:
            return
        os.kill(pid, signal.SIGKILL if self.case.fate is Fate.KILL else signal.SIGSTOP)
        if self.case.fate is Fate.STOP:
            self.went_on_at += STOP_SECONDS + 0.5
            asyncio.get_running_loop().call_later(STOP_SECONDS, _go_on, pid)


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
