"""One case: an empty database, and a first process whose calls are traced; those after it are not."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from tests.chaos.proxy import Fault, Spot
from tests.chaos.sweep.bench import Bench, Workshop
from tests.chaos.sweep.case import Case as SweptCase
from tests.chaos.sweep.case import Fate
from tests.chaos.sweep.case import Subject as SweptSubject
from tests.chaos.sweep.processes import end, is_alive
from tests.chaos.sweep.zygote import STOPPED
from tests.chaos.syscalls.case import Case
from tests.chaos.syscalls.tracer import Tracer

# The rules are those of a process that is killed; no command is harmed on its way.
KILLED: Final = SweptCase(SweptSubject.GATEWAY, Spot("none", 1), Fault.BEFORE, Fate.KILL)
LOOK_SECONDS: Final = 0.02
STOP_SECONDS: Final = 6.0


class Traced(Bench):
    """`away`: at first Redis is not there; `bring_back` ends that."""

    def __init__(self, workshop: Workshop, harm: Case | None, *, away: bool = False) -> None:
        super().__init__(workshop, KILLED if harm else None)
        self.harm = harm
        self._away = away
        self._socket = workshop.socket
        self._tracer: Tracer | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.through = self.direct
        self.trace = self.folder / "trace"
        if self._away:
            self._link = self.folder / "redis.sock"
            self.through = f"unix://{self._link}?db={self.database}"
        self._watch = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watch:
            self._watch.cancel()
        end(self._sessions)
        if self._tracer:
            self._tracer.close()
        await super().__aexit__()

    def start(self, *words: str, url: str = "", environ: Mapping[str, str] | None = None) -> int:
        if self._tracer:
            return super().start(*words, url=url, environ=environ)
        pid = super().start(*words, url=url, environ={**(environ or {}), STOPPED: "1"})
        self._tracer = Tracer(self.harm, self.trace)
        self._tracer.attach(pid)
        os.kill(pid, signal.SIGCONT)
        return pid

    def bring_back(self) -> None:
        with suppress(FileExistsError):
            Path(self._link).symlink_to(self._socket)

    @property
    def came(self) -> int:
        """How many faults."""
        return self._tracer.came() if self._tracer else 0

    def calls(self) -> str:
        """The trace so far."""
        return self._tracer.text() if self._tracer else ""

    async def ended(self, pid: int) -> bool:
        """SIGTERM; whether it has ended in time, if only by SIGKILL in the end."""
        deadline = time.monotonic() + STOP_SECONDS
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        while is_alive(pid) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
        in_time = not is_alive(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return in_time

    async def _look(self) -> None:
        while self.struck is None:
            await asyncio.sleep(LOOK_SECONDS)
            if self.came:
                self.struck, self.went_on_at = self._sessions[0], time.monotonic()
