"""`python -m tests.chaos.sweep.zygote`: imports everything once, and forks what is put under test.

A process that is there to be killed costs 30 ms so, and not the seconds that Python needs to import it.
Orders come as JSON lines, process ids go out. What is forked is the true command, in a session of its
own; only times that nobody could wait for in thousands of cases are shorter.
"""

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from redis import ConnectionPool

from tests.chaos.sweep.processes import MARK

REPOSITORY: Final = Path(__file__).parents[3]
PATIENCE_SECONDS: Final = 0.5
RQ_HEARTBEAT_SECONDS: Final = 2
PR_SET_PDEATHSIG: Final = 1
STOPPED: Final = "HOOKLINE_SWEEP_STOPPED"
"""In the environment of a fork: it stops before its first step, until SIGCONT."""


class Zygote:
    """The process that forks. Leaving ends it, and all that it forked."""

    def __enter__(self) -> Self:
        mark = os.environ.setdefault(MARK, str(uuid4()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.sweep.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=os.environ | {MARK: mark},
            text=True,
        )
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def fork(self, words: Sequence[str], environ: Mapping[str, str], place: Path, log: Path) -> int:
        """Runs `hookline …`, `rq …` or `enqueue …` in the directory `place`. Its process id."""
        order = {"words": words, "environ": dict(environ), "place": str(place), "log": str(log)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return answer


def main() -> None:
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(order)
        print(pid, flush=True)


def _import_everything() -> None:
    import rq.cli.cli
    import rq.cli.helpers
    import uvloop

    import gateway.adapters.http.server
    import gateway.adapters.worker.watchdog
    import gateway.adapters.worker.worker
    import gateway.cli.replay
    import gateway.cli.serve
    import gateway.cli.worker
    import gateway.jobs
    import gateway.wiring  # noqa: F401
    import tests.chaos.sweep.plain_jobs  # noqa: F401

    assert rq.cli.cli
    assert uvloop


def _live(order: dict[str, Any]) -> None:
    status = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a campaign may be broken off
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(order["place"])
        os.environ.update(order["environ"])
        if os.environ.pop(STOPPED, ""):
            os.kill(os.getpid(), signal.SIGSTOP)
        random.seed()
        program, *words = order["words"]
        sys.argv = [program, *words]
        status = PROGRAMS[program](words) or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _hookline(words: list[str]) -> None:
    from gateway.adapters.worker import presence, worker
    from gateway.cli import main as hookline

    _shorten(presence, PATIENCE_SECONDS=PATIENCE_SECONDS)
    _shorten(worker, PAUSE_SECONDS=0.2)
    hookline(words)


def _rq(words: list[str]) -> None:
    """Retries of redis-py, forks and clean-ups are as they come; waits are shorter."""
    from rq.cli.cli import main as rq_main
    from rq.intermediate_queue import IntermediateQueue
    from rq.utils import now
    from rq.worker.base import BaseWorker

    import gateway.jobs

    def is_old(queue: Any, job_id: str) -> bool:
        seen = queue.get_first_seen(job_id)
        return bool(seen and now() - seen > timedelta(seconds=RQ_HEARTBEAT_SECONDS))

    def pool(**options: Any) -> ConnectionPool:
        return ConnectionPool(**(options | {"socket_timeout": PATIENCE_SECONDS}))

    _shorten(
        BaseWorker,
        get_heartbeat_ttl=lambda *_, **__: RQ_HEARTBEAT_SECONDS,
        connection_timeout=property(lambda self: self.dequeue_timeout + PATIENCE_SECONDS),
    )
    _shorten(IntermediateQueue, should_be_cleaned_up=is_old)
    _shorten(gateway.jobs, ConnectionPool=pool)
    rq_main(words)


def _shorten(owner: Any, **times: Any) -> None:
    for name, value in times.items():
        assert hasattr(owner, name), f"{owner} has no {name} any more"
        setattr(owner, name, value)


def _enqueue(words: list[str]) -> None:
    from tests.chaos.sweep import plain_jobs

    plain_jobs.enqueue(*words)


PROGRAMS: Final = {"hookline": _hookline, "rq": _rq, "enqueue": _enqueue}

if __name__ == "__main__":
    main()
